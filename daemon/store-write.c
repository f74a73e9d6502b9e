#include "store-write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "ring/interval.h"
#include "store-schema.h"

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_STATE,
    STATEMENT_ORIGIN,
    STATEMENT_MESSAGE,
    STATEMENT_HELD_DELETE,
    STATEMENT_HELD_INSERT,
    STATEMENT_OUTBOX,
    STATEMENT_OUTBOX_DELETE,
    STATEMENT_LATE,
    STATEMENT_FETCH,
    STATEMENTS
};

static const char *const texts[] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_STATE] = "UPDATE state SET run = ?1, epoch = ?2, hlc_bound = ?3",
    [STATEMENT_ORIGIN] = "INSERT INTO origin(id) VALUES(?1)",
    [STATEMENT_MESSAGE] = "INSERT OR IGNORE INTO message VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
    [STATEMENT_HELD_DELETE] = "DELETE FROM held WHERE origin = ?1 AND first >= ?2 AND first <= ?3",
    [STATEMENT_HELD_INSERT] = "INSERT INTO held VALUES(?1, ?2, ?3)",
    [STATEMENT_OUTBOX] = "INSERT INTO outbox(id, packet) VALUES(?1, ?2)",
    [STATEMENT_OUTBOX_DELETE] = "DELETE FROM outbox WHERE id = ?1",
    [STATEMENT_LATE] = "INSERT OR IGNORE INTO late(hlc, origin, seq) VALUES(?1, ?2, ?3)",
    [STATEMENT_FETCH] =
        "SELECT " STORE_ROW_COLUMNS " FROM message m JOIN origin o ON o.number = m.origin"
        " WHERE m.origin = ?1 AND m.seq BETWEEN ?2 AND ?3 ORDER BY m.seq DESC",
};

struct store_origin {
    struct ring_id id;
    sqlite3_int64 number;
    struct intervals held;
    struct ring_interval written; /* the interval that this transaction will write; from 0: none */
};

struct store_writer {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    bool open; /* a transaction is */
    size_t count, allocated;
    struct store_origin *origins;
};

sqlite3 *store_writer_database(struct store_writer *writer)
{
    return writer->database;
}

void store_writer_free(struct store_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(writer->statements[i]);
    sqlite3_close(writer->database);
    for (size_t i = 0; i < writer->count; i++)
        intervals_done(&writer->origins[i].held);
    free(writer->origins);
    free(writer);
}

/* Runs a statement that gives no rows. */
static int run(struct store_writer *writer, enum statement statement)
{
    int result = sqlite3_step(writer->statements[statement]);

    sqlite3_reset(writer->statements[statement]);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* ---- origins ---- */

static struct store_origin *add_origin(struct store_writer *writer, const struct ring_id *id,
                                       sqlite3_int64 number)
{
    struct store_origin *origin;

    if (writer->count == writer->allocated) {
        size_t allocated = MAX(8, 2 * writer->allocated);

        origin = realloc(writer->origins, allocated * sizeof(*origin));
        if (!origin)
            return NULL;
        writer->origins = origin;
        writer->allocated = allocated;
    }
    origin = &writer->origins[writer->count++];
    *origin = (struct store_origin){.id = *id, .number = number};
    return origin;
}

static struct store_origin *find_origin(struct store_writer *writer, const struct ring_id *id)
{
    for (size_t i = 0; i < writer->count; i++) {
        if (ring_id_equal(&writer->origins[i].id, id))
            return &writer->origins[i];
    }
    return NULL;
}

static int get_origin(struct store_writer *writer, const struct ring_id *id,
                      struct store_origin **ret)
{
    int result;

    *ret = find_origin(writer, id);
    if (*ret)
        return SQLITE_OK;
    sqlite3_bind_blob(writer->statements[STATEMENT_ORIGIN], 1, id->bytes, sizeof(id->bytes),
                      SQLITE_STATIC);
    result = run(writer, STATEMENT_ORIGIN);
    if (result != SQLITE_OK)
        return result;
    *ret = add_origin(writer, id, sqlite3_last_insert_rowid(writer->database));
    return *ret ? SQLITE_OK : SQLITE_NOMEM;
}

/* ---- held ---- */

static int write_held(struct store_writer *writer, struct store_origin *origin)
{
    sqlite3_stmt *delete = writer->statements[STATEMENT_HELD_DELETE];
    sqlite3_stmt *insert = writer->statements[STATEMENT_HELD_INSERT];
    struct ring_interval *written = &origin->written;
    int result;

    if (written->from == 0)
        return SQLITE_OK;
    sqlite3_bind_int64(delete, 1, origin->number);
    sqlite3_bind_int64(delete, 2, (sqlite3_int64)written->from);
    sqlite3_bind_int64(delete, 3, (sqlite3_int64)written->to);
    sqlite3_bind_int64(insert, 1, origin->number);
    sqlite3_bind_int64(insert, 2, (sqlite3_int64)written->from);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)written->to);
    result = run(writer, STATEMENT_HELD_DELETE);
    if (result == SQLITE_OK)
        result = run(writer, STATEMENT_HELD_INSERT);
    written->from = 0;
    return result;
}

