/* Searching the history.
 *
 * Times narrow down the clocks between which the messages lie. Within these, words are looked up in
 * the index, whose documents are numbered by clock and so come in the history's order; where some
 * messages are not indexed yet, all are read instead. Stretches of both kinds take turns. Whatever
 * is found is looked at itself: the index alone decides nothing. */

#include "history-search.h"

#include <errno.h>
#include <string.h>

#include "common/check.h"
#include "common/message.h"
#include "common/util.h"
#include "history-internal.h"
#include "history-match.h"
#include "history-unindexed.h"

/* Clocks between which everything is done in one way. */
struct stretch {
    bool valid;
    uint64_t low, high; /* both included */
    bool read;          /* all of it, because some of it is not indexed */
    size_t count, next; /* else: the documents found, in the direction */
    uint64_t documents[SEARCH_DOCUMENTS];
};

struct history_search {
    struct history *history;
    uint64_t since, until;
    char *user, *room, *node;
    const struct history_position *upto;
    struct match *match;
    uint64_t low, high; /* the clocks that times leave */
    bool down, ended;
    struct message_key at; /* what comes before it has been looked at */
    struct stretch stretch;
};

/* ---- what is asked for ---- */

static int copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

/* Bounds of the clocks of what was sent between these times. */
static int narrow_down(struct history_search *search)
{
    sqlite3_stmt *spans = search->history->statements[HISTORY_SPANS];
    int result;

    search->low = 0;
    search->high = INT64_MAX;
    if (search->since == 0 && search->until == UINT64_MAX)
        return 0;
    sqlite3_bind_int64(spans, 1, (sqlite3_int64)(search->since / SPAN_USEC));
    sqlite3_bind_int64(spans, 2, (sqlite3_int64)(search->until / SPAN_USEC));
    result = sqlite3_step(spans);
    if (result == SQLITE_ROW && sqlite3_column_type(spans, 0) != SQLITE_NULL) {
        search->low = (uint64_t)sqlite3_column_int64(spans, 0);
        search->high = (uint64_t)sqlite3_column_int64(spans, 1);
    } else if (result == SQLITE_ROW) {
        search->low = INT64_MAX;
        search->high = 0;
    }
    sqlite3_reset(spans);
    return store_schema_errno(result);
}

int history_search_new(struct history *history, const struct history_query *query,
                       struct history_search **ret)
{
    struct history_search *search = calloc(1, sizeof(*search));
    int result;

    if (!search)
        return -ENOMEM;
    search->history = history;
    search->since = query->since;
    search->until = query->until;
    search->upto = query->upto;
    result = copy(query->user, &search->user);
    if (result == 0)
        result = copy(query->room, &search->room);
    if (result == 0)
        result = copy(query->node, &search->node);
    if (result == 0 && query->words)
        result = match_new(history->database, query->words, &search->match);
    if (result == 0)
        result = narrow_down(search);
    if (query->upto)
        search->high = MIN(search->high, query->high);
    if (result < 0) {
        history_search_free(search);
        return result;
    }
    *ret = search;
    return 0;
}

void history_search_free(struct history_search *search)
{
    if (!search)
        return;
    match_free(search->match);
    free(search->user);
    free(search->room);
    free(search->node);
    free(search);
}

/* ---- places ---- */

/* Behind everything of a clock, in the direction. */
static struct message_key behind(uint64_t hlc, bool down)
{
    struct message_key key = {.hlc = hlc, .seq = down ? 0 : INT64_MAX};

    memset(key.origin.bytes, down ? 0 : 0xff, sizeof(key.origin.bytes));
    return key;
}

void history_search_start(struct history_search *search, const struct message_key *from, bool down)
{
    search->down = down;
    search->stretch.valid = false;
    search->ended =
        search->low > search->high || (down ? from->hlc < search->low : from->hlc > search->high);
    search->at = *from;
    /* Keys of messages have a seq above 0. */
    if (down)
        search->at.seq++;
    else if (from->seq > 0)
        search->at.seq--;
    if (down && from->hlc > search->high)
        search->at = behind(search->high, false);
    if (!down && from->hlc < search->low)
        search->at = behind(search->low, true);
}

