#pragma once

/* The interface description language of Varlink (https://varlink.org/Interface-Definition): parses
 * an interface and checks values against it. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct idl;

enum idl_kind {
    IDL_BOOL,
    IDL_INT,
    IDL_FLOAT,
    IDL_STRING,
    IDL_OBJECT, /* any JSON object */
    IDL_ARRAY,
    IDL_MAP, /* a JSON object with values of one type */
    IDL_STRUCT,
    IDL_ENUM,
    IDL_NAMED, /* by the name of a type of the interface */
};

struct idl_field;

struct idl_type {
    enum idl_kind kind;
    bool nullable;            /* null, or the field missing, is a value */
    struct idl_type *element; /* of IDL_ARRAY and IDL_MAP */
    struct idl_field *fields; /* of IDL_STRUCT; of IDL_ENUM by name only */
    size_t count;
    char *name;                   /* of IDL_NAMED */
    const struct idl_type *named; /* what that name stands for */
};

struct idl_field {
    char *name;
    struct idl_type type;
};

enum idl_member_kind {
    IDL_TYPE,
    IDL_METHOD,
    IDL_ERROR,
};

struct idl_member {
    enum idl_member_kind kind;
    char *name;             /* "Send" */
    struct idl_type input;  /* a method's parameters; a type's or an error's fields */
    struct idl_type output; /* a method's results */
};

/* Parses an interface. 0; -ENOMEM; -EBADMSG: an error in the text, told by `ret_line` (from 1). */
int idl_parse(const char *text, struct idl **ret, unsigned *ret_line);
void idl_free(struct idl *idl); /* NULL is allowed */

const char *idl_name(const struct idl *idl); /* "org.ringchat" */

/* All members in the order of the text. */
const struct idl_member *idl_members(const struct idl *idl, size_t *ret_count);

/* The member of that kind and (short) name, or NULL. */
const struct idl_member *idl_find(const struct idl *idl, enum idl_member_kind kind,
                                  const char *name);

/* Checks a value (NULL: null) of a struct type, such as the parameters of a call: no field missing,
 * no unknown field, every type right. 0, or -EINVAL with the name of the field (the outermost,
 * where structs nest) in `ret_field`; it points into `idl` or into `value`. A missing or null
 * struct counts as one without fields. */
int idl_check(const struct idl_type *type, struct json_object *value, const char **ret_field);

DEFINE_CLEANUP(struct idl *, idl_free);
