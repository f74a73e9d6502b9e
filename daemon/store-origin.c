/* What is known of each origin: its number, what is held of it, and where to find that. */

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "store-load.h"
#include "store-write-internal.h"

/* ---- the list ---- */

static size_t position(const struct store_writer *writer, const struct ring_id *id)
{
    size_t low = 0, high = writer->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ring_id_compare(&writer->origins[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct store_origin *store_origin_find(const struct store_writer *writer, const struct ring_id *id)
{
    size_t at = position(writer, id);

    if (at < writer->count && ring_id_equal(&writer->origins[at]->id, id))
        return writer->origins[at];
    return NULL;
}

static bool reserve(struct store_writer *writer)
{
    size_t allocated = MAX(8, 2 * writer->allocated);
    struct store_origin **list;

    if (writer->count < writer->allocated)
        return true;
    list = realloc(writer->origins, allocated * sizeof(*list));
    if (!list)
        return false;
    writer->origins = list;
    writer->allocated = allocated;
    return true;
}

static struct store_origin *add(struct store_writer *writer, const struct ring_id *id,
                                sqlite3_int64 number)
{
    size_t at = position(writer, id);
    struct store_origin *origin = reserve(writer) ? calloc(1, sizeof(*origin)) : NULL;

    if (!origin)
        return NULL;
    origin->id = *id;
    origin->number = number;
    memmove(writer->origins + at + 1, writer->origins + at,
            (writer->count - at) * sizeof(struct store_origin *));
    writer->origins[at] = origin;
    writer->count++;
    return origin;
}

int store_origin_get(struct store_writer *writer, const struct ring_id *id,
                     struct store_origin **ret)
{
    int result;

    *ret = store_origin_find(writer, id);
    if (*ret)
        return SQLITE_OK;
    store_bind_id(writer->statements[STATEMENT_ORIGIN], 1, id);
    result = store_writer_run(writer, STATEMENT_ORIGIN);
    if (result != SQLITE_OK)
        return result;
    *ret = add(writer, id, sqlite3_last_insert_rowid(writer->database));
    return *ret ? SQLITE_OK : SQLITE_NOMEM;
}

static int take_origin(sqlite3_stmt *row, void *userdata)
{
    struct ring_id id;

    if (!store_column_id(row, 0, &id))
        return -EUCLEAN;
    return add(userdata, &id, sqlite3_column_int64(row, 1)) ? 0 : -ENOMEM;
}

/* An interval of the columns 1 and 2, and the origin whose it is. */
static int take_interval(sqlite3_stmt *row, const struct store_writer *writer,
                         struct ring_interval *ret, struct store_origin **ret_origin)
{
    struct ring_interval interval = {(uint64_t)sqlite3_column_int64(row, 1),
                                     (uint64_t)sqlite3_column_int64(row, 2), 0};
    struct ring_id id;

    if (!store_column_id(row, 0, &id) || interval.from == 0 || interval.from > interval.to ||
        interval.to > INT64_MAX)
        return -EUCLEAN;
    *ret = interval;
    *ret_origin = store_origin_find(writer, &id);
    return *ret_origin ? 0 : -EUCLEAN;
}

static int take_indexed(sqlite3_stmt *row, void *userdata)
{
    struct ring_interval interval;
    struct store_origin *origin;
    int result = take_interval(row, userdata, &interval, &origin);

    return result < 0 ? result : intervals_add(&origin->indexed, interval.from, interval.to);
}

static int take_counted(sqlite3_stmt *row, void *userdata)
{
    struct ring_interval interval;
    struct store_origin *origin;
    int result = take_interval(row, userdata, &interval, &origin);

    return result < 0 ? result : intervals_add(&origin->counted, interval.from, interval.to);
}

int store_origins_load(struct store_writer *writer, const struct store_contents *contents)
{
    int result =
        store_each_row(writer->database, "SELECT id, number FROM origin", take_origin, writer);

    for (size_t i = 0; result == 0 && i < contents->held_count; i++) {
        const struct ring_held *held = &contents->held[i];
        struct store_origin *origin = store_origin_find(writer, &held->origin);

        for (size_t k = 0; origin && result == 0 && k < held->count; k++)
            result = intervals_add_sum(&origin->held, held->intervals[k].from,
                                       held->intervals[k].to, held->intervals[k].sum);
        for (size_t k = 0; origin && result == 0 && k < held->pruned_count; k++)
            result = intervals_add(&origin->pruned, held->pruned[k].from, held->pruned[k].to);
    }
    if (result == 0)
        result = store_each_row(writer->database,
                                "SELECT o.id, i.first, i.last FROM indexed i"
                                " JOIN origin o ON o.number = i.origin",
                                take_indexed, writer);
    if (result == 0)
        result = store_each_row(writer->database,
                                "SELECT o.id, c.first, c.last FROM counted c"
                                " JOIN origin o ON o.number = c.origin",
                                take_counted, writer);
    return result;
}

void store_origins_done(struct store_writer *writer)
{
    for (size_t i = 0; i < writer->count; i++) {
        intervals_done(&writer->origins[i]->held);
        intervals_done(&writer->origins[i]->pruned);
        intervals_done(&writer->origins[i]->indexed);
        intervals_done(&writer->origins[i]->counted);
        free(writer->origins[i]);
    }
    free(writer->origins);
}

/* ---- what is held ---- */

static int run_with(struct store_writer *writer, enum store_statement which,
                    const struct store_origin *origin, const struct ring_interval *interval)
{
    sqlite3_stmt *statement = writer->statements[which];

    sqlite3_bind_int64(statement, 1, origin->number);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)interval->from);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)interval->to);
    if (which == STATEMENT_HELD_INSERT || which == STATEMENT_HELD_GROW)
        sqlite3_bind_int64(statement, 4, (sqlite3_int64)interval->sum);
    return store_writer_run(writer, which);
}

