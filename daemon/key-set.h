#pragma once

/* A set of message keys in their order. Made for what comes and goes mostly at either end: messages
 * under way come at the high end and are delivered from the low one. */

#include <stdbool.h>

#include "ring/ring.h"

struct key_set {
    size_t count, first, allocated; /* the keys are list[first … first + count - 1] */
    struct message_key *list;
};

void key_set_done(struct key_set *set);

bool key_set_contains(const struct key_set *set, const struct message_key *key);

/* Adding what is there changes nothing. 0 or -ENOMEM (the set is then as it was). */
int key_set_add(struct key_set *set, const struct message_key *key);

/* Removing what is not there changes nothing. */
void key_set_remove(struct key_set *set, const struct message_key *key);
