#pragma once

/* Reads the history for clients, on a read-only handle of its own in the loop's thread, in short
 * transactions a page at a time. What is stored and not delivered is not shown; a message that has
 * two keys (a retry elsewhere) is shown once, at its smallest key. */

#include "ring/ring.h"

struct history;

/* A place in this node's deliveries: the highest key shown unmarked, and the last late delivery. */
struct history_position {
    struct message_key key;
    uint64_t late; /* number of the last late delivery shown */
};

struct history_item {
    struct packet *packet; /* belongs to the page */
    bool late;
    struct history_position position; /* after this item: a cursor */
};

struct history_page {
    size_t count;
    struct history_item *items;
    bool end; /* nothing follows now */
};

/* Opens the database that store_open() has made. 0 or a negative errno. */
int history_open(const char *state_directory, struct history **ret);
void history_close(struct history *history); /* NULL is allowed */

/* The engine tells what is given to the store (RING_STORE of a message) and what is delivered, so
 * that readers see exactly what is delivered. Delivered messages may not be committed yet only if
 * they are the node's own in a ring of one: never, since a delivery follows STORED. 0 or -ENOMEM.
 */
int history_stored(struct history *history, const struct message_key *key);
void history_delivered(struct history *history, const struct message_key *key, bool late);

/* The last `count` delivered messages in key order, at most (0: none, only the position is wanted);
 * `ret_position` is where a tail goes on after them. 0 or a negative errno. */
int history_last(struct history *history, size_t count, struct history_page *ret,
                 struct history_position *ret_position);

/* In key order from the first message above `after` (zeros: from the beginning), at most `count`.
 * The `late` mark is not set: this is the history, not a tail. */
int history_read(struct history *history, const struct message_key *after, size_t count,
                 struct history_page *ret);

/* What a tail shows after `position`: messages above its key in key order, and late deliveries with
 * higher numbers, marked `late`, in between as they come. At most `count`. */
int history_read_after(struct history *history, const struct history_position *position,
                       size_t count, struct history_page *ret);

/* The key under which a message id is stored here, and its packet. -ENOENT: it is not. */
int history_find(struct history *history, const struct ring_id *id, struct packet **ret);

/* The number of messages that the history shows. */
uint64_t history_count(const struct history *history);

void history_page_done(struct history_page *page);

/* A position as text for a client, and back: opaque, and bound to this database.
 * -EINVAL: not a cursor. -ESTALE: of another node or of a rebuilt store. */
#define HISTORY_CURSOR_TEXT_MAX 160
void history_cursor_format(const struct history *history, const struct history_position *position,
                           char ret[HISTORY_CURSOR_TEXT_MAX]);
int history_cursor_parse(const struct history *history, const char *text,
                         struct history_position *ret);
