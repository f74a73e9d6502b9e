#include "store-schema.h"
#include "store-aside.h"
#include "store-check.h"
#include "store-gather.h"
#include "store-sample.h"
#include "store-text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"

/* What brings a database from each version to the next, kept as SQLite's user_version; a version
 * once released is never changed. The first one, from nothing:
 *
 * Messages are clustered by their place in the history. The origin is a small number, so that a row
 * is small; ties of one hlc are sorted by the origin's id when they are read. `late` is the number
 * of the message's late delivery, 0: it was or will be delivered in order. `twin`: 0, no other
 * message here has its id; 1, the first stored of several; 2, a further one. `message_id` thereby
 * finds a second key of an id as it is written, at no further cost.
 *
 * There is no index by origin and seq, which would cost a flood more than half of its rate: `held`
 * says as intervals what is held, and a message is found by the landmark of its origin with the
 * highest seq that is not above its own: its hlc is at most LANDMARK_SPAN above that one's.
 *
 * The newest row of `late` must stay, whatever is pruned: its number is in cursors.
 *
 * The second one: sums of what is held, what retention has removed, and the means to find things.
 * `span` has for each hour of the displayed time bounds of the hlc of the messages sent in it, not
 * tight ones, so that a row is written once a minute of traffic. `words` finds messages by the hlc
 * (those of one hlc are one document), so that it answers in the order of the history; `indexed`
 * says whose words are in it.
 *
 * The third one: a row that has no room in its page goes on in others, all of which SQLite reads
 * whenever it compares the row with another. So what would make a row longer than that is not in
 * it: `long` is the number of its text in `long_text`, to whose end all new ones go, and `text` is
 * empty. 0: the text is in the row, as are all of older versions.
 *
 * The fourth one: how many messages each room has, and the clock of the newest of them and when it
 * was sent; `counted` says which messages are in that. It is made in the order of the table: by the
 * partial index, which "twin < 2" alone would choose, each row would be looked up by itself.
 *
 * The fifth one: segments of texts, see store-texts.h. A `long` below 0 is minus the place of the
 * text in them. */
static const char *const steps[] = {
    "CREATE TABLE identity(only INTEGER PRIMARY KEY CHECK (only = 1), node BLOB NOT NULL,"
    "    instance BLOB NOT NULL);"
    "CREATE TABLE state(only INTEGER PRIMARY KEY CHECK (only = 1), run INTEGER NOT NULL,"
    "    epoch INTEGER NOT NULL, hlc_bound INTEGER NOT NULL);"
    "CREATE TABLE counts(only INTEGER PRIMARY KEY CHECK (only = 1), twins INTEGER NOT NULL);"
    "CREATE TABLE origin(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);"
    "CREATE TABLE message(hlc INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "    late INTEGER NOT NULL, twin INTEGER NOT NULL, id BLOB NOT NULL, sent INTEGER NOT NULL,"
    "    kind INTEGER NOT NULL, user TEXT NOT NULL, node TEXT NOT NULL, room TEXT NOT NULL,"
    "    text TEXT NOT NULL, PRIMARY KEY (hlc, origin, seq)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX message_id ON message(id) WHERE twin < 2;"
    "CREATE INDEX message_twin ON message(id) WHERE twin = 2;"
    "CREATE TABLE held(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "CREATE TABLE landmark(origin INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, seq)) WITHOUT ROWID;"
    "CREATE TABLE outbox(number INTEGER PRIMARY KEY, id BLOB NOT NULL, packet BLOB NOT NULL);"
    "CREATE INDEX outbox_id ON outbox(id);"
    "CREATE TABLE late(number INTEGER PRIMARY KEY, hlc INTEGER NOT NULL, origin INTEGER NOT NULL,"
    "    seq INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, 0, 0, 0);"
    "INSERT INTO counts VALUES(1, 0);"
    "PRAGMA application_id = 1380536903;", /* "RING" */

    "ALTER TABLE state ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE held ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE session(only INTEGER PRIMARY KEY CHECK (only = 1), clean INTEGER NOT NULL);"
    "CREATE TABLE pruned(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "CREATE TABLE indexed(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "CREATE TABLE span(hour INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);"
    "CREATE VIRTUAL TABLE words USING fts5(text, content = '', detail = none, columnsize = 0,"
    "    tokenize = 'unicode61 remove_diacritics 2');"
    "INSERT INTO session VALUES(1, 1);"
    "INSERT INTO span SELECT sent / 3600000000, min(hlc), max(hlc) FROM message GROUP BY 1;"
    "UPDATE held SET sum = s.sum FROM (SELECT h.origin, h.first, id_sum(m.id) AS sum"
    "    FROM message m JOIN held h ON h.origin = m.origin AND h.first ="
    "        (SELECT max(first) FROM held WHERE origin = m.origin AND first <= m.seq)"
    "    GROUP BY 1, 2) s WHERE s.origin = held.origin AND s.first = held.first;",

    "CREATE TABLE long_text(number INTEGER PRIMARY KEY, text TEXT NOT NULL);"
    "ALTER TABLE message ADD COLUMN long INTEGER NOT NULL DEFAULT 0;",

    "CREATE TABLE room(name TEXT PRIMARY KEY, messages INTEGER NOT NULL, hlc INTEGER NOT NULL,"
    "    sent INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE counted(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "INSERT INTO counted SELECT origin, first, last FROM held;"
    "INSERT INTO room SELECT room, count(*), max(hlc), sent FROM message WHERE +twin < 2"
    "    GROUP BY room;",

    "CREATE TABLE segment(number INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
    "    texts INTEGER NOT NULL, live INTEGER NOT NULL);"
    "ALTER TABLE state ADD COLUMN series INTEGER NOT NULL DEFAULT 0;"
    "UPDATE state SET series = random() & 4294967295;",
};

