/* The log, into which SQLite writes each commit, and copying it into the database.
 *
 * SQLite would do that itself, inside the commit that makes the log long: two syncs and some
 * hundred pages, for which that commit's messages would wait, on every member of the ring in turn.
 * Here it is done when nothing else is asked for, or, where there is no such moment and the log has
 * become longer, after what was committed has been given back. What is committed after all of the
 * log was copied begins it anew, in its place (sqlite.org/wal.html).
 *
 * How it can fail: a reader that stays in the middle of something keeps what it sees in the log, so
 * that it grows as long as that takes; then nothing is lost, and it is cut again after. */

#include "store-write-internal.h"

/* Called for each commit; `frames` are in the log then. */
static int on_commit(void *userdata, sqlite3 *database, const char *name, int frames)
{
    struct store_log *log = userdata;

    (void)database, (void)name;
    /* It was begun anew. */
    if ((size_t)frames < log->frames)
        log->tried = 0;
    log->frames = (size_t)frames;
    return SQLITE_OK;
}

void store_log_watch(struct store_writer *writer)
{
    sqlite3_wal_hook(writer->database, on_commit, &writer->log);
}

bool store_log_has(const struct store_writer *writer, size_t frames)
{
    return writer->log.frames >= writer->log.tried + frames;
}

/* What a reader, or somebody else's copying, keeps from being copied now is tried again when the
 * log has grown as much as again. */
int store_log_copy(struct store_writer *writer)
{
    int result =
        sqlite3_wal_checkpoint_v2(writer->database, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    writer->log.tried = writer->log.frames;
    return result == SQLITE_BUSY ? SQLITE_OK : result;
}

bool store_writer_has_long_log(const struct store_writer *writer)
{
    return store_log_has(writer, STORE_LOG_FRAMES_MAX);
}

int store_writer_copy_log(struct store_writer *writer)
{
    return store_log_copy(writer);
}
