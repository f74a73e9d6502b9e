#pragma once

/* What the parts of the writer share: store-write.c, store-origin.c, store-fetch.c. */

#include "ring/interval.h"
#include "store-schema.h"
#include "store-write.h"

enum store_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_STATE,
    STATEMENT_MESSAGE,
    STATEMENT_TWIN,
    STATEMENT_FIRST_TWIN,
    STATEMENT_COUNT_TWIN,
    STATEMENT_LATE,
    STATEMENT_NOTE_LATE,
    STATEMENT_OUTBOX,
    STATEMENT_OUTBOX_DELETE,
    STATEMENT_ORIGIN,
    STATEMENT_HELD_DELETE,
    STATEMENT_HELD_INSERT,
    STATEMENT_LANDMARK,
    STATEMENT_LANDMARK_BELOW,
    STATEMENT_LANDMARK_ABOVE,
    STATEMENT_FETCH,
    STATEMENT_FETCH_ALL,
    STORE_STATEMENTS
};

struct store_origin {
    struct ring_id id;
    sqlite3_int64 number;
    struct intervals held;
    struct ring_interval unwritten; /* of `held`, to be written by the commit; from 0: nothing */
    /* The landmark last used, and the seq of the next one of this origin (UINT64_MAX: there is
     * none); seq 0 and next 0: not looked up yet. */
    struct {
        uint64_t seq, hlc, next;
    } landmark;
};

struct store_writer {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    bool open;          /* a transaction is */
    uint64_t last_late; /* number of the last late delivery */
    size_t count, allocated;
    struct store_origin **origins; /* by id */
};

/* Runs a statement that gives no rows. */
int store_writer_run(struct store_writer *writer, enum store_statement statement);

/* ---- store-origin.c ---- */

/* All origins of the database, with what `contents` says is held of them. 0 or a negative errno. */
int store_origins_load(struct store_writer *writer, const struct store_contents *contents);
void store_origins_done(struct store_writer *writer);

/* NULL: nothing of it was ever stored. */
struct store_origin *store_origin_find(const struct store_writer *writer, const struct ring_id *id);

/* Makes it where there is none. */
int store_origin_get(struct store_writer *writer, const struct ring_id *id,
                     struct store_origin **ret);

/* The message with that seq and hlc is held from now on: interval and landmark. */
int store_origin_hold(struct store_writer *writer, struct store_origin *origin, uint64_t seq,
                      uint64_t hlc);

/* Before the commit: writes what is held. */
int store_origins_write(struct store_writer *writer);
