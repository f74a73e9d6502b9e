#include "store-text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/util.h"
#include "store-schema.h"
#include "store-segment.h"

/* Of one handle. */
struct reader {
    sqlite3 *database;
    bool has_series;
    uint32_t series;
    struct store_segment segments[STORE_SEGMENTS_OPEN]; /* those read last */
    size_t next;                                        /* the one that is closed for another */
};

static int read_series(struct reader *reader)
{
    int64_t series = 0;
    int result = store_read_number(reader->database, "SELECT series FROM state", &series);

    if (result == SQLITE_OK) {
        reader->series = (uint32_t)series;
        reader->has_series = true;
    }
    return result;
}

static int is_known(sqlite3 *database, uint32_t number, int64_t *ret)
{
    char text[96];

    snprintf(text, sizeof(text), "SELECT EXISTS (SELECT 1 FROM segment WHERE number = %u)", number);
    return store_read_number(database, text, ret);
}

/* What this transaction knows and a new one does not, retention has removed. */
static int find_out_why_missing(struct reader *reader, uint32_t number)
{
    int64_t was_known = 0, known = 0;
    sqlite3 *fresh = NULL;
    int result = is_known(reader->database, number, &was_known);

    if (result == SQLITE_OK && was_known)
        result = sqlite3_open_v2(sqlite3_db_filename(reader->database, "main"), &fresh,
                                 SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK && was_known)
        result = sqlite3_busy_timeout(fresh, STORE_BUSY_MSEC);
    if (result == SQLITE_OK && was_known)
        result = is_known(fresh, number, &known);
    sqlite3_close(fresh);
    if (result != SQLITE_OK)
        return result;
    return was_known && !known ? SQLITE_NOTFOUND : SQLITE_CORRUPT;
}

static int find_segment(struct reader *reader, uint32_t number, struct store_segment **ret)
{
    struct store_segment *place = &reader->segments[reader->next];
    int result = SQLITE_OK;

    for (size_t i = 0; i < ELEMENTS(reader->segments); i++) {
        if (reader->segments[i].file && reader->segments[i].number == number) {
            *ret = &reader->segments[i];
            return SQLITE_OK;
        }
    }
    if (!reader->has_series)
        result = read_series(reader);
    if (result != SQLITE_OK)
        return result;
    store_segment_close(place);
    result = store_segment_open(reader->database, reader->series, number, false, place);
    if (result != SQLITE_OK)
        return result == SQLITE_NOTFOUND ? find_out_why_missing(reader, number) : result;
    reader->next = (reader->next + 1) % ELEMENTS(reader->segments);
    *ret = place;
    return SQLITE_OK;
}

static void stored_text(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct reader *reader = sqlite3_user_data(context);
    sqlite3_int64 place = sqlite3_value_int64(values[0]);
    struct store_segment *segment;
    struct ring_id id;
    char *text;
    size_t size;
    int result;

    (void)count;
    if (place >= 0 || place == INT64_MIN || sqlite3_value_bytes(values[1]) != sizeof(id.bytes))
        return;
    memcpy(id.bytes, sqlite3_value_blob(values[1]), sizeof(id.bytes));
    result = find_segment(reader, (uint32_t)(-place >> 32), &segment);
    if (result == SQLITE_OK)
        result = store_segment_read(segment, -place, &id, &text, &size);
    if (result == SQLITE_OK)
        sqlite3_result_text64(context, text, size, sqlite3_free, SQLITE_UTF8);
    else
        sqlite3_result_error_code(context, result);
}

static void reader_free(void *userdata)
{
    struct reader *reader = userdata;

    for (size_t i = 0; i < ELEMENTS(reader->segments); i++)
        store_segment_close(&reader->segments[i]);
    free(reader);
}

int store_text_add_function(sqlite3 *database)
{
    struct reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return SQLITE_NOMEM;
    reader->database = database;
    /* It frees the reader, also where it fails. */
    return sqlite3_create_function_v2(database, "stored_text", 2, SQLITE_UTF8, reader, stored_text,
                                      NULL, NULL, reader_free);
}
