/* A loss of power. */

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"
#include "fault-vfs-internal.h"

#define SECTOR 512

static unsigned directory_of(unsigned file)
{
    return strchr(fault_log.names[file], '/') ? 1 : 0;
}

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
    case OPERATION_FAILED_SYNC:
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
    size_t dropped[FILES_MAX] = {0}; /* what comes before was not, when it was to be */
    bool created[FILES_MAX] = {false};

    random_state = seed * 2654435761U + 1;
    for (size_t i = 0; i < cut; i++) {
        unsigned file = fault_log.operations[i].file;

        created[file] |= fault_log.operations[i].type == OPERATION_CREATE;
        if (fault_log.operations[i].type == OPERATION_CREATE ||
            fault_log.operations[i].type == OPERATION_NAME)
            named[file] = i;
        if (fault_log.operations[i].type == OPERATION_FAILED_SYNC)
            dropped[file] = i;
        if (fault_log.operations[i].type != OPERATION_SYNC ||
            (lying && fnmatch(lying, fault_log.names[file], 0) == 0))
            continue;
        for (size_t j = MAX(synced[file], dropped[file]); j < i; j++)
            fault_log.operations[j].certain |= fault_log.operations[j].file == file;
        synced[file] = i;
        if (created[file])
            names_synced[directory_of(file)] = i;
        created[file] = false;
    }
    for (size_t i = 0; i < cut; i++) {
        const struct operation *operation = &fault_log.operations[i];
        bool certain = operation->type == OPERATION_DELETE
                           ? i < names_synced[directory_of(operation->file)]
                           : operation->certain;

        apply(&images[operation->file], operation, certain);
        fault_log.operations[i].certain = false;
    }
    for (unsigned i = 0; i < fault_log.names_count; i++) {
        /* What is in a file is of no use without its name. */
        if (named[i] > names_synced[directory_of(i)] && chance(2) == 0)
            images[i].exists = false;
        write_image(&images[i], directory, fault_log.names[i]);
        free(images[i].data);
    }
}
