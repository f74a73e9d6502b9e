#pragma once

/* The SQL function stored_text(long, id): the text of the message `id` whose row says that it is at
 * the place -long of the segments (see store-segment.h). NULL: the row says nothing such.
 *
 * It fails with SQLITE_CORRUPT where the text is not there, and with SQLITE_NOTFOUND where
 * retention has removed it since the reader's transaction began: a later one does not see the
 * message. */

#include <sqlite3.h>

/* For every handle that reads texts of messages. SQLITE_OK or SQLite's error. */
int store_text_add_function(sqlite3 *database);
