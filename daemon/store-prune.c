/* Retention: what lies below the horizon goes, the oldest first, a few messages at a time. What is
 * gone counts as had, so it never comes back. */

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "store-write-internal.h"

/* A step: rows of the oldest clocks. */
struct prune {
    struct store_writer *writer;
    uint64_t upto;                 /* the hlc up to which all goes */
    uint64_t hlc;                  /* of the document taken out last */
    size_t first_twins, allocated; /* ids of which the first stored goes, and others may stay */
    struct ring_id *twins;
    struct store_pruned *pruned; /* the step's result */
};

static int remember_twin(struct prune *prune, const struct ring_id *id)
{
    if (prune->first_twins == prune->allocated) {
        size_t allocated = MAX(16, 2 * prune->allocated);
        struct ring_id *twins = realloc(prune->twins, allocated * sizeof(*twins));

        if (!twins)
            return SQLITE_NOMEM;
        prune->twins = twins;
        prune->allocated = allocated;
    }
    prune->twins[prune->first_twins++] = *id;
    return SQLITE_OK;
}

/* Adds one message to the intervals of the step. */
static int report(struct prune *prune, const struct store_origin *origin, uint64_t seq)
{
    struct store_pruned *pruned = prune->pruned;
    struct store_pruned_interval *list;

    pruned->messages++;
    for (size_t i = pruned->count; i-- > 0;) {
        struct store_pruned_interval *at = &pruned->intervals[i];

        if (ring_id_equal(&at->origin, &origin->id) && at->interval.to + 1 == seq) {
            at->interval.to = seq;
            return SQLITE_OK;
        }
    }
    if (pruned->count == pruned->allocated) {
        size_t allocated = MAX(16, 2 * pruned->allocated);

        list = realloc(pruned->intervals, allocated * sizeof(*list));
        if (!list)
            return SQLITE_NOMEM;
        pruned->intervals = list;
        pruned->allocated = allocated;
    }
    pruned->intervals[pruned->count++] = (struct store_pruned_interval){origin->id, {seq, seq, 0}};
    return SQLITE_OK;
}

static int delete_late(struct store_writer *writer, uint64_t number)
{
    /* The newest one's number is where the next one counts from. */
    if (number == 0 || number == writer->last_late)
        return SQLITE_OK;
    sqlite3_bind_int64(writer->statements[STATEMENT_LATE_DELETE], 1, (sqlite3_int64)number);
    return store_writer_run(writer, STATEMENT_LATE_DELETE);
}

/* What is noted about a message beside its row. */
static int prune_row(struct prune *prune, sqlite3_stmt *row)
{
    struct store_writer *writer = prune->writer;
    const struct store_origin *origin;
    struct message_key key;
    struct ring_id id;
    int twin = sqlite3_column_int(row, 4);
    int result;

    if (!store_column_key(row, 0, &key) || !store_column_id(row, 5, &id) ||
        !(origin = store_origin_find(writer, &key.origin)))
        return SQLITE_CORRUPT;
    result = delete_late(writer, (uint64_t)sqlite3_column_int64(row, 3));
    if (result == SQLITE_OK && twin == 1)
        result = remember_twin(prune, &id);
    if (result == SQLITE_OK)
        result = twin == 2 ? store_writer_run(writer, STATEMENT_UNCOUNT_TWIN)
                           : store_rooms_subtract(writer, store_column_text(row, 6));
    if (result == SQLITE_OK && key.hlc != prune->hlc)
        result = store_index_remove(writer, key.hlc);
    prune->hlc = key.hlc;
    return result == SQLITE_OK ? report(prune, origin, key.seq) : result;
}

static int prune_rows(struct prune *prune)
{
    sqlite3_stmt *below = prune->writer->statements[STATEMENT_BELOW];
    sqlite3_stmt *texts = prune->writer->statements[STATEMENT_DELETE_LONG_UPTO];
    sqlite3_stmt *delete = prune->writer->statements[STATEMENT_DELETE_UPTO];
    int result = SQLITE_OK, step = SQLITE_DONE;

    sqlite3_bind_int64(below, 1, (sqlite3_int64)prune->upto);
    while (result == SQLITE_OK && (step = sqlite3_step(below)) == SQLITE_ROW)
        result = prune_row(prune, below);
    sqlite3_reset(below);
    if (result != SQLITE_OK || step != SQLITE_DONE)
        return result != SQLITE_OK ? result : step;
    sqlite3_bind_int64(texts, 1, (sqlite3_int64)prune->upto);
    result = store_writer_run(prune->writer, STATEMENT_DELETE_LONG_UPTO);
    if (result == SQLITE_OK)
        result = store_texts_prune(prune->writer->texts, prune->upto);
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(delete, 1, (sqlite3_int64)prune->upto);
    return store_writer_run(prune->writer, STATEMENT_DELETE_UPTO);
}

