/* What is held and not indexed, per origin, becomes clocks by the origin's landmarks. */

#include "history-unindexed.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "history-internal.h"

/* ---- ranges of clocks ---- */

/* Where there are too many, one range has them all: then more is read than must be. */
static void unite_all(struct unindexed *all)
{
    all->ranges[0].high = all->ranges[all->count - 1].high;
    all->count = 1;
}

static void add(struct unindexed *all, uint64_t low, uint64_t high)
{
    unsigned at = 0, next;

    if (all->count == UNINDEXED_RANGES_MAX)
        unite_all(all);
    while (at < all->count && all->ranges[at].high < low)
        at++;
    for (next = at; next < all->count && all->ranges[next].low <= high; next++) {
        low = MIN(low, all->ranges[next].low);
        high = MAX(high, all->ranges[next].high);
    }
    memmove(&all->ranges[at + 1], &all->ranges[next], (all->count - next) * sizeof(all->ranges[0]));
    all->count -= next - at;
    all->ranges[at].low = low;
    all->ranges[at].high = high;
    all->count++;
}

bool unindexed_cut(const struct unindexed *unindexed, bool down, uint64_t *low, uint64_t *high)
{
    for (unsigned i = 0; i < unindexed->count; i++) {
        unsigned at = down ? unindexed->count - 1 - i : i;
        uint64_t from = unindexed->ranges[at].low, to = unindexed->ranges[at].high;

        if (down ? from > *high : to < *low)
            continue;
        if (from <= *(down ? high : low) && to >= *(down ? high : low)) {
            *low = down ? MAX(*low, from) : *low;
            *high = down ? *high : MIN(*high, to);
            return true;
        }
        *low = down ? MAX(*low, to + 1) : *low;
        *high = down ? *high : MIN(*high, from - 1);
        return false;
    }
    return false;
}

/* ---- what is not indexed ---- */

/* The clock of the last landmark up to a seq; 0: there is none. */
static int landmark(struct history *history, sqlite3_int64 origin, uint64_t seq, uint64_t *ret)
{
    sqlite3_stmt *find = history->statements[HISTORY_LANDMARK];
    int result;

    *ret = 0;
    sqlite3_bind_int64(find, 1, origin);
    sqlite3_bind_int64(find, 2, (sqlite3_int64)seq);
    result = sqlite3_step(find);
    if (result == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    return store_schema_errno(result);
}

static int add_gap(struct history *history, sqlite3_int64 origin, uint64_t from, uint64_t to,
                   struct unindexed *all)
{
    uint64_t low, high;
    int result = landmark(history, origin, from, &low);

    if (result == 0)
        result = landmark(history, origin, to, &high);
    if (result == 0)
        add(all, low, high + LANDMARK_SPAN);
    return result;
}

/* The parts of one interval that is held, from its end. */
static int add_gaps(struct history *history, sqlite3_int64 origin, uint64_t from, uint64_t to,
                    struct unindexed *all)
{
    sqlite3_stmt *indexed = history->statements[HISTORY_INDEXED];
    int step = SQLITE_DONE, result = 0;

    sqlite3_bind_int64(indexed, 1, origin);
    sqlite3_bind_int64(indexed, 2, (sqlite3_int64)to);
    while (result == 0 && from <= to && (step = sqlite3_step(indexed)) == SQLITE_ROW) {
        uint64_t first = (uint64_t)sqlite3_column_int64(indexed, 0);
        uint64_t last = (uint64_t)sqlite3_column_int64(indexed, 1);

        if (last < from)
            break;
        if (last < to)
            result = add_gap(history, origin, last + 1, to, all);
        to = first - 1;
    }
    sqlite3_reset(indexed);
    if (result == 0)
        result = store_schema_errno(step);
    return result == 0 && from <= to ? add_gap(history, origin, from, to, all) : result;
}

int unindexed_find(struct history *history, struct unindexed *ret)
{
    sqlite3_stmt *held = history->statements[HISTORY_HELD];
    int step = SQLITE_DONE, result = 0;

    ret->count = 0;
    while (result == 0 && (step = sqlite3_step(held)) == SQLITE_ROW)
        result = add_gaps(history, sqlite3_column_int64(held, 0),
                          (uint64_t)sqlite3_column_int64(held, 1),
                          (uint64_t)sqlite3_column_int64(held, 2), ret);
    sqlite3_reset(held);
    return result < 0 ? result : store_schema_errno(step);
}
