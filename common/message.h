#pragma once

/* The JSON form of a message:
 * {"id","origin","seq","order","node","user","kind","room","text","sent"}, the same bytes on every
 * host. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"

/* A UUID as text, NUL included. */
#define ID_TEXT_MAX 37

/* A seq as text: RUN-N in decimal, NUL included. */
#define SEQ_TEXT_MAX 24

/* A key as text: hlc, origin and seq as hexadecimal digits of fixed width, NUL included. Sorted as
 * text, these are in the agreed order. */
#define ORDER_TEXT_MAX 65

void id_format(const uint8_t id[16], char ret[ID_TEXT_MAX]);

/* Takes the 36 characters of a UUID, in upper or lower case, and nothing else. 0 or -EINVAL. */
int id_parse(const char *text, uint8_t ret[16]);

/* Random bytes of ids to come: the kernel is asked for those of several at once. Zeros at first. */
#define IDS_AT_ONCE 16
struct id_source {
    uint8_t random[IDS_AT_ONCE][16];
    size_t left;
};

/* A new id: a UUID of version 7 (RFC 9562), which begins with the time, so that an index of them is
 * appended to. `wall`: µs UTC. */
void id_make(struct id_source *source, uint64_t wall, uint8_t ret[16]);

void seq_format(uint64_t seq, char ret[SEQ_TEXT_MAX]);
int seq_parse(const char *text, uint64_t *ret); /* 0 or -EINVAL */

void order_format(uint64_t hlc, const uint8_t origin[16], uint64_t seq, char ret[ORDER_TEXT_MAX]);

/* A message as a client sees it. The strings belong to somebody else. */
struct chat_message {
    uint8_t id[16], origin[16];
    uint64_t hlc, seq;
    uint64_t sent; /* µs UTC */
    bool notice;   /* kind: a notice, not chat */
    struct span user, node, room, text;
};

/* The object, which belongs to the caller; broken UTF-8 becomes U+FFFD, as JSON must be UTF-8.
 * NULL: out of memory. */
struct json_object *message_to_json(const struct chat_message *message);

/* Reads an object of that form; further keys are ignored. The strings point into `object`. 0, or
 * -EBADMSG with `ret` untouched. */
int message_from_json(struct json_object *object, struct chat_message *ret);
