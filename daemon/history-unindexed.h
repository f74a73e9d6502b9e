#pragma once

/* Where messages may lie that the index of words does not have yet. */

#include <stdbool.h>
#include <stdint.h>

#include "common/bounds.h"

struct history;

/* Ascending clocks, both included; they do not overlap. */
struct unindexed {
    unsigned count;
    struct {
        uint64_t low, high;
    } ranges[UNINDEXED_RANGES_MAX];
};

/* 0 or a negative errno. */
int unindexed_find(struct history *history, struct unindexed *ret);

/* Shortens low … high, from its beginning in the direction, to what lies all in one range (true) or
 * in none (false). */
bool unindexed_cut(const struct unindexed *unindexed, bool down, uint64_t *low, uint64_t *high);
