/* Pages of the history and of a tail.
 *
 * The history shows a message once, at the smallest key that it was delivered under. A tail shows
 * it when it is first delivered: a position covers every unmarked delivery up to its key and every
 * late one up to its number; what it covers has been shown, or lay before the tail's beginning, and
 * no other key of the same message is shown after it. */

#include <errno.h>

#include "common/check.h"
#include "common/util.h"
#include "history-internal.h"

void history_page_done(struct history_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        packet_unref(page->items[i].packet);
    free(page->items);
    *page = (struct history_page){0};
}

int history_page_new(size_t count, struct history_page *ret)
{
    *ret = (struct history_page){.items = calloc(MAX(count, 1), sizeof(struct history_item))};
    return ret->items ? 0 : -ENOMEM;
}

struct history_item *history_page_add(struct history_page *page, struct packet *packet)
{
    struct history_item *item = &page->items[page->count++];

    *item = (struct history_item){.packet = packet};
    page->bytes += packet->size;
    return item;
}

bool history_page_is_full(const struct history_page *page, size_t count)
{
    return page->count == count || page->bytes >= READ_PAGE_BYTES;
}

void history_bind_key(sqlite3_stmt *statement, const struct message_key *key)
{
    sqlite3_bind_int64(statement, 1, store_sortable(key->hlc));
    store_bind_id(statement, 2, &key->origin);
    sqlite3_bind_int64(statement, 3, store_sortable(key->seq));
}

/* ---- what is shown ---- */

int history_read_row(const struct history *history, sqlite3_stmt *statement,
                     struct history_row *ret)
{
    if (!store_column_key(statement, 0, &ret->key))
        return -EUCLEAN;
    ret->late = (uint64_t)sqlite3_column_int64(statement, STORE_ROW_LATE);
    if (ret->late == 0 && key_set_contains(&history->late, &ret->key))
        ret->late = UINT64_MAX;
    return 0;
}

bool history_covers(const struct history_position *position, const struct history_row *row)
{
    if (row->late > 0)
        return row->late <= position->late;
    return message_key_compare(&row->key, &position->key) <= 0;
}

/* Whether none of the same id goes before this row: of those delivered, and covered by the position
 * if one is given, the smallest key goes first. 0 or a negative errno. */
static int is_first(const struct history *history, sqlite3_stmt *statement,
                    const struct history_row *row, const struct history_position *position,
                    bool *ret)
{
    sqlite3_stmt *same = history->statements[HISTORY_SAME_ID];
    int result = SQLITE_DONE, error = 0;
    struct ring_id id;

    *ret = true;
    if (sqlite3_column_int(statement, STORE_ROW_TWIN) == 0)
        return 0;
    if (!store_column_id(statement, STORE_ROW_ID, &id))
        return -EUCLEAN;
    store_bind_id(same, 1, &id);
    while (error == 0 && (result = sqlite3_step(same)) == SQLITE_ROW) {
        struct history_row other;

        error = history_read_row(history, same, &other);
        if (error == 0 && !history_is_hidden(history, &other.key) &&
            (!position || history_covers(position, &other))) {
            *ret = message_key_compare(&other.key, &row->key) == 0;
            break;
        }
    }
    sqlite3_reset(same);
    return error < 0 ? error : store_schema_errno(result);
}

int history_show(const struct history *history, sqlite3_stmt *statement,
                 const struct history_row *row, const struct history_position *position,
                 struct history_page *page)
{
    struct packet *packet;
    bool first;
    int result = is_first(history, statement, row, position, &first);

    if (result < 0 || !first)
        return result;
    result = store_row_packet(statement, &packet);
    if (result < 0)
        return result;
    history_page_add(page, packet);
    return 1;
}

/* ---- the history ---- */

static void reverse(struct history_page *page)
{
    for (size_t i = 0; i < page->count / 2; i++) {
        struct history_item swap = page->items[i];

        page->items[i] = page->items[page->count - 1 - i];
        page->items[page->count - 1 - i] = swap;
    }
}

/* Goes on from each item to the next, and from the last one to what is delivered later. */
static void set_positions_in_last(struct history_page *page, const struct history_position *end)
{
    const struct message_key upto =
        page->count > 0 ? page->items[page->count - 1].position.key : end->key;

    for (size_t i = 0; i < page->count; i++) {
        struct history_position *position = &page->items[i].position;
        struct message_key key = position->key;

        *position = *end;
        if (i + 1 < page->count) {
            position->from = key;
            position->upto = upto;
        }
    }
}

