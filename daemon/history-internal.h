#pragma once

/* What the parts of the history's reader share: history.c, history-read.c, history-cursor.c. */

#include "history.h"
#include "key-set.h"
#include "store-schema.h"

enum history_statement {
    HISTORY_DOWN,    /* all rows, the highest key first */
    HISTORY_ABOVE,   /* all rows above a key, ascending */
    HISTORY_LATE,    /* late deliveries above a number, up to another */
    HISTORY_NOTES,   /* key and number of those above a number */
    HISTORY_SAME_ID, /* key and late number of all with one id, the smallest key first */
    HISTORY_FIND,    /* the row of an id with the smallest key */
    HISTORY_TWINS,   /* how many messages are second keys of an id */
    HISTORY_STATEMENTS
};

/* Above `from`, up to `upto`, there are only late messages. */
struct history_skip {
    struct message_key from, upto;
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
    struct history_skip skips[READ_SKIPS_MAX];
    size_t next_skip; /* the one to be overwritten next */
};

/* Takes into late_shown what has been noted and delivered by now. 0 or a negative errno. */
int history_advance_late(struct history *history);

/* Binds hlc, origin and seq to the first three places. */
void history_bind_key(sqlite3_stmt *statement, const struct message_key *key);