/* ---- errors ---- */

static int fail(sqlite3 *database, int result, const char *path, char **ret_error)
{
    if (store_schema_errno(result) < 0 && !*ret_error)
        *ret_error = store_schema_error(database, result, path);
    return store_schema_errno(result);
}

/* ---- versions ---- */

int store_read_number(sqlite3 *database, const char *text, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, text, -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_CORRUPT : result == SQLITE_ROW ? SQLITE_OK : result;
}

/* id_sum(id): what an interval's sum is made of. */
static void id_sum_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    uint64_t *sum = sqlite3_aggregate_context(context, sizeof(*sum));
    struct ring_id id;

    (void)count;
    if (!sum || sqlite3_value_bytes(values[0]) != sizeof(id.bytes))
        return;
    memcpy(id.bytes, sqlite3_value_blob(values[0]), sizeof(id.bytes));
    *sum += ring_id_hash(&id);
}

static void id_sum_final(sqlite3_context *context)
{
    uint64_t *sum = sqlite3_aggregate_context(context, sizeof(*sum));

    sqlite3_result_int64(context, sum ? (sqlite3_int64)*sum : 0);
}

/* The node's id and the database's: UUIDs of version 4 (RFC 9562). SQLITE_OK or SQLite's error. */
static int write_identity(sqlite3 *database, struct ring_id *ret_node)
{
    sqlite3_stmt *statement = NULL;
    struct ring_id ids[2];
    int result;

    check(getrandom(ids, sizeof(ids), 0) == sizeof(ids));
    for (size_t i = 0; i < ELEMENTS(ids); i++) {
        ids[i].bytes[6] = (uint8_t)((ids[i].bytes[6] & 0x0f) | 0x40);
        ids[i].bytes[8] = (uint8_t)((ids[i].bytes[8] & 0x3f) | 0x80);
    }
    result = sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO identity VALUES(1, ?1, ?2)", -1,
                                &statement, NULL);
    if (result == SQLITE_OK) {
        store_bind_id(statement, 1, &ids[0]);
        store_bind_id(statement, 2, &ids[1]);
        result = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    if (result != SQLITE_DONE)
        return result;
    *ret_node = ids[0];
    return SQLITE_OK;
}

int store_schema_renew_identity(sqlite3 *database, const char *path, struct ring_id *ret_node,
                                char **ret_error)
{
    return fail(database, write_identity(database, ret_node), path, ret_error);
}

/* ---- upgrading ---- */

/* What each step costs in steps of SQLite's machine, and copying the database before. */
struct costs {
    uint64_t copy, steps[ELEMENTS(steps)];
};

static int add_functions(sqlite3 *database)
{
    return sqlite3_create_function(database, "id_sum", 1, SQLITE_UTF8, NULL, NULL, id_sum_step,
                                   id_sum_final);
}

