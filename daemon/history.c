#include "history-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "store-load.h"

#define FROM_MESSAGES " FROM message m CROSS JOIN origin o ON o.number = m.origin"
/* Above the key ?1 ?2 ?3. The first term alone tells SQLite where to begin. */
#define ABOVE " WHERE m.hlc >= ?1 AND (m.hlc > ?1 OR o.id > ?2 OR (o.id = ?2 AND m.seq > ?3))"
#define BELOW " WHERE m.hlc <= ?1 AND (m.hlc < ?1 OR o.id < ?2 OR (o.id = ?2 AND m.seq < ?3))"
#define FROM_WORDS "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3"
#define KEY_ORDER " ORDER BY m.hlc, o.id, m.seq"
/* Each half has an index. */
#define FROM_SAME_ID                                                                               \
    " FROM (SELECT * FROM message WHERE id = ?1 AND twin < 2"                                      \
    " UNION ALL SELECT * FROM message WHERE id = ?1 AND twin = 2) m"                               \
    " CROSS JOIN origin o ON o.number = m.origin"

static const char *const texts[] = {
    [HISTORY_DOWN] =
        "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " ORDER BY m.hlc DESC, o.id DESC, m.seq DESC",
    [HISTORY_ABOVE] = "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES ABOVE KEY_ORDER,
    [HISTORY_BELOW] = "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES BELOW
                      " ORDER BY m.hlc DESC, o.id DESC, m.seq DESC",
    [HISTORY_WORDS] = FROM_WORDS " ORDER BY rowid",
    [HISTORY_WORDS_DOWN] = FROM_WORDS " ORDER BY rowid DESC",
    [HISTORY_SPANS] = "SELECT min(low), max(high) FROM span WHERE hour BETWEEN ?1 AND ?2",
    [HISTORY_HELD] = "SELECT origin, first, last FROM held",
    [HISTORY_INDEXED] = "SELECT first, last FROM indexed WHERE origin = ?1 AND first <= ?2"
                        " ORDER BY first DESC",
    [HISTORY_LANDMARK] = "SELECT hlc FROM landmark WHERE origin = ?1 AND seq <= ?2"
                         " ORDER BY seq DESC LIMIT 1",
    [HISTORY_LATE] = "SELECT " STORE_ROW_COLUMNS " FROM late l CROSS JOIN message m"
                     " ON m.hlc = l.hlc AND m.origin = l.origin AND m.seq = l.seq"
                     " CROSS JOIN origin o ON o.number = m.origin"
                     " WHERE l.number > ?1 AND l.number <= ?2 ORDER BY l.number",
    [HISTORY_NOTES] = "SELECT l.hlc, o.id, l.seq, l.number FROM late l"
                      " CROSS JOIN origin o ON o.number = l.origin"
                      " WHERE l.number > ?1 ORDER BY l.number",
    [HISTORY_SAME_ID] = "SELECT m.hlc, o.id, m.seq, m.late" FROM_SAME_ID KEY_ORDER,
    [HISTORY_FIND] = "SELECT " STORE_ROW_COLUMNS FROM_SAME_ID KEY_ORDER " LIMIT 1",
    [HISTORY_AT] =
        "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " WHERE m.hlc = ?1 AND o.id = ?2 AND m.seq = ?3",
    [HISTORY_EVER] = "SELECT 1 FROM held h JOIN origin o ON o.number = h.origin"
                     " WHERE o.id = ?2 AND ?3 BETWEEN h.first AND h.last",
    [HISTORY_HORIZON] = "SELECT horizon FROM state",
    [HISTORY_SIZE] = "SELECT (p.page_count - f.freelist_count) * s.page_size"
                     " + (SELECT coalesce(sum(size * live / texts), 0) FROM segment),"
                     " EXISTS (SELECT 1 FROM message WHERE hlc < (SELECT horizon FROM state))"
                     " FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
    [HISTORY_OLDEST] = "SELECT hlc FROM message ORDER BY hlc LIMIT 1 OFFSET ?1",
    [HISTORY_ROOMS] = "SELECT name, messages, sent FROM room WHERE name >= ?1 ORDER BY name",
    [HISTORY_TWINS] = "SELECT twins FROM counts",
};

/* ---- opening and closing ---- */

