/* What the database holds, read once when it is opened. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "store-load.h"
#include "store-schema.h"

void store_contents_done(struct store_contents *contents)
{
    for (size_t i = 0; i < contents->held_count; i++)
        free((void *)contents->held[i].intervals);
    for (size_t i = 0; i < contents->outbox_count; i++)
        packet_unref(contents->outbox[i]);
    free((void *)contents->held);
    free((void *)contents->outbox);
    *contents = (struct store_contents){0};
}

static bool read_id(sqlite3_stmt *row, int column, struct ring_id *ret)
{
    const void *blob = sqlite3_column_blob(row, column);

    if (!blob || sqlite3_column_bytes(row, column) != sizeof(ret->bytes))
        return false;
    memcpy(ret->bytes, blob, sizeof(ret->bytes));
    return true;
}

/* Takes one row of a query into `userdata`; false: it makes no sense, or there is no memory. */
typedef bool (*row_reader)(sqlite3_stmt *row, void *userdata);

static int each_row(sqlite3 *database, const char *text, row_reader take, void *userdata)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, text, -1, &statement, NULL);

    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW && !take(statement, userdata))
            result = SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? 0 : store_schema_errno(result);
}

static bool take_identity(sqlite3_stmt *row, void *userdata)
{
    struct store_contents *contents = userdata;

    return read_id(row, 0, &contents->node) && read_id(row, 1, &contents->instance);
}

static bool take_state(sqlite3_stmt *row, void *userdata)
{
    struct store_contents *contents = userdata;

    contents->state.run = (uint64_t)sqlite3_column_int64(row, 0);
    contents->state.epoch = (uint64_t)sqlite3_column_int64(row, 1);
    contents->state.hlc_bound = (uint64_t)sqlite3_column_int64(row, 2);
    return true;
}

static bool take_top(sqlite3_stmt *row, void *userdata)
{
    struct store_contents *contents = userdata;

    contents->top.hlc = (uint64_t)sqlite3_column_int64(row, 0);
    contents->top.seq = (uint64_t)sqlite3_column_int64(row, 2);
    return read_id(row, 1, &contents->top.origin);
}

/* Rows come ordered by origin, then first. */
struct held_reader {
    struct store_contents *contents;
    struct ring_held *list;
    size_t allocated, intervals_allocated;
};

static bool grow(void **list, size_t count, size_t *allocated, size_t size)
{
    void *grown;

    if (count < *allocated)
        return true;
    grown = realloc(*list, MAX(16, 2 * *allocated) * size);
    if (!grown)
        return false;
    *list = grown;
    *allocated = MAX(16, 2 * *allocated);
    return true;
}

static bool take_held(sqlite3_stmt *row, void *userdata)
{
    struct held_reader *reader = userdata;
    struct store_contents *contents = reader->contents;
    struct ring_interval interval = {(uint64_t)sqlite3_column_int64(row, 1),
                                     (uint64_t)sqlite3_column_int64(row, 2)};
    struct ring_held *held;
    struct ring_id id;

    if (!read_id(row, 0, &id) || interval.from == 0 || interval.from > interval.to)
        return false;
    if (contents->held_count == 0 ||
        !ring_id_equal(&reader->list[contents->held_count - 1].origin, &id)) {
        if (!grow((void **)&reader->list, contents->held_count, &reader->allocated,
                  sizeof(*reader->list)))
            return false;
        contents->held = reader->list;
        reader->list[contents->held_count++] = (struct ring_held){.origin = id};
        reader->intervals_allocated = 0;
    }
    held = &reader->list[contents->held_count - 1];
    if (!grow((void **)&held->intervals, held->count, &reader->intervals_allocated,
              sizeof(interval)))
        return false;
    ((struct ring_interval *)held->intervals)[held->count++] = interval;
    contents->messages += interval.to - interval.from + 1;
    return true;
}

struct outbox_reader {
    struct store_contents *contents;
    struct packet **list;
    size_t allocated;
};

static bool take_outbox(sqlite3_stmt *row, void *userdata)
{
    struct outbox_reader *reader = userdata;
    size_t size = (size_t)sqlite3_column_bytes(row, 0);
    struct packet *packet = packet_new(size);

    if (!packet || !grow((void **)&reader->list, reader->contents->outbox_count, &reader->allocated,
                         sizeof(packet))) {
        packet_unref(packet);
        return false;
    }
    if (size)
        memcpy(packet->data, sqlite3_column_blob(row, 0), size);
    reader->contents->outbox = reader->list;
    reader->list[reader->contents->outbox_count++] = packet;
    return true;
}

int store_load(sqlite3 *database, struct store_contents *ret)
{
    struct held_reader held = {.contents = ret};
    struct outbox_reader outbox = {.contents = ret};
    int result;

    result = each_row(database, "SELECT node, instance FROM identity", take_identity, ret);
    if (result == 0)
        result = each_row(database, "SELECT run, epoch, hlc_bound FROM state", take_state, ret);
    if (result == 0)
        result = each_row(database,
                          "SELECT m.hlc, o.id, m.seq FROM message m"
                          " JOIN origin o ON o.number = m.origin"
                          " WHERE m.hlc = (SELECT max(hlc) FROM message)"
                          " ORDER BY o.id DESC, m.seq DESC LIMIT 1",
                          take_top, ret);
    if (result == 0)
        result = each_row(database,
                          "SELECT o.id, h.first, h.last FROM held h"
                          " JOIN origin o ON o.number = h.origin ORDER BY h.origin, h.first",
                          take_held, &held);
    if (result == 0)
        result =
            each_row(database, "SELECT packet FROM outbox ORDER BY number", take_outbox, &outbox);
    return result;
}
