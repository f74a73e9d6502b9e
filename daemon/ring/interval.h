#pragma once

/* Sets of sequence numbers of one origin, as ascending intervals. Seqs of different runs never
 * touch, since n begins at 1 in each run. */

#include "ring.h"

struct intervals {
    size_t count, allocated;
    struct ring_interval *list;
};

void intervals_done(struct intervals *set);

bool intervals_contain(const struct intervals *set, uint64_t seq);

/* Adds all of from … to. 0 or -ENOMEM (the set is then as it was). */
int intervals_add(struct intervals *set, uint64_t from, uint64_t to);

/* Replaces `set` by a copy of `other`. 0 or -ENOMEM. */
int intervals_copy(struct intervals *set, const struct intervals *other);

/* The highest interval of what is in `set`, not in `without`, and within `bounds`; false: none. */
bool intervals_highest_missing(const struct intervals *set, const struct intervals *without,
                               const struct ring_interval *bounds, struct ring_interval *ret);

/* The lowest interval of `bounds` that is not in `set`; false: all of it is. */
bool intervals_lowest_gap(const struct intervals *set, const struct ring_interval *bounds,
                          struct ring_interval *ret);

/* The highest seq of the set; 0: it is empty. */
uint64_t intervals_top(const struct intervals *set);
