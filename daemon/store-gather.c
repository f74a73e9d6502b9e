/* The methods of SQLite's two files are replaced by ones that know which bytes wait.
 *
 * Each file has one buffer: it holds bytes that are to be written (`dirty`), each write going on
 * where the one before ended, or bytes that were read ahead. A write elsewhere, a sync, and
 * whatever else needs the file as it is writes it out first.
 *
 * The log's writes are always gathered. The database's are while the log is copied into it, which
 * SQLite tells. It asks for the pages in their order, which for a history that grows at its end is
 * mostly the order of the log too. So a read of the log that goes on where the last one ended, with
 * no more than a frame's header between, is answered from a larger one.
 *
 * A sync of the log may be left out where that is asked for: the next one is of all before it too.
 * Not the one of a log that was begun anew: its header must be on disk before what follows, or a
 * restart would take what was in its place for the log, and copy it over newer pages.
 *
 * How it can fail: a reader holds SQLite up, so that it copies a part of the log and does not sync
 * the database, and the last of that cannot be written: SQLite does not ask whether it was, and
 * readers look for these pages in the database. It is in the log still, which nobody can cut before
 * the database is synced, for which it is written first; and a restart reads the log anew. */

#include "store-gather.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/util.h"

/* Before each page in the log (sqlite.org/fileformat2.html, 4.1). */
#define FRAME_HEADER 24

struct gather {
    sqlite3_io_methods methods; /* the file's; must be the first */
    const sqlite3_io_methods *real;
    bool gathers, reads_ahead;
    bool lazy;  /* syncs are left out */
    bool begun; /* the file's beginning was written since it was synced */
    bool dirty;
    size_t size;
    sqlite3_int64 at, next_read; /* of the buffer in the file; where the last read ended */
    char buffer[STORE_GATHER_BYTES];
};

static struct gather *gather_of(sqlite3_file *file)
{
    return (struct gather *)file->pMethods;
}

/* Nothing is gathered after it, and nothing was read ahead; or nothing has changed. */
static int empty(sqlite3_file *file)
{
    struct gather *gather = gather_of(file);
    int result = SQLITE_OK;

    if (gather->dirty)
        result = gather->real->xWrite(file, gather->buffer, (int)gather->size, gather->at);
    if (result == SQLITE_OK) {
        gather->size = 0;
        gather->dirty = false;
    }
    return result;
}

static int gather_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
    struct gather *gather = gather_of(file);
    bool follows = gather->gathers && gather->dirty &&
                   at == gather->at + (sqlite3_int64)gather->size &&
                   (size_t)size <= sizeof(gather->buffer) - gather->size;
    int result = follows ? SQLITE_OK : empty(file);

    gather->begun |= at == 0;
    if (result != SQLITE_OK)
        return result;
    if (!gather->gathers || (size_t)size > sizeof(gather->buffer))
        return gather->real->xWrite(file, data, size, at);
    if (!follows)
        gather->at = at;
    memcpy(gather->buffer + gather->size, data, (size_t)size);
    gather->size += (size_t)size;
    gather->dirty = true;
    return SQLITE_OK;
}

/* Fills the buffer from there on. The file's end is not passed, so that a short read stays one. */
static int read_ahead(sqlite3_file *file, sqlite3_int64 at)
{
    struct gather *gather = gather_of(file);
    sqlite3_int64 end;
    size_t size;
    int result = gather->real->xFileSize(file, &end);

    if (result != SQLITE_OK || end <= at)
        return result;
    size = MIN((size_t)STORE_READ_AHEAD_BYTES, (size_t)(end - at));
    gather->size = 0;
    result = gather->real->xRead(file, gather->buffer, (int)size, at);
    if (result == SQLITE_OK) {
        gather->at = at;
        gather->size = size;
    }
    return result;
}

static bool has(const struct gather *gather, int size, sqlite3_int64 at)
{
    return at >= gather->at && at + size <= gather->at + (sqlite3_int64)gather->size;
}

static int gather_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at)
{
    struct gather *gather = gather_of(file);
    bool goes_on = at == gather->next_read || at == gather->next_read + FRAME_HEADER;
    int result = gather->dirty ? empty(file) : SQLITE_OK;

    gather->next_read = at + size;
    if (result == SQLITE_OK && gather->reads_ahead && goes_on && !has(gather, size, at))
        result = read_ahead(file, at);
    if (result != SQLITE_OK)
        return result;
    if (!has(gather, size, at))
        return gather->real->xRead(file, data, size, at);
    memcpy(data, gather->buffer + (at - gather->at), (size_t)size);
    return SQLITE_OK;
}

static int gather_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int result = empty(file);

    return result == SQLITE_OK ? gather_of(file)->real->xTruncate(file, size) : result;
}

static int gather_sync(sqlite3_file *file, int flags)
{
    struct gather *gather = gather_of(file);
    int result = empty(file);

    if (result != SQLITE_OK || (gather->lazy && !gather->begun))
        return result;
    result = gather->real->xSync(file, flags);
    if (result == SQLITE_OK)
        gather->begun = false;
    return result;
}

static int gather_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    int result = empty(file);

    return result == SQLITE_OK ? gather_of(file)->real->xFileSize(file, ret) : result;
}

/* The database's: SQLite tells when it begins to copy the log into it, and when that is done. */
static int gather_control(sqlite3_file *file, int what, void *argument)
{
    struct gather *gather = gather_of(file);
    int result = SQLITE_OK;

    if (what == SQLITE_FCNTL_CKPT_START)
        gather->gathers = true;
    if (what == SQLITE_FCNTL_CKPT_DONE) {
        gather->gathers = false;
        result = empty(file);
    }
    return result == SQLITE_OK ? gather->real->xFileControl(file, what, argument) : result;
}

/* What is gathered still is of a commit that failed, or is in the log. */
static int gather_close(sqlite3_file *file)
{
    struct gather *gather = gather_of(file);

    file->pMethods = gather->real;
    free(gather);
    return file->pMethods->xClose(file);
}

/* `which` asks SQLite for the file. */
static int replace(sqlite3 *database, int which, struct gather **ret)
{
    sqlite3_file *file = NULL;
    struct gather *gather;
    int result = sqlite3_file_control(database, "main", which, (void *)&file);

    if (result != SQLITE_OK || !file || !file->pMethods)
        return result != SQLITE_OK ? result : SQLITE_ERROR;
    gather = calloc(1, sizeof(*gather));
    if (!gather)
        return SQLITE_NOMEM;
    gather->methods = *file->pMethods;
    gather->real = file->pMethods;
    gather->methods.xClose = gather_close;
    gather->methods.xRead = gather_read;
    gather->methods.xWrite = gather_write;
    gather->methods.xTruncate = gather_truncate;
    gather->methods.xSync = gather_sync;
    gather->methods.xFileSize = gather_size;
    file->pMethods = &gather->methods;
    *ret = gather;
    return SQLITE_OK;
}

int store_gather(sqlite3 *database)
{
    struct gather *log = NULL, *pages = NULL;
    int result = replace(database, SQLITE_FCNTL_JOURNAL_POINTER, &log);

    if (result == SQLITE_OK) {
        log->gathers = log->reads_ahead = true;
        result = replace(database, SQLITE_FCNTL_FILE_POINTER, &pages);
    }
    if (result == SQLITE_OK)
        pages->methods.xFileControl = gather_control;
    return result;
}

void store_gather_lazily(sqlite3 *database, bool lazily)
{
    sqlite3_file *log = NULL;

    if (sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&log) ==
        SQLITE_OK)
        gather_of(log)->lazy = lazily;
}
