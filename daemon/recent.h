#pragma once

/* What has happened lately that a person may ask for: members that failed or left, and rings that
 * are heard of and are not this one. Forgotten after RECENT_USEC, and when this process ends. */

#include "ring/ring.h"

/* Members that went, and strangers, which are remembered. */
#define RECENT_GONE_MAX 64
#define RECENT_STRANGERS_MAX 8

struct recent_gone {
    struct ring_id id;
    char name[NAME_BYTES_MAX + 1];
    struct ring_address address;
    uint64_t time; /* wall clock, µs UTC */
    bool failed;   /* else it left in good order */
};

struct recent_stranger {
    struct ring_address address;
    char ring[NAME_BYTES_MAX + 1]; /* another ring's name, or "": `version` is other */
    uint64_t version;
    uint64_t time; /* wall clock, µs UTC */
};

struct recent {
    size_t gone_count, strangers_count;
    struct recent_gone gone[RECENT_GONE_MAX]; /* oldest first */
    struct recent_stranger strangers[RECENT_STRANGERS_MAX];
};

/* Takes note of an event. `now`: wall clock, µs UTC. */
void recent_take(struct recent *recent, const struct ring_event *event, uint64_t now);

/* Forgets what is old. To be called before the lists are read. */
void recent_expire(struct recent *recent, uint64_t now);

/* How often that member failed. */
size_t recent_failures(const struct recent *recent, const struct ring_id *id);
