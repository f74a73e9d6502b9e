#pragma once

/* Pages of what tails follow: read once, from memory or the store, and written as JSON once, for
 * all readers that are at the same place. What is kept is bounded, and only spares work: a reader
 * that finds no page of its place has one read. */

#include "history.h"

/* Pages kept: what one reader takes in its turn, and the same again. */
#define TAIL_PAGES (2 * READ_PAGES_AT_ONCE)

struct tail_line {
    struct packet *packet;
    struct packet *text; /* the reply; NULL: nobody wanted it yet */
    bool late;
    struct history_position position; /* after it */
};

struct tail_page {
    struct history_position from, after;
    size_t count;
    struct tail_line lines[READ_PAGE_MESSAGES];
    bool end;            /* nothing followed when */
    uint64_t deliveries; /* it was read */
};

struct tail_pages {
    struct tail_page pages[TAIL_PAGES];
    size_t next;           /* the one to be overwritten next */
    uint64_t deliveries;   /* how often tail_pages_delivered() was called */
    struct tail_page none; /* for those who have seen everything */
};

void tail_pages_done(struct tail_pages *pages);

/* There may be more to follow now. */
void tail_pages_delivered(struct tail_pages *pages);

/* What follows the position; as history_read_after(). Valid until the next call. 0 or a negative
 * errno. */
int tail_pages_read(struct tail_pages *pages, struct history *history,
                    const struct history_position *position, struct tail_page **ret);

/* Whether nothing follows the page now. */
bool tail_page_is_end(const struct tail_pages *pages, const struct tail_page *page);

/* The reply of Tail with the line's message, as text without its end; belongs to the page. NULL:
 * out of memory. */
struct packet *tail_line_text(const struct history *history, struct tail_line *line);

/* The parameters of that reply, for a message that is not followed but looked up. NULL: out of
 * memory. */
struct json_object *tail_report(const struct history *history, const struct packet *packet,
                                bool late, const struct history_position *position);
