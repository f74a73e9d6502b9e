/* A position as text: the database's instance, the number of the last late delivery, the key, and
 * where the position is one among the last messages, the bounds of those that are left. Numbers
 * are hexadecimal digits of fixed width, so that one position has one text. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/message.h"
#include "history-internal.h"

#define KEY_DIGITS (ORDER_TEXT_MAX - 1)

static void format_key(const struct message_key *key, char ret[ORDER_TEXT_MAX])
{
    order_format(key->hlc, key->origin.bytes, key->seq, ret);
}

void history_cursor_format(const struct history *history, const struct history_position *position,
                           char ret[HISTORY_CURSOR_TEXT_MAX])
{
    char instance[ID_TEXT_MAX], key[ORDER_TEXT_MAX], from[ORDER_TEXT_MAX], upto[ORDER_TEXT_MAX];

    id_format(history->instance.bytes, instance);
    format_key(&position->key, key);
    format_key(&position->from, from);
    format_key(&position->upto, upto);
    if (message_key_compare(&position->from, &position->upto) < 0)
        snprintf(ret, HISTORY_CURSOR_TEXT_MAX, "%s:%016llx:%s:%s:%s", instance,
                 (unsigned long long)position->late, key, from, upto);
    else
        snprintf(ret, HISTORY_CURSOR_TEXT_MAX, "%s:%016llx:%s", instance,
                 (unsigned long long)position->late, key);
}

/* ---- and back ---- */

/* Takes up to 16 lower-case digits from the text; false: there is something else. */
static bool take_number(const char **text, size_t digits, uint64_t *ret)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits; i++) {
        char c = **text;
        unsigned value = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;

        if (value > 15)
            return false;
        number = number << 4 | value;
        (*text)++;
    }
    *ret = number;
    return true;
}

static bool take_key(const char **text, struct message_key *ret)
{
    if (!take_number(text, 16, &ret->hlc))
        return false;
    for (size_t i = 0; i < sizeof(ret->origin.bytes); i++) {
        uint64_t byte;

        if (!take_number(text, 2, &byte))
            return false;
        ret->origin.bytes[i] = (uint8_t)byte;
    }
    return take_number(text, 16, &ret->seq) && ret->hlc <= INT64_MAX && ret->seq <= INT64_MAX;
}

static bool take_colon(const char **text)
{
    return *(*text)++ == ':';
}

static bool take_instance(const char **text, struct ring_id *ret)
{
    char id[ID_TEXT_MAX] = "";

    if (strnlen(*text, ID_TEXT_MAX - 1) < ID_TEXT_MAX - 1)
        return false;
    memcpy(id, *text, ID_TEXT_MAX - 1);
    *text += ID_TEXT_MAX - 1;
    return id_parse(id, ret->bytes) == 0;
}

int history_cursor_parse(const struct history *history, const char *text,
                         struct history_position *ret)
{
    struct history_position position = {0};
    struct ring_id instance;

    if (!take_instance(&text, &instance) || !take_colon(&text) ||
        !take_number(&text, 16, &position.late) || position.late > INT64_MAX ||
        !take_colon(&text) || !take_key(&text, &position.key))
        return -EINVAL;
    if (*text != '\0' && (!take_colon(&text) || !take_key(&text, &position.from) ||
                          !take_colon(&text) || !take_key(&text, &position.upto)))
        return -EINVAL;
    if (*text != '\0')
        return -EINVAL;
    if (!ring_id_equal(&instance, &history->instance))
        return -ESTALE;
    *ret = position;
    return 0;
}
