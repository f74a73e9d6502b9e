#include "store-write.h"

#include <errno.h>

#include "common/check.h"
#include "common/util.h"
#include "store-load.h"
#include "store-write-internal.h"

static const char *const texts[] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_STATE] = "UPDATE state SET run = ?1, epoch = ?2, hlc_bound = ?3, horizon = ?4",
    /* Nothing happens where the id is stored already. */
    [STATEMENT_MESSAGE] = "INSERT INTO message VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10,"
                          " ?11, ?12) ON CONFLICT DO NOTHING",
    [STATEMENT_TWIN] = "INSERT INTO message VALUES(?1, ?2, ?3, ?4, 2, ?5, ?6, ?7, ?8, ?9, ?10,"
                       " ?11, ?12) ON CONFLICT DO NOTHING",
    [STATEMENT_LONG_TEXT] = "INSERT INTO long_text VALUES(?1, ?2)",
    [STATEMENT_FIRST_TWIN] = "UPDATE message SET twin = 1 WHERE id = ?1 AND twin < 2",
    [STATEMENT_COUNT_TWIN] = "UPDATE counts SET twins = twins + 1",
    [STATEMENT_LATE] = "INSERT INTO late VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_NOTE_LATE] = "UPDATE message SET late = ?1"
                            " WHERE hlc = ?2 AND origin = ?3 AND seq = ?4 AND late = 0",
    [STATEMENT_OUTBOX] = "INSERT INTO outbox(id, packet) VALUES(?1, ?2)",
    [STATEMENT_OUTBOX_DELETE] = "DELETE FROM outbox WHERE id = ?1",
    [STATEMENT_ORIGIN] = "INSERT INTO origin(id) VALUES(?1)",
    [STATEMENT_HELD_GROW] = "UPDATE held SET last = ?3, sum = ?4 WHERE origin = ?1 AND first = ?2",
    [STATEMENT_HELD_DELETE] = "DELETE FROM held WHERE origin = ?1 AND first BETWEEN ?2 AND ?3",
    [STATEMENT_HELD_INSERT] = "INSERT INTO held VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_LANDMARK] = "INSERT OR REPLACE INTO landmark VALUES(?1, ?2, ?3)",
    [STATEMENT_LANDMARK_BELOW] = "SELECT seq, hlc FROM landmark WHERE origin = ?1 AND seq <= ?2"
                                 " ORDER BY seq DESC LIMIT 1",
    [STATEMENT_LANDMARK_ABOVE] = "SELECT seq, hlc FROM landmark WHERE origin = ?1 AND seq > ?2"
                                 " ORDER BY seq LIMIT 1",
    [STATEMENT_FETCH] =
        "SELECT " STORE_ROW_COLUMNS " FROM message m CROSS JOIN origin o ON o.number = m.origin"
        " WHERE m.hlc BETWEEN ?4 AND ?5 AND m.origin = ?1 AND m.seq BETWEEN ?2 AND ?3"
        " ORDER BY m.hlc DESC",
    [STATEMENT_FETCH_ALL] =
        "SELECT " STORE_ROW_COLUMNS " FROM message m CROSS JOIN origin o ON o.number = m.origin"
        " WHERE m.origin = ?1 AND m.seq BETWEEN ?2 AND ?3 ORDER BY m.seq DESC",
    [STATEMENT_SPAN] = "INSERT INTO span VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE"
                       " SET low = min(low, excluded.low), high = max(high, excluded.high)"
                       " RETURNING low, high",
    [STATEMENT_SPAN_DELETE] = "DELETE FROM span WHERE high < ?1",
    [STATEMENT_INDEXED_DELETE] =
        "DELETE FROM indexed WHERE origin = ?1 AND first BETWEEN ?2 AND ?3",
    [STATEMENT_INDEXED_INSERT] = "INSERT INTO indexed VALUES(?1, ?2, ?3)",
    [STATEMENT_PRUNED_DELETE] = "DELETE FROM pruned WHERE origin = ?1 AND first BETWEEN ?2 AND ?3",
    [STATEMENT_PRUNED_INSERT] = "INSERT INTO pruned VALUES(?1, ?2, ?3)",
    [STATEMENT_SAME_HLC] = "SELECT o.id, m.seq, " STORE_TEXT " FROM message m"
                           " CROSS JOIN origin o ON o.number = m.origin"
                           " WHERE m.hlc = ?1 ORDER BY m.origin, m.seq",
    [STATEMENT_WORDS_INSERT] = "INSERT INTO words(rowid, text) VALUES(?1, ?2)",
    [STATEMENT_WORDS_DELETE] = "INSERT INTO words(words, rowid, text) VALUES('delete', ?1, ?2)",
    /* Of the oldest messages below a horizon, the hlc of the last one that a step removes. */
    [STATEMENT_OLDEST] = "SELECT max(hlc), count(*) FROM"
                         " (SELECT hlc FROM message WHERE hlc < ?1 ORDER BY hlc LIMIT ?2)",
    [STATEMENT_BELOW] = "SELECT m.hlc, o.id, m.seq, m.late, m.twin, m.id, m.room FROM message m"
                        " CROSS JOIN origin o ON o.number = m.origin"
                        " WHERE m.hlc <= ?1 ORDER BY m.hlc",
    [STATEMENT_DELETE_LONG_UPTO] = "DELETE FROM long_text WHERE number IN"
                                   " (SELECT long FROM message WHERE hlc <= ?1 AND long > 0)",
    [STATEMENT_DELETE_UPTO] = "DELETE FROM message WHERE hlc <= ?1",
    [STATEMENT_LATE_DELETE] = "DELETE FROM late WHERE number = ?1",
    [STATEMENT_FIRST_OF_TWINS] =
        "UPDATE message SET twin = 1 WHERE (hlc, origin, seq) = (SELECT hlc, origin, seq"
        " FROM message WHERE id = ?1 AND twin = 2 AND hlc > ?2 ORDER BY hlc LIMIT 1)"
        " RETURNING room, hlc, sent",
    [STATEMENT_UNCOUNT_TWIN] = "UPDATE counts SET twins = twins - 1",
    [STATEMENT_LANDMARK_DELETE] =
        "DELETE FROM landmark WHERE origin = ?1 AND seq <"
        " (SELECT max(seq) FROM landmark WHERE origin = ?1 AND seq <= ?2)",
    [STATEMENT_COUNTED_DELETE] =
        "DELETE FROM counted WHERE origin = ?1 AND first BETWEEN ?2 AND ?3",
    [STATEMENT_COUNTED_INSERT] = "INSERT INTO counted VALUES(?1, ?2, ?3)",
    [STATEMENT_IS_TWIN] =
        "SELECT twin = 2 FROM message WHERE hlc = ?1 AND origin = ?2 AND seq = ?3",
    [STATEMENT_ROOM_ADD] = "INSERT INTO room VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE"
                           " SET messages = messages + excluded.messages,"
                           " sent = iif(excluded.hlc > hlc, excluded.sent, sent),"
                           " hlc = max(hlc, excluded.hlc)",
    [STATEMENT_ROOM_DELETE] = "DELETE FROM room WHERE name = ?1 AND messages <= 0",
    [STATEMENT_FREE_PAGES] = "PRAGMA freelist_count",
    [STATEMENT_SHRINK] = "PRAGMA incremental_vacuum(" STRING(SHRINK_STEP_PAGES) ")",
};

