/* What a client may write to the control socket: any bytes, in slices of any size. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/bounds.h"
#include "common/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct json_object *object)
{
    struct varlink_call call;
    const char *reason = NULL;

    if (varlink_call_parse(object, &call, &reason) == 0) {
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
