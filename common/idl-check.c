#include "common/idl.h"

#include <errno.h>
#include <string.h>

#include "common/check.h"

static int check_value(const struct idl_type *type, struct json_object *value);

static const struct idl_field *find_field(const struct idl_type *type, const char *name)
{
    for (size_t i = 0; i < type->count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

static int check_array(const struct idl_type *element, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_array))
        return -EINVAL;
    for (size_t i = 0; i < json_object_array_length(value); i++)
        if (check_value(element, json_object_array_get_idx(value, i)) < 0)
            return -EINVAL;
    return 0;
}

static int check_map(const struct idl_type *element, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_object))
        return -EINVAL;
    json_object_object_foreach (value, key, inner) {
        (void)key;
        if (check_value(element, inner) < 0)
            return -EINVAL;
    }
    return 0;
}

static int check_enum(const struct idl_type *type, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return -EINVAL;
    return find_field(type, json_object_get_string(value)) ? 0 : -EINVAL;
}

static int require(bool holds)
{
    return holds ? 0 : -EINVAL;
}

static int check_value(const struct idl_type *type, struct json_object *value)
{
    const char *field;

    if (!value)
        return require(type->nullable);
    switch (type->kind) {
    case IDL_BOOL:
        return require(json_object_is_type(value, json_type_boolean));
    case IDL_INT:
        return require(json_object_is_type(value, json_type_int));
    case IDL_FLOAT:
        return require(json_object_is_type(value, json_type_int) ||
                       json_object_is_type(value, json_type_double));
    case IDL_STRING:
        return require(json_object_is_type(value, json_type_string));
    case IDL_OBJECT:
        return require(json_object_is_type(value, json_type_object));
    case IDL_ARRAY:
        return check_array(type->element, value);
    case IDL_MAP:
        return check_map(type->element, value);
    case IDL_STRUCT:
        return idl_check(type, value, &field);
    case IDL_ENUM:
        return check_enum(type, value);
    case IDL_NAMED:
        return check_value(type->named, value);
    }
    check_unreachable();
}

int idl_check(const struct idl_type *type, struct json_object *value, const char **ret_field)
{
    check(type->kind == IDL_STRUCT);
    if (value && !json_object_is_type(value, json_type_object)) {
        *ret_field = "parameters";
        return -EINVAL;
    }
    for (size_t i = 0; i < type->count; i++) {
        struct json_object *inner = NULL;

        json_object_object_get_ex(value, type->fields[i].name, &inner);
        if (check_value(&type->fields[i].type, inner) < 0) {
            *ret_field = type->fields[i].name;
            return -EINVAL;
        }
    }
    if (!value)
        return 0;
    json_object_object_foreach (value, key, inner) {
        (void)inner;
        if (!find_field(type, key)) {
            *ret_field = key;
            return -EINVAL;
        }
    }
    return 0;
}