/* Whether the row lies in the direction behind what has been looked at. */
static bool is_behind(const struct history_search *search, const struct message_key *key)
{
    int order = message_key_compare(key, &search->at);

    return search->down ? order < 0 : order > 0;
}

/* ---- what fits ---- */

static bool text_is(sqlite3_stmt *row, int column, const char *wanted)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return !wanted || (text && strcmp(text, wanted) == 0);
}

/* The name, the name as it is shown where others have the same, or digits of the id. */
static bool is_node(sqlite3_stmt *row, const struct message_key *key, const char *wanted)
{
    const char *name = (const char *)sqlite3_column_text(row, STORE_ROW_NODE);
    size_t size = name ? strlen(name) : 0, digits;
    char id[ID_TEXT_MAX];

    if (!wanted || (name && strcmp(name, wanted) == 0))
        return true;
    if (name && strncmp(wanted, name, size) == 0 && wanted[size] == '~')
        wanted += size + 1;
    id_format(key->origin.bytes, id);
    digits = strlen(wanted);
    return digits >= SEARCH_ID_DIGITS_MIN && strncasecmp(id, wanted, digits) == 0;
}

/* 1: it does; 0; or a negative errno. */
static int fits(struct history_search *search, sqlite3_stmt *row, const struct message_key *key)
{
    uint64_t sent = (uint64_t)sqlite3_column_int64(row, STORE_ROW_SENT);

    if (sent < search->since || sent > search->until ||
        !text_is(row, STORE_ROW_ROOM, search->room) ||
        !text_is(row, STORE_ROW_USER, search->user) || !is_node(row, key, search->node))
        return 0;
    if (!search->match)
        return 1;
    if (sqlite3_column_type(row, STORE_ROW_TEXT) == SQLITE_NULL)
        return -EUCLEAN;
    return match_text(search->match, (const char *)sqlite3_column_text(row, STORE_ROW_TEXT),
                      (size_t)sqlite3_column_bytes(row, STORE_ROW_TEXT));
}

/* ---- reading ---- */

/* What one call may do. */
struct effort {
    size_t count; /* messages on the page */
    size_t rows;  /* still to be looked at */
    struct history_page *page;
};

static bool is_done(const struct effort *effort)
{
    return history_page_is_full(effort->page, effort->count) || effort->rows == 0;
}

static int look_at(struct history_search *search, sqlite3_stmt *row, struct effort *effort,
                   struct history_row *ret)
{
    int result = history_read_row(search->history, row, ret);

    effort->rows--;
    if (result < 0 || history_is_hidden(search->history, &ret->key) ||
        !is_behind(search, &ret->key) || (search->upto && !history_covers(search->upto, ret)))
        return result;
    result = fits(search, row, &ret->key);
    if (result > 0)
        result = history_show(search->history, row, ret, search->upto, effort->page);
    if (result > 0)
        effort->page->items[effort->page->count - 1].position.key = ret->key;
    return result;
}

/* Everything between where the search is and a clock. */
static int read_all(struct history_search *search, uint64_t end, struct effort *effort)
{
    sqlite3_stmt *rows = search->history->statements[search->down ? HISTORY_BELOW : HISTORY_ABOVE];
    const struct message_key from = search->at;
    int step = SQLITE_ROW, result = 0;
    bool passed = false;

    history_bind_key(rows, &from);
    while (result >= 0 && !passed && !is_done(effort) &&
           (step = sqlite3_step(rows)) == SQLITE_ROW) {
        uint64_t hlc = (uint64_t)sqlite3_column_int64(rows, 0);
        struct history_row row;

        passed = search->down ? hlc < end : hlc > end;
        if (passed)
            break;
        result = look_at(search, rows, effort, &row);
        if (result >= 0)
            search->at = row.key;
    }
    sqlite3_reset(rows);
    if (result >= 0 && (passed || step == SQLITE_DONE))
        search->at = behind(end, search->down);
    return result < 0 ? result : store_schema_errno(step);
}