static int take_instance(sqlite3_stmt *row, void *userdata)
{
    return store_column_id(row, 0, userdata) ? 0 : -EUCLEAN;
}

static int take_number(sqlite3_stmt *row, void *userdata)
{
    *(uint64_t *)userdata = (uint64_t)sqlite3_column_int64(row, 0);
    return 0;
}

/* What was stored before the start counts as delivered: so does the core take it. */
static int load(struct history *history)
{
    int result = store_each_row(history->database, "SELECT instance FROM identity", take_instance,
                                &history->instance);

    if (result == 0)
        result = store_load_top(history->database, &history->top);
    if (result == 0)
        result = store_each_row(history->database,
                                "SELECT (SELECT total(last - first + 1) FROM held)"
                                " - (SELECT total(last - first + 1) FROM pruned)",
                                take_number, &history->delivered);
    if (result == 0)
        result = store_each_row(history->database, "SELECT max(number) FROM late", take_number,
                                &history->late_shown);
    return result;
}

int history_open(const char *state_directory, struct history **ret)
{
    struct history *history = calloc(1, sizeof(*history));
    char *path = NULL;
    int result;

    if (!history || asprintf(&path, "%s/%s", state_directory, STORE_FILE) < 0) {
        free(history);
        return -ENOMEM;
    }
    result = store_schema_open_reader(path, &history->database);
    free(path);
    for (size_t i = 0; result == 0 && i < HISTORY_STATEMENTS; i++)
        result = store_schema_errno(sqlite3_prepare_v3(history->database, texts[i], -1,
                                                       SQLITE_PREPARE_PERSISTENT,
                                                       &history->statements[i], NULL));
    if (result == 0)
        result = load(history);
    if (result == 0)
        history_recent_clear(history);
    if (result < 0) {
        history_close(history);
        return result;
    }
    *ret = history;
    return 0;
}

void history_close(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < HISTORY_STATEMENTS; i++)
        sqlite3_finalize(history->statements[i]);
    sqlite3_close(history->database);
    history_recent_clear(history);
    key_set_done(&history->hidden);
    key_set_done(&history->late);
    free(history);
}

/* ---- what can be shown ---- */

int history_stored(struct history *history, const struct message_key *key)
{
    if (message_key_compare(key, &history->recent.given) > 0)
        history->recent.given = *key;
    return key_set_add(&history->hidden, key);
}

bool history_is_hidden(const struct history *history, const struct message_key *key)
{
    return key_set_contains(&history->hidden, key);
}

int history_advance_late(struct history *history)
{
    sqlite3_stmt *notes = history->statements[HISTORY_NOTES];
    const uint64_t before = history->late_shown;
    struct message_key key;
    int result;

    sqlite3_bind_int64(notes, 1, store_sortable(before));
    while ((result = sqlite3_step(notes)) == SQLITE_ROW && store_column_key(notes, 0, &key) &&
           !history_is_hidden(history, &key)) {
        history->late_shown = (uint64_t)sqlite3_column_int64(notes, 3);
        key_set_remove(&history->late, &key);
    }
    sqlite3_reset(notes);
    if (history->late_shown > before)
        history_recent_clear(history);
    return store_schema_errno(result);
}

/* Of what retention has removed the number will never be known. */
static void forget_late_if_gone(struct history *history, const struct message_key *key)
{
    sqlite3_stmt *at = history->statements[HISTORY_AT];

    history_bind_key(at, key);
    if (sqlite3_step(at) == SQLITE_DONE)
        key_set_remove(&history->late, key);
    sqlite3_reset(at);
}

int history_delivered(struct history *history, struct packet *packet, bool late, uint64_t twins)
{
    struct message message;

    check(message_unpack(packet, &message) == 0);
    key_set_remove(&history->hidden, &message.key);
    history->delivered++;
    history_recent_suspect(history, twins);
    if (!late) {
        history_recent_take(history, &message.key, packet);
        return 0;
    }
    if (key_set_add(&history->late, &message.key) < 0)
        return -ENOMEM;
    /* Keeps the set small; should it fail, the next reader meets the same error and says so. */
    (void)history_advance_late(history);
    if (key_set_contains(&history->late, &message.key))
        forget_late_if_gone(history, &message.key);
    return 0;
}