/* Replaces the rows that lie within an interval by one. */
static int write_interval(struct store_writer *writer, const struct store_origin *origin,
                          const struct ring_interval *interval, enum store_statement delete,
                          enum store_statement insert)
{
    int result = run_with(writer, delete, origin, interval);

    return result == SQLITE_OK ? run_with(writer, insert, origin, interval) : result;
}

static int write_held(struct store_writer *writer, struct store_origin *origin)
{
    int result;

    if (origin->unwritten.from == 0)
        return SQLITE_OK;
    if (origin->grows)
        result = run_with(writer, STATEMENT_HELD_GROW, origin, &origin->unwritten);
    else
        result = write_interval(writer, origin, &origin->unwritten, STATEMENT_HELD_DELETE,
                                STATEMENT_HELD_INSERT);
    origin->unwritten.from = 0;
    return result;
}

int store_origins_write(struct store_writer *writer)
{
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < writer->count; i++)
        result = write_held(writer, writer->origins[i]);
    return result;
}

/* The interval of the set that has `seq`: one of the highest, for nearly every message. */
static const struct ring_interval *interval_of(const struct intervals *set, uint64_t seq)
{
    const struct ring_interval *at = &set->list[set->count - 1];

    while (at->from > seq)
        at--;
    return at;
}

/* Nearly every message extends the interval of the one before; so an interval is written when
 * another one is touched, or by the commit. */
static int extend(struct store_writer *writer, struct store_origin *origin,
                  const struct message *message)
{
    struct ring_interval *unwritten = &origin->unwritten;
    const struct ring_interval *grown;
    uint64_t seq = message->key.seq;
    size_t count = origin->held.count;
    bool grew;
    int result = SQLITE_OK;

    if (intervals_add_sum(&origin->held, seq, seq, ring_id_hash(&message->id)) < 0)
        return SQLITE_NOMEM;
    grown = interval_of(&origin->held, seq);
    if (unwritten->from != 0 && (unwritten->from > grown->to || unwritten->to < grown->from))
        result = write_held(writer, origin);
    /* None was added, two did not become one, and it is not the beginning that has moved. */
    grew = origin->held.count == count && grown->from < seq;
    origin->grows = grew && (unwritten->from == 0 || origin->grows);
    *unwritten = *grown;
    return result;
}

int store_origin_index(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval)
{
    if (intervals_add(&origin->indexed, interval.from, interval.to) < 0)
        return SQLITE_NOMEM;
    return write_interval(writer, origin, interval_of(&origin->indexed, interval.from),
                          STATEMENT_INDEXED_DELETE, STATEMENT_INDEXED_INSERT);
}

