/* Reading a range of one origin: from its end, landmark by landmark. */

#include <errno.h>

#include "common/util.h"
#include "store-write-internal.h"

struct fetch {
    struct packet **packets; /* descending */
    size_t count, allocated, bytes, bytes_max;
    bool full;
};

/* Takes the packet. */
static int take(struct fetch *fetch, struct packet *packet)
{
    size_t allocated = MAX(16, 2 * fetch->allocated);
    struct packet **list;

    if (fetch->count > 0 && packet->size > fetch->bytes_max - MIN(fetch->bytes, fetch->bytes_max)) {
        packet_unref(packet);
        fetch->full = true;
        return SQLITE_OK;
    }
    if (fetch->count == fetch->allocated) {
        list = realloc(fetch->packets, allocated * sizeof(*list));
        if (!list) {
            packet_unref(packet);
            return SQLITE_NOMEM;
        }
        fetch->packets = list;
        fetch->allocated = allocated;
    }
    fetch->bytes += packet->size;
    fetch->packets[fetch->count++] = packet;
    return SQLITE_OK;
}

static int take_row(struct fetch *fetch, sqlite3_stmt *row)
{
    struct packet *packet;
    int error = store_row_packet(row, &packet);

    if (error < 0)
        return error == -ENOMEM ? SQLITE_NOMEM : SQLITE_CORRUPT;
    return take(fetch, packet);
}

/* Takes all rows of a statement, until no more fit. */
static int collect(struct fetch *fetch, sqlite3_stmt *statement)
{
    int result = SQLITE_ROW;

    while (!fetch->full && result == SQLITE_ROW) {
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
            int taken = take_row(fetch, statement);

            result = taken == SQLITE_OK ? SQLITE_ROW : taken;
        }
    }
    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW ? SQLITE_OK : result;
}

static uint64_t count_between(const struct intervals *set, const struct ring_interval *range)
{
    uint64_t count = 0;

    for (size_t i = set->count; i-- > 0 && set->list[i].to >= range->from;) {
        uint64_t from = MAX(set->list[i].from, range->from);
        uint64_t to = MIN(set->list[i].to, range->to);

        count += from <= to ? to - from + 1 : 0;
    }
    return count;
}

static uint64_t held_between(const struct store_origin *origin, const struct ring_interval *range)
{
    return count_between(&origin->held, range) - count_between(&origin->pruned, range);
}

/* The part of the range that one landmark covers. */
static int collect_segment(struct store_writer *writer, const struct store_origin *origin,
                           const struct ring_interval *range, uint64_t hlc, struct fetch *fetch)
{
    sqlite3_stmt *near = writer->statements[STATEMENT_FETCH];
    sqlite3_stmt *all = writer->statements[STATEMENT_FETCH_ALL];
    size_t before = fetch->count;
    int result;

    sqlite3_bind_int64(near, 1, origin->number);
    sqlite3_bind_int64(near, 2, (sqlite3_int64)range->from);
    sqlite3_bind_int64(near, 3, (sqlite3_int64)range->to);
    sqlite3_bind_int64(near, 4, (sqlite3_int64)hlc);
    sqlite3_bind_int64(near, 5, store_sortable(hlc + LANDMARK_SPAN));
    result = collect(fetch, near);
    if (result != SQLITE_OK || fetch->full || fetch->count - before == held_between(origin, range))
        return result;
    /* An origin whose hlc once fell (an old backup under a clock set back): its messages lie
     * elsewhere, and have to be searched for. */
    while (fetch->count > before) {
        fetch->bytes -= fetch->packets[--fetch->count]->size;
        packet_unref(fetch->packets[fetch->count]);
    }
    sqlite3_bind_int64(all, 1, origin->number);
    sqlite3_bind_int64(all, 2, (sqlite3_int64)range->from);
    sqlite3_bind_int64(all, 3, (sqlite3_int64)range->to);
    return collect(fetch, all);
}

/* The highest seq of the range that is held; 0: none. */
static uint64_t highest_held(const struct store_origin *origin, const struct ring_interval *range)
{
    struct ring_interval highest;

    return intervals_highest_missing(&origin->held, &origin->pruned, range, &highest) ? highest.to
                                                                                      : 0;
}

static int collect_range(struct store_writer *writer, const struct store_origin *origin,
                         struct ring_interval range, struct fetch *fetch)
{
    sqlite3_stmt *below = writer->statements[STATEMENT_LANDMARK_BELOW];
    int result = SQLITE_OK;

    while (result == SQLITE_OK && !fetch->full && range.from <= range.to &&
           (range.to = highest_held(origin, &range)) != 0) {
        struct ring_interval segment = range;
        uint64_t hlc = 0;

        sqlite3_bind_int64(below, 1, origin->number);
        sqlite3_bind_int64(below, 2, (sqlite3_int64)range.to);
        if (sqlite3_step(below) == SQLITE_ROW) {
            segment.from = MAX(range.from, (uint64_t)sqlite3_column_int64(below, 0));
            hlc = (uint64_t)sqlite3_column_int64(below, 1);
        }
        result = sqlite3_reset(below);
        if (result == SQLITE_OK)
            result = collect_segment(writer, origin, &segment, hlc, fetch);
        range.to = segment.from - 1;
    }
    return result;
}

int store_writer_fetch(struct store_writer *writer, const struct ring_output *output,
                       struct packet ***ret_packets, size_t *ret_count)
{
    const struct store_origin *origin = store_origin_find(writer, &output->fetch.origin);
    struct fetch fetch = {.bytes_max = output->fetch.bytes_max};
    struct ring_interval range = {MAX(output->fetch.from, 1),
                                  MIN(output->fetch.to, (uint64_t)INT64_MAX), 0};
    int result = origin ? collect_range(writer, origin, range, &fetch) : SQLITE_OK;

    for (size_t i = 0; i < fetch.count / 2; i++) {
        struct packet *swap = fetch.packets[i];

        fetch.packets[i] = fetch.packets[fetch.count - 1 - i];
        fetch.packets[fetch.count - 1 - i] = swap;
    }
    *ret_packets = fetch.packets;
    *ret_count = fetch.count;
    return result;
}
