#pragma once

/* Cuts a stream of bytes into JSON objects. An object ends with NUL, as Varlink has it, or with a
 * newline that follows a complete object: the mode for people with socat. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct json_stream;

/* Objects may take up to `bytes_max` bytes (JSON_CALL_BYTES_MAX, JSON_REPLY_BYTES_MAX) and nest up
 * to JSON_DEPTH_MAX deep. NULL: out of memory. */
struct json_stream *json_stream_new(size_t bytes_max);
void json_stream_free(struct json_stream *stream); /* NULL is allowed */

/* Takes bytes, at most to the end of the first object.
 *
 * 1: `ret` is an object, which belongs to the caller; `ret_used` bytes of `data` were taken, the
 * rest is to be given again. 0: all bytes were taken and more are needed. -EBADMSG: what came is
 * not an object, too long, too deep, not UTF-8, or has U+0000 in a string; json_stream_error() says
 * which, and the stream is at its end. -ENOMEM. */
int json_stream_feed(struct json_stream *stream, const char *data, size_t size, size_t *ret_used,
                     struct json_object **ret);

/* The other side sends no more. 1: an object that lacked only its end, in `ret`. 0: nothing was
 * left. -EBADMSG: half an object. -ENOMEM. */
int json_stream_end(struct json_stream *stream, struct json_object **ret);

/* A sentence, after -EBADMSG. */
const char *json_stream_error(const struct json_stream *stream);

/* Whether the last object ended with a newline (or with the stream), so that replies do too. */
bool json_stream_in_lines(const struct json_stream *stream);

/* Bytes of an unfinished object that the stream holds. */
size_t json_stream_held(const struct json_stream *stream);

static inline void json_object_putp(struct json_object **object)
{
    if (*object)
        json_object_put(*object);
}

DEFINE_CLEANUP(struct json_stream *, json_stream_free);
