#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "store-load.h"
#include "store-schema.h"
#include "store-write.h"

#define FROM_MESSAGES " FROM message m JOIN origin o ON o.number = m.origin"
/* Above the key ?1 ?2 ?3. */
#define ABOVE " m.hlc >= ?1 AND (m.hlc > ?1 OR o.id > ?2 OR (o.id = ?2 AND m.seq > ?3))"
#define KEY_ORDER " ORDER BY m.hlc, o.id, m.seq"
#define KEY_ORDER_DOWN " ORDER BY m.hlc DESC, o.id DESC, m.seq DESC"
#define NOT_LATE " NOT EXISTS (SELECT 1 FROM late l WHERE l.origin = m.origin AND l.seq = m.seq)"
/* A message id under two keys shows at the smaller one. */
#define FIRST_OF_ITS_ID                                                                            \
    " NOT EXISTS (SELECT 1 FROM message d JOIN origin p ON p.number = d.origin"                    \
    "   WHERE d.id = m.id AND (d.hlc < m.hlc OR (d.hlc = m.hlc AND (p.id < o.id"                   \
    "     OR (p.id = o.id AND d.seq < m.seq)))))"

enum statement {
    STATEMENT_LAST,
    STATEMENT_READ,
    STATEMENT_AFTER,
    STATEMENT_LATE,
    STATEMENT_FIND,
    STATEMENT_IS_LATE,
    STATEMENTS
};

static const char *const texts[] = {
    [STATEMENT_LAST] =
        "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " WHERE" FIRST_OF_ITS_ID KEY_ORDER_DOWN,
    [STATEMENT_READ] =
        "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " WHERE" ABOVE " AND" FIRST_OF_ITS_ID KEY_ORDER,
    [STATEMENT_AFTER] = "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " WHERE" ABOVE " AND" NOT_LATE
                        " AND" FIRST_OF_ITS_ID KEY_ORDER,
    [STATEMENT_LATE] =
        "SELECT " STORE_ROW_COLUMNS ", l.number FROM late l"
        " JOIN message m ON m.origin = l.origin AND m.seq = l.seq"
        " JOIN origin o ON o.number = m.origin WHERE l.number > ?1 AND" FIRST_OF_ITS_ID
        " ORDER BY l.number",
    [STATEMENT_FIND] =
        "SELECT " STORE_ROW_COLUMNS FROM_MESSAGES " WHERE m.id = ?1" KEY_ORDER " LIMIT 1",
    [STATEMENT_IS_LATE] = "SELECT 1 FROM late l JOIN origin o ON o.number = l.origin"
                          " WHERE l.hlc = ?1 AND o.id = ?2 AND l.seq = ?3",
};

/* Keys, ascending. */
struct keys {
    size_t count, allocated;
    struct message_key *list;
};

struct history {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    struct ring_id instance; /* of the database */
    struct message_key top;  /* the highest key delivered unmarked */
    uint64_t count;
    struct keys hidden; /* given to the store and not delivered */
    /* Delivered late by a START; their notes may still be on the way to the disk. Repaired messages
     * are noted in the transaction that stores them, so these are few. */
    struct keys late;
};

void history_close(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(history->statements[i]);
    sqlite3_close(history->database);
    free(history->hidden.list);
    free(history->late.list);
    free(history);
}

/* What was stored before the start is delivered: the core settles it when it starts. */
static int load(struct history *history)
{
    struct store_contents contents = {0};
    int result = store_load(history->database, &contents);

    history->instance = contents.instance;
    history->top = contents.top;
    history->count = contents.messages;
    store_contents_done(&contents);
    return result;
}

int history_open(const char *state_directory, struct history **ret)
{
    struct history *history = calloc(1, sizeof(*history));
    _cleanup_free_ char *path = NULL;
    int result;

    if (!history || asprintf(&path, "%s/%s", state_directory, STORE_FILE) < 0) {
        free(history);
        return -ENOMEM;
    }
    result = store_schema_open_reader(path, &history->database);
    for (size_t i = 0; result == 0 && i < STATEMENTS; i++)
        result = store_schema_errno(sqlite3_prepare_v3(history->database, texts[i], -1,
                                                       SQLITE_PREPARE_PERSISTENT,
                                                       &history->statements[i], NULL));
    if (result == 0)
        result = load(history);
    if (result < 0) {
        history_close(history);
        return result;
    }
    *ret = history;
    return 0;
}

/* ---- what is hidden ---- */

