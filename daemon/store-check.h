#pragma once

/* Whether a database is sound. Results are SQLite's codes: SQLITE_CORRUPT, it is not. */

#include <sqlite3.h>
#include <stdbool.h>

/* Every table and index of `expected` is in `database`. */
int store_check_names(sqlite3 *database, sqlite3 *expected);

/* The newest messages agree with what is noted about them: a last batch written in part would not.
 */
int store_check_last(sqlite3 *database);

/* Everything, which takes seconds for a million messages. Ends early with SQLITE_INTERRUPT where
 * sqlite3_interrupt() is called meanwhile. */
int store_check_all(sqlite3 *database);

/* Whether the last process that used it closed it. */
int store_check_was_closed(sqlite3 *database, bool *ret);

/* It is open from now on, or closed. */
int store_check_mark(sqlite3 *database, bool closed);