/* Tries all steps from `version` on, on a sample of the database. */
static int estimate_steps(sqlite3 *sample, const char *path, size_t version, struct costs *ret)
{
    double share = 1;
    int result = add_functions(sample);

    for (size_t i = 0; result == SQLITE_OK && i < version; i++)
        result = sqlite3_exec(sample, steps[i], NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = store_sample_fill(sample, path, &share);
    for (size_t i = version; result == SQLITE_OK && i < ELEMENTS(steps); i++) {
        uint64_t count = 0;

        result = store_sample_run(sample, steps[i], &count);
        ret->steps[i] = (uint64_t)((double)count * share);
    }
    return result;
}

/* All zero where it cannot be known: then the upgrade itself will say what is wrong. */
static struct costs estimate(sqlite3 *database, const char *path, size_t version)
{
    struct costs costs = {0};
    sqlite3 *sample = NULL;
    int64_t pages = 0;

    if (sqlite3_open(":memory:", &sample) != SQLITE_OK ||
        estimate_steps(sample, path, version, &costs) != SQLITE_OK ||
        store_read_number(database, "PRAGMA page_count", &pages) != SQLITE_OK)
        costs = (struct costs){0};
    else
        costs.copy = (uint64_t)pages * STORE_PROGRESS_PAGE_STEPS;
    sqlite3_close(sample);
    return costs;
}

static uint64_t sum_of(const struct costs *costs)
{
    uint64_t sum = costs->copy;

    for (size_t i = 0; i < ELEMENTS(costs->steps); i++)
        sum += costs->steps[i];
    return sum;
}

/* All steps from `version` on, in one transaction. */
static int run_steps(sqlite3 *database, size_t version, const struct costs *costs,
                     struct store_progress *progress)
{
    char text[64];
    struct ring_id node;
    int result = add_functions(database);

    if (result == SQLITE_OK)
        result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (size_t i = version; result == SQLITE_OK && i < ELEMENTS(steps); i++) {
        store_progress_begin_part(progress, costs->steps[i]);
        result = sqlite3_exec(database, steps[i], NULL, NULL, NULL);
        store_progress_end_part(progress);
    }
    if (result == SQLITE_OK && version == 0)
        result = write_identity(database, &node);
    snprintf(text, sizeof(text), "PRAGMA user_version = %zu; COMMIT", ELEMENTS(steps));
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, text, NULL, NULL, NULL);
    return result;
}

static int make_schema(sqlite3 *database)
{
    return run_steps(database, 0, &(struct costs){0}, &(struct store_progress){0});
}

/* From an older version, which is kept. */
static int upgrade(sqlite3 *database, const char *path, size_t version,
                   struct store_progress *progress)
{
    struct costs costs = estimate(database, path, version);
    int result;

    store_progress_begin(progress, sum_of(&costs));
    store_progress_begin_part(progress, costs.copy);
    result = store_back_up(database, path, version, progress);
    store_progress_end_part(progress);
    if (result == SQLITE_OK)
        result = run_steps(database, version, &costs, progress);
    if (result == SQLITE_OK)
        store_progress_end(progress);
    return result;
}

/* ---- opening ---- */

static int refuse(const char *path, char **ret_error, int error, const char *why)
{
    if (asprintf(ret_error, "%s: %s", path, why) < 0)
        *ret_error = NULL;
    return error;
}

static int read_version(sqlite3 *database, const char *path, size_t *ret, char **ret_error)
{
    int64_t version = 0, tables = 0;
    int result;

    result = store_read_number(database, "PRAGMA user_version", &version);
    if (result == SQLITE_OK)
        result = store_read_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result != SQLITE_OK)
        return fail(database, result, path, ret_error);
    if (version < 0 || (size_t)version > ELEMENTS(steps))
        return refuse(path, ret_error, -EPROTONOSUPPORT,
                      "was written by a newer ringchatd; install that version again, or move the "
                      "file away (keep it) to begin a new history");
    if (version == 0 && tables > 0)
        return refuse(path, ret_error, -EEXIST,
                      "is a database of another program; move it away, or give another --state");
    *ret = (size_t)version;
    return 0;
}

/* Negative sizes are KiB. A positive one of cache_spill whose lowest byte is 0 would turn it off.
 */
static const char *const pragmas[] = {
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -" STRING(STORE_CACHE_KIB),
    "PRAGMA cache_spill = -" STRING(STORE_CACHE_KIB_MAX),
    "PRAGMA journal_size_limit = " STRING(STORE_LOG_BYTES_MAX),
};

