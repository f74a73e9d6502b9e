#include "fault-vfs-internal.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"

/* Files lie in the directory itself, or in that of the texts. */
#define TEXTS "-texts/"

/* ---- the log ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
struct fault_log fault_log;
static size_t allocated;
static enum fault fault;
static const char *fault_name; /* NULL: of any file */
static size_t fault_after, fault_seen;

static const char *base_name(const char *path)
{
    const char *texts = strstr(path, TEXTS), *slash = texts ? texts : path + strlen(path);

    while (slash > path && slash[-1] != '/')
        slash--;
    return slash;
}

static unsigned file_number(const char *path)
{
    for (unsigned i = 0; i < fault_log.names_count; i++) {
        if (strcmp(fault_log.names[i], base_name(path)) == 0)
            return i;
    }
    check(fault_log.names_count < FILES_MAX);
    fault_log.names[fault_log.names_count] = strdup(base_name(path));
    return fault_log.names_count++;
}

static void add(enum operation_type type, const char *path, int64_t at, size_t size,
                const void *data)
{
    struct operation *operation;

    pthread_mutex_lock(&mutex);
    if (fault_log.count == allocated) {
        allocated = MAX(1024, 2 * allocated);
        fault_log.operations =
            realloc(fault_log.operations, allocated * sizeof(*fault_log.operations));
        check(fault_log.operations != NULL);
    }
    operation = &fault_log.operations[fault_log.count++];
    *operation = (struct operation){.type = type, .file = file_number(path), .at = at};
    if (data) {
        operation->size = size;
        operation->data = malloc(size);
        check(operation->data != NULL);
        memcpy(operation->data, data, size);
    }
    pthread_mutex_unlock(&mutex);
}

static bool is_meant(const char *path)
{
    return !fault_name || (path && strcmp(base_name(path), fault_name) == 0);
}

/* Whether this operation on the file (NULL: a temporary one) shall fail. */
static bool fails(enum fault kind, const char *path)
{
    bool result;

    pthread_mutex_lock(&mutex);
    result = fault == kind && is_meant(path) && fault_seen++ >= fault_after;
    pthread_mutex_unlock(&mutex);
    return result;
}

void fault_vfs_fail_in(const char *name, enum fault kind, size_t after)
{
    pthread_mutex_lock(&mutex);
    fault = kind;
    fault_name = name;
    fault_after = after;
    fault_seen = 0;
    pthread_mutex_unlock(&mutex);
}

void fault_vfs_fail(enum fault kind, size_t after)
{
    fault_vfs_fail_in(NULL, kind, after);
}

size_t fault_vfs_count(void)
{
    size_t result;

    pthread_mutex_lock(&mutex);
    result = fault_log.count;
    pthread_mutex_unlock(&mutex);
    return result;
}

size_t fault_vfs_count_syncs(const char *name)
{
    size_t result = 0;

    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < fault_log.count; i++)
        result += fault_log.operations[i].type == OPERATION_SYNC &&
                  strcmp(fault_log.names[fault_log.operations[i].file], name) == 0;
    pthread_mutex_unlock(&mutex);
    return result;
}

void fault_vfs_reset(void)
{
    for (size_t i = 0; i < fault_log.count; i++)
        free(fault_log.operations[i].data);
    free(fault_log.operations);
    for (unsigned i = 0; i < fault_log.names_count; i++)
        free(fault_log.names[i]);
    fault_log.operations = NULL;
    fault_log.count = allocated = fault_log.names_count = 0;
    fault = FAULT_NONE;
}

/* ---- files ---- */

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
    const char *path; /* NULL: a temporary file */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)file)->real;
}

static const char *path_of(sqlite3_file *file)
{
    return ((struct fault_file *)file)->path;
}

static int file_close(sqlite3_file *file)
{
    int result = real_of(file)->pMethods->xClose(real_of(file));

    sqlite3_free(real_of(file));
    return result;
}

static int file_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at)
{
    if (fails(FAULT_READ, path_of(file)))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), data, size, at);
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
    int result;

    if (fails(FAULT_WRITE, path_of(file)))
        return SQLITE_IOERR_WRITE;
    if (fails(FAULT_FULL, path_of(file)))
        return SQLITE_FULL;
    result = real_of(file)->pMethods->xWrite(real_of(file), data, size, at);
    if (result == SQLITE_OK && path_of(file))
        add(OPERATION_WRITE, path_of(file), at, (size_t)size, data);
    return result;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int result = real_of(file)->pMethods->xTruncate(real_of(file), size);

    if (result == SQLITE_OK && path_of(file))
        add(OPERATION_TRUNCATE, path_of(file), size, 0, NULL);
    return result;
}

static int file_sync(sqlite3_file *file, int flags)
{
    int result;

    if (fails(FAULT_SYNC, path_of(file))) {
        if (path_of(file))
            add(OPERATION_FAILED_SYNC, path_of(file), 0, 0, NULL);
        return SQLITE_IOERR_FSYNC;
    }
    result = real_of(file)->pMethods->xSync(real_of(file), flags);
    if (result == SQLITE_OK && path_of(file))
        add(OPERATION_SYNC, path_of(file), 0, 0, NULL);
    return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int what, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the layer ---- */

static sqlite3_vfs *real_vfs, fault_vfs;

/* As SQLite's own layer has it, which syncs the directory for journals and logs. */
static void note_creation(const char *path, sqlite3_file *real, int flags)
{
    bool synced = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL);
    sqlite3_int64 size = 0;

    if ((synced || flags & SQLITE_OPEN_CREATE) &&
        real->pMethods->xFileSize(real, &size) == SQLITE_OK && size == 0)
        add(synced ? OPERATION_CREATE : OPERATION_NAME, path, 0, 0, NULL);
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret)
{
    struct fault_file *opened = (struct fault_file *)file;
    int result;

    (void)vfs;
    *opened = (struct fault_file){.path = path, .real = sqlite3_malloc(real_vfs->szOsFile)};
    if (!opened->real)
        return SQLITE_NOMEM;
    memset(opened->real, 0, (size_t)real_vfs->szOsFile);
    result = real_vfs->xOpen(real_vfs, path, opened->real, flags, ret);
    if (result != SQLITE_OK) {
        sqlite3_free(opened->real);
        return result;
    }
    opened->base.pMethods = &methods;
    if (path)
        note_creation(path, opened->real, flags);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    int result = real_vfs->xDelete(real_vfs, path, sync);

    (void)vfs;
    if (result == SQLITE_OK)
        add(OPERATION_DELETE, path, sync, 0, NULL);
    return result;
}

void fault_vfs_install(void)
{
    if (!real_vfs)
        real_vfs = sqlite3_vfs_find("unix");
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.pNext = NULL;
    fault_vfs.szOsFile = sizeof(struct fault_file);
    fault_vfs.xOpen = vfs_open;
    fault_vfs.xDelete = vfs_delete;
    check(sqlite3_vfs_register(&fault_vfs, 1) == SQLITE_OK);
}

void fault_vfs_remove(void)
{
    sqlite3_vfs_unregister(&fault_vfs);
    check(sqlite3_vfs_register(real_vfs, 1) == SQLITE_OK);
}
