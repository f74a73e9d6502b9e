#pragma once

/* How many messages each room has, and its newest: kept up to date behind the commits. */

#include <sqlite3.h>

#include "common/bounds.h"
#include "ring/ring.h"

struct store_writer;

/* What is to be added to a room's row. */
struct store_room {
    char name[ROOM_BYTES_MAX];
    size_t name_size;
    int64_t messages;   /* below 0: retention has removed more than came */
    uint64_t hlc, sent; /* of the newest that came; zeros: none came */
};

/* What is not in the database yet. */
struct store_rooms {
    bool due;                                /* the transaction that is open must end with
                                                store_rooms_write() */
    size_t messages;                         /* that came since it was last called */
    size_t count, last;                      /* the one used last */
    struct store_room list[STORE_ROOMS_MAX]; /* by name */
};

/* In a transaction: a message came and is not noted as held yet, or goes in this transaction.
 * SQLITE_OK or SQLite's error; SQLITE_CORRUPT: no room has such a name. */
int store_rooms_add(struct store_writer *writer, struct bytes name, uint64_t hlc, uint64_t sent);
int store_rooms_subtract(struct store_writer *writer, struct bytes name);

/* Brings the table up to date, in the transaction, which is opened where there is something to be
 * written. */
int store_rooms_write(struct store_writer *writer);

/* The same if enough has come together. */
int store_rooms_write_many(struct store_writer *writer);

/* Counts what the last process had not counted yet, in transactions of its own. */
int store_rooms_catch_up(struct store_writer *writer);