static size_t keys_find(const struct keys *keys, const struct message_key *key)
{
    size_t low = 0, high = keys->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (message_key_compare(&keys->list[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool keys_contain(const struct keys *keys, const struct message_key *key)
{
    size_t at = keys_find(keys, key);

    return at < keys->count && message_key_compare(&keys->list[at], key) == 0;
}

static int keys_add(struct keys *keys, const struct message_key *key)
{
    size_t at = keys_find(keys, key);

    if (keys->count == keys->allocated) {
        size_t allocated = MAX(64, 2 * keys->allocated);
        struct message_key *list = realloc(keys->list, allocated * sizeof(*list));

        if (!list)
            return -ENOMEM;
        keys->list = list;
        keys->allocated = allocated;
    }
    memmove(keys->list + at + 1, keys->list + at, (keys->count - at) * sizeof(*keys->list));
    keys->list[at] = *key;
    keys->count++;
    return 0;
}

static void keys_remove(struct keys *keys, const struct message_key *key)
{
    size_t at = keys_find(keys, key);

    if (!keys_contain(keys, key))
        return;
    keys->count--;
    memmove(keys->list + at, keys->list + at + 1, (keys->count - at) * sizeof(*keys->list));
}

int history_stored(struct history *history, const struct message_key *key)
{
    return keys_add(&history->hidden, key);
}

bool history_is_hidden(const struct history *history, const struct message_key *key)
{
    return keys_contain(&history->hidden, key);
}

static void bind_key(sqlite3_stmt *statement, const struct message_key *key)
{
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key->hlc);
    sqlite3_bind_blob(statement, 2, key->origin.bytes, sizeof(key->origin.bytes), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)key->seq);
}

static bool is_noted_late(const struct history *history, const struct message_key *key)
{
    sqlite3_stmt *statement = history->statements[STATEMENT_IS_LATE];
    int result;

    bind_key(statement, key);
    result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_ROW;
}

int history_delivered(struct history *history, const struct message_key *key, bool late)
{
    keys_remove(&history->hidden, key);
    history->count++;
    if (late)
        return is_noted_late(history, key) ? 0 : keys_add(&history->late, key);
    if (message_key_compare(key, &history->top) > 0)
        history->top = *key;
    return 0;
}

uint64_t history_count(const struct history *history)
{
    return history->count;
}

/* ---- pages ---- */

void history_page_done(struct history_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        packet_unref(page->items[i].packet);
    free(page->items);
    *page = (struct history_page){0};
}

/* Adds the row to the page unless it is hidden, or among the keys to be left out. 0, or -ENOMEM. */
static int add_row(const struct history *history, sqlite3_stmt *row, const struct keys *without,
                   struct history_page *page)
{
    struct packet *packet = store_row_packet(row);
    struct message message;

    if (!packet)
        return -ENOMEM;
    check(message_unpack(packet, &message) == 0);
    if (keys_contain(&history->hidden, &message.key) ||
        (without && keys_contain(without, &message.key))) {
        packet_unref(packet);
        return 0;
    }
    page->items[page->count++] = (struct history_item){.packet = packet};
    return 0;
}

static int page_new(size_t count, struct history_page *ret)
{
    *ret = (struct history_page){.items = calloc(MAX(count, 1), sizeof(struct history_item))};
    return ret->items ? 0 : -ENOMEM;
}

/* Steps until the page has `count` items or the rows end. */
static int fill_page(const struct history *history, sqlite3_stmt *statement,
                     const struct keys *without, size_t count, struct history_page *page)
{
    int result = SQLITE_ROW, error = 0;

    while (page->count < count && error == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
        error = add_row(history, statement, without, page);
    page->end = result == SQLITE_DONE;
    sqlite3_reset(statement);
    if (error == 0 && result != SQLITE_ROW && result != SQLITE_DONE)
        error = store_schema_errno(result);
    return error;
}

static struct message_key key_of(const struct packet *packet)
{
    struct message message = {0};

    check(message_unpack(packet, &message) == 0);
    return message.key;
}

static uint64_t last_late(struct history *history)
{
    sqlite3_stmt *statement = NULL;
    uint64_t number = 0;

    if (sqlite3_prepare_v2(history->database, "SELECT max(number) FROM late", -1, &statement,
                           NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

int history_last(struct history *history, size_t count, struct history_page *ret,
                 struct history_position *ret_position)
{
    struct history_page page;
    uint64_t late = last_late(history);
    int result = page_new(count, &page);

    if (result == 0)
        result = fill_page(history, history->statements[STATEMENT_LAST], NULL, count, &page);
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    for (size_t i = 0; i < page.count / 2; i++) {
        struct history_item swap = page.items[i];

        page.items[i] = page.items[page.count - 1 - i];
        page.items[page.count - 1 - i] = swap;
    }
    for (size_t i = 0; i < page.count; i++) {
        struct message_key key = key_of(page.items[i].packet);

        /* A late one may lie above what a tail goes on after. */
        page.items[i].position.key =
            message_key_compare(&key, &history->top) < 0 ? key : history->top;
        page.items[i].position.late = late;
    }
    page.end = true;
    *ret_position = (struct history_position){.key = history->top, .late = late};
    *ret = page;
    return 0;
}

int history_read(struct history *history, const struct message_key *after, size_t count,
                 struct history_page *ret)
{
    struct history_page page;
    int result = page_new(count, &page);

    if (result == 0) {
        bind_key(history->statements[STATEMENT_READ], after);
        result = fill_page(history, history->statements[STATEMENT_READ], NULL, count, &page);
    }
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    for (size_t i = 0; i < page.count; i++)
        page.items[i].position.key = key_of(page.items[i].packet);
    *ret = page;
    return 0;
}

/* Late deliveries behind the position. */
static int read_late(struct history *history, struct history_position *position, size_t count,
                     struct history_page *page)
{
    sqlite3_stmt *statement = history->statements[STATEMENT_LATE];
    int result = SQLITE_ROW, error = 0;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)position->late);
    while (page->count < count && error == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        size_t before = page->count;

        error = add_row(history, statement, NULL, page);
        /* One that is not delivered yet keeps its number for the next read. */
        if (error < 0 || page->count == before)
            break;
        position->late = (uint64_t)sqlite3_column_int64(statement, 10);
        page->items[before].late = true;
        page->items[before].position = *position;
    }
    sqlite3_reset(statement);
    if (error == 0 && result != SQLITE_ROW && result != SQLITE_DONE)
        error = store_schema_errno(result);
    return error;
}

int history_read_after(struct history *history, const struct history_position *position,
                       size_t count, struct history_page *ret)
{
    struct history_position at = *position;
    struct history_page page;
    int result = page_new(count, &page);
    size_t late;

    if (result == 0)
        result = read_late(history, &at, count, &page);
    if (result == 0) {
        late = page.count;
        bind_key(history->statements[STATEMENT_AFTER], &at.key);
        result =
            fill_page(history, history->statements[STATEMENT_AFTER], &history->late, count, &page);
        for (size_t i = late; i < page.count; i++) {
            at.key = key_of(page.items[i].packet);
            page.items[i].position = at;
        }
    }
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    page.end = page.count < count;
    *ret = page;
    return 0;
}

int history_find(struct history *history, const struct ring_id *id, struct packet **ret)
{
    sqlite3_stmt *statement = history->statements[STATEMENT_FIND];
    struct packet *packet = NULL;
    int result;

    sqlite3_bind_blob(statement, 1, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        packet = store_row_packet(statement);
    sqlite3_reset(statement);
    if (result == SQLITE_DONE)
        return -ENOENT;
    if (result != SQLITE_ROW)
        return store_schema_errno(result);
    if (!packet)
        return -ENOMEM;
    *ret = packet;
    return 0;
}

/* ---- cursors ---- */

static void format_id(const struct ring_id *id, char *ret)
{
    for (size_t i = 0; i < sizeof(id->bytes); i++)
        sprintf(ret + 2 * i, "%02x", id->bytes[i]);
}

static bool parse_id(const char *text, struct ring_id *ret)
{
    for (size_t i = 0; i < sizeof(ret->bytes); i++) {
        unsigned byte;

        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        ret->bytes[i] = (uint8_t)byte;
    }
    return true;
}

void history_cursor_format(const struct history *history, const struct history_position *position,
                           char ret[HISTORY_CURSOR_TEXT_MAX])
{
    char instance[33], origin[33];

    format_id(&history->instance, instance);
    format_id(&position->key.origin, origin);
    snprintf(ret, HISTORY_CURSOR_TEXT_MAX, "s=%s;h=%llx;o=%s;q=%llx;l=%llx", instance,
             (unsigned long long)position->key.hlc, origin, (unsigned long long)position->key.seq,
             (unsigned long long)position->late);
}

int history_cursor_parse(const struct history *history, const char *text,
                         struct history_position *ret)
{
    char instance[33], origin[33], canonical[HISTORY_CURSOR_TEXT_MAX];
    struct history_position position = {0};
    struct history named = {0};
    unsigned long long hlc, seq, late;

    if (strlen(text) >= HISTORY_CURSOR_TEXT_MAX ||
        sscanf(text, "s=%32[0-9a-f];h=%llx;o=%32[0-9a-f];q=%llx;l=%llx", instance, &hlc, origin,
               &seq, &late) != 5 ||
        strlen(instance) != 32 || strlen(origin) != 32 || !parse_id(instance, &named.instance) ||
        !parse_id(origin, &position.key.origin) || hlc > INT64_MAX || seq > INT64_MAX ||
        late > INT64_MAX)
        return -EINVAL;
    position.key.hlc = hlc;
    position.key.seq = seq;
    position.late = late;
    /* Only what was written here is a cursor: no other spelling of the same numbers. */
    history_cursor_format(&named, &position, canonical);
    if (strcmp(canonical, text) != 0)
        return -EINVAL;
    if (!ring_id_equal(&named.instance, &history->instance))
        return -ESTALE;
    *ret = position;
    return 0;
}
