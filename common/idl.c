#include "common/idl.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/check.h"
#include "common/util.h"

struct idl {
    char *name;
    struct idl_member *members;
    size_t count;
};

struct parser {
    const char *at;
    unsigned line;
    unsigned depth;
};

/* ---- freeing ---- */

static void type_done(struct idl_type *type)
{
    if (type->element) {
        type_done(type->element);
        free(type->element);
    }
    for (size_t i = 0; i < type->count; i++) {
        free(type->fields[i].name);
        type_done(&type->fields[i].type);
    }
    free(type->fields);
    free(type->name);
}

void idl_free(struct idl *idl)
{
    if (!idl)
        return;
    for (size_t i = 0; i < idl->count; i++) {
        free(idl->members[i].name);
        type_done(&idl->members[i].input);
        type_done(&idl->members[i].output);
    }
    free(idl->members);
    free(idl->name);
    free(idl);
}

/* ---- words ---- */

static void skip_blanks(struct parser *parser)
{
    for (;; parser->at++) {
        if (*parser->at == '#')
            parser->at += strcspn(parser->at, "\n");
        if (*parser->at == '\n')
            parser->line++;
        else if (*parser->at == '\0' || !isspace((unsigned char)*parser->at))
            return;
    }
}

/* Takes the sign if it is next. */
static bool take(struct parser *parser, const char *sign)
{
    skip_blanks(parser);
    if (strncmp(parser->at, sign, strlen(sign)) != 0)
        return false;
    parser->at += strlen(sign);
    return true;
}

static int expect(struct parser *parser, const char *sign)
{
    return take(parser, sign) ? 0 : -EBADMSG;
}

/* Takes a name; those of interfaces have dots and dashes too. */
static int take_name(struct parser *parser, const char *more, char **ret)
{
    const char *begin;
    size_t size = 0;

    skip_blanks(parser);
    begin = parser->at;
    while (isalnum((unsigned char)begin[size]) || (begin[size] && strchr(more, begin[size])))
        size++;
    if (size == 0 || !isalpha((unsigned char)*begin))
        return -EBADMSG;
    *ret = strndup(begin, size);
    if (!*ret)
        return -ENOMEM;
    parser->at += size;
    return 0;
}

/* ---- types ---- */

static int parse_type(struct parser *parser, struct idl_type *ret);

static struct idl_field *add_field(struct idl_type *type)
{
    struct idl_field *fields = reallocarray(type->fields, type->count + 1, sizeof(*type->fields));

    if (!fields)
        return NULL;
    type->fields = fields;
    fields[type->count] = (struct idl_field){0};
    return &fields[type->count++];
}

static bool has_twins(const struct idl_type *type)
{
    for (size_t i = 0; i < type->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(type->fields[i].name, type->fields[j].name) == 0)
                return true;
    return false;
}

/* After the parenthesis: a struct (fields with types) or an enum (names alone). */
static int parse_fields(struct parser *parser, struct idl_type *type)
{
    type->kind = IDL_STRUCT;
    if (take(parser, ")"))
        return 0;
    do {
        struct idl_field *field = add_field(type);
        int r = field ? take_name(parser, "_", &field->name) : -ENOMEM;
        enum idl_kind kind = take(parser, ":") ? IDL_STRUCT : IDL_ENUM;

        if (r == 0 && type->count > 1 && kind != type->kind)
            r = -EBADMSG;
        if (r == 0 && kind == IDL_STRUCT)
            r = parse_type(parser, &field->type);
        if (r < 0)
            return r;
        type->kind = kind;
    } while (take(parser, ","));
    return has_twins(type) ? -EBADMSG : expect(parser, ")");
}

static int parse_named(struct parser *parser, struct idl_type *type)
{
    static const struct {
        const char *name;
        enum idl_kind kind;
    } basic[] = {
        {"bool", IDL_BOOL},     {"int", IDL_INT},       {"float", IDL_FLOAT},
        {"string", IDL_STRING}, {"object", IDL_OBJECT},
    };
    int r = take_name(parser, "", &type->name);

    if (r < 0)
        return r;
    type->kind = IDL_NAMED;
    for (size_t i = 0; i < ELEMENTS(basic); i++)
        if (strcmp(type->name, basic[i].name) == 0)
            type->kind = basic[i].kind;
    return 0;
}

static int parse_element(struct parser *parser, struct idl_type *type, enum idl_kind kind)
{
    type->kind = kind;
    type->element = calloc(1, sizeof(*type->element));
    return type->element ? parse_type(parser, type->element) : -ENOMEM;
}

