#include "common/json-stream.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/check.h"
#include "common/text.h"
#include "common/util.h"

/* Where in an object the scanner is. It knows only enough of JSON to find the object's end; whether
 * it is JSON is for json-c to say. */
enum scan {
    SCAN_BEFORE, /* nothing but blanks so far */
    SCAN_INSIDE, /* between braces, outside strings */
    SCAN_STRING,
    SCAN_ESCAPE,  /* after a backslash */
    SCAN_UNICODE, /* in the four digits of \u */
    SCAN_AFTER,   /* complete: blanks, then NUL or a newline */
    SCAN_FAILED,
};

/* What is kept from one object for the next one: most are shorter. */
#define KEPT_BYTES_MAX 4096

struct json_stream {
    size_t bytes_max;
    char *data; /* of the object that is not finished */
    size_t size, allocated;
    struct json_tokener *tokener; /* kept for the next object */
    enum scan scan;
    unsigned depth;
    unsigned digits; /* of \u so far */
    bool digits_zero;
    bool in_lines;
    const char *error;
};

struct json_stream *json_stream_new(size_t bytes_max)
{
    struct json_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->bytes_max = bytes_max;
    return stream;
}

void json_stream_free(struct json_stream *stream)
{
    if (!stream)
        return;
    if (stream->tokener)
        json_tokener_free(stream->tokener);
    free(stream->data);
    free(stream);
}

const char *json_stream_error(const struct json_stream *stream)
{
    return stream->error ?: "";
}

bool json_stream_in_lines(const struct json_stream *stream)
{
    return stream->in_lines;
}

size_t json_stream_held(const struct json_stream *stream)
{
    return stream->size;
}

