#include "store-load.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "store-schema.h"

void store_contents_done(struct store_contents *contents)
{
    for (size_t i = 0; i < contents->held_count; i++) {
        free((void *)contents->held[i].intervals);
        free((void *)contents->held[i].pruned);
    }
    for (size_t i = 0; i < contents->outbox_count; i++)
        packet_unref(contents->outbox[i]);
    free((void *)contents->held);
    free((void *)contents->outbox);
    *contents = (struct store_contents){0};
}

int store_each_row(sqlite3 *database, const char *text, store_row_reader take, void *userdata)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, text, -1, &statement, NULL), error = 0;

    if (result == SQLITE_OK) {
        while (error == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
            error = take(statement, userdata);
    }
    sqlite3_finalize(statement);
    return error < 0 ? error : store_schema_errno(result);
}

static int take_identity(sqlite3_stmt *row, void *userdata)
{
    struct store_contents *contents = userdata;

    return store_column_id(row, 0, &contents->node) && store_column_id(row, 1, &contents->instance)
               ? 0
               : -EUCLEAN;
}

static int take_state(sqlite3_stmt *row, void *userdata)
{
    struct ring_state *state = userdata;

    state->run = (uint64_t)sqlite3_column_int64(row, 0);
    state->epoch = (uint64_t)sqlite3_column_int64(row, 1);
    state->hlc_bound = (uint64_t)sqlite3_column_int64(row, 2);
    state->horizon = (uint64_t)sqlite3_column_int64(row, 3);
    return 0;
}

static int take_top(sqlite3_stmt *row, void *userdata)
{
    return store_column_key(row, 0, userdata) ? 0 : -EUCLEAN;
}

int store_load_top(sqlite3 *database, struct message_key *ret)
{
    return store_each_row(database,
                          "SELECT m.hlc, o.id, m.seq FROM message m"
                          " JOIN origin o ON o.number = m.origin"
                          " WHERE m.hlc = (SELECT max(hlc) FROM message)"
                          " ORDER BY o.id DESC, m.seq DESC LIMIT 1",
                          take_top, ret);
}

/* Makes room for one more element. */
static bool grow(void **list, size_t count, size_t *allocated, size_t size)
{
    size_t wanted = MAX(16, 2 * *allocated);
    void *grown;

    if (count < *allocated)
        return true;
    grown = realloc(*list, wanted * size);
    if (!grown)
        return false;
    *list = grown;
    *allocated = wanted;
    return true;
}

/* Rows come ordered by origin, then by first. */
struct held_reader {
    struct store_contents *contents;
    struct ring_held *list;
    size_t at, allocated, intervals_allocated;
};

/* An interval of the columns 1, 2 and, if it has a sum, 3, behind the others of a list. */
static int take_interval(sqlite3_stmt *row, struct held_reader *reader,
                         const struct ring_interval **list, size_t *count)
{
    struct ring_interval interval = {(uint64_t)sqlite3_column_int64(row, 1),
                                     (uint64_t)sqlite3_column_int64(row, 2),
                                     (uint64_t)sqlite3_column_int64(row, 3)};

    if (interval.from == 0 || interval.from > interval.to || interval.to > INT64_MAX ||
        (*count > 0 && (*list)[*count - 1].to >= interval.from))
        return -EUCLEAN;
    if (!grow((void **)list, *count, &reader->intervals_allocated, sizeof(interval)))
        return -ENOMEM;
    ((struct ring_interval *)*list)[(*count)++] = interval;
    return 0;
}

static struct ring_held *held_of(struct held_reader *reader, const struct ring_id *id)
{
    struct store_contents *contents = reader->contents;

    if (contents->held_count > 0 &&
        ring_id_equal(&reader->list[contents->held_count - 1].origin, id))
        return &reader->list[contents->held_count - 1];
    if (!grow((void **)&reader->list, contents->held_count, &reader->allocated,
              sizeof(*reader->list)))
        return NULL;
    contents->held = reader->list;
    reader->intervals_allocated = 0;
    reader->list[contents->held_count] = (struct ring_held){.origin = *id};
    return &reader->list[contents->held_count++];
}

static int take_held(sqlite3_stmt *row, void *userdata)
{
    struct held_reader *reader = userdata;
    struct ring_held *held;
    struct ring_id id;
    int result;

    if (!store_column_id(row, 0, &id))
        return -EUCLEAN;
    held = held_of(reader, &id);
    if (!held)
        return -ENOMEM;
    result = take_interval(row, reader, &held->intervals, &held->count);
    if (result == 0) {
        const struct ring_interval *added = &held->intervals[held->count - 1];

        reader->contents->messages += added->to - added->from + 1;
    }
    return result;
}

/* Of the same origins, in the same order. */
static int take_pruned(sqlite3_stmt *row, void *userdata)
{
    struct held_reader *reader = userdata;
    struct ring_held *held;
    struct ring_id id;
    int result;

    if (!store_column_id(row, 0, &id))
        return -EUCLEAN;
    for (; reader->at < reader->contents->held_count; reader->at++) {
        if (ring_id_equal(&reader->list[reader->at].origin, &id))
            break;
        reader->intervals_allocated = 0;
    }
    if (reader->at == reader->contents->held_count)
        return -EUCLEAN;
    held = &reader->list[reader->at];
    result = take_interval(row, reader, &held->pruned, &held->pruned_count);
    if (result == 0) {
        const struct ring_interval *added = &held->pruned[held->pruned_count - 1];

        reader->contents->messages -= added->to - added->from + 1;
    }
    return result;
}

struct outbox_reader {
    struct store_contents *contents;
    struct packet **list;
    size_t allocated;
};

static int take_outbox(sqlite3_stmt *row, void *userdata)
{
    struct outbox_reader *reader = userdata;
    struct store_contents *contents = reader->contents;
    const void *data = sqlite3_column_blob(row, 0);
    size_t size = (size_t)sqlite3_column_bytes(row, 0);
    _cleanup_(packet_unrefp) struct packet *packet = packet_new(size);
    struct message message;

    if (!packet ||
        !grow((void **)&reader->list, contents->outbox_count, &reader->allocated, sizeof(packet)))
        return -ENOMEM;
    contents->outbox = reader->list;
    if (size > 0)
        memcpy(packet->data, data, size);
    if (message_unpack(packet, &message) < 0)
        return -EUCLEAN;
    reader->list[contents->outbox_count++] = steal_pointer(packet);
    return 0;
}

int store_load(sqlite3 *database, struct store_contents *ret)
{
    struct held_reader held = {.contents = ret};
    struct outbox_reader outbox = {.contents = ret};
    int result;

    result = store_each_row(database, "SELECT node, instance FROM identity", take_identity, ret);
    if (result == 0)
        result = store_each_row(database, "SELECT run, epoch, hlc_bound, horizon FROM state",
                                take_state, &ret->state);
    if (result == 0)
        result = store_load_top(database, &ret->top);
    if (result == 0)
        result = store_each_row(database,
                                "SELECT o.id, h.first, h.last, h.sum FROM held h"
                                " JOIN origin o ON o.number = h.origin ORDER BY h.origin, h.first",
                                take_held, &held);
    held.intervals_allocated = 0;
    if (result == 0)
        result = store_each_row(database,
                                "SELECT o.id, p.first, p.last FROM pruned p"
                                " JOIN origin o ON o.number = p.origin ORDER BY p.origin, p.first",
                                take_pruned, &held);
    if (result == 0)
        result = store_each_row(database, "SELECT packet FROM outbox ORDER BY number", take_outbox,
                                &outbox);
    return result;
}
