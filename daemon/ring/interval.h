#pragma once

/* Sets of sequence numbers of one origin, as ascending intervals. Seqs of different runs never
 * touch, since n begins at 1 in each run. The sum of an interval is that of what was added to it,
 * and 0, not known, as soon as a part of it was added or taken away without one. */

#include "ring.h"

struct intervals {
    size_t count, allocated;
    struct ring_interval *list;
};

void intervals_done(struct intervals *set);

bool intervals_contain(const struct intervals *set, uint64_t seq);

/* Adds all of from … to. 0 or -ENOMEM (the set is then as it was). */
int intervals_add(struct intervals *set, uint64_t from, uint64_t to);

/* The same for what was not in the set before, with its sum. */
int intervals_add_sum(struct intervals *set, uint64_t from, uint64_t to, uint64_t sum);

/* Takes all of from … to away. 0 or -ENOMEM (the set is then as it was). */
int intervals_remove(struct intervals *set, uint64_t from, uint64_t to);

/* Replaces `set` by a copy of `other`. 0 or -ENOMEM. */
int intervals_copy(struct intervals *set, const struct intervals *other);

/* The highest interval of what is in `set`, not in `without`, and within `bounds`; false: none. */
bool intervals_highest_missing(const struct intervals *set, const struct intervals *without,
                               const struct ring_interval *bounds, struct ring_interval *ret);

/* The lowest interval of `bounds` that is not in `set`; false: all of it is. */
bool intervals_lowest_gap(const struct intervals *set, const struct ring_interval *bounds,
                          struct ring_interval *ret);

/* How many of `set` are not in `without`. */
uint64_t intervals_count_missing(const struct intervals *set, const struct intervals *without);

/* The highest seq of the set; 0: it is empty. */
uint64_t intervals_top(const struct intervals *set);
