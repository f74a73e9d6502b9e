/* Lines of an export, which anybody may have edited: what is taken for a message is one, and is
 * written as it was read, and makes parameters that an Import takes. How ringchatctl cuts a file
 * into lines is not played here. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/message.h"
#include "common/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As ringchatctl asks, and as the daemon looks at it. The message is taken over. */
static void ask(struct json_object *message)
{
    static struct idl *idl;
    struct json_object *parameters = json_object_new_object(), *list = json_object_new_array();
    const struct idl_member *member;
    const char *field;

    if (!idl)
        idl = varlink_interface_new();
    member = idl ? idl_find(idl, IDL_METHOD, "Import") : NULL;
    if (!member)
        abort();
    json_object_array_add(list, message);
    json_object_object_add(parameters, "messages", list);
    if (idl_check(&member->input, parameters, &field) < 0)
        abort();
    json_object_put(parameters);
}

static void take(struct json_object *object)
{
    struct chat_message message, again;
    struct json_object *written;

    if (message_from_json(object, &message) < 0)
        return;
    written = message_to_json(&message);
    if (!written || message_from_json(written, &again) < 0 ||
        memcmp(message.id, again.id, sizeof(message.id)) != 0 || message.seq != again.seq ||
        message.hlc != again.hlc || message.sent != again.sent ||
        !span_equal(message.user, again.user) || !span_equal(message.text, again.text))
        abort();
    ask(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_stream *stream = json_stream_new(JSON_REPLY_BYTES_MAX);
    struct json_object *object = NULL;
    int result = 0;

    while (stream && size > 0 && result >= 0) {
        size_t used = 0;

        result = json_stream_feed(stream, (const char *)data, size, &used, &object);
        if (result > 0) {
            take(object);
            json_object_put(object);
        }
        if (result <= 0)
            break;
        data += used;
        size -= used;
    }
    json_stream_free(stream);
    return 0;
}
