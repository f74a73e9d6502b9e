#include "interval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"

void intervals_done(struct intervals *set)
{
    free(set->list);
    *set = (struct intervals){0};
}

/* The position of the first interval that ends at `seq` or above; `count` if none does. */
static size_t find(const struct intervals *set, uint64_t seq)
{
    size_t low = 0, high = set->count;

    /* Nearly every look-up is for the newest. */
    if (high > 0 && set->list[high - 1].to < seq)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->list[middle].to < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool intervals_contain(const struct intervals *set, uint64_t seq)
{
    size_t at = find(set, seq);

    return at < set->count && set->list[at].from <= seq;
}

static int reserve_one(struct intervals *set)
{
    size_t allocated = set->allocated ? 2 * set->allocated : 4;
    struct ring_interval *list;

    if (set->count < set->allocated)
        return 0;
    list = realloc(set->list, allocated * sizeof(*list));
    if (!list)
        return -ENOMEM;
    set->list = list;
    set->allocated = allocated;
    return 0;
}

static uint64_t add_sums(uint64_t a, uint64_t b)
{
    return a && b ? a + b : 0;
}

int intervals_add(struct intervals *set, uint64_t from, uint64_t to)
{
    return intervals_add_sum(set, from, to, 0);
}

int intervals_add_sum(struct intervals *set, uint64_t from, uint64_t to, uint64_t sum)
{
    size_t first, last;

    check(0 < from && from <= to && to < UINT64_MAX);
    first = find(set, from - 1);
    for (last = first; last < set->count && set->list[last].from <= to + 1; last++)
        ;
    if (first == last) {
        if (reserve_one(set) < 0)
            return -ENOMEM;
        memmove(set->list + first + 1, set->list + first,
                (set->count - first) * sizeof(*set->list));
        set->list[first] = (struct ring_interval){from, to, sum};
        set->count++;
        return 0;
    }
    for (size_t i = first; i < last; i++)
        sum = add_sums(sum, set->list[i].sum);
    set->list[first].from = MIN(from, set->list[first].from);
    set->list[first].to = MAX(to, set->list[last - 1].to);
    set->list[first].sum = sum;
    memmove(set->list + first + 1, set->list + last, (set->count - last) * sizeof(*set->list));
    set->count -= last - first - 1;
    return 0;
}

/* The parts of an interval on both sides of what is taken away. */
static size_t remaining(const struct ring_interval *old, uint64_t from, uint64_t to,
                        struct ring_interval ret[2])
{
    size_t count = 0;

    if (old->from < from)
        ret[count++] = (struct ring_interval){old->from, from - 1, 0};
    if (old->to > to)
        ret[count++] = (struct ring_interval){to + 1, old->to, 0};
    return count;
}

int intervals_remove(struct intervals *set, uint64_t from, uint64_t to)
{
    size_t first = find(set, from), last = first, kept = 0;
    struct ring_interval rest[4];

    check(0 < from && from <= to && to < UINT64_MAX);
    while (last < set->count && set->list[last].from <= to)
        last++;
    if (first == last)
        return 0;
    kept = remaining(&set->list[first], from, to, rest);
    if (last - first > 1)
        kept += remaining(&set->list[last - 1], from, to, rest + kept);
    if (kept > last - first && reserve_one(set) < 0)
        return -ENOMEM;
    memmove(set->list + first + kept, set->list + last, (set->count - last) * sizeof(*set->list));
    memcpy(set->list + first, rest, kept * sizeof(*rest));
    set->count += kept;
    set->count -= last - first;
    return 0;
}

int intervals_copy(struct intervals *set, const struct intervals *other)
{
    struct ring_interval *list = NULL;

    if (other->count > 0) {
        list = malloc(other->count * sizeof(*list));
        if (!list)
            return -ENOMEM;
        memcpy(list, other->list, other->count * sizeof(*list));
    }
    free(set->list);
    *set = (struct intervals){.count = other->count, .allocated = other->count, .list = list};
    return 0;
}

/* The highest part of `piece` that is not in `without`. */
static bool highest_part(const struct ring_interval *piece, const struct intervals *without,
                         struct ring_interval *ret)
{
    uint64_t to = piece->to;
    size_t at = find(without, to);

    if (at < without->count && without->list[at].from <= to) {
        if (without->list[at].from <= piece->from)
            return false;
        to = without->list[at].from - 1;
    }
    /* Intervals never touch, so what lies below `at` ends below `to`. */
    *ret = (struct ring_interval){piece->from, to};
    if (at > 0 && without->list[at - 1].to >= piece->from)
        ret->from = without->list[at - 1].to + 1;
    return true;
}

bool intervals_highest_missing(const struct intervals *set, const struct intervals *without,
                               const struct ring_interval *bounds, struct ring_interval *ret)
{
    for (size_t i = set->count; i-- > 0;) {
        struct ring_interval piece = {MAX(set->list[i].from, bounds->from),
                                      MIN(set->list[i].to, bounds->to)};

        if (piece.from <= piece.to && highest_part(&piece, without, ret))
            return true;
    }
    return false;
}

bool intervals_lowest_gap(const struct intervals *set, const struct ring_interval *bounds,
                          struct ring_interval *ret)
{
    uint64_t from = bounds->from;
    size_t at = find(set, from);

    if (at < set->count && set->list[at].from <= from) {
        from = set->list[at].to + 1;
        at++;
    }
    if (from > bounds->to)
        return false;
    *ret = (struct ring_interval){from, bounds->to};
    if (at < set->count && set->list[at].from <= bounds->to)
        ret->to = set->list[at].from - 1;
    return true;
}

uint64_t intervals_count_missing(const struct intervals *set, const struct intervals *without)
{
    uint64_t count = 0;
    size_t k = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct ring_interval *one = &set->list[i];

        count += one->to - one->from + 1;
        while (k < without->count && without->list[k].to < one->from)
            k++;
        for (size_t at = k; at < without->count && without->list[at].from <= one->to; at++)
            count -=
                MIN(without->list[at].to, one->to) - MAX(without->list[at].from, one->from) + 1;
    }
    return count;
}

uint64_t intervals_top(const struct intervals *set)
{
    return set->count ? set->list[set->count - 1].to : 0;
}
