/* The index of words, filled behind the commits: in it five times slower.
 *
 * All messages of one hlc are one document, whose number is the hlc: so the index answers in the
 * order of the history. The index has no texts of its own; to take a document out it is given the
 * text again. Whoever finds a document looks at its messages, so that a word of one of them that is
 * found at another does no harm. */

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "store-write-internal.h"

/* ---- one document ---- */

/* The texts of the messages of one hlc, with a blank between them. */
struct document {
    char *text;
    size_t size, allocated;
};

static bool document_add(struct document *document, const char *text, size_t size)
{
    size_t needed = document->size + size + 1;

    if (needed > document->allocated) {
        size_t allocated = MAX(needed, 2 * document->allocated);
        char *grown = realloc(document->text, allocated);

        if (!grown)
            return false;
        document->text = grown;
        document->allocated = allocated;
    }
    memcpy(document->text + document->size, text, size);
    document->text[document->size + size] = ' ';
    document->size = needed;
    return true;
}

/* What the index has of one hlc, and what it shall have. */
struct change {
    struct document before, after;
};

static void change_done(struct change *change)
{
    free(change->before.text);
    free(change->after.text);
}

static int take_text(struct change *change, sqlite3_stmt *row, bool was, bool will)
{
    bool missing = sqlite3_column_type(row, 2) == SQLITE_NULL;
    const char *text = (const char *)sqlite3_column_text(row, 2);
    size_t size = (size_t)sqlite3_column_bytes(row, 2);

    if (!text)
        return missing ? SQLITE_CORRUPT : SQLITE_NOMEM;
    if ((was && !document_add(&change->before, text, size)) ||
        (will && !document_add(&change->after, text, size)))
        return SQLITE_NOMEM;
    return SQLITE_OK;
}

static int write_document(struct store_writer *writer, enum store_statement which, uint64_t hlc,
                          const struct document *document)
{
    sqlite3_stmt *statement = writer->statements[which];
    int result;

    if (document->size == 0)
        return SQLITE_OK;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)hlc);
    sqlite3_bind_text64(statement, 2, document->text, document->size, SQLITE_STATIC, SQLITE_UTF8);
    result = store_writer_run(writer, which);
    sqlite3_bind_null(statement, 2);
    return result;
}

/* ---- a step ---- */

/* A message whose words come into the index. */
struct entry {
    uint64_t hlc, seq;
    const struct store_origin *origin;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    if (left->hlc != right->hlc)
        return left->hlc < right->hlc ? -1 : 1;
    return 0;
}

static bool is_among(const struct entry *entries, size_t count, const struct store_origin *origin,
                     uint64_t seq)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].origin == origin && entries[i].seq == seq)
            return true;
    }
    return false;
}

/* The document of one hlc, to which these entries (0: none, it shall be empty) are added. */
static int change_document(struct store_writer *writer, uint64_t hlc, const struct entry *entries,
                           size_t count)
{
    sqlite3_stmt *same = writer->statements[STATEMENT_SAME_HLC];
    struct change change = {0};
    int result = SQLITE_OK, step = SQLITE_DONE;

    sqlite3_bind_int64(same, 1, (sqlite3_int64)hlc);
    while (result == SQLITE_OK && (step = sqlite3_step(same)) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(same, 1);
        const struct store_origin *origin;
        struct ring_id id;
        bool was;

        if (!store_column_id(same, 0, &id) || !(origin = store_origin_find(writer, &id))) {
            result = SQLITE_CORRUPT;
            break;
        }
        was = intervals_contain(&origin->indexed, seq);
        result = take_text(&change, same, was,
                           count > 0 && (was || is_among(entries, count, origin, seq)));
    }
    sqlite3_reset(same);
    if (result == SQLITE_OK && step != SQLITE_DONE)
        result = step;
    if (result == SQLITE_OK)
        result = write_document(writer, STATEMENT_WORDS_DELETE, hlc, &change.before);
    if (result == SQLITE_OK)
        result = write_document(writer, STATEMENT_WORDS_INSERT, hlc, &change.after);
    change_done(&change);
    return result;
}

int store_index_remove(struct store_writer *writer, uint64_t hlc)
{
    return change_document(writer, hlc, NULL, 0);
}

/* The documents ascend, as the index has it best. */
static int index_entries(struct store_writer *writer, struct entry *entries, size_t count)
{
    int result = SQLITE_OK;

    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0, next; result == SQLITE_OK && i < count; i = next) {
        for (next = i + 1; next < count && entries[next].hlc == entries[i].hlc; next++)
            ;
        result = change_document(writer, entries[i].hlc, entries + i, next - i);
    }
    return result;
}

/* The newest messages that are not indexed yet. False: all of the origin are. */
static bool newest_missing(const struct store_origin *origin, struct ring_interval *ret)
{
    static const struct ring_interval all = {1, INT64_MAX, 0};

    return intervals_highest_missing(&origin->held, &origin->indexed, &all, ret);
}

static int index_some(struct store_writer *writer, struct store_origin *origin,
                      struct ring_interval interval, size_t bytes)
{
    struct ring_output fetch = {
        .fetch = {
            .origin = origin->id, .from = interval.from, .to = interval.to, .bytes_max = bytes}};
    struct packet **packets = NULL;
    struct entry *entries = NULL;
    size_t count = 0;
    int result = store_writer_fetch(writer, &fetch, &packets, &count);

    if (result == SQLITE_OK && count > 0 && !(entries = calloc(count, sizeof(*entries))))
        result = SQLITE_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct message message;

        if (entries && message_unpack(packets[i], &message) == 0)
            entries[i] = (struct entry){message.key.hlc, message.key.seq, origin};
        packet_unref(packets[i]);
    }
    free(packets);
    /* What is noted as held and is not there shall not be looked for for ever. */
    if (count > 0 && entries)
        interval.from = entries[0].seq;
    if (result == SQLITE_OK)
        result = index_entries(writer, entries, count);
    free(entries);
    return result == SQLITE_OK ? store_origin_index(writer, origin, interval) : result;
}

int store_index_step(struct store_writer *writer, size_t bytes, bool *ret_more)
{
    struct ring_interval interval;

    *ret_more = false;
    for (size_t i = 0; i < writer->count; i++) {
        struct store_origin *origin = writer->origins[i];
        int result;

        if (!newest_missing(origin, &interval))
            continue;
        *ret_more = true;
        result = store_writer_begin(writer);
        return result == SQLITE_OK ? index_some(writer, origin, interval, bytes) : result;
    }
    return SQLITE_OK;
}
