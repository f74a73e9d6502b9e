#pragma once

/* What the parts of the history's reader share: history.c, history-read.c, history-cursor.c. */

#include "history.h"
#include "key-set.h"
#include "store-schema.h"

enum history_statement {
    HISTORY_DOWN,  /* all rows, the highest key first */
    HISTORY_ABOVE, /* all rows above a key, ascending */
    HISTORY_BELOW, /* all rows below a key, descending */
    HISTORY_WORDS, /* clocks at which words are found, ascending */
    HISTORY_WORDS_DOWN,
    HISTORY_SPANS,    /* the clocks of some hours */
    HISTORY_HELD,     /* per origin, what was ever stored */
    HISTORY_INDEXED,  /* of an origin, what is indexed, from a seq down */
    HISTORY_LANDMARK, /* of an origin, the last one up to a seq */
    HISTORY_LATE,     /* late deliveries above a number, up to another */
    HISTORY_NOTES,    /* key and number of those above a number */
    HISTORY_SAME_ID,  /* key and late number of all with one id, the smallest key first */
    HISTORY_FIND,     /* the row of an id with the smallest key */
    HISTORY_AT,       /* the row of a key */
    HISTORY_EVER,     /* whether an origin's seq was ever stored */
    HISTORY_HORIZON,
    HISTORY_SIZE,   /* used bytes, and whether there is something below the horizon */
    HISTORY_OLDEST, /* the hlc of the message with that many before it */
    HISTORY_ROOMS,  /* rooms by name, from one on */
    HISTORY_TWINS,  /* how many messages are second keys of an id */
    HISTORY_STATEMENTS
};

/* Above `from`, up to `upto`, there are only late messages. */
struct history_skip {
    struct message_key from, upto;
};

/* A message that was delivered, and was not to be looked for in the database. */
struct history_recent_item {
    struct message_key key;
    struct packet *packet;
};

/* The last unmarked deliveries without a gap: what is above `start` up to the history's top, all of
 * it. See history-recent.c. */
struct history_recent {
    struct message_key start;
    size_t first, count; /* the items are items[first …], round the end */
    size_t bytes;
    struct history_recent_item items[TAIL_RECENT_MESSAGES];
    struct message_key given;   /* the highest key given to the store */
    struct message_key suspect; /* up to it, messages may have ids that were there before */
    uint64_t twins;             /* the store's, as they were last */
};

struct history {
    sqlite3 *database;
    sqlite3_stmt *statements[HISTORY_STATEMENTS];
    struct ring_id instance; /* of the database */
    struct message_key top;  /* the highest key delivered unmarked */
    uint64_t delivered;      /* how many messages are */
    struct key_set hidden;   /* given to the store and not delivered */
    uint64_t late_shown;     /* late deliveries up to this number can be shown */
    struct key_set late;     /* delivered late, with a higher number or none yet */
    struct history_recent recent;
    uint64_t tail_reads; /* how often a tail's page was read from the database */
    struct history_skip skips[READ_SKIPS_MAX];
    size_t next_skip; /* the one to be overwritten next */
};

/* What decides whether a row is shown. */
struct history_row {
    struct message_key key;
    uint64_t late; /* number; UINT64_MAX: not noted yet; 0: unmarked */
};
int history_read_row(const struct history *history, sqlite3_stmt *statement,
                     struct history_row *ret); /* 0 or a negative errno */

/* Whether the row was delivered up to the position. */
bool history_covers(const struct history_position *position, const struct history_row *row);

/* Adds the statement's row to the page, if none of the same id goes before it: of those delivered,
 * and covered by the position if one is given, the smallest key goes first. 1: added, 0: not, or a
 * negative errno. */
int history_show(const struct history *history, sqlite3_stmt *statement,
                 const struct history_row *row, const struct history_position *position,
                 struct history_page *page);

/* An empty page with room for `count`. 0 or -ENOMEM. */
int history_page_new(size_t count, struct history_page *ret);

/* Takes over the packet; there is room. The item, for the rest of it. */
struct history_item *history_page_add(struct history_page *page, struct packet *packet);

/* Whether a page of `count` has as much as is read at once. */
bool history_page_is_full(const struct history_page *page, size_t count);

/* Takes into late_shown what has been noted and delivered by now. 0 or a negative errno. */
int history_advance_late(struct history *history);

/* Takes an unmarked delivery, which is the top from now on. */
void history_recent_take(struct history *history, const struct message_key *key,
                         struct packet *packet);

/* Of what was stored by now, there may be ids that were there before. */
void history_recent_suspect(struct history *history, uint64_t twins);

/* Forgets all: what follows the top, and the late ones shown by now, is taken from here on. */
void history_recent_clear(struct history *history);

/* Whether the page is filled from memory: with what follows the position, at most `count`. */
bool history_recent_read(struct history *history, const struct history_position *position,
                         size_t count, struct history_page *page);

/* Binds hlc, origin and seq to the first three places. */
void history_bind_key(sqlite3_stmt *statement, const struct message_key *key);
