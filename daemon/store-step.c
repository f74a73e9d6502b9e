/* What the writer does when nothing else is asked of it, and how it is closed. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store-check.h"
#include "store-gather.h"
#include "store-write-internal.h"

int store_writer_step(struct store_writer *writer, bool hurried, struct store_pruned *ret,
                      bool *ret_more)
{
    int result;

    /* First, so that it is not a message's commit which begins the log anew: that takes a sync
     * more. */
    *ret_more = !hurried && store_log_has(writer, STORE_LOG_FRAMES_MIN);
    if (*ret_more)
        return store_log_copy(writer);
    result = store_prune_step(writer, ret);
    /* What is removed is gone for certain: the ring is told of it, and files of texts go with it.
     * All else is found undone, and done again, if the power goes. */
    store_gather_lazily(writer->database, ret->messages == 0);
    *ret_more = ret->messages > 0;
    if (result == SQLITE_OK && !*ret_more)
        result =
            store_index_step(writer, hurried ? INDEX_HURRIED_BYTES : INDEX_STEP_BYTES, ret_more);
    if (result == SQLITE_OK)
        result = store_rooms_write_many(writer);
    if (result == SQLITE_OK)
        result = store_writer_commit(writer);
    if (result == SQLITE_OK && !*ret_more)
        result = store_shrink_step(writer, ret_more);
    store_gather_lazily(writer->database, false);
    *ret_more = *ret_more || store_log_has(writer, STORE_LOG_FRAMES_MIN);
    return result;
}

int store_writer_write_rooms(struct store_writer *writer)
{
    int result = store_rooms_write(writer);

    return result == SQLITE_OK ? store_writer_commit(writer) : result;
}

int store_writer_close(struct store_writer *writer)
{
    int result = store_writer_write_rooms(writer);

    return result == SQLITE_OK ? store_check_mark(writer->database, true) : result;
}

/* ---- the files ---- */

int store_files_note(struct store_files *files, sqlite3 *database)
{
    const char *path = sqlite3_db_filename(database, "main");
    int result;

    if (asprintf(&files->path, "%s", path) < 0 || asprintf(&files->log_path, "%s-wal", path) < 0)
        return -ENOMEM;
    result = store_file_identify(files->path, &files->file);
    return result == 0 ? store_file_identify(files->log_path, &files->log) : result;
}

void store_files_done(struct store_files *files)
{
    free(files->path);
    free(files->log_path);
}

bool store_writer_is_gone(const struct store_writer *writer)
{
    const struct store_files *files = &writer->files;

    return !store_file_is_same(files->path, &files->file) ||
           !store_file_is_same(files->log_path, &files->log);
}