/* The messages of the documents that were found. */
static int read_documents(struct history_search *search, struct effort *effort)
{
    struct stretch *stretch = &search->stretch;
    int result = 0;

    while (result == 0 && !is_done(effort) && stretch->next < stretch->count) {
        uint64_t hlc = stretch->documents[stretch->next];
        struct message_key last = behind(hlc, search->down);

        if (search->down ? search->at.hlc > hlc : search->at.hlc < hlc)
            search->at = behind(hlc, !search->down);
        result = read_all(search, hlc, effort);
        if (message_key_compare(&search->at, &last) == 0)
            stretch->next++;
    }
    return result;
}

/* ---- stretches ---- */

static int find_documents(struct history_search *search, struct stretch *stretch)
{
    sqlite3_stmt *find =
        search->history->statements[search->down ? HISTORY_WORDS_DOWN : HISTORY_WORDS];
    int step = SQLITE_DONE;

    sqlite3_bind_text(find, 1, match_query(search->match), -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, (sqlite3_int64)stretch->low);
    sqlite3_bind_int64(find, 3, (sqlite3_int64)stretch->high);
    while (stretch->count < SEARCH_DOCUMENTS && (step = sqlite3_step(find)) == SQLITE_ROW)
        stretch->documents[stretch->count++] = (uint64_t)sqlite3_column_int64(find, 0);
    if (stretch->count == SEARCH_DOCUMENTS) {
        uint64_t last = stretch->documents[SEARCH_DOCUMENTS - 1];

        *(search->down ? &stretch->low : &stretch->high) = last;
        step = SQLITE_DONE;
    }
    sqlite3_reset(find);
    return store_schema_errno(step);
}

static int next_stretch(struct history_search *search)
{
    struct stretch *stretch = &search->stretch;
    struct unindexed unindexed;
    int result;

    *stretch = (struct stretch){.valid = true,
                                .low = search->down ? search->low : search->at.hlc,
                                .high = search->down ? search->at.hlc : search->high,
                                .read = true};
    if (!search->match || !match_query(search->match))
        return 0;
    result = unindexed_find(search->history, &unindexed);
    if (result < 0)
        return result;
    stretch->read = unindexed_cut(&unindexed, search->down, &stretch->low, &stretch->high);
    return stretch->read ? 0 : find_documents(search, stretch);
}

/* Goes on behind the stretch. */
static void end_stretch(struct history_search *search)
{
    struct stretch *stretch = &search->stretch;

    stretch->valid = false;
    search->ended = search->down ? stretch->low <= search->low : stretch->high >= search->high;
    if (search->down && !search->ended)
        search->at = behind(stretch->low - 1, false);
    if (!search->down && !search->ended)
        search->at = behind(stretch->high + 1, true);
}

static int read_stretch(struct history_search *search, struct effort *effort)
{
    struct stretch *stretch = &search->stretch;
    uint64_t end = search->down ? stretch->low : stretch->high;
    struct message_key last = behind(end, search->down);
    bool finished;
    int result = stretch->read ? read_all(search, end, effort) : read_documents(search, effort);

    finished = stretch->read ? message_key_compare(&search->at, &last) == 0
                             : stretch->next == stretch->count;
    if (result == 0 && finished)
        end_stretch(search);
    return result;
}

int history_search_read(struct history_search *search, size_t count, struct history_page *ret)
{
    struct history_page page = {0};
    struct effort effort = {.count = count, .rows = READ_SEARCH_ROWS_MAX, .page = &page};
    int result = history_page_new(count, &page);

    while (result == 0 && !search->ended && !is_done(&effort)) {
        if (!search->stretch.valid)
            result = next_stretch(search);
        if (result == 0)
            result = read_stretch(search, &effort);
        if (effort.rows > 0)
            effort.rows--;
    }
    /* What comes next retention has just taken: the next call does not see it. */
    if (result == -ESTALE)
        result = 0;
    if (result < 0) {
        history_page_done(&page);
        return result;
    }
    page.end = search->ended;
    *ret = page;
    return 0;
}
