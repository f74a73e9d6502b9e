#include "store-schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

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
 * The newest row of `late` must stay, whatever is pruned: its number is in cursors. */
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
};

/* ---- errors ---- */

int store_schema_errno(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return -EACCES;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    }
    return -EIO;
}

static const char *cure(int result)
{
    switch (result & 0xff) {
    case SQLITE_FULL:
        return "make room on the disk, then restart ringchatd";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "check that the file system is writable and that the state directory and its files "
               "belong to ringchatd's user, then restart it";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "stop ringchatd, move this file and those beside it that begin with its name away "
               "(keep them), and start it again: the history comes back from the other members";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program has it locked; end that, then restart ringchatd";
    case SQLITE_NOMEM:
        return "free some memory, then restart ringchatd";
    }
    return "check the disk and the kernel's log (journalctl -k), then restart ringchatd";
}

char *store_schema_error(sqlite3 *database, int result, const char *path)
{
    const char *what = sqlite3_errstr(result);
    char *text = NULL;

    /* The handle may know more than the code says, unless it has done something else since. */
    if (database && (sqlite3_errcode(database) & 0xff) == (result & 0xff))
        what = sqlite3_errmsg(database);
    if (asprintf(&text, "%s: %s; %s", path, what, cure(result)) < 0)
        return NULL;
    return text;
}

static int fail(sqlite3 *database, int result, const char *path, char **ret_error)
{
    if (store_schema_errno(result) < 0 && !*ret_error)
        *ret_error = store_schema_error(database, result, path);
    return store_schema_errno(result);
}

/* ---- versions ---- */

static int read_number(sqlite3 *database, const char *text, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, text, -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return result;
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

/* All steps from `version` on, in one transaction. */
static int upgrade(sqlite3 *database, size_t version)
{
    char text[64];
    struct ring_id node;
    int result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    for (size_t i = version; result == SQLITE_OK && i < ELEMENTS(steps); i++)
        result = sqlite3_exec(database, steps[i], NULL, NULL, NULL);
    if (result == SQLITE_OK && version == 0)
        result = write_identity(database, &node);
    snprintf(text, sizeof(text), "PRAGMA user_version = %zu; COMMIT", ELEMENTS(steps));
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, text, NULL, NULL, NULL);
    return result;
}

static int refuse(const char *path, char **ret_error, int error, const char *why)
{
    if (asprintf(ret_error, "%s: %s", path, why) < 0)
        *ret_error = NULL;
    return error;
}

static int read_version(sqlite3 *database, const char *path, size_t *ret, char **ret_error)
{
    int version = 0, tables = 0, result;

    result = read_number(database, "PRAGMA user_version", &version);
    if (result == SQLITE_ROW)
        result = read_number(database, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result != SQLITE_ROW)
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

/* ---- opening ---- */

/* A page that leaves the cache before the commit is written twice, and the checksums of all after
 * it too; a transaction is bounded by the core's windows, so it stays in memory. And the tree's
 * upper pages must not leave while large messages pass: 8 MiB, where SQLite's default is 2. */
static const char pragmas[] = "PRAGMA synchronous = FULL; PRAGMA cache_spill = OFF;"
                              "PRAGMA cache_size = -8192";

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
    if (result == SQLITE_ROW)
        result = sqlite3_exec(database, pragmas, NULL, NULL, NULL);
    return fail(database, result, path, ret_error);
}

/* SQLite gives the files beside it the same mode. */
static int make_file(const char *path, char **ret_error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        int error = -errno;

        if (asprintf(ret_error, "%s: %s; %s", path, strerror(-error), cure(SQLITE_CANTOPEN)) < 0)
            *ret_error = NULL;
        return error;
    }
    close(fd);
    return 0;
}

int store_schema_open(const char *path, sqlite3 **ret, char **ret_error)
{
    sqlite3 *database = NULL;
    size_t version = 0;
    int result;

    *ret_error = NULL;
    result = make_file(path, ret_error);
    if (result < 0)
        return result;
    result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    result = fail(database, result, path, ret_error);
    if (result == 0) {
        sqlite3_busy_timeout(database, STORE_BUSY_MSEC);
        result = read_version(database, path, &version, ret_error);
    }
    if (result == 0)
        result = use_log(database, path, ret_error);
    if (result == 0 && version < ELEMENTS(steps))
        result = fail(database, upgrade(database, version), path, ret_error);
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

    if (result != SQLITE_OK) {
        sqlite3_close(database);
        return store_schema_errno(result);
    }
    sqlite3_busy_timeout(database, STORE_BUSY_MSEC);
    *ret = database;
    return 0;
}