static int fail(struct json_stream *stream, const char *error)
{
    stream->scan = SCAN_FAILED;
    stream->error = error;
    return -EBADMSG;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int scan_structure(struct json_stream *stream, char c)
{
    if (c == '"')
        stream->scan = SCAN_STRING;
    else if (c == '{' || c == '[') {
        if (++stream->depth > JSON_DEPTH_MAX)
            return fail(stream, "the object is nested too deeply");
    } else if ((c == '}' || c == ']') && --stream->depth == 0)
        stream->scan = SCAN_AFTER;
    return 0;
}

/* json-c cuts a key at U+0000, and no text of ours may hold one. */
static int scan_unicode(struct json_stream *stream, char c)
{
    stream->digits_zero = stream->digits_zero && c == '0';
    if (++stream->digits < 4)
        return 0;
    if (stream->digits_zero)
        return fail(stream, "U+0000 is not allowed in a string");
    stream->scan = SCAN_STRING;
    return 0;
}

/* Looks at one byte of the object. 0, or -EBADMSG. */
static int scan_byte(struct json_stream *stream, char c)
{
    switch (stream->scan) {
    case SCAN_BEFORE:
        if (c != '{')
            return fail(stream, "a call is a JSON object, ended by NUL or a newline");
        stream->depth = 1;
        stream->scan = SCAN_INSIDE;
        return 0;
    case SCAN_INSIDE:
        return scan_structure(stream, c);
    case SCAN_STRING:
        if (c == '"')
            stream->scan = SCAN_INSIDE;
        else if (c == '\\')
            stream->scan = SCAN_ESCAPE;
        else if ((unsigned char)c < ' ')
            return fail(stream, "a control character in a string is to be written as an escape");
        return 0;
    case SCAN_ESCAPE:
        stream->scan = c == 'u' ? SCAN_UNICODE : SCAN_STRING;
        stream->digits = 0;
        stream->digits_zero = true;
        return 0;
    case SCAN_UNICODE:
        return scan_unicode(stream, c);
    case SCAN_AFTER:
        return is_blank(c) ? 0 : fail(stream, "something follows the object");
    case SCAN_FAILED:
        return -EBADMSG;
    }
    check_unreachable();
}

/* Makes room for `size` more bytes and appends them. */
static int append(struct json_stream *stream, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    if (stream->size + size > stream->bytes_max)
        return fail(stream, "the object is too long");
    if (stream->size + size > stream->allocated) {
        size_t allocated = MAX(stream->allocated * 2, MAX(stream->size + size, 1024U));
        char *grown = realloc(stream->data, MIN(allocated, stream->bytes_max));

        if (!grown)
            return -ENOMEM;
        stream->data = grown;
        stream->allocated = MIN(allocated, stream->bytes_max);
    }
    memcpy(stream->data + stream->size, data, size);
    stream->size += size;
    return 0;
}

/* Memory for one long object is not kept for the short ones after it. */
static void forget_object(struct json_stream *stream)
{
    if (stream->allocated > KEPT_BYTES_MAX) {
        free(stream->data);
        stream->data = NULL;
        stream->allocated = 0;
        json_tokener_free(steal_pointer(stream->tokener));
    }
    stream->size = 0;
    stream->depth = 0;
    stream->scan = SCAN_BEFORE;
}

/* Parses the whole text. NULL: it is not JSON, or memory is short. */
static struct json_object *parse(struct json_tokener *tokener, const char *text, size_t size)
{
    struct json_object *object;

    check(size <= INT_MAX);
    json_tokener_reset(tokener);
    object = json_tokener_parse_ex(tokener, text, (int)size);
    if (json_tokener_get_error(tokener) == json_tokener_success)
        return object;
    json_object_put(object);
    return NULL;
}

/* json-c 0.18 refuses every character outside ASCII in its strict mode (its issue 875), so it gets
 * them as escapes, in every version. */
static int parse_object(struct json_stream *stream, struct json_object **ret)
{
    _cleanup_(json_object_putp) struct json_object *object = NULL;
    _cleanup_free_ char *escaped = NULL;
    size_t size = stream->size;

    if (!stream->tokener) {
        stream->tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
        if (!stream->tokener)
            return -ENOMEM;
        json_tokener_set_flags(stream->tokener, JSON_TOKENER_STRICT);
    }
    if (!text_is_utf8(stream->data, stream->size))
        return fail(stream, "the object is not UTF-8");
    if (!text_is_ascii(stream->data, stream->size)) {
        escaped = text_escape(stream->data, stream->size, &size);
        if (!escaped)
            return -ENOMEM;
    }
    object = parse(stream->tokener, escaped ? escaped : stream->data, size);
    if (!json_object_is_type(object, json_type_object))
        return fail(stream, "what came is not JSON");
    forget_object(stream);
    *ret = steal_pointer(object);
    return 1;
}

/* Whether the byte ends what came so far, and how many bytes the end takes. */
static size_t end_at(struct json_stream *stream, const char *data, size_t size)
{
    if (data[0] == '\0') {
        stream->in_lines = false;
        return 1;
    }
    if (data[0] != '\n' || stream->scan != SCAN_AFTER)
        return 0;
    stream->in_lines = size < 2 || data[1] != '\0';
    return stream->in_lines ? 1 : 2;
}

int json_stream_feed(struct json_stream *stream, const char *data, size_t size, size_t *ret_used,
                     struct json_object **ret)
{
    size_t begin = 0, i = 0;
    int r;

    if (stream->scan == SCAN_FAILED)
        return -EBADMSG;
    while (i < size) {
        size_t plain = stream->scan == SCAN_STRING ? text_plain_size(data + i, size - i) : 0;
        size_t end;

        i += plain;
        if (plain > 0)
            continue;
        end = end_at(stream, data + i, size - i);
        if (end > 0 && stream->scan != SCAN_BEFORE) {
            if (stream->scan != SCAN_AFTER)
                return fail(stream, "the object is not complete");
            r = append(stream, data + begin, i - begin);
            if (r >= 0)
                r = parse_object(stream, ret);
            if (r == 1)
                *ret_used = i + end;
            return r;
        }
        /* Blanks and further ends between objects are nothing. */
        if (stream->scan == SCAN_BEFORE && (end > 0 || is_blank(data[i]))) {
            begin = ++i;
            continue;
        }
        r = scan_byte(stream, data[i++]);
        if (r < 0)
            return r;
    }
    r = append(stream, data + begin, size - begin);
    if (r < 0)
        return r;
    *ret_used = size;
    return 0;
}

int json_stream_end(struct json_stream *stream, struct json_object **ret)
{
    if (stream->scan == SCAN_FAILED)
        return -EBADMSG;
    if (stream->scan == SCAN_BEFORE)
        return 0;
    if (stream->scan != SCAN_AFTER)
        return fail(stream, "the object is not complete");
    stream->in_lines = true;
    return parse_object(stream, ret);
}
