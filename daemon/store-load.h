#pragma once

/* What the database holds, read once when it is opened. */

#include <sqlite3.h>

#include "store.h"

/* Reads everything; the arrays belong to `ret`, which is given back with store_contents_done() in
 * any case. 0 or a negative errno. */
int store_load(sqlite3 *database, struct store_contents *ret);
void store_contents_done(struct store_contents *contents);
