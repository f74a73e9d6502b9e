#include "common/varlink.h"

#include <errno.h>
#include <string.h>

#include "common/check.h"

/* The build makes string literals of ringchat.varlink, a line each. */
const char varlink_interface_text[] =
#include "common/ringchat-varlink.inc"
    ;

struct idl *varlink_interface_new(void)
{
    struct idl *idl = NULL;
    unsigned line;
    int r = idl_parse(varlink_interface_text, &idl, &line);

    check(r == 0 || r == -ENOMEM);
    return r == 0 ? idl : NULL;
}

/* Adds a value that is taken over in any case. */
static int add(struct json_object *object, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

/* An object with one text, the parameters (taken over) and a flag where it is set. */
static struct json_object *message_new(const char *key, const char *text,
                                       struct json_object *parameters, const char *flag)
{
    _cleanup_(json_object_putp) struct json_object *owned = parameters;
    _cleanup_(json_object_putp) struct json_object *message = json_object_new_object();

    if (!message)
        return NULL;
    if (key && add(message, key, json_object_new_string(text)) < 0)
        return NULL;
    if (owned && add(message, "parameters", steal_pointer(owned)) < 0)
        return NULL;
    if (flag && add(message, flag, json_object_new_boolean(true)) < 0)
        return NULL;
    return steal_pointer(message);
}

struct json_object *varlink_call_new(const char *method, struct json_object *parameters, bool more)
{
    return message_new("method", method, parameters, more ? "more" : NULL);
}

struct json_object *varlink_reply_new(struct json_object *parameters, bool continues)
{
    if (!parameters)
        parameters = json_object_new_object();
    if (!parameters)
        return NULL;
    return message_new(NULL, NULL, parameters, continues ? "continues" : NULL);
}

struct json_object *varlink_error_new(const char *error, struct json_object *parameters)
{
    return message_new("error", error, parameters, NULL);
}

/* Reads a flag: missing and null are false. 0 or -EBADMSG. */
static int read_flag(struct json_object *value, bool *ret)
{
    if (value && !json_object_is_type(value, json_type_boolean))
        return -EBADMSG;
    *ret = value && json_object_get_boolean(value);
    return 0;
}

/* Reads a text. 0 or -EBADMSG. */
static int read_text(struct json_object *value, const char **ret)
{
    if (!json_object_is_type(value, json_type_string))
        return -EBADMSG;
    *ret = json_object_get_string(value);
    return 0;
}

/* Reads an object: missing and null are none. 0 or -EBADMSG. */
static int read_object(struct json_object *value, struct json_object **ret)
{
    if (value && !json_object_is_type(value, json_type_object))
        return -EBADMSG;
    *ret = value;
    return 0;
}

static int call_field(struct varlink_call *call, const char *key, struct json_object *value,
                      const char **ret_reason)
{
    bool upgrade = false;

    if (strcmp(key, "method") == 0) {
        *ret_reason = "\"method\" is not a string";
        return read_text(value, &call->method);
    }
    if (strcmp(key, "parameters") == 0) {
        *ret_reason = "\"parameters\" is not an object";
        return read_object(value, &call->parameters);
    }
    *ret_reason = "\"more\", \"oneway\" and \"upgrade\" are true or false";
    if (strcmp(key, "more") == 0)
        return read_flag(value, &call->more);
    if (strcmp(key, "oneway") == 0)
        return read_flag(value, &call->oneway);
    if (strcmp(key, "upgrade") == 0) {
        if (read_flag(value, &upgrade) < 0)
            return -EBADMSG;
        *ret_reason = "no method here upgrades its connection";
        return upgrade ? -EBADMSG : 0;
    }
    *ret_reason =
        "a call has \"method\", \"parameters\", \"more\" and \"oneway\", and nothing else";
    return -EBADMSG;
}

int varlink_call_parse(struct json_object *message, struct varlink_call *ret,
                       const char **ret_reason)
{
    struct varlink_call call = {.message = message};

    json_object_object_foreach (message, key, value) {
        if (call_field(&call, key, value, ret_reason) < 0)
            return -EBADMSG;
    }
    *ret_reason = "\"method\" is missing";
    if (!call.method)
        return -EBADMSG;
    *ret_reason = "a call cannot have both \"more\" and \"oneway\"";
    if (call.more && call.oneway)
        return -EBADMSG;
    *ret = call;
    return 0;
}

void varlink_call_done(struct varlink_call *call)
{
    json_object_put(call->message);
    *call = (struct varlink_call){0};
}

int varlink_reply_parse(struct json_object *message, struct varlink_reply *ret,
                        const char **ret_reason)
{
    struct varlink_reply reply = {.message = message};
    struct json_object *value;

    *ret_reason = "\"error\" is not a string";
    if (json_object_object_get_ex(message, "error", &value) && value &&
        read_text(value, &reply.error) < 0)
        return -EBADMSG;
    *ret_reason = "\"parameters\" is not an object";
    if (json_object_object_get_ex(message, "parameters", &value) &&
        read_object(value, &reply.parameters) < 0)
        return -EBADMSG;
    *ret_reason = "\"continues\" is true or false";
    if (json_object_object_get_ex(message, "continues", &value) &&
        read_flag(value, &reply.continues) < 0)
        return -EBADMSG;
    *ret = reply;
    return 0;
}

void varlink_reply_done(struct varlink_reply *reply)
{
    json_object_put(reply->message);
    *reply = (struct varlink_reply){0};
}

const char *varlink_text(struct json_object *message, size_t *ret_size)
{
    return json_object_to_json_string_length(
        message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_size);
}