/* Nearly every message extends the interval of the one before; so an interval is written when
 * another is touched, or at the commit. */
static int hold(struct store_writer *writer, struct store_origin *origin, uint64_t seq)
{
    struct ring_interval *written = &origin->written;
    struct ring_interval grown = {seq, seq};
    int result = SQLITE_OK;

    if (intervals_add(&origin->held, seq, seq) < 0)
        return SQLITE_NOMEM;
    for (size_t i = origin->held.count; i-- > 0;) {
        if (origin->held.list[i].from <= seq) {
            grown = origin->held.list[i];
            break;
        }
    }
    if (written->from != 0 && (written->from > grown.to || written->to < grown.from))
        result = write_held(writer, origin);
    *written = grown;
    return result;
}

/* ---- writes ---- */

static int begin(struct store_writer *writer)
{
    int result;

    if (writer->open)
        return SQLITE_OK;
    result = run(writer, STATEMENT_BEGIN);
    writer->open = result == SQLITE_OK;
    return result;
}

static void bind_text(sqlite3_stmt *statement, int place, struct bytes text)
{
    sqlite3_bind_text(statement, place, text.size ? text.data : "", (int)text.size, SQLITE_STATIC);
}

static int insert_message(struct store_writer *writer, const struct store_origin *origin,
                          const struct message *message)
{
    sqlite3_stmt *insert = writer->statements[STATEMENT_MESSAGE];

    sqlite3_bind_int64(insert, 1, (sqlite3_int64)message->key.hlc);
    sqlite3_bind_int64(insert, 2, origin->number);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)message->key.seq);
    sqlite3_bind_blob(insert, 4, message->id.bytes, sizeof(message->id.bytes), SQLITE_STATIC);
    sqlite3_bind_int64(insert, 5, (sqlite3_int64)message->sent);
    sqlite3_bind_int(insert, 6, (int)message->kind);
    bind_text(insert, 7, message->user);
    bind_text(insert, 8, message->node);
    bind_text(insert, 9, message->room);
    bind_text(insert, 10, message->text);
    return run(writer, STATEMENT_MESSAGE);
}

int store_writer_note_late(struct store_writer *writer, const struct message_key *key)
{
    sqlite3_stmt *insert = writer->statements[STATEMENT_LATE];
    struct store_origin *origin;
    int result = begin(writer);

    if (result == SQLITE_OK)
        result = get_origin(writer, &key->origin, &origin);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)key->hlc);
    sqlite3_bind_int64(insert, 2, origin->number);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)key->seq);
    return run(writer, STATEMENT_LATE);
}

static int delete_from_outbox(struct store_writer *writer, const struct ring_id *id)
{
    sqlite3_bind_blob(writer->statements[STATEMENT_OUTBOX_DELETE], 1, id->bytes, sizeof(id->bytes),
                      SQLITE_STATIC);
    return run(writer, STATEMENT_OUTBOX_DELETE);
}