void history_pruned(struct history *history, uint64_t messages)
{
    history->delivered -= messages;
    /* Some of them may be kept here. */
    history_recent_clear(history);
    for (size_t i = history->late.count; i > 0; i--) {
        const struct message_key key = history->late.list[history->late.first + i - 1];

        forget_late_if_gone(history, &key);
    }
}

int history_get_size(struct history *history, struct history_size *ret)
{
    sqlite3_stmt *size = history->statements[HISTORY_SIZE];
    int result = sqlite3_step(size);

    if (result == SQLITE_ROW) {
        ret->used_bytes = (uint64_t)sqlite3_column_int64(size, 0);
        ret->is_pruning = sqlite3_column_int(size, 1) != 0;
    }
    sqlite3_reset(size);
    return store_schema_errno(result);
}

uint64_t history_oldest(struct history *history, uint64_t count)
{
    sqlite3_stmt *oldest = history->statements[HISTORY_OLDEST];
    uint64_t hlc = 0;

    sqlite3_bind_int64(oldest, 1, (sqlite3_int64)count);
    if (sqlite3_step(oldest) == SQLITE_ROW)
        hlc = (uint64_t)sqlite3_column_int64(oldest, 0);
    sqlite3_reset(oldest);
    return hlc;
}

uint64_t history_count(const struct history *history)
{
    sqlite3_stmt *count = history->statements[HISTORY_TWINS];
    uint64_t twins = 0;

    if (sqlite3_step(count) == SQLITE_ROW)
        twins = (uint64_t)sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    return history->delivered > twins ? history->delivered - twins : 0;
}

ssize_t history_read_rooms(struct history *history, struct bytes from, size_t count,
                           struct history_room *ret)
{
    sqlite3_stmt *rooms = history->statements[HISTORY_ROOMS];
    size_t read = 0;
    int result = SQLITE_ROW;

    sqlite3_bind_text(rooms, 1, from.data, (int)from.size, SQLITE_STATIC);
    while (read < count && (result = sqlite3_step(rooms)) == SQLITE_ROW) {
        struct bytes name = store_column_text(rooms, 0);
        struct history_room *room = &ret[read];

        if (name.size > sizeof(room->name)) {
            result = SQLITE_CORRUPT;
            break;
        }
        memcpy(room->name, name.data, name.size);
        room->name_size = name.size;
        room->messages = (uint64_t)sqlite3_column_int64(rooms, 1);
        room->last = (uint64_t)sqlite3_column_int64(rooms, 2);
        read++;
    }
    sqlite3_reset(rooms);
    sqlite3_bind_null(rooms, 1);
    return result == SQLITE_ROW || result == SQLITE_DONE ? (ssize_t)read
                                                         : store_schema_errno(result);
}

/* The first row of a statement. */
static int take_one(sqlite3_stmt *find, struct packet **ret)
{
    int result = sqlite3_step(find), error;

    error = result == SQLITE_ROW ? store_row_packet(find, ret) : store_schema_errno(result);
    sqlite3_reset(find);
    /* Retention has it, or has just taken it. */
    return result == SQLITE_DONE || error == -ESTALE ? -ENOENT : error;
}

int history_find(struct history *history, const struct ring_id *id, struct packet **ret)
{
    store_bind_id(history->statements[HISTORY_FIND], 1, id);
    return take_one(history->statements[HISTORY_FIND], ret);
}

int history_find_key(struct history *history, const struct message_key *key, struct packet **ret)
{
    sqlite3_stmt *ever = history->statements[HISTORY_EVER];
    int result;

    history_bind_key(history->statements[HISTORY_AT], key);
    result = take_one(history->statements[HISTORY_AT], ret);
    if (result != -ENOENT)
        return result;
    store_bind_id(ever, 2, &key->origin);
    sqlite3_bind_int64(ever, 3, store_sortable(key->seq));
    result = sqlite3_step(ever);
    sqlite3_reset(ever);
    return result == SQLITE_ROW    ? -EEXIST
           : result == SQLITE_DONE ? -ENOENT
                                   : store_schema_errno(result);
}

bool history_is_below_horizon(struct history *history, uint64_t hlc)
{
    sqlite3_stmt *horizon = history->statements[HISTORY_HORIZON];
    bool below =
        sqlite3_step(horizon) == SQLITE_ROW && hlc < (uint64_t)sqlite3_column_int64(horizon, 0);

    sqlite3_reset(horizon);
    return below;
}
