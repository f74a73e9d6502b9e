#pragma once

/* Reads the history for clients, on a read-only handle of its own in the loop's thread, in short
 * transactions a page at a time. What is stored and not delivered is not shown; a message that has
 * two keys (a retry elsewhere) is shown once, at its smallest key. What was delivered last is kept
 * in memory for tails that have shown all before it. */

#include "ring/ring.h"

struct history;

/* A place in this node's deliveries: the highest key shown unmarked, and the last late delivery.
 * Between the first and the last of history_last()'s messages, which come in key order with late
 * ones among them, it is also a place in those. Opaque to others; zeros: the beginning. */
struct history_position {
    struct message_key key;
    uint64_t late;                 /* number of the last late delivery shown */
    struct message_key from, upto; /* still to be shown first: what is above `from`, up to `upto`,
                                      and delivered before `key` and `late`; zeros: nothing */
};

struct history_item {
    struct packet *packet; /* belongs to the page */
    bool late;
    struct history_position position; /* after this item: a cursor */
};

struct history_page {
    size_t count, bytes; /* of its packets */
    struct history_item *items;
    bool end; /* nothing follows now; a page that is short, or empty, may not be the end */
};

/* Opens the database that store_open() has made. 0 or a negative errno. */
int history_open(const char *state_directory, struct history **ret);
void history_close(struct history *history); /* NULL is allowed */

/* The engine tells what is given to the store (RING_STORE of a message) and what is delivered, so
 * that readers see exactly what is delivered. A delivery always follows STORED, so what is
 * delivered is committed. `twins`: store_twins() by then. A reference to the packet is kept for a
 * while. 0 or -ENOMEM. */
int history_stored(struct history *history, const struct message_key *key);
int history_delivered(struct history *history, struct packet *packet, bool late, uint64_t twins);

/* The last `count` delivered messages in key order, at most (0: none, only the position is wanted);
 * `ret_position` is where a tail goes on after them, and each item's own position goes on with the
 * next of them. What was delivered late and is not noted on disk yet is left to the tail. 0 or a
 * negative errno. */
int history_last(struct history *history, size_t count, struct history_page *ret,
                 struct history_position *ret_position);

/* In key order from the first message above `after` (zeros: from the beginning), at most `count`.
 * The `late` mark is not set: this is the history, not a tail. 0 or a negative errno. */
int history_read(struct history *history, const struct message_key *after, size_t count,
                 struct history_page *ret);

/* What a tail shows after `position`: messages above its key in key order, and late deliveries with
 * higher numbers, marked `late`, in between as they come. At most `count`. Where nothing is shown
 * from far back, or messages are long, a call may end early with a short page that is not the end:
 * call again. 0 or a negative errno. */
int history_read_after(struct history *history, const struct history_position *position,
                       size_t count, struct history_page *ret);

/* How often history_read_after() read the database. */
uint64_t history_tail_reads(const struct history *history);

/* A room that has messages. */
struct history_room {
    char name[ROOM_BYTES_MAX];
    size_t name_size;
    uint64_t messages;
    uint64_t last; /* when the newest was sent, µs */
};

/* The first rooms by name of those whose name is not less than `from`, at most `count`, into the
 * array `ret`. They are as of the engine's last engine_count_rooms(). Their number, or a negative
 * errno. */
ssize_t history_read_rooms(struct history *history, struct bytes from, size_t count,
                           struct history_room *ret);

/* The message stored here under that id, delivered or not; under its smallest key. The packet
 * belongs to the caller. 0; -ENOENT: there is none; a negative errno. */
int history_find(struct history *history, const struct ring_id *id, struct packet **ret);

/* The highest key of what the history shows now; zeros: nothing. 0 or a negative errno. */
int history_newest(struct history *history, struct message_key *ret);

/* What is known of a key's origin and seq: 0, with the message stored under exactly that key, as
 * history_find() has it; -ENOENT: nothing; -EEXIST: it was stored under another clock, or is no
 * longer kept; or a negative errno. */
int history_find_key(struct history *history, const struct message_key *key, struct packet **ret);

/* Whether what has this hlc is no longer kept. */
bool history_is_below_horizon(struct history *history, uint64_t hlc);

/* Whether the message is given to the store and not delivered yet. */
bool history_is_hidden(const struct history *history, const struct message_key *key);

/* The number of messages that the history shows; a second key of one message is left out as soon as
 * it is stored. */
uint64_t history_count(const struct history *history);

/* Retention has removed that many. */
void history_pruned(struct history *history, uint64_t messages);

struct history_size {
    uint64_t used_bytes; /* of the database, without free pages, and of its texts */
    bool is_pruning;     /* something below the horizon is left */
};
int history_get_size(struct history *history, struct history_size *ret); /* 0 or a negative errno */

/* The hlc above which all but about `count` of the oldest messages lie; 0: there are not as many.
 */
uint64_t history_oldest(struct history *history, uint64_t count);

void history_page_done(struct history_page *page);

/* A position as text for a client, and back: opaque, and bound to this database.
 * -EINVAL: not a cursor. -ESTALE: of another node or of a rebuilt store. */
#define HISTORY_CURSOR_TEXT_MAX 320
void history_cursor_format(const struct history *history, const struct history_position *position,
                           char ret[HISTORY_CURSOR_TEXT_MAX]);
int history_cursor_parse(const struct history *history, const char *text,
                         struct history_position *ret);
