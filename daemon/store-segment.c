#include "store-segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/byteorder.h"
#include "common/cleanup.h"

/* ---- the sum ---- */

/* Against accidents only: four lanes, each of which takes every fourth word, are quicker than what
 * the text is read with. An odd factor keeps all that a lane has taken. */
#define LANES 4
#define STRIPE (LANES * sizeof(uint64_t))
#define FACTOR 0x9e3779b97f4a7c15ULL

static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * FACTOR;
    return sum << 29 | sum >> 35;
}

static void add_stripe(uint64_t lanes[LANES], const uint8_t *stripe)
{
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = mix(lanes[i], get_le64(stripe + i * sizeof(uint64_t)));
}

static uint64_t sum_of(int64_t place, const struct ring_id *id, const char *text, size_t size)
{
    uint64_t lanes[LANES] = {(uint64_t)place, get_le64(id->bytes), get_le64(id->bytes + 8), size};
    const uint8_t *at = (const uint8_t *)text, *end = at + size;
    uint8_t rest[STRIPE] = {0};
    uint64_t sum = 0;

    for (; (size_t)(end - at) >= STRIPE; at += STRIPE)
        add_stripe(lanes, at);
    memcpy(rest, at, (size_t)(end - at));
    add_stripe(lanes, rest);
    for (size_t i = 0; i < LANES; i++)
        sum = mix(sum, lanes[i]);
    return sum ^ sum >> 32;
}

/* ---- files ---- */

char *store_segment_path(sqlite3 *database, uint32_t series, uint32_t number)
{
    char *path;

    if (asprintf(&path, "%s" STORE_TEXTS_SUFFIX "/%08" PRIx32 "%08" PRIx32,
                 sqlite3_db_filename(database, "main"), series, number) < 0)
        return NULL;
    return path;
}

sqlite3_vfs *store_segment_layer(sqlite3 *database)
{
    sqlite3_vfs *layer = NULL;

    sqlite3_file_control(database, "main", SQLITE_FCNTL_VFS_POINTER, (void *)&layer);
    return layer;
}

/* As SQLite opens its log: with the mode and owner of the database, and without locks. */
static int open_file(sqlite3_vfs *layer, const char *path, bool write, sqlite3_file *file)
{
    int flags = SQLITE_OPEN_WAL |
                (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int result = layer->xOpen(layer, path, file, flags, &flags);

    if (result == SQLITE_OK && write && (flags & SQLITE_OPEN_READONLY)) {
        file->pMethods->xClose(file);
        return SQLITE_READONLY;
    }
    return result == SQLITE_CANTOPEN && !write && access(path, F_OK) < 0 && errno == ENOENT
               ? SQLITE_NOTFOUND
               : result;
}

int store_segment_open(sqlite3 *database, uint32_t series, uint32_t number, bool write,
                       struct store_segment *ret)
{
    sqlite3_vfs *layer = store_segment_layer(database);
    _cleanup_free_ char *path = store_segment_path(database, series, number);
    sqlite3_file *file = layer ? calloc(1, (size_t)layer->szOsFile) : NULL;
    int result = path && file ? open_file(layer, path, write, file) : SQLITE_NOMEM;

    if (result != SQLITE_OK) {
        free(file);
        return result;
    }
    *ret = (struct store_segment){.number = number, .file = file, .path = steal_pointer(path)};
    return SQLITE_OK;
}

void store_segment_close(struct store_segment *segment)
{
    if (segment->file)
        segment->file->pMethods->xClose(segment->file);
    free(segment->file);
    free(segment->path);
    *segment = (struct store_segment){0};
}

/* ---- texts ---- */

void store_segment_make_header(int64_t place, const struct ring_id *id, struct bytes text,
                               uint8_t ret[STORE_RECORD_HEADER])
{
    put_le64(ret, text.size);
    put_le64(ret + 8, sum_of(place, id, text.data, text.size));
}

/* Behind the end there is no text. */
static int read_at(sqlite3_file *file, void *data, size_t size, sqlite3_int64 at)
{
    int result = file->pMethods->xRead(file, data, (int)size, at);

    return result == SQLITE_IOERR_SHORT_READ ? SQLITE_CORRUPT : result;
}

int store_segment_read(const struct store_segment *segment, int64_t place, const struct ring_id *id,
                       char **ret, size_t *ret_size)
{
    sqlite3_int64 at = place & UINT32_MAX;
    uint8_t header[STORE_RECORD_HEADER];
    char *text = NULL;
    uint64_t size = 0;
    int result = read_at(segment->file, header, sizeof(header), at);

    if (result == SQLITE_OK && (size = get_le64(header)) > TEXT_BYTES_MAX)
        result = SQLITE_CORRUPT;
    if (result == SQLITE_OK && !(text = sqlite3_malloc64(size + 1)))
        result = SQLITE_NOMEM;
    if (result == SQLITE_OK)
        result = read_at(segment->file, text, size, at + STORE_RECORD_HEADER);
    if (result == SQLITE_OK && sum_of(place, id, text, size) != get_le64(header + 8))
        result = SQLITE_CORRUPT;
    if (result != SQLITE_OK) {
        sqlite3_free(text);
        return result;
    }
    *ret = text;
    *ret_size = size;
    return SQLITE_OK;
}
