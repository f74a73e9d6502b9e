/* What a client may write to the control socket: any bytes, in slices of any size, down to the
 * check of a call's parameters against the interface, as method_begin() makes it. What passes must
 * be of the types on which the methods rely, which read it without looking again. The methods
 * themselves are not run: each needs an engine with a store, a thread and a disk, whose state would
 * make what an input reaches depend on the inputs before it. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/message.h"
#include "common/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A parameter, if it is there, is of the type that a method takes it for. */
static void expect(struct json_object *parameters, const char *name, enum json_type type)
{
    struct json_object *value = NULL;

    if (parameters && json_object_object_get_ex(parameters, name, &value) && value &&
        !json_object_is_type(value, type))
        abort();
}

/* What Import reads of parameters that have passed. */
static void import(struct json_object *parameters)
{
    struct json_object *messages = NULL;
    struct chat_message message;

    if (!json_object_object_get_ex(parameters, "messages", &messages))
        abort();
    expect(parameters, "messages", json_type_array);
    for (size_t i = 0; i < json_object_array_length(messages); i++)
        (void)message_from_json(json_object_array_get_idx(messages, i), &message);
}

static void check_parameters(const struct varlink_call *call)
{
    static struct idl *idl;
    const size_t prefix = strlen(VARLINK_INTERFACE ".");
    const struct idl_member *member = NULL;
    const char *field = NULL;

    if (!idl)
        idl = varlink_interface_new();
    if (idl && strncmp(call->method, VARLINK_INTERFACE ".", prefix) == 0)
        member = idl_find(idl, IDL_METHOD, call->method + prefix);
    if (!member)
        return;
    if (idl_check(&member->input, call->parameters, &field) < 0) {
        if (!field)
            abort();
        return;
    }
    expect(call->parameters, "text", json_type_string);
    expect(call->parameters, "room", json_type_string);
    expect(call->parameters, "topics", json_type_array);
    expect(call->parameters, "lines", json_type_int);
    expect(call->parameters, "timeout_usec", json_type_int);
    if (strcmp(member->name, "Import") == 0)
        import(call->parameters);
}

static void take(struct json_object *object)
{
    struct varlink_call call;
    const char *reason = NULL;

    if (varlink_call_parse(object, &call, &reason) == 0) {
        check_parameters(&call);
        varlink_call_done(&call);
        return;
    }
    if (!reason)
        abort();
    json_object_put(object);
}

/* The first byte tells how long the slices are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_stream *stream = json_stream_new(JSON_CALL_BYTES_MAX);
    struct json_object *object = NULL;
    size_t slice = size > 0 ? data[0] + 1u : 1, at = 1;
    int result = 0;

    while (stream && at < size && result >= 0) {
        size_t used = 0;

        result = json_stream_feed(stream, (const char *)data + at,
                                  size - at < slice ? size - at : slice, &used, &object);
        if (result > 0)
            take(object);
        if (result == -EBADMSG && !json_stream_error(stream))
            abort();
        at += used;
    }
    if (stream && result >= 0 && json_stream_end(stream, &object) > 0)
        take(object);
    json_stream_free(stream);
    return 0;
}
