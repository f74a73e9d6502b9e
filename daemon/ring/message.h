#pragma once

/* A chat message, and its form inside a packet. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

/* A UUID: of a node, or of a message. */
struct ring_id {
    uint8_t bytes[16];
};

int ring_id_compare(const struct ring_id *a, const struct ring_id *b);
bool ring_id_equal(const struct ring_id *a, const struct ring_id *b);

/* A well-mixed number of the id: the same on every node. */
uint64_t ring_id_hash(const struct ring_id *id);

/* A bijection of 64 bits that mixes well: the finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t ring_mix(uint64_t value);

/* A message's place in every history. Given once, by the origin; compared by hlc, origin, seq.
 * hlc: hybrid logical clock (Kulkarni et al. 2014), 48 bits of milliseconds, 16 of counter.
 * seq: run << 32 | n; n counts from 1 without gaps within a run of the origin. */
struct message_key {
    uint64_t hlc;
    struct ring_id origin;
    uint64_t seq;
};

int message_key_compare(const struct message_key *a, const struct message_key *b);

enum message_kind {
    MESSAGE_CHAT = 0,
    MESSAGE_NOTICE = 1,
};

/* Bytes that belong to somebody else; not ended by NUL. */
struct bytes {
    const char *data;
    size_t size;
};

/* A message whose strings point into a packet (or into what the caller owns). */
struct message {
    struct message_key key;
    struct ring_id id;
    uint64_t sent; /* the origin's wall clock, µs UTC: for display only */
    enum message_kind kind;
    struct bytes user, node, room, text; /* UTF-8, within bounds.h */
};

/* A packet that holds the message as a DATA frame without a formation tag; NULL: out of memory.
 * The message must be within bounds.h. */
struct packet *message_pack(const struct message *message);

/* Reads the message of a packet that is a DATA, FILL or REPAIR frame, or made by message_pack().
 * The strings point into the packet. 0, or -EBADMSG; `ret` is untouched on failure. */
int message_unpack(const struct packet *packet, struct message *ret);

/* Where in its packet a message that was read from it ends: a frame may have more behind it. */
size_t message_end(const struct packet *packet, const struct message *message);
