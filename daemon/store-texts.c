#include "store-texts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bounds.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "store-aside.h"
#include "store-file.h"
#include "store-load.h"
#include "store-schema.h"

enum { NOTE, UNUSE, FORGET, STATEMENTS };

static const char *const statement_texts[] = {
    [NOTE] = "INSERT INTO segment VALUES(?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE"
             " SET size = excluded.size, texts = texts + excluded.texts,"
             " live = live + excluded.live",
    [UNUSE] = "UPDATE segment SET live = live - gone.texts FROM"
              " (SELECT -long >> 32 AS number, count(*) AS texts FROM message"
              "  WHERE hlc <= ?1 AND long < 0 GROUP BY 1) gone WHERE gone.number = segment.number",
    /* The last one is written to, and has the number from which the next one counts. */
    [FORGET] = ("DELETE FROM segment WHERE live = 0"
                " AND number < (SELECT max(number) FROM segment) RETURNING number"),
};

struct store_texts {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    uint32_t series;
    uint32_t number;             /* of the last segment */
    uint64_t size;               /* of it, with what is gathered */
    uint64_t added;              /* texts in it that are not noted yet */
    struct store_segment last;   /* not open until something is appended */
    struct store_file file;      /* as it was opened */
    size_t group, previous;      /* bytes of long texts in this transaction, and in the last one */
    size_t gathered;             /* bytes at the end that wait in the buffer */
    size_t forgotten, allocated; /* segments that are not in the table any more */
    uint32_t *list;
    uint8_t buffer[STORE_GATHER_BYTES];
};

/* ---- files ---- */

static int remove_file(struct store_texts *texts, uint32_t number)
{
    sqlite3_vfs *layer = store_segment_layer(texts->database);
    _cleanup_free_ char *path = store_segment_path(texts->database, texts->series, number);

    return path ? layer->xDelete(layer, path, 0) : SQLITE_NOMEM;
}

static int write_gathered(struct store_texts *texts)
{
    sqlite3_file *file = texts->last.file;
    int result = SQLITE_OK;

    if (texts->gathered > 0)
        result = file->pMethods->xWrite(file, texts->buffer, (int)texts->gathered,
                                        (sqlite3_int64)(texts->size - texts->gathered));
    texts->gathered = 0;
    return result;
}

static int gather(struct store_texts *texts, const void *data, size_t size)
{
    int result = SQLITE_OK;

    while (result == SQLITE_OK && size > 0) {
        size_t part = MIN(size, sizeof(texts->buffer) - texts->gathered);

        memcpy(texts->buffer + texts->gathered, data, part);
        texts->gathered += part;
        texts->size += part;
        data = (const uint8_t *)data + part;
        size -= part;
        if (texts->gathered == sizeof(texts->buffer))
            result = write_gathered(texts);
    }
    return result;
}

/* There is none before the first long text. Also one that is there may not be on disk: whoever made
 * it was killed before it was. */