/* What could not be synced once is never written, though it reads as if it were, and though a later
 * sync succeeds. A log that was left may have such pages, and all that is committed behind them
 * would be lost with them; so it is written anew, into the database. Where somebody reads what is
 * in it, it must stay as it is. */
static int renew_log(sqlite3 *database)
{
    int result =
        sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

    return result == SQLITE_BUSY ? SQLITE_OK : result;
}

static int use_log(sqlite3 *database, const char *path, char **ret_error)
{
    sqlite3_stmt *statement = NULL;
    const char *mode = "";
    bool in_log = false;
    int result = sqlite3_prepare_v2(database, "PRAGMA journal_mode = WAL", -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        mode = (const char *)sqlite3_column_text(statement, 0);
        in_log = mode && strcmp(mode, "wal") == 0;
    }
    sqlite3_finalize(statement);
    if (result == SQLITE_ROW && !in_log)
        return refuse(path, ret_error, -ENOTSUP,
                      "this file system cannot share memory between programs; keep the state "
                      "directory on a local disk");
    for (size_t i = 0; i < ELEMENTS(pragmas) && (result == SQLITE_ROW || result == SQLITE_OK); i++)
        result = sqlite3_exec(database, pragmas[i], NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = renew_log(database);
    return fail(database, result, path, ret_error);
}

/* SQLite gives the files beside it the same mode. */
static int make_file(const char *path, char **ret_error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        int error = -errno;

        if (error == -EROFS)
            *ret_error = store_schema_error(NULL, SQLITE_READONLY, path);
        else
            *ret_error =
                store_schema_error(NULL, error == -ENOSPC ? SQLITE_FULL : SQLITE_CANTOPEN, path);
        return error;
    }
    close(fd);
    return 0;
}

/* A new database, whose file can shrink again. */
static int make_shrinkable(sqlite3 *database)
{
    return sqlite3_exec(database, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL);
}

static int bring_up_to_date(sqlite3 *database, const char *path, struct store_progress *progress,
                            char **ret_error)
{
    size_t version = 0;
    int result = read_version(database, path, &version, ret_error), code = SQLITE_OK;

    if (result == 0 && version == 0)
        code = make_shrinkable(database);
    if (result == 0 && code == SQLITE_OK)
        result = use_log(database, path, ret_error);
    if (result < 0)
        return result;
    if (code == SQLITE_OK && version == 0)
        code = make_schema(database);
    else if (code == SQLITE_OK && version < ELEMENTS(steps))
        code = upgrade(database, path, version, progress);
    return fail(database, code, path, ret_error);
}

/* All tables and indices of this build's schema are there. */
static int check_schema(sqlite3 *database)
{
    sqlite3 *expected = NULL;
    int result = sqlite3_open(":memory:", &expected);

    if (result == SQLITE_OK)
        result = make_schema(expected);
    if (result == SQLITE_OK)
        result = store_check_names(database, expected);
    sqlite3_close(expected);
    return result;
}

int store_schema_open(const char *path, struct store_progress *progress, sqlite3 **ret,
                      char **ret_error)
{
    sqlite3 *database = NULL;
    int result;

    *ret_error = NULL;
    result = make_file(path, ret_error);
    if (result < 0)
        return result;
    result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    result = fail(database, result, path, ret_error);
    if (result == 0) {
        sqlite3_busy_timeout(database, STORE_BUSY_MSEC);
        store_progress_attach(progress, database);
        result = bring_up_to_date(database, path, progress, ret_error);
    }
    if (result == 0)
        result = fail(database, check_schema(database), path, ret_error);
    if (result == 0)
        result = fail(database, store_text_add_function(database), path, ret_error);
    if (result == 0)
        result = fail(database, store_gather(database), path, ret_error);
    if (result < 0) {
        sqlite3_close(database);
        return result;
    }
    *ret = database;
    return 0;
}

int store_schema_open_reader(const char *path, sqlite3 **ret)
{
    sqlite3 *database = NULL;
    int result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

    if (result == SQLITE_OK)
        result = store_text_add_function(database);
    if (result != SQLITE_OK) {
        sqlite3_close(database);
        return store_schema_errno(result);
    }
    sqlite3_busy_timeout(database, STORE_BUSY_MSEC);
    *ret = database;
    return 0;
}