/* Of several messages with one id, the first is marked as such. */
static int promote_twin(struct store_writer *writer, const struct ring_id *id, uint64_t upto)
{
    sqlite3_stmt *first = writer->statements[STATEMENT_FIRST_OF_TWINS];
    int result, step;

    store_bind_id(first, 1, id);
    sqlite3_bind_int64(first, 2, (sqlite3_int64)upto);
    step = sqlite3_step(first);
    result = step == SQLITE_ROW || step == SQLITE_DONE ? SQLITE_OK : step;
    if (step == SQLITE_ROW) {
        result = store_rooms_add(writer, store_column_text(first, 0),
                                 (uint64_t)sqlite3_column_int64(first, 1),
                                 (uint64_t)sqlite3_column_int64(first, 2));
        if (result == SQLITE_OK)
            result = store_writer_run(writer, STATEMENT_UNCOUNT_TWIN);
    }
    sqlite3_reset(first);
    return result;
}

static int promote_twins(struct prune *prune)
{
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < prune->first_twins; i++)
        result = promote_twin(prune->writer, &prune->twins[i], prune->upto);
    return result;
}

/* Landmarks below the first message that is left serve nobody. */
static int prune_landmarks(struct store_writer *writer, struct store_origin *origin)
{
    sqlite3_stmt *delete = writer->statements[STATEMENT_LANDMARK_DELETE];
    const struct intervals *pruned = &origin->pruned;
    uint64_t first = pruned->count > 0 ? pruned->list[0].to + 1 : 0;

    if (first == 0 || pruned->list[0].from > origin->held.list[0].from)
        return SQLITE_OK;
    origin->landmark.seq = origin->landmark.next = 0;
    sqlite3_bind_int64(delete, 1, origin->number);
    sqlite3_bind_int64(delete, 2, (sqlite3_int64)first);
    return store_writer_run(writer, STATEMENT_LANDMARK_DELETE);
}

static int note_pruned(struct prune *prune)
{
    struct store_writer *writer = prune->writer;
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < prune->pruned->count; i++) {
        const struct store_pruned_interval *one = &prune->pruned->intervals[i];
        struct store_origin *origin = store_origin_find(writer, &one->origin);

        result = store_origin_prune(writer, origin, one->interval);
        if (result == SQLITE_OK)
            result = prune_landmarks(writer, origin);
    }
    if (result != SQLITE_OK)
        return result;
    sqlite3_bind_int64(writer->statements[STATEMENT_SPAN_DELETE], 1, (sqlite3_int64)prune->upto);
    memset(writer->spans, 0, sizeof(writer->spans));
    return store_writer_run(writer, STATEMENT_SPAN_DELETE);
}

/* The number of messages that a step removes, and the hlc of the last one. */
static int find_oldest(struct store_writer *writer, int64_t *ret_count, uint64_t *ret_hlc)
{
    sqlite3_stmt *oldest = writer->statements[STATEMENT_OLDEST];
    int result;

    sqlite3_bind_int64(oldest, 1, store_sortable(writer->horizon));
    sqlite3_bind_int64(oldest, 2, PRUNE_STEP_ROWS);
    result = sqlite3_step(oldest);
    if (result == SQLITE_ROW) {
        *ret_hlc = (uint64_t)sqlite3_column_int64(oldest, 0);
        *ret_count = sqlite3_column_int64(oldest, 1);
    }
    sqlite3_reset(oldest);
    return result == SQLITE_ROW ? SQLITE_OK : result;
}

int store_prune_step(struct store_writer *writer, struct store_pruned *ret)
{
    struct prune prune = {.writer = writer, .pruned = ret};
    int64_t count = 0;
    int result = SQLITE_OK;

    if (writer->horizon > 0)
        result = find_oldest(writer, &count, &prune.upto);
    if (result != SQLITE_OK || count == 0)
        return result;
    result = store_writer_begin(writer);
    if (result == SQLITE_OK)
        result = prune_rows(&prune);
    if (result == SQLITE_OK)
        result = promote_twins(&prune);
    if (result == SQLITE_OK)
        result = note_pruned(&prune);
    free(prune.twins);
    return result;
}

/* ---- the file's size ---- */

int store_shrink_step(struct store_writer *writer, bool *ret_more)
{
    sqlite3_stmt *pages = writer->statements[STATEMENT_FREE_PAGES];
    sqlite3_stmt *shrink = writer->statements[STATEMENT_SHRINK];
    int64_t free_pages = 0;
    int result = sqlite3_step(pages);

    if (result == SQLITE_ROW)
        free_pages = sqlite3_column_int64(pages, 0);
    sqlite3_reset(pages);
    *ret_more = free_pages > SHRINK_PAGES_MIN;
    if (result != SQLITE_ROW || !*ret_more)
        return result == SQLITE_ROW ? SQLITE_OK : result;
    while ((result = sqlite3_step(shrink)) == SQLITE_ROW)
        ;
    sqlite3_reset(shrink);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}