static int read_down(struct history *history, size_t count, const struct history_position *end,
                     struct history_page *page)
{
    sqlite3_stmt *statement = history->statements[HISTORY_DOWN];
    int result = SQLITE_ROW, error = 0;
    struct history_row row;

    while (error >= 0 && page->count < count && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        error = history_read_row(history, statement, &row);
        if (error == 0 && !history_is_hidden(history, &row.key) && history_covers(end, &row))
            error = history_show(history, statement, &row, end, page);
        if (error > 0)
            page->items[page->count - 1].position.key = row.key;
    }
    sqlite3_reset(statement);
    /* Below what retention has just taken there is nothing. */
    if (result == SQLITE_NOTFOUND)
        return 0;
    return error < 0 ? error : store_schema_errno(result);
}

int history_last(struct history *history, size_t count, struct history_page *ret,
                 struct history_position *ret_position)
{
    struct history_position end = {.key = history->top};
    struct history_page page = {0};
    int result = history_advance_late(history);

    end.late = history->late_shown;
    if (result == 0)
        result = history_page_new(count, &page);
    if (result == 0)
        result = read_down(history, count, &end, &page);
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    reverse(&page);
    set_positions_in_last(&page, &end);
    page.end = true;
    *ret_position = end;
    *ret = page;
    return 0;
}

int history_newest(struct history *history, struct message_key *ret)
{
    struct history_position unused;
    struct history_page page;
    struct message message;
    int result = history_last(history, 1, &page, &unused);

    if (result < 0)
        return result;
    *ret = (struct message_key){0};
    if (page.count > 0 && message_unpack(page.items[0].packet, &message) == 0)
        *ret = message.key;
    history_page_done(&page);
    return 0;
}

int history_read(struct history *history, const struct message_key *after, size_t count,
                 struct history_page *ret)
{
    sqlite3_stmt *statement = history->statements[HISTORY_ABOVE];
    struct history_page page;
    int result = SQLITE_ROW, error = history_page_new(count, &page);
    struct history_row row;

    history_bind_key(statement, after);
    while (error >= 0 && page.count < count && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        error = history_read_row(history, statement, &row);
        if (error == 0 && !history_is_hidden(history, &row.key))
            error = history_show(history, statement, &row, NULL, &page);
        if (error > 0)
            page.items[page.count - 1].position.key = row.key;
    }
    sqlite3_reset(statement);
    if (error >= 0)
        error = store_schema_errno(result);
    /* What comes next retention has just taken: the next call does not see it. */
    if (error == -ESTALE)
        error = 0;
    if (error < 0) {
        history_page_done(&page);
        return error;
    }
    page.end = result == SQLITE_DONE;
    *ret = page;
    return 0;
}

/* ---- a tail ---- */

/* What is left of history_last()'s messages. */
static int read_rest_of_last(struct history *history, struct history_position *at, size_t count,
                             struct history_page *page)
{
    sqlite3_stmt *statement = history->statements[HISTORY_ABOVE];
    const struct message_key upto = at->upto;
    int result = SQLITE_ROW, error = 0;
    struct history_row row;

    if (message_key_compare(&at->from, &upto) >= 0)
        return 0;
    history_bind_key(statement, &at->from);
    while (error >= 0 && !history_page_is_full(page, count) &&
           (result = sqlite3_step(statement)) == SQLITE_ROW) {
        error = history_read_row(history, statement, &row);
        if (error < 0 || message_key_compare(&row.key, &upto) > 0)
            break;
        if (!history_is_hidden(history, &row.key) && history_covers(at, &row))
            error = history_show(history, statement, &row, at, page);
        at->from = row.key;
        if (error > 0)
            page->items[page->count - 1].position = *at;
    }
    sqlite3_reset(statement);
    if (!history_page_is_full(page, count))
        at->from = at->upto = (struct message_key){0};
    return error < 0 ? error : store_schema_errno(result);
}

static int read_late(struct history *history, struct history_position *at, size_t count,
                     struct history_page *page)
{
    sqlite3_stmt *statement = history->statements[HISTORY_LATE];
    int result = SQLITE_ROW, error = 0;
    struct history_row row;

