#pragma once

/* A check of the whole database in a thread of its own: beside everything else, or watched. */

#include <event2/event.h>

#include "store-schema.h"

struct store_checker;

/* Checks the whole database and returns SQLite's code. `progress` (whose `working` may be NULL) is
 * told meanwhile from the caller's thread, for as long as the check gets processor time: SQLite's
 * own handler would not be called during most of a check, before version 3.41. */
int store_checker_run(sqlite3 *database, struct store_progress *progress);

/* Begins to check the database at `path`, with a handle of its own. `done` is called from the loop,
 * once, with 0 or a code of SQLite. 0 or a negative errno. */
int store_checker_new(struct event_base *base, const char *path,
                      void (*done)(void *userdata, int result), void *userdata,
                      struct store_checker **ret);

/* Ends the check, finished or not. NULL is allowed. */
void store_checker_free(struct store_checker *checker);