static int make_directory(const char *path)
{
    char directory[PATH_MAX];

    if (snprintf(directory, sizeof(directory), "%s" STORE_TEXTS_SUFFIX, path) >= PATH_MAX)
        return SQLITE_CANTOPEN;
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return errno == ENOSPC ? SQLITE_FULL : SQLITE_CANTOPEN;
    return store_sync_directory_of(path) == 0 ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

/* What was committed is in it still. */
static int cut_rest(struct store_texts *texts)
{
    sqlite3_file *file = texts->last.file;
    sqlite3_int64 size = 0;
    int result = file->pMethods->xFileSize(file, &size);

    if (result == SQLITE_OK && size < (sqlite3_int64)texts->size)
        return SQLITE_READONLY_DBMOVED;
    return result == SQLITE_OK ? file->pMethods->xTruncate(file, (sqlite3_int64)texts->size)
                               : result;
}

static int open_last(struct store_texts *texts)
{
    struct store_segment *last = &texts->last;
    int result = SQLITE_OK;

    if (last->file)
        return SQLITE_OK;
    if (texts->size == 0)
        result = make_directory(sqlite3_db_filename(texts->database, "main"));
    if (result == SQLITE_OK)
        result = store_segment_open(texts->database, texts->series, texts->number, true, last);
    if (result == SQLITE_OK)
        result = cut_rest(texts);
    if (result == SQLITE_OK && store_file_identify(last->path, &texts->file) < 0)
        result = SQLITE_READONLY_DBMOVED;
    return result;
}

/* A segment that cannot take so much is closed. */
static int make_room(struct store_texts *texts, size_t size)
{
    int result;

    if (texts->size == 0 || texts->size + size <= STORE_SEGMENT_BYTES)
        return SQLITE_OK;
    result = store_texts_sync(texts);
    store_segment_close(&texts->last);
    texts->number++;
    texts->size = 0;
    return result;
}

/* ---- appending ---- */

bool store_texts_want(struct store_texts *texts, size_t size)
{
    texts->group += size;
    return MAX(texts->group, texts->previous) >= STORE_TEXTS_GROUP_BYTES;
}

int store_texts_find_place(struct store_texts *texts, size_t size, int64_t *ret)
{
    int result = make_room(texts, STORE_RECORD_HEADER + size);

    *ret = store_text_place(texts->number, (uint32_t)texts->size);
    return result;
}

int store_texts_append(struct store_texts *texts, const struct ring_id *id, struct bytes text)
{
    int64_t place = store_text_place(texts->number, (uint32_t)texts->size);
    uint8_t header[STORE_RECORD_HEADER];
    int result = open_last(texts);

    store_segment_make_header(place, id, text, header);
    if (result == SQLITE_OK)
        result = gather(texts, header, sizeof(header));
    if (result == SQLITE_OK)
        result = gather(texts, text.data, text.size);
    texts->added++;
    return result;
}

/* ---- the table ---- */

static int run(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int note(struct store_texts *texts)
{
    sqlite3_stmt *statement = texts->statements[NOTE];

    sqlite3_bind_int64(statement, 1, texts->number);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)texts->size);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)texts->added);
    texts->added = 0;
    return run(statement);
}

int store_texts_sync(struct store_texts *texts)
{
    sqlite3_file *file = texts->last.file;
    int result;

    if (texts->added == 0)
        return SQLITE_OK;
    result = write_gathered(texts);
    if (result == SQLITE_OK)
        result = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
    if (result == SQLITE_OK && !store_file_is_same(texts->last.path, &texts->file))
        result = SQLITE_READONLY_DBMOVED;
    return result == SQLITE_OK ? note(texts) : result;
}

static int remember_forgotten(struct store_texts *texts, uint32_t number)
{
    if (texts->forgotten == texts->allocated) {
        size_t allocated = MAX(16, 2 * texts->allocated);
        uint32_t *list = realloc(texts->list, allocated * sizeof(*list));

        if (!list)
            return SQLITE_NOMEM;
        texts->list = list;
        texts->allocated = allocated;
    }
    texts->list[texts->forgotten++] = number;
    return SQLITE_OK;
}

int store_texts_prune(struct store_texts *texts, uint64_t hlc)
{
    sqlite3_stmt *unuse = texts->statements[UNUSE], *forget = texts->statements[FORGET];
    int result, step = SQLITE_DONE;

    sqlite3_bind_int64(unuse, 1, store_sortable(hlc));
    result = run(unuse);
    while (result == SQLITE_OK && (step = sqlite3_step(forget)) == SQLITE_ROW)
        result = remember_forgotten(texts, (uint32_t)sqlite3_column_int64(forget, 0));
    sqlite3_reset(forget);
    return result == SQLITE_OK && step != SQLITE_DONE ? step : result;
}

/* What cannot be removed the next start tries to. */
void store_texts_committed(struct store_texts *texts)
{
    if (texts->group > 0)
        texts->previous = texts->group;
    texts->group = 0;
    while (texts->forgotten > 0)
        (void)remove_file(texts, texts->list[--texts->forgotten]);
}

/* ---- opening and closing ---- */

static int take_series(sqlite3_stmt *row, void *userdata)
{
    *(uint32_t *)userdata = (uint32_t)sqlite3_column_int64(row, 0);
    return 0;
}

static int take_last(sqlite3_stmt *row, void *userdata)
{
    struct store_texts *texts = userdata;

    texts->number = (uint32_t)sqlite3_column_int64(row, 0);
    texts->size = (uint64_t)sqlite3_column_int64(row, 1);
    return 0;
}

