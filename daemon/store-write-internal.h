#pragma once

/* What the parts of the writer share: store-write.c, store-origin.c, store-fetch.c, store-index.c,
 * store-log.c, store-prune.c, store-rooms.c. */

#include "ring/interval.h"
#include "store-file.h"
#include "store-rooms.h"
#include "store-schema.h"
#include "store-texts.h"
#include "store-write.h"

enum store_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_STATE,
    STATEMENT_MESSAGE,
    STATEMENT_TWIN,
    STATEMENT_LONG_TEXT,
    STATEMENT_FIRST_TWIN,
    STATEMENT_COUNT_TWIN,
    STATEMENT_LATE,
    STATEMENT_NOTE_LATE,
    STATEMENT_OUTBOX,
    STATEMENT_OUTBOX_DELETE,
    STATEMENT_ORIGIN,
    STATEMENT_HELD_GROW,
    STATEMENT_HELD_DELETE,
    STATEMENT_HELD_INSERT,
    STATEMENT_LANDMARK,
    STATEMENT_LANDMARK_BELOW,
    STATEMENT_LANDMARK_ABOVE,
    STATEMENT_LANDMARK_DELETE,
    STATEMENT_FETCH,
    STATEMENT_FETCH_ALL,
    STATEMENT_SPAN,
    STATEMENT_SPAN_DELETE,
    STATEMENT_INDEXED_DELETE,
    STATEMENT_INDEXED_INSERT,
    STATEMENT_PRUNED_DELETE,
    STATEMENT_PRUNED_INSERT,
    STATEMENT_SAME_HLC,
    STATEMENT_WORDS_INSERT,
    STATEMENT_WORDS_DELETE,
    STATEMENT_OLDEST,
    STATEMENT_BELOW,
    STATEMENT_DELETE_LONG_UPTO,
    STATEMENT_DELETE_UPTO,
    STATEMENT_LATE_DELETE,
    STATEMENT_FIRST_OF_TWINS,
    STATEMENT_UNCOUNT_TWIN,
    STATEMENT_COUNTED_DELETE,
    STATEMENT_COUNTED_INSERT,
    STATEMENT_IS_TWIN,
    STATEMENT_ROOM_ADD,
    STATEMENT_ROOM_DELETE,
    STATEMENT_FREE_PAGES,
    STATEMENT_SHRINK,
    STORE_STATEMENTS
};

struct store_origin {
    struct ring_id id;
    sqlite3_int64 number;
    struct intervals held;          /* ever stored */
    struct intervals pruned;        /* of these, removed by retention */
    struct intervals indexed;       /* of these, in the index of words, or pruned */
    struct intervals counted;       /* of these, in the sums of their rooms in the database */
    struct ring_interval unwritten; /* of `held`, to be written by the commit; from 0: nothing */
    bool grows;                     /* it is that of one row, with a later end */
    /* The landmark last used, and the seq of the next one of this origin (UINT64_MAX: there is
     * none); seq 0 and next 0: not looked up yet. */
    struct {
        uint64_t seq, hlc, next;
    } landmark;
};

/* The bounds of the clocks of one hour, as in the database. */
struct store_span {
    int64_t hour;
    uint64_t low, high; /* high 0: not looked up yet */
};

/* The database's file and its log. */
struct store_files {
    char *path, *log_path;
    struct store_file file, log;
};

/* Pages in the log, and how many there were when copying it was tried last (0: not since it was
 * begun). */
struct store_log {
    size_t frames, tried;
};

struct store_writer {
    sqlite3 *database;
    sqlite3_stmt *statements[STORE_STATEMENTS];
    bool open;          /* a transaction is */
    uint64_t last_late; /* number of the last late delivery */
    uint64_t last_long; /* number of the last long text */
    uint64_t twins;     /* second keys written; other threads read it too */
    uint64_t horizon;   /* messages below it are removed */
    struct store_span spans[SPAN_CACHE];
    struct store_rooms rooms;
    struct store_log log;
    struct store_texts *texts;
    struct store_files files; /* as they were opened */
    size_t count, allocated;
    struct store_origin **origins; /* by id */
};

/* Opens a transaction, unless one is. */
int store_writer_begin(struct store_writer *writer);

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

/* The message is held from now on: interval, landmark, and the clocks of its hour. */
int store_origin_hold(struct store_writer *writer, struct store_origin *origin,
                      const struct message *message);

/* Before the commit: writes what is held. */
int store_origins_write(struct store_writer *writer);

/* From now on the interval is indexed, counted, or pruned (and then counts as indexed): in memory
 * and in the transaction. */
int store_origin_index(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval);
int store_origin_count(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval);
int store_origin_prune(struct store_writer *writer, struct store_origin *origin,
                       struct ring_interval interval);

/* ---- store-step.c ---- */

/* Remembers which files the database is in; both must exist. 0 or a negative errno. */
int store_files_note(struct store_files *files, sqlite3 *database);
void store_files_done(struct store_files *files);

/* ---- store-log.c ---- */

/* From now on SQLite does not copy the log into the database by itself. */
void store_log_watch(struct store_writer *writer);

/* Whether so many pages are in the log that nobody tried to copy. */
bool store_log_has(const struct store_writer *writer, size_t frames);

/* Copies what no reader needs to stay in the log; no transaction is open. SQLite's code. */
int store_log_copy(struct store_writer *writer);

/* ---- store-prune.c ---- */

/* As store_writer_step(), without the commit. */
int store_prune_step(struct store_writer *writer, struct store_pruned *ret);
int store_shrink_step(struct store_writer *writer, bool *ret_more);

/* ---- store-index.c ---- */

/* Puts the words of some messages (of up to `bytes`, and at least one) into the index, or takes the
 * words of all messages of one hlc out, where they are in it. */
int store_index_step(struct store_writer *writer, size_t bytes, bool *ret_more);
int store_index_remove(struct store_writer *writer, uint64_t hlc);