static int write_message(struct store_writer *writer, struct packet *packet, bool from_outbox,
                         bool repaired)
{
    struct store_origin *origin;
    struct message message;
    int result;

    if (message_unpack(packet, &message) < 0)
        return SQLITE_MISMATCH;
    result = get_origin(writer, &message.key.origin, &origin);
    if (result != SQLITE_OK)
        return result;
    result = insert_message(writer, origin, &message);
    /* A message that is stored already changes nothing, and is no late delivery again. */
    if (result == SQLITE_OK && sqlite3_changes(writer->database) > 0) {
        result = hold(writer, origin, message.key.seq);
        if (result == SQLITE_OK && repaired)
            result = store_writer_note_late(writer, &message.key);
    }
    if (result == SQLITE_OK && from_outbox)
        result = delete_from_outbox(writer, &message.id);
    return result;
}

static int write_outbox(struct store_writer *writer, struct packet *packet)
{
    sqlite3_stmt *insert = writer->statements[STATEMENT_OUTBOX];
    struct message message;

    if (message_unpack(packet, &message) < 0)
        return SQLITE_MISMATCH;
    sqlite3_bind_blob(insert, 1, message.id.bytes, sizeof(message.id.bytes), SQLITE_STATIC);
    sqlite3_bind_blob64(insert, 2, packet->data, packet->size, SQLITE_STATIC);
    return run(writer, STATEMENT_OUTBOX);
}

static int write_state(struct store_writer *writer, const struct ring_state *state)
{
    sqlite3_stmt *update = writer->statements[STATEMENT_STATE];

    sqlite3_bind_int64(update, 1, (sqlite3_int64)state->run);
    sqlite3_bind_int64(update, 2, (sqlite3_int64)state->epoch);
    sqlite3_bind_int64(update, 3, (sqlite3_int64)state->hlc_bound);
    return run(writer, STATEMENT_STATE);
}

int store_writer_apply(struct store_writer *writer, enum ring_write write, struct packet *packet,
                       const struct ring_state *state, bool from_outbox, bool repaired)
{
    int result = begin(writer);

    if (result != SQLITE_OK)
        return result;
    switch (write) {
    case RING_WRITE_MESSAGE:
        return write_message(writer, packet, from_outbox, repaired);
    case RING_WRITE_OUTBOX:
        return write_outbox(writer, packet);
    case RING_WRITE_STATE:
        return write_state(writer, state);
    }
    check_unreachable();
}

int store_writer_commit(struct store_writer *writer)
{
    int result = SQLITE_OK;

    if (!writer->open)
        return SQLITE_OK;
    for (size_t i = 0; result == SQLITE_OK && i < writer->count; i++)
        result = write_held(writer, &writer->origins[i]);
    if (result == SQLITE_OK)
        result = run(writer, STATEMENT_COMMIT);
    writer->open = result != SQLITE_OK;
    return result;
}

/* ---- reads ---- */

static struct bytes column_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return (struct bytes){.data = text ? text : "",
                          .size = (size_t)sqlite3_column_bytes(row, column)};
}

static bool column_id(sqlite3_stmt *row, int column, struct ring_id *ret)
{
    const void *blob = sqlite3_column_blob(row, column);

    if (!blob || sqlite3_column_bytes(row, column) != sizeof(ret->bytes))
        return false;
    memcpy(ret->bytes, blob, sizeof(ret->bytes));
    return true;
}

struct packet *store_row_packet(sqlite3_stmt *row)
{
    struct message message = {
        .key = {.hlc = (uint64_t)sqlite3_column_int64(row, 0),
                .seq = (uint64_t)sqlite3_column_int64(row, 2)},
        .sent = (uint64_t)sqlite3_column_int64(row, 4),
        .kind = sqlite3_column_int(row, 5) ? MESSAGE_NOTICE : MESSAGE_CHAT,
        .user = column_text(row, 6),
        .node = column_text(row, 7),
        .room = column_text(row, 8),
        .text = column_text(row, 9),
    };

