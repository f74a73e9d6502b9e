#include "common/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/json-stream.h"
#include "common/util.h"

static const char digits[] = "0123456789abcdef";

static void format_hex(const uint8_t *bytes, size_t size, char *to)
{
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c)
{
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static int parse_hex(const char *text, size_t size, uint8_t *ret)
{
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(text[2 * i]), low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

        if (low < 0)
            return -EINVAL;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

void id_format(const uint8_t id[16], char ret[ID_TEXT_MAX])
{
    static const uint8_t sizes[] = {4, 2, 2, 2, 6};

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        format_hex(id, sizes[i], ret);
        id += sizes[i];
        ret += 2 * sizes[i];
        *ret++ = i + 1 < ELEMENTS(sizes) ? '-' : '\0';
    }
}

int id_parse(const char *text, uint8_t ret[16])
{
    char hex[ID_TEXT_MAX];
    size_t count = 0;

    if (strlen(text) != ID_TEXT_MAX - 1)
        return -EINVAL;
    for (size_t i = 0; i < ID_TEXT_MAX - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash != (text[i] == '-'))
            return -EINVAL;
        if (!dash)
            hex[count++] = text[i];
    }
    return parse_hex(hex, 16, ret);
}

void id_make(struct id_source *source, uint64_t wall, uint8_t ret[16])
{
    uint64_t milliseconds = wall / USEC_PER_MSEC;

    /* Up to 256 bytes are always had in one piece. */
    if (source->left == 0) {
        check(getrandom(source->random, sizeof(source->random), 0) == sizeof(source->random));
        source->left = ELEMENTS(source->random);
    }
    memcpy(ret, source->random[--source->left], 16);
    for (unsigned i = 0; i < 6; i++)
        ret[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
    ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x70);
    ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

void seq_format(uint64_t seq, char ret[SEQ_TEXT_MAX])
{
    snprintf(ret, SEQ_TEXT_MAX, "%" PRIu32 "-%" PRIu32, (uint32_t)(seq >> 32), (uint32_t)seq);
}

int seq_parse(const char *text, uint64_t *ret)
{
    char again[SEQ_TEXT_MAX];
    uint32_t run, n;
    uint64_t seq;

    if (sscanf(text, "%10" SCNu32 "-%10" SCNu32, &run, &n) != 2)
        return -EINVAL;
    /* Only the one way of writing it: no signs, blanks, leading zeros or overflow. */
    seq = (uint64_t)run << 32 | n;
    seq_format(seq, again);
    if (strcmp(again, text) != 0)
        return -EINVAL;
    *ret = seq;
    return 0;
}

void order_format(uint64_t hlc, const uint8_t origin[16], uint64_t seq, char ret[ORDER_TEXT_MAX])
{
    snprintf(ret, 17, "%016" PRIx64, hlc);
    format_hex(origin, 16, ret + 16);
    snprintf(ret + 48, 17, "%016" PRIx64, seq);
}

static struct json_object *string_new(struct span span)
{
    _cleanup_free_ char *repaired = NULL;
    size_t size;

    if (text_is_utf8(span.data, span.size) && (span.size == 0 || !memchr(span.data, 0, span.size)))
        return json_object_new_string_len(span.data, (int)span.size);
    repaired = text_repair(span.data, span.size, &size);
    return repaired ? json_object_new_string_len(repaired, (int)size) : NULL;
}

/* One field of the object that is written: key and value. */
struct json_field {
    const char *key;
    struct json_object *value; /* taken over */
};

/* Adds all, or none where memory is short; the values are taken over in any case. */
static int add_fields(struct json_object *object, const struct json_field *fields, size_t count)
{
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        if (r == 0 && fields[i].value &&
            json_object_object_add(object, fields[i].key, fields[i].value) == 0)
            continue;
        json_object_put(fields[i].value);
        r = -ENOMEM;
    }
    return r;
}

struct json_object *message_to_json(const struct chat_message *message)
{
    _cleanup_(json_object_putp) struct json_object *object = json_object_new_object();
    char id[ID_TEXT_MAX], origin[ID_TEXT_MAX], seq[SEQ_TEXT_MAX], order[ORDER_TEXT_MAX];

    if (!object)
        return NULL;
    id_format(message->id, id);
    id_format(message->origin, origin);
    seq_format(message->seq, seq);
    order_format(message->hlc, message->origin, message->seq, order);
    const struct json_field fields[] = {
        {"id", json_object_new_string(id)},
        {"origin", json_object_new_string(origin)},
        {"seq", json_object_new_string(seq)},
        {"order", json_object_new_string(order)},
        {"node", string_new(message->node)},
        {"user", string_new(message->user)},
        {"kind", json_object_new_string(message->notice ? "notice" : "chat")},
        {"room", string_new(message->room)},
        {"text", string_new(message->text)},
        {"sent", json_object_new_int64((int64_t)MIN(message->sent, (uint64_t)INT64_MAX))},
    };
    return add_fields(object, fields, ELEMENTS(fields)) < 0 ? NULL : steal_pointer(object);
}

/* The string under a key. 0 or -EBADMSG. */
static int get_string(struct json_object *object, const char *key, struct span *ret)
{
    struct json_object *value;

    if (!json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return -EBADMSG;
    *ret = (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return 0;
}

/* The same for one of the texts that stand for a value. */
static int get_id(struct json_object *object, const char *key, uint8_t ret[16])
{
    struct span text;

    return get_string(object, key, &text) < 0 || id_parse(text.data, ret) < 0 ? -EBADMSG : 0;
}

static int get_key(struct json_object *object, struct chat_message *message)
{
    char order[ORDER_TEXT_MAX];
    uint8_t hlc[8];
    struct span text;

    if (get_string(object, "seq", &text) < 0 || seq_parse(text.data, &message->seq) < 0)
        return -EBADMSG;
    if (get_string(object, "order", &text) < 0 || text.size != ORDER_TEXT_MAX - 1 ||
        parse_hex(text.data, sizeof(hlc), hlc) < 0)
        return -EBADMSG;
    message->hlc = 0;
    for (size_t i = 0; i < sizeof(hlc); i++)
        message->hlc = message->hlc << 8 | hlc[i];
    order_format(message->hlc, message->origin, message->seq, order);
    return strcmp(order, text.data) == 0 ? 0 : -EBADMSG;
}

static int get_kind(struct json_object *object, bool *ret_notice)
{
    struct span text;

    if (get_string(object, "kind", &text) < 0)
        return -EBADMSG;
    *ret_notice = strcmp(text.data, "notice") == 0;
    return *ret_notice || strcmp(text.data, "chat") == 0 ? 0 : -EBADMSG;
}

static int get_sent(struct json_object *object, uint64_t *ret)
{
    struct json_object *value;

    if (!json_object_object_get_ex(object, "sent", &value) ||
        !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return -EBADMSG;
    *ret = (uint64_t)json_object_get_int64(value);
    return 0;
}

int message_from_json(struct json_object *object, struct chat_message *ret)
{
    struct chat_message message;

    if (get_id(object, "id", message.id) < 0 || get_id(object, "origin", message.origin) < 0 ||
        get_key(object, &message) < 0 || get_kind(object, &message.notice) < 0 ||
        get_sent(object, &message.sent) < 0 || get_string(object, "node", &message.node) < 0 ||
        get_string(object, "user", &message.user) < 0 ||
        get_string(object, "room", &message.room) < 0 ||
        get_string(object, "text", &message.text) < 0)
        return -EBADMSG;
    *ret = message;
    return 0;
}
