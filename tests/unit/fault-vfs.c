#include "fault-vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"

#define SECTOR 512
#define FILES_MAX 256

/* Files lie in the directory itself, or in that of the texts. */
#define TEXTS "-texts/"

/* ---- the log ---- */

enum operation_type {
    OPERATION_CREATE, /* the next sync of this file is one of the directory too */
    OPERATION_NAME,   /* a creation without that */
    OPERATION_WRITE,
    OPERATION_TRUNCATE,
    OPERATION_SYNC,
    OPERATION_DELETE,
};

struct operation {
    enum operation_type type;
    unsigned file;
    int64_t at; /* of a write; or the size after a truncation */
    size_t size;
    void *data;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct operation *operations;
static size_t count, allocated;
static char *names[FILES_MAX];
static unsigned names_count;
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

static unsigned directory_of(unsigned file)
{
    return strchr(names[file], '/') ? 1 : 0;
}

static unsigned file_number(const char *path)
{
    for (unsigned i = 0; i < names_count; i++) {
        if (strcmp(names[i], base_name(path)) == 0)
            return i;
    }
    check(names_count < FILES_MAX);
    names[names_count] = strdup(base_name(path));
    return names_count++;
}

static void add(enum operation_type type, const char *path, int64_t at, size_t size,
                const void *data)
{
    struct operation *operation;

    pthread_mutex_lock(&mutex);
    if (count == allocated) {
        allocated = MAX(1024, 2 * allocated);
        operations = realloc(operations, allocated * sizeof(*operations));
        check(operations != NULL);
    }
    operation = &operations[count++];
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
    result = count;
    pthread_mutex_unlock(&mutex);
    return result;
}

size_t fault_vfs_count_syncs(const char *name)
{
    size_t result = 0;

    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < count; i++)
        result +=
            operations[i].type == OPERATION_SYNC && strcmp(names[operations[i].file], name) == 0;
    pthread_mutex_unlock(&mutex);
    return result;
}

void fault_vfs_reset(void)
{
    for (size_t i = 0; i < count; i++)
        free(operations[i].data);
    free(operations);
    for (unsigned i = 0; i < names_count; i++)
        free(names[i]);
    operations = NULL;
    count = allocated = names_count = 0;
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

    if (fails(FAULT_SYNC, path_of(file)))
        return SQLITE_IOERR_FSYNC;
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

/* ---- a loss of power ---- */

static uint64_t random_state;

static uint64_t chance(uint64_t below)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random_state >> 33) % below;
}

struct image {
    char *data;
    size_t size, allocated;
    bool exists;
};

static void resize(struct image *image, size_t size)
{
    if (size > image->allocated) {
        image->allocated = MAX(size, 2 * image->allocated);
        image->data = realloc(image->data, image->allocated);
        check(image->data != NULL);
    }
    if (size > image->size)
        memset(image->data + image->size, 0, size - image->size);
    image->size = size;
}

/* All of the write, or by chance some of its sectors, or none. */
static void put(struct image *image, const struct operation *operation, bool whole)
{
    bool in_part = !whole && chance(3) == 0;

    if (!whole && !in_part && chance(2) == 0)
        return;
    for (size_t at = 0; at < operation->size; at += SECTOR) {
        size_t size = MIN((size_t)SECTOR, operation->size - at);
        size_t place = (size_t)operation->at + at;

        if (in_part && chance(2) == 0)
            continue;
        if (place + size > image->size)
            resize(image, place + size);
        memcpy(image->data + place, (char *)operation->data + at, size);
    }
    image->exists = true;
}

static void apply(struct image *image, const struct operation *operation, bool certain)
{
    switch (operation->type) {
    case OPERATION_CREATE:
    case OPERATION_NAME:
        return;
    case OPERATION_WRITE:
        put(image, operation, certain);
        return;
    case OPERATION_TRUNCATE:
        if (certain || chance(2) == 0)
            resize(image, (size_t)operation->at);
        return;
    case OPERATION_DELETE:
        if (certain || operation->at || chance(2) == 0) {
            image->size = 0;
            image->exists = false;
        }
        return;
    case OPERATION_SYNC:
        image->exists = true;
        return;
    }
    check_unreachable();
}

static void write_image(const struct image *image, const char *directory, const char *name)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    *strrchr(path, '/') = '\0';
    check(mkdir(path, 0700) == 0 || errno == EEXIST);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    unlink(path);
    if (!image->exists)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0 && write(fd, image->data, image->size) == (ssize_t)image->size);
    close(fd);
}

void fault_vfs_cut(size_t cut, uint64_t seed, const char *lying, const char *directory)
{
    struct image images[FILES_MAX] = {0};
    /* What comes before is on disk, of each file, and of the names of all. */
    size_t synced[FILES_MAX] = {0}, names_synced[2] = {0}, named[FILES_MAX] = {0};
    bool created[FILES_MAX] = {false};

    random_state = seed * 2654435761U + 1;
    for (size_t i = 0; i < cut; i++) {
        unsigned file = operations[i].file;

        created[file] |= operations[i].type == OPERATION_CREATE;
        if (operations[i].type == OPERATION_CREATE || operations[i].type == OPERATION_NAME)
            named[file] = i;
        if (operations[i].type != OPERATION_SYNC || (lying && fnmatch(lying, names[file], 0) == 0))
            continue;
        synced[file] = i;
        if (created[file])
            names_synced[directory_of(file)] = i;
        created[file] = false;
    }
    for (size_t i = 0; i < cut; i++) {
        const struct operation *operation = &operations[i];
        size_t certain = operation->type == OPERATION_DELETE
                             ? names_synced[directory_of(operation->file)]
                             : synced[operation->file];

        apply(&images[operation->file], operation, i < certain);
    }
    for (unsigned i = 0; i < names_count; i++) {
        /* What is in a file is of no use without its name. */
        if (named[i] > names_synced[directory_of(i)] && chance(2) == 0)
            images[i].exists = false;
        write_image(&images[i], directory, names[i]);
        free(images[i].data);
    }
}
