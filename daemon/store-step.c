/* What the writer does when nothing else is asked of it, and how it is closed. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store-check.h"
#include "store-write-internal.h"

int store_writer_step(struct store_writer *writer, bool hurried, struct store_pruned *ret,
                      bool *ret_more)
{
    int result = store_prune_step(writer, ret);

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

    if (asprintf(&files->path, "%s", path) < 0 || asprintf(&files->log_path, "%s-wal", path) < 0)
        return -ENOMEM;
    if (stat(files->path, &files->file) < 0 || stat(files->log_path, &files->log) < 0)
        return -errno;
    return 0;
}

void store_files_done(struct store_files *files)
{
    free(files->path);
    free(files->log_path);
}

static bool is_same(const char *path, const struct stat *noted)
{
    struct stat now;

    return stat(path, &now) == 0 && now.st_ino == noted->st_ino && now.st_dev == noted->st_dev;
}

bool store_writer_is_gone(const struct store_writer *writer)
{
    const struct store_files *files = &writer->files;

    return !is_same(files->path, &files->file) || !is_same(files->log_path, &files->log);
}