int store_writer_run(struct store_writer *writer, enum store_statement statement)
{
    int result = sqlite3_step(writer->statements[statement]);

    sqlite3_reset(writer->statements[statement]);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* ---- the transaction ---- */

int store_writer_begin(struct store_writer *writer)
{
    int result;

    if (writer->open)
        return SQLITE_OK;
    result = store_writer_run(writer, STATEMENT_BEGIN);
    writer->open = result == SQLITE_OK;
    return result;
}

int store_writer_commit(struct store_writer *writer)
{
    int result;

    if (!writer->open)
        return SQLITE_OK;
    result = writer->rooms.due ? store_rooms_write(writer) : SQLITE_OK;
    if (result == SQLITE_OK)
        result = store_origins_write(writer);
    if (result == SQLITE_OK)
        result = store_texts_sync(writer->texts);
    if (result == SQLITE_OK)
        result = store_writer_run(writer, STATEMENT_COMMIT);
    if (result == SQLITE_OK)
        store_texts_committed(writer->texts);
    writer->open = result != SQLITE_OK;
    return result;
}

/* ---- messages ---- */

static void bind_text(sqlite3_stmt *statement, int place, struct bytes text)
{
    sqlite3_bind_text(statement, place, text.size ? text.data : "", (int)text.size, SQLITE_STATIC);
}

static bool is_long(const struct message *message)
{
    return message->text.size + message->user.size + message->node.size + message->room.size >
           STORE_ROW_BYTES_MAX;
}

/* What the row of a message has in `long`: where its text will be. What is late may lie anywhere in
 * the history, and go long before its neighbours in a segment do: it does not go to one, so that
 * these are in the order in which retention removes them. */
static int find_place(struct store_writer *writer, const struct message *message, bool late,
                      int64_t *ret)
{
    int64_t place;
    int result;

    *ret = 0;
    if (!is_long(message))
        return SQLITE_OK;
    *ret = (int64_t)writer->last_long + 1;
    if (late || !store_texts_want(writer->texts, message->text.size))
        return SQLITE_OK;
    result = store_texts_find_place(writer->texts, message->text.size, &place);
    *ret = -place;
    return result;
}

/* The text, where the row that has been written says. */
static int write_long_text(struct store_writer *writer, const struct message *message,
                           int64_t place)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_LONG_TEXT];

    if (place < 0)
        return store_texts_append(writer->texts, &message->id, message->text);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)++writer->last_long);
    bind_text(statement, 2, message->text);
    return store_writer_run(writer, STATEMENT_LONG_TEXT);
}

