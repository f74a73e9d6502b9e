#include "store-schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/cleanup.h"

/* How long a statement waits for the other handle. */
#define BUSY_TIMEOUT_MSEC 2000

/* Messages are clustered by their place in the history. An origin is a small number, so that a row
 * is small; ties of one hlc are sorted by the origin's id when they are read. `held` keeps what is
 * held of each origin as intervals, so that a start needs no scan. */
static const char schema[] =
    "CREATE TABLE identity(only INTEGER PRIMARY KEY CHECK (only = 1), node BLOB NOT NULL,"
    "    instance BLOB NOT NULL);"
    "CREATE TABLE state(only INTEGER PRIMARY KEY CHECK (only = 1), run INTEGER NOT NULL,"
    "    epoch INTEGER NOT NULL, hlc_bound INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1, 0, 0, 0);"
    "CREATE TABLE origin(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);"
    "CREATE TABLE message(hlc INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "    id BLOB NOT NULL, sent INTEGER NOT NULL, kind INTEGER NOT NULL, user TEXT NOT NULL,"
    "    node TEXT NOT NULL, room TEXT NOT NULL, text TEXT NOT NULL,"
    "    PRIMARY KEY (hlc, origin, seq)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX message_seq ON message(origin, seq);"
    "CREATE INDEX message_id ON message(id);"
    "CREATE TABLE held(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "CREATE TABLE outbox(number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL,"
    "    packet BLOB NOT NULL);"
    "CREATE TABLE late(number INTEGER PRIMARY KEY AUTOINCREMENT, hlc INTEGER NOT NULL,"
    "    origin INTEGER NOT NULL, seq INTEGER NOT NULL, UNIQUE (origin, seq));"
    "INSERT INTO identity VALUES(1, make_uuid(randomblob(16)), randomblob(16));";

int store_schema_errno(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
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

char *store_schema_error(sqlite3 *database, const char *path)
{
    const char *cure = "check the disk and the kernel's log";
    char *text = NULL;

    switch (sqlite3_errcode(database) & 0xff) {
    case SQLITE_FULL:
        cure = "make room on the disk, then restart ringchatd";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        cure = "check that the file system is writable and the directory belongs to ringchatd's "
               "user";
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        cure = "move the file away (keep it) and restart ringchatd: the history comes back from "
               "the ring";
        break;
    }
    if (asprintf(&text, "%s: %s; %s", path, sqlite3_errmsg(database), cure) < 0)
        return NULL;
    return text;
}

static int read_version(sqlite3 *database, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement, NULL);

    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

/* Makes a random blob a UUID of version 4, variant 1 (RFC 9562). */
static void make_uuid(sqlite3_context *context, int count, sqlite3_value **values)
{
    unsigned char id[16] = {0};
    const unsigned char *from = sqlite3_value_blob(values[0]);

    (void)count;
    for (size_t i = 0; from && i < sizeof(id); i++)
        id[i] = from[i];
    id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    sqlite3_result_blob(context, id, sizeof(id), SQLITE_TRANSIENT);
}

static int make_schema(sqlite3 *database)
{
    char pragma[64];
    int result =
        sqlite3_create_function(database, "make_uuid", 1, SQLITE_UTF8, NULL, make_uuid, NULL, NULL);

    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d; COMMIT", STORE_SCHEMA_VERSION);
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, schema, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(database, pragma, NULL, NULL, NULL);
    return result;
}

static int prepare_database(sqlite3 *database, const char *path, char **ret_error)
{
    int version = 0, result;

    sqlite3_busy_timeout(database, BUSY_TIMEOUT_MSEC);
    result = sqlite3_exec(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL,
                          NULL, NULL);
    if (result == SQLITE_OK)
        result = read_version(database, &version);
    if (result == SQLITE_OK && version > STORE_SCHEMA_VERSION) {
        if (asprintf(ret_error,
                     "%s was written by a newer ringchatd (schema %d, this build knows %d); "
                     "install that version again",
                     path, version, STORE_SCHEMA_VERSION) < 0)
            *ret_error = NULL;
        return -EPROTONOSUPPORT;
    }
    if (result == SQLITE_OK && version == 0)
        result = make_schema(database);
    if (result != SQLITE_OK)
        *ret_error = store_schema_error(database, path);
    return store_schema_errno(result);
}

int store_schema_open(const char *path, sqlite3 **ret, char **ret_error)
{
    sqlite3 *database = NULL;
    mode_t mask = umask(0077);
    int result = sqlite3_open_v2(
        path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (result == SQLITE_OK) {
        result = prepare_database(database, path, ret_error);
    } else {
        *ret_error = store_schema_error(database, path);
        result = store_schema_errno(result);
    }
    umask(mask);
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
    sqlite3_busy_timeout(database, BUSY_TIMEOUT_MSEC);
    *ret = database;
    return 0;
}
