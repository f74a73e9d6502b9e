#pragma once

/* How far long work on a database is: bringing it to this build's schema is measured in steps of
 * SQLite's machine, as SQLite counts them; of a check it is told only that it gets on. */

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum store_work {
    STORE_UPGRADE, /* to this build's schema */
    STORE_CHECK,   /* and whatever else is read before the start */
};

/* Where it is not known how far it is. */
#define STORE_PERCENT_UNKNOWN (-1)

struct store_progress {
    /* Called often while the database works. `percent`: 0 to 100, never less than before, 100 once
     * an upgrade is done; or STORE_PERCENT_UNKNOWN. Returns whether to go on: else the work ends
     * with SQLITE_INTERRUPT, and the database is as it was before. NULL: nobody wants to know. */
    bool (*working)(void *userdata, enum store_work work, int percent);
    void *userdata;
    bool to_the_end; /* whatever `working` returns */

    /* Kept by the functions below, zero at first. In steps: */
    uint64_t total; /* of the upgrade, as estimated; 0: not known */
    uint64_t done;
    uint64_t bound; /* where the part that is under way ends, as estimated */
    bool upgrading, told;
};

/* From one call to the next: some milliseconds. */
#define STORE_PROGRESS_STEPS 100000

/* Copying a page takes about as long as so many. */
#define STORE_PROGRESS_PAGE_STEPS 200

/* SQLite tells `progress` of what is done with `database`, until the other is called. */
void store_progress_attach(struct store_progress *progress, sqlite3 *database);
void store_progress_detach(sqlite3 *database);

/* An upgrade begins that takes about `total` steps (0: nobody knows), or is done. */
void store_progress_begin(struct store_progress *progress, uint64_t total);
void store_progress_end(struct store_progress *progress);

/* A part of it begins that takes about `steps`, or is done. */
void store_progress_begin_part(struct store_progress *progress, uint64_t steps);
void store_progress_end_part(struct store_progress *progress);

/* It has got on by STORE_PROGRESS_STEPS: for work that is not done by SQLite's machine. Whether to
 * go on. */
bool store_progress_advance(struct store_progress *progress);

/* The same of a check, which is told of only. */
bool store_progress_check(struct store_progress *progress);