/* `ret_done`: there was none with the same key, or id. */
static int insert(struct store_writer *writer, enum store_statement which,
                  const struct store_origin *origin, const struct message *message, uint64_t late,
                  bool *ret_done)
{
    sqlite3_stmt *statement = writer->statements[which];
    int64_t place;
    int result = find_place(writer, message, late > 0, &place);

    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)message->key.hlc);
    sqlite3_bind_int64(statement, 2, origin->number);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)message->key.seq);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)late);
    store_bind_id(statement, 5, &message->id);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)message->sent);
    sqlite3_bind_int(statement, 7, (int)message->kind);
    bind_text(statement, 8, message->user);
    bind_text(statement, 9, message->node);
    bind_text(statement, 10, message->room);
    bind_text(statement, 11, place != 0 ? (struct bytes){0} : message->text);
    sqlite3_bind_int64(statement, 12, place);
    result = store_writer_run(writer, which);
    *ret_done = result == SQLITE_OK && sqlite3_changes(writer->database) > 0;
    return *ret_done && place != 0 ? write_long_text(writer, message, place) : result;
}

/* The id was stored under another key before. */
static int insert_twin(struct store_writer *writer, const struct store_origin *origin,
                       const struct message *message, uint64_t late)
{
    bool done;
    int result = insert(writer, STATEMENT_TWIN, origin, message, late, &done);

    if (result != SQLITE_OK || !done)
        return result;
    __atomic_fetch_add(&writer->twins, 1, __ATOMIC_RELAXED);
    store_bind_id(writer->statements[STATEMENT_FIRST_TWIN], 1, &message->id);
    result = store_writer_run(writer, STATEMENT_FIRST_TWIN);
    return result == SQLITE_OK ? store_writer_run(writer, STATEMENT_COUNT_TWIN) : result;
}

uint64_t store_writer_twins(const struct store_writer *writer)
{
    return __atomic_load_n(&writer->twins, __ATOMIC_RELAXED);
}

static int insert_late(struct store_writer *writer, const struct store_origin *origin,
                       const struct message_key *key)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_LATE];

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)++writer->last_late);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)key->hlc);
    sqlite3_bind_int64(statement, 3, origin->number);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)key->seq);
    return store_writer_run(writer, STATEMENT_LATE);
}

static int insert_message(struct store_writer *writer, struct store_origin *origin,
                          const struct message *message, bool late)
{
    uint64_t number = late ? writer->last_late + 1 : 0;
    bool done;
    int result = insert(writer, STATEMENT_MESSAGE, origin, message, number, &done);

    if (result == SQLITE_OK && !done)
        result = insert_twin(writer, origin, message, number);
    else if (result == SQLITE_OK)
        result = store_rooms_add(writer, message->room, message->key.hlc, message->sent);
    if (result == SQLITE_OK && late)
        result = insert_late(writer, origin, &message->key);
    if (result == SQLITE_OK)
        result = store_origin_hold(writer, origin, message);
    return result;
}

