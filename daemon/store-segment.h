#pragma once

/* A file of texts that are too long for the rows of their messages: written once, to its end, and
 * never again. Each has 16 bytes before it, little-endian: its length (8), and a sum of it (8) that
 * tells whether it is the text of that message at that place.
 *
 * They are opened through SQLite's file layer, and lie in the directory PATH-texts beside the
 * database at PATH. A name is 16 hexadecimal digits: the database's `series`, which tells its
 * segments from those of any other, and the segment's number. Results are SQLite's codes. */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/ring.h"

#define STORE_TEXTS_SUFFIX "-texts"
#define STORE_SEGMENT_NAME_DIGITS 16
#define STORE_RECORD_HEADER 16

struct store_segment {
    uint32_t number;
    sqlite3_file *file; /* NULL: it is not open */
    char *path;
};

/* A place in the texts: 63 bits, never 0. */
static inline int64_t store_text_place(uint32_t segment, uint32_t offset)
{
    return (int64_t)segment << 32 | offset;
}

/* The path of a segment of the database, to be freed. NULL: no memory. */
char *store_segment_path(sqlite3 *database, uint32_t series, uint32_t number);

/* The layer in which the database's files are. */
sqlite3_vfs *store_segment_layer(sqlite3 *database);

/* Opens a segment, for reading or (`write`) for both, and then makes it where there is none; its
 * first sync then is one of the directory too. SQLITE_NOTFOUND: there is none. */
int store_segment_open(sqlite3 *database, uint32_t series, uint32_t number, bool write,
                       struct store_segment *ret);
void store_segment_close(struct store_segment *segment);

/* What goes before a text. */
void store_segment_make_header(int64_t place, const struct ring_id *id, struct bytes text,
                               uint8_t ret[STORE_RECORD_HEADER]);

/* The text of the message `id` at that place, to be given to sqlite3_free(). SQLITE_CORRUPT: it is
 * not there. */
int store_segment_read(const struct store_segment *segment, int64_t place, const struct ring_id *id,
                       char **ret, size_t *ret_size);