    sqlite3_bind_int64(statement, 1, store_sortable(at->late));
    sqlite3_bind_int64(statement, 2, store_sortable(history->late_shown));
    while (error >= 0 && !history_page_is_full(page, count) &&
           (result = sqlite3_step(statement)) == SQLITE_ROW) {
        error = history_read_row(history, statement, &row);
        if (error == 0)
            error = history_show(history, statement, &row, at, page);
        at->late = row.late;
        if (error > 0) {
            page->items[page->count - 1].late = true;
            page->items[page->count - 1].position = *at;
        }
    }
    sqlite3_reset(statement);
    return error < 0 ? error : store_schema_errno(result);
}

/* ---- unmarked messages in a tail, past runs of late ones ---- */

static struct history_skip *find_skip(struct history *history, const struct message_key *key)
{
    for (size_t i = 0; i < READ_SKIPS_MAX; i++) {
        struct history_skip *skip = &history->skips[i];

        if (message_key_compare(&skip->from, key) <= 0 && message_key_compare(key, &skip->upto) < 0)
            return skip;
    }
    return NULL;
}

/* No unmarked message ever comes between: those that are still to be delivered lie above. */
static void remember_skip(struct history *history, struct message_key from, struct message_key upto)
{
    for (size_t i = 0; i < READ_SKIPS_MAX; i++) {
        struct history_skip *skip = &history->skips[i];

        if (message_key_compare(&skip->from, &upto) > 0 ||
            message_key_compare(&from, &skip->upto) > 0)
            continue;
        if (message_key_compare(&from, &skip->from) < 0)
            skip->from = from;
        if (message_key_compare(&upto, &skip->upto) > 0)
            skip->upto = upto;
        return;
    }
    history->skips[history->next_skip] = (struct history_skip){from, upto};
    history->next_skip = (history->next_skip + 1) % READ_SKIPS_MAX;
}

/* Whether an unmarked row up to the highest delivered key is to be passed over: it is late, or will
 * be when it is delivered. */
static bool is_passed_over(const struct history *history, const struct history_row *row)
{
    return row->late > 0 || history_is_hidden(history, &row->key);
}

/* 1: there is more. 0: that was all. Or a negative errno. */
static int read_unmarked(struct history *history, struct history_position *at, size_t count,
                         struct history_page *page)
{
    sqlite3_stmt *statement = history->statements[HISTORY_ABOVE];
    const struct history_skip *skip = find_skip(history, &at->key);
    struct message_key from = skip ? skip->from : at->key, last = skip ? skip->upto : at->key;
    size_t passed = 0;
    int result = SQLITE_ROW, error = 0;
    struct history_row row;

    history_bind_key(statement, &last);
    while (error >= 0 && !history_page_is_full(page, count) && passed < READ_SKIP_ROWS_MAX &&
           message_key_compare(&last, &history->top) < 0 &&
           (result = sqlite3_step(statement)) == SQLITE_ROW) {
        error = history_read_row(history, statement, &row);
        if (error < 0 || message_key_compare(&row.key, &history->top) > 0)
            break;
        if (is_passed_over(history, &row)) {
            last = row.key;
            passed++;
            continue;
        }
        if (passed >= READ_SKIP_ROWS_MIN)
            remember_skip(history, from, last);
        error = history_show(history, statement, &row, at, page);
        at->key = from = last = row.key;
        passed = 0;
        if (error > 0)
            page->items[page->count - 1].position = *at;
    }
    sqlite3_reset(statement);
    if (passed >= READ_SKIP_ROWS_MIN)
        remember_skip(history, from, last);
    if (error < 0 || store_schema_errno(result) < 0)
        return error < 0 ? error : store_schema_errno(result);
    return history_page_is_full(page, count) || passed == READ_SKIP_ROWS_MAX;
}

uint64_t history_tail_reads(const struct history *history)
{
    return history->tail_reads;
}

int history_read_after(struct history *history, const struct history_position *position,
                       size_t count, struct history_page *ret)
{
    struct history_position at = *position;
    struct history_page page = {0};
    int result = history_page_new(count, &page);

    if (result == 0 && history_recent_read(history, position, count, &page)) {
        *ret = page;
        return 0;
    }
    history->tail_reads++;
    if (result == 0)
        result = history_advance_late(history);
    if (result == 0)
        result = read_rest_of_last(history, &at, count, &page);
    if (result == 0)
        result = read_late(history, &at, count, &page);
    if (result == 0)
        result = read_unmarked(history, &at, count, &page);
    /* As in history_read(). */
    if (result == -ESTALE)
        result = 1;
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    page.end = result == 0;
    *ret = page;
    return 0;
}