static int write_message(struct store_writer *writer, const struct ring_output *output, bool late)
{
    struct store_origin *origin;
    struct message message;
    int result;

    check(message_unpack(output->store.packet, &message) == 0 && message.key.seq > 0);
    result = store_origin_get(writer, &message.key.origin, &origin);
    if (result == SQLITE_OK && !intervals_contain(&origin->held, message.key.seq))
        result = insert_message(writer, origin, &message, late);
    if (result == SQLITE_OK && output->store.from_outbox) {
        store_bind_id(writer->statements[STATEMENT_OUTBOX_DELETE], 1, &message.id);
        result = store_writer_run(writer, STATEMENT_OUTBOX_DELETE);
    }
    return result;
}

int store_writer_note_late(struct store_writer *writer, const struct message_key *key)
{
    const struct store_origin *origin = store_origin_find(writer, &key->origin);
    sqlite3_stmt *statement = writer->statements[STATEMENT_NOTE_LATE];
    int result = store_writer_begin(writer);

    if (result != SQLITE_OK || !origin)
        return result;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->last_late + 1);
    sqlite3_bind_int64(statement, 2, store_sortable(key->hlc));
    sqlite3_bind_int64(statement, 3, origin->number);
    sqlite3_bind_int64(statement, 4, store_sortable(key->seq));
    result = store_writer_run(writer, STATEMENT_NOTE_LATE);
    if (result == SQLITE_OK && sqlite3_changes(writer->database) > 0)
        result = insert_late(writer, origin, key);
    return result;
}

/* ---- everything else ---- */

static int write_outbox(struct store_writer *writer, const struct packet *packet)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_OUTBOX];
    struct message message;

    check(message_unpack(packet, &message) == 0);
    store_bind_id(statement, 1, &message.id);
    sqlite3_bind_blob64(statement, 2, packet->data, packet->size, SQLITE_STATIC);
    return store_writer_run(writer, STATEMENT_OUTBOX);
}

static int write_state(struct store_writer *writer, const struct ring_state *state)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_STATE];

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)state->run);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)state->epoch);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)state->hlc_bound);
    sqlite3_bind_int64(statement, 4, store_sortable(state->horizon));
    writer->horizon = state->horizon;
    return store_writer_run(writer, STATEMENT_STATE);
}

int store_writer_apply(struct store_writer *writer, const struct ring_output *output, bool late)
{
    int result = store_writer_begin(writer);

    if (result != SQLITE_OK)
        return result;
    switch (output->store.write) {
    case RING_WRITE_MESSAGE:
        return write_message(writer, output, late);
    case RING_WRITE_OUTBOX:
        return write_outbox(writer, output->store.packet);
    case RING_WRITE_STATE:
        return write_state(writer, &output->store.state);
    }
    check_unreachable();
}

char *store_writer_error(const struct store_writer *writer, int result, const char *path)
{
    return store_schema_error(writer->database, result, path);
}

/* ---- opening and closing ---- */

static int take_number(sqlite3_stmt *row, void *userdata)
{
    *(uint64_t *)userdata = (uint64_t)sqlite3_column_int64(row, 0);
    return 0;
}

int store_writer_new(sqlite3 *database, const struct store_contents *contents,
                     struct store_writer **ret)
{
    struct store_writer *writer = calloc(1, sizeof(*writer));
    int result;

    if (!writer) {
        sqlite3_close(database);
        return -ENOMEM;
    }
    writer->database = database;
    writer->horizon = contents->state.horizon;
    result = store_files_note(&writer->files, database);
    if (result == 0)
        result = store_texts_new(database, &writer->texts);
    if (result == 0)
        result = store_origins_load(writer, contents);
    if (result == 0)
        result = store_each_row(database, "SELECT max(number) FROM late", take_number,
                                &writer->last_late);
    if (result == 0)
        result = store_each_row(database, "SELECT max(number) FROM long_text", take_number,
                                &writer->last_long);
    for (size_t i = 0; result == 0 && i < STORE_STATEMENTS; i++)
        result = store_schema_errno(sqlite3_prepare_v3(
            database, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &writer->statements[i], NULL));
    if (result == 0)
        result = store_schema_errno(store_rooms_catch_up(writer));
    if (result == 0)
        store_log_watch(writer);
    if (result < 0) {
        store_writer_free(writer);
        return result;
    }
    *ret = writer;
    return 0;
}

void store_writer_free(struct store_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < STORE_STATEMENTS; i++)
        sqlite3_finalize(writer->statements[i]);
    store_texts_free(writer->texts);
    sqlite3_close(writer->database);
    store_origins_done(writer);
    store_files_done(&writer->files);
    free(writer);
}