/* False: it is none of this database's. */
static bool number_of_name(const char *name, uint32_t series, uint32_t *ret)
{
    unsigned found_series, number;

    if (strlen(name) != STORE_SEGMENT_NAME_DIGITS ||
        strspn(name, "0123456789abcdef") != STORE_SEGMENT_NAME_DIGITS ||
        sscanf(name, "%8x%8x", &found_series, &number) != 2 || found_series != series)
        return false;
    *ret = number;
    return true;
}

/* Segments that no committed transaction has written, or one has forgotten. */
static int remove_leftovers(struct store_texts *texts)
{
    char path[PATH_MAX];
    sqlite3_stmt *known = NULL;
    const struct dirent *entry;
    DIR *directory;
    uint32_t number;
    int result;

    snprintf(path, sizeof(path), "%s" STORE_TEXTS_SUFFIX,
             sqlite3_db_filename(texts->database, "main"));
    directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? 0 : -errno;
    result = sqlite3_prepare_v2(texts->database, "SELECT 1 FROM segment WHERE number = ?1", -1,
                                &known, NULL);
    while (result == SQLITE_OK && (entry = readdir(directory))) {
        if (!number_of_name(entry->d_name, texts->series, &number))
            continue;
        sqlite3_bind_int64(known, 1, number);
        result = sqlite3_step(known);
        sqlite3_reset(known);
        result = result == SQLITE_DONE  ? remove_file(texts, number)
                 : result == SQLITE_ROW ? SQLITE_OK
                                        : result;
    }
    sqlite3_finalize(known);
    closedir(directory);
    return store_schema_errno(result);
}

int store_texts_new(sqlite3 *database, struct store_texts **ret)
{
    struct store_texts *texts = calloc(1, sizeof(*texts));
    int result;

    if (!texts)
        return -ENOMEM;
    texts->database = database;
    texts->number = 1;
    result = store_each_row(database, "SELECT series FROM state", take_series, &texts->series);
    if (result == 0)
        result = store_each_row(database,
                                "SELECT number, size FROM segment ORDER BY number DESC LIMIT 1",
                                take_last, texts);
    if (result == 0)
        result = remove_leftovers(texts);
    for (size_t i = 0; result == 0 && i < STATEMENTS; i++)
        result = store_schema_errno(sqlite3_prepare_v3(database, statement_texts[i], -1,
                                                       SQLITE_PREPARE_PERSISTENT,
                                                       &texts->statements[i], NULL));
    if (result < 0) {
        store_texts_free(texts);
        return result;
    }
    *ret = texts;
    return 0;
}

void store_texts_free(struct store_texts *texts)
{
    if (!texts)
        return;
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(texts->statements[i]);
    store_segment_close(&texts->last);
    free(texts->list);
    free(texts);
}

/* ---- from outside ---- */

int store_texts_check(sqlite3 *database)
{
    sqlite3_stmt *rows = NULL;
    int result = sqlite3_prepare_v2(
        database, "SELECT series, number, size FROM segment CROSS JOIN state", -1, &rows, NULL);

    while (result == SQLITE_OK && (result = sqlite3_step(rows)) == SQLITE_ROW) {
        _cleanup_free_ char *path =
            store_segment_path(database, (uint32_t)sqlite3_column_int64(rows, 0),
                               (uint32_t)sqlite3_column_int64(rows, 1));
        struct stat status;

        result = !path                     ? SQLITE_NOMEM
                 : stat(path, &status) < 0 ? (errno == ENOENT ? SQLITE_CORRUPT : SQLITE_CANTOPEN)
                 : status.st_size < sqlite3_column_int64(rows, 2) ? SQLITE_CORRUPT
                                                                  : SQLITE_OK;
    }
    sqlite3_finalize(rows);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

uint64_t store_texts_size(const char *path)
{
    char name[PATH_MAX];
    const struct dirent *entry;
    struct stat status;
    uint64_t sum = 0;
    DIR *directory;

    snprintf(name, sizeof(name), "%s" STORE_TEXTS_SUFFIX, path);
    directory = opendir(name);
    while (directory && (entry = readdir(directory))) {
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
            sum += (uint64_t)status.st_size;
    }
    if (directory)
        closedir(directory);
    return sum;
}