    if (!column_id(row, 1, &message.key.origin) || !column_id(row, 3, &message.id) ||
        message.user.size > USER_BYTES_MAX || message.node.size > NAME_BYTES_MAX ||
        message.room.size > ROOM_BYTES_MAX || message.text.size > TEXT_BYTES_MAX)
        return NULL;
    return message_pack(&message);
}

static int collect(sqlite3_stmt *fetch, size_t bytes_max, struct packet ***packets, size_t *count)
{
    size_t allocated = 0, bytes = 0;
    int result;

    while ((result = sqlite3_step(fetch)) == SQLITE_ROW) {
        struct packet *packet = store_row_packet(fetch);

        if (packet && *count > 0 && bytes + packet->size > bytes_max) {
            packet_unref(packet);
            return SQLITE_OK;
        }
        if (*count == allocated) {
            struct packet **grown = realloc(*packets, MAX(16, 2 * allocated) * sizeof(*grown));

            if (grown) {
                *packets = grown;
                allocated = MAX(16, 2 * allocated);
            }
        }
        if (!packet || *count == allocated) {
            packet_unref(packet);
            return SQLITE_NOMEM;
        }
        bytes += packet->size;
        (*packets)[(*count)++] = packet;
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_writer_fetch(struct store_writer *writer, const struct ring_output *output,
                       struct packet ***ret_packets, size_t *ret_count)
{
    const struct store_origin *origin = find_origin(writer, &output->fetch.origin);
    sqlite3_stmt *fetch = writer->statements[STATEMENT_FETCH];
    struct packet **packets = NULL;
    size_t count = 0;
    int result = SQLITE_OK;

    if (origin) {
        sqlite3_bind_int64(fetch, 1, origin->number);
        sqlite3_bind_int64(fetch, 2, (sqlite3_int64)output->fetch.from);
        sqlite3_bind_int64(fetch, 3, (sqlite3_int64)output->fetch.to);
        result = collect(fetch, output->fetch.bytes_max, &packets, &count);
        sqlite3_reset(fetch);
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct packet *swap = packets[i];

        packets[i] = packets[count - 1 - i];
        packets[count - 1 - i] = swap;
    }
    *ret_packets = packets;
    *ret_count = count;
    return result;
}

/* ---- opening ---- */

static int load_origins(struct store_writer *writer)
{
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(writer->database, "SELECT id, number FROM origin", -1, &statement, NULL);

    while (result == SQLITE_OK || result == SQLITE_ROW) {
        struct ring_id id;

        result = sqlite3_step(statement);
        if (result == SQLITE_ROW && (!column_id(statement, 0, &id) ||
                                     !add_origin(writer, &id, sqlite3_column_int64(statement, 1))))
            result = SQLITE_NOMEM;
    }
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int load_held(struct store_writer *writer, const struct store_contents *contents)
{
    for (size_t i = 0; i < contents->held_count; i++) {
        const struct ring_held *held = &contents->held[i];
        struct store_origin *origin = find_origin(writer, &held->origin);

        for (size_t k = 0; origin && k < held->count; k++) {
            if (intervals_add(&origin->held, held->intervals[k].from, held->intervals[k].to) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int store_writer_new(sqlite3 *database, const struct store_contents *contents,
                     struct store_writer **ret)
{
    struct store_writer *writer = calloc(1, sizeof(*writer));

    if (!writer) {
        sqlite3_close(database);
        return -ENOMEM;
    }
    writer->database = database;
    for (size_t i = 0; i < STATEMENTS; i++) {
        int result = sqlite3_prepare_v3(database, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &writer->statements[i], NULL);

        if (result != SQLITE_OK) {
            store_writer_free(writer);
            return store_schema_errno(result);
        }
    }
    if (load_origins(writer) != SQLITE_OK || load_held(writer, contents) < 0) {
        store_writer_free(writer);
        return -ENOMEM;
    }
    *ret = writer;
    return 0;
}
