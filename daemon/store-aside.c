#include "store-aside.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/util.h"
#include "store-schema.h"
#include "store-segment.h"

/* ---- renaming ---- */

/* What is beside a database. */
static const char *const suffixes[] = {"", "-wal", "-shm", STORE_TEXTS_SUFFIX};

static int rename_file(const char *path, const char *to, const char *suffix)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];

    if (snprintf(from_path, sizeof(from_path), "%s%s", path, suffix) >= PATH_MAX ||
        snprintf(to_path, sizeof(to_path), "%s%s", to, suffix) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (access(to_path, F_OK) == 0)
        return -EEXIST;
    return rename(from_path, to_path) < 0 && errno != ENOENT ? -errno : 0;
}

int store_sync_directory_of(const char *path)
{
    char copy[PATH_MAX];
    int fd, result;

    snprintf(copy, sizeof(copy), "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    result = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int store_set_aside(const char *path, char **ret)
{
    _cleanup_free_ char *to = NULL;
    time_t now = time(NULL);
    struct tm parts;
    char text[32];
    int result = 0;

    strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &parts));
    if (asprintf(&to, "%s.damaged-%s", path, text) < 0) {
        to = NULL;
        return -ENOMEM;
    }
    for (size_t i = 0; result == 0 && i < ELEMENTS(suffixes); i++)
        result = rename_file(path, to, suffixes[i]);
    if (result == 0)
        result = store_sync_directory_of(path);
    if (result == 0)
        *ret = steal_pointer(to);
    return result;
}

/* An empty directory is nobody's. */
static bool has_texts(const char *path)
{
    char texts[PATH_MAX];

    return snprintf(texts, sizeof(texts), "%s" STORE_TEXTS_SUFFIX, path) < PATH_MAX &&
           rmdir(texts) < 0 && (errno == ENOTEMPTY || errno == EEXIST);
}

bool store_was_deleted(const char *path)
{
    char log[PATH_MAX];

    if (access(path, F_OK) == 0 || errno != ENOENT ||
        snprintf(log, sizeof(log), "%s-wal", path) >= PATH_MAX)
        return false;
    return access(log, F_OK) == 0 || has_texts(path);
}

/* ---- a copy ---- */

/* Copies so many pages at a time that it is told of as often as other work. */
static int copy_pages(sqlite3_backup *backup, int fd, struct store_progress *progress)
{
    int result;

    while ((result = sqlite3_backup_step(backup, STORE_PROGRESS_STEPS /
                                                     STORE_PROGRESS_PAGE_STEPS)) == SQLITE_OK) {
        /* At once the disk could take longer for it than systemd waits for a word. */
        if (fdatasync(fd) < 0)
            return SQLITE_IOERR_FSYNC;
        if (!store_progress_advance(progress))
            return SQLITE_INTERRUPT;
    }
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* A copy of the whole database at `copy`, whose file is `fd`. */
static int back_up_to(sqlite3 *database, const char *copy, int fd, struct store_progress *progress)
{
    sqlite3 *target = NULL;
    sqlite3_backup *backup = NULL;
    int result = sqlite3_open_v2(copy, &target, SQLITE_OPEN_READWRITE, NULL), copied = SQLITE_OK;

    if (result == SQLITE_OK)
        backup = sqlite3_backup_init(target, "main", database, "main");
    if (backup) {
        copied = copy_pages(backup, fd, progress);
        result = sqlite3_backup_finish(backup);
    } else if (result == SQLITE_OK) {
        result = sqlite3_errcode(target);
    }
    sqlite3_close(target);
    return result == SQLITE_OK ? copied : result;
}

int store_back_up(sqlite3 *database, const char *path, size_t version,
                  struct store_progress *progress)
{
    _cleanup_free_ char *copy = NULL;
    int result, fd;

    if (asprintf(&copy, "%s.version-%zu", path, version) < 0) {
        copy = NULL;
        return SQLITE_NOMEM;
    }
    fd = open(copy, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return SQLITE_CANTOPEN;
    result = back_up_to(database, copy, fd, progress);
    close(fd);
    if (result != SQLITE_OK)
        unlink(copy);
    return result;
}

/* ---- the outbox ---- */

/* 1: taken. 0: it is no message. Or a negative errno. */
static int salvage_row(sqlite3_stmt *row, sqlite3_stmt *insert)
{
    size_t size = (size_t)sqlite3_column_bytes(row, 0);
    _cleanup_(packet_unrefp) struct packet *packet = packet_new(size);
    struct message message;
    int result;

    if (!packet)
        return -ENOMEM;
    if (size > 0)
        memcpy(packet->data, sqlite3_column_blob(row, 0), size);
    if (message_unpack(packet, &message) < 0)
        return 0;
    store_bind_id(insert, 1, &message.id);
    sqlite3_bind_blob64(insert, 2, packet->data, packet->size, SQLITE_TRANSIENT);
    result = sqlite3_step(insert);
    sqlite3_reset(insert);
    return result == SQLITE_DONE ? 1 : -EIO;
}

unsigned store_salvage_outbox(sqlite3 *database, const char *path)
{
    sqlite3_stmt *rows = NULL, *insert = NULL;
    sqlite3 *old = NULL;
    unsigned count = 0;
    int result = sqlite3_open_v2(path, &old, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

    if (result == SQLITE_OK)
        result =
            sqlite3_prepare_v2(old, "SELECT packet FROM outbox ORDER BY number", -1, &rows, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_prepare_v2(database, "INSERT INTO outbox(id, packet) VALUES(?1, ?2)", -1,
                                    &insert, NULL);
    while (result == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW) {
        int taken = salvage_row(rows, insert);

        if (taken < 0)
            break;
        count += (unsigned)taken;
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(insert);
    sqlite3_close(old);
    return count;
}