static int parse_type(struct parser *parser, struct idl_type *type)
{
    int r;

    if (++parser->depth > IDL_DEPTH_MAX)
        return -EBADMSG;
    type->nullable = take(parser, "?");
    if (take(parser, "[]"))
        r = parse_element(parser, type, IDL_ARRAY);
    else if (take(parser, "[string]"))
        r = parse_element(parser, type, IDL_MAP);
    else if (take(parser, "("))
        r = parse_fields(parser, type);
    else
        r = parse_named(parser, type);
    parser->depth--;
    return r;
}

/* ---- members ---- */

static int parse_struct(struct parser *parser, struct idl_type *type)
{
    int r = expect(parser, "(");

    if (r == 0)
        r = parse_fields(parser, type);
    return r == 0 && type->kind != IDL_STRUCT ? -EBADMSG : r;
}

static int parse_member(struct parser *parser, struct idl_member *member)
{
    _cleanup_free_ char *word = NULL;
    int r = take_name(parser, "", &word);

    if (r < 0)
        return r;
    if (strcmp(word, "type") == 0)
        member->kind = IDL_TYPE;
    else if (strcmp(word, "method") == 0)
        member->kind = IDL_METHOD;
    else if (strcmp(word, "error") == 0)
        member->kind = IDL_ERROR;
    else
        return -EBADMSG;
    r = take_name(parser, "", &member->name);
    if (r < 0)
        return r;
    if (member->kind == IDL_TYPE)
        return expect(parser, "(") < 0 ? -EBADMSG : parse_fields(parser, &member->input);
    r = parse_struct(parser, &member->input);
    if (r < 0 || member->kind == IDL_ERROR)
        return r;
    return expect(parser, "->") < 0 ? -EBADMSG : parse_struct(parser, &member->output);
}

static int parse_interface(struct parser *parser, struct idl *idl)
{
    _cleanup_free_ char *word = NULL;
    int r = take_name(parser, "", &word);

    if (r == 0 && strcmp(word, "interface") != 0)
        r = -EBADMSG;
    if (r == 0)
        r = take_name(parser, ".-", &idl->name);
    while (r == 0) {
        struct idl_member *members;

        skip_blanks(parser);
        if (*parser->at == '\0')
            return 0;
        members = reallocarray(idl->members, idl->count + 1, sizeof(*members));
        if (!members)
            return -ENOMEM;
        idl->members = members;
        members[idl->count] = (struct idl_member){0};
        r = parse_member(parser, &members[idl->count++]);
    }
    return r;
}

/* ---- names of types ---- */

static int resolve_type(struct idl *idl, struct idl_type *type)
{
    int r = 0;

    if (type->kind == IDL_NAMED) {
        const struct idl_member *member = idl_find(idl, IDL_TYPE, type->name);

        if (!member)
            return -EBADMSG;
        type->named = &member->input;
    }
    if (type->element)
        r = resolve_type(idl, type->element);
    for (size_t i = 0; r == 0 && i < type->count && type->kind == IDL_STRUCT; i++)
        r = resolve_type(idl, &type->fields[i].type);
    return r;
}

static int resolve(struct idl *idl)
{
    for (size_t i = 0; i < idl->count; i++) {
        struct idl_member *member = &idl->members[i];

        for (size_t j = 0; j < i; j++)
            if (strcmp(member->name, idl->members[j].name) == 0)
                return -EBADMSG;
        if (resolve_type(idl, &member->input) < 0 || resolve_type(idl, &member->output) < 0)
            return -EBADMSG;
    }
    return 0;
}

int idl_parse(const char *text, struct idl **ret, unsigned *ret_line)
{
    struct parser parser = {.at = text, .line = 1};
    _cleanup_(idl_freep) struct idl *idl = calloc(1, sizeof(*idl));
    int r = idl ? parse_interface(&parser, idl) : -ENOMEM;

    if (r == 0)
        r = resolve(idl);
    if (r < 0) {
        *ret_line = parser.line;
        return r;
    }
    *ret = steal_pointer(idl);
    return 0;
}

const char *idl_name(const struct idl *idl)
{
    return idl->name;
}

const struct idl_member *idl_members(const struct idl *idl, size_t *ret_count)
{
    *ret_count = idl->count;
    return idl->members;
}

const struct idl_member *idl_find(const struct idl *idl, enum idl_member_kind kind,
                                  const char *name)
{
    for (size_t i = 0; i < idl->count; i++)
        if (idl->members[i].kind == kind && strcmp(idl->members[i].name, name) == 0)
            return &idl->members[i];
    return NULL;
}