int store_origin_count(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval)
{
    if (intervals_add(&origin->counted, interval.from, interval.to) < 0)
        return SQLITE_NOMEM;
    return write_interval(writer, origin, interval_of(&origin->counted, interval.from),
                          STATEMENT_COUNTED_DELETE, STATEMENT_COUNTED_INSERT);
}

int store_origin_prune(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval)
{
    int result;

    if (intervals_add(&origin->pruned, interval.from, interval.to) < 0)
        return SQLITE_NOMEM;
    result = write_interval(writer, origin, interval_of(&origin->pruned, interval.from),
                            STATEMENT_PRUNED_DELETE, STATEMENT_PRUNED_INSERT);
    return result == SQLITE_OK ? store_origin_index(writer, origin, interval) : result;
}

/* ---- landmarks ---- */

/* The nearest one in a direction; leaves seq and hlc as they are if there is none. */
static int look_up(struct store_writer *writer, enum store_statement which,
                   const struct store_origin *origin, uint64_t seq, uint64_t *ret_seq,
                   uint64_t *ret_hlc)
{
    sqlite3_stmt *statement = writer->statements[which];
    int result;

    sqlite3_bind_int64(statement, 1, origin->number);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)seq);
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *ret_seq = (uint64_t)sqlite3_column_int64(statement, 0);
        *ret_hlc = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

static int find_landmark(struct store_writer *writer, struct store_origin *origin, uint64_t seq)
{
    uint64_t unused;
    int result;

    if (origin->landmark.seq <= seq && seq < origin->landmark.next)
        return SQLITE_OK;
    origin->landmark.seq = origin->landmark.hlc = 0;
    origin->landmark.next = UINT64_MAX;
    result = look_up(writer, STATEMENT_LANDMARK_BELOW, origin, seq, &origin->landmark.seq,
                     &origin->landmark.hlc);
    if (result == SQLITE_OK)
        result =
            look_up(writer, STATEMENT_LANDMARK_ABOVE, origin, seq, &origin->landmark.next, &unused);
    return result;
}

/* An origin's hlc rises with its seq, so a landmark set between two others leaves what they cover
 * covered. */
static int set_landmark(struct store_writer *writer, struct store_origin *origin, uint64_t seq,
                        uint64_t hlc)
{
    sqlite3_stmt *insert = writer->statements[STATEMENT_LANDMARK];
    int result = find_landmark(writer, origin, seq);

    if (result != SQLITE_OK || (origin->landmark.seq != 0 && hlc >= origin->landmark.hlc &&
                                hlc - origin->landmark.hlc <= LANDMARK_SPAN))
        return result;
    sqlite3_bind_int64(insert, 1, origin->number);
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)seq);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)hlc);
    origin->landmark.seq = seq;
    origin->landmark.hlc = hlc;
    return store_writer_run(writer, STATEMENT_LANDMARK);
}

/* ---- the clocks of an hour ---- */

static int note_span(struct store_writer *writer, uint64_t sent, uint64_t hlc)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_SPAN];
    int64_t hour = (int64_t)(sent / SPAN_USEC);
    struct store_span *span = &writer->spans[hour % SPAN_CACHE];
    int result;

    if (span->hour == hour && span->low <= hlc && hlc <= span->high)
        return SQLITE_OK;
    sqlite3_bind_int64(statement, 1, hour);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)(hlc - MIN(hlc, SPAN_MARGIN)));
    sqlite3_bind_int64(statement, 3, store_sortable(hlc + SPAN_MARGIN));
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *span = (struct store_span){.hour = hour,
                                    .low = (uint64_t)sqlite3_column_int64(statement, 0),
                                    .high = (uint64_t)sqlite3_column_int64(statement, 1)};
        result = sqlite3_step(statement);
    }
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_origin_hold(struct store_writer *writer, struct store_origin *origin,
                      const struct message *message)
{
    int result = extend(writer, origin, message);

    if (result == SQLITE_OK)
        result = note_span(writer, message->sent, message->key.hlc);
    if (result == SQLITE_OK)
        result = set_landmark(writer, origin, message->key.seq, message->key.hlc);
    return result;
}
