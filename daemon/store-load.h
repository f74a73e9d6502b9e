#pragma once

/* What the database holds, read once when it is opened. */

#include <sqlite3.h>

#include "store.h"

/* Reads everything; the arrays belong to `ret`, which is given back with store_contents_done() in
 * any case. 0 or a negative errno; -EUCLEAN: the database is damaged. */
int store_load(sqlite3 *database, struct store_contents *ret);
void store_contents_done(struct store_contents *contents);

/* Takes one row of a query into `userdata`. 0 or a negative errno. */
typedef int (*store_row_reader)(sqlite3_stmt *row, void *userdata);

/* Gives every row of a query to `take`. 0 or a negative errno. */
int store_each_row(sqlite3 *database, const char *text, store_row_reader take, void *userdata);

/* The highest key of the database (zeros: none). 0 or a negative errno. */
int store_load_top(sqlite3 *database, struct message_key *ret);
