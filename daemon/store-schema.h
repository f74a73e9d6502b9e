#pragma once

/* The database: its tables, how it is opened, and what is said when SQLite refuses something. */

#include <sqlite3.h>

#include "ring/ring.h"
#include "store-progress.h"

/* The file in the state directory. */
#define STORE_FILE "history.db"

/* Opens the database for writing, makes it where there is none, and brings it to this build's
 * schema; one of an older schema is copied to PATH.version-N before. `progress` is told of it, and
 * of all that is done with the database until store_progress_detach(). 0, or a negative errno with
 * a sentence in `ret_error` (to be freed); -EUCLEAN: it is damaged. */
int store_schema_open(const char *path, struct store_progress *progress, sqlite3 **ret,
                      char **ret_error);

/* Gives the node and the database new ids. 0, or a negative errno with a sentence in `ret_error`
 * (to be freed). */
int store_schema_renew_identity(sqlite3 *database, const char *path, struct ring_id *ret_node,
                                char **ret_error);

/* Opens it for reading only. 0 or a negative errno. */
int store_schema_open_reader(const char *path, sqlite3 **ret);

/* A sentence for SQLite's result code: what went wrong with `database` (NULL: nothing more is
 * known), and what to do. NULL: no memory. */
char *store_schema_error(sqlite3 *database, int result, const char *path);

/* The negative errno that fits SQLite's result code; 0 for SQLITE_OK, SQLITE_ROW and SQLITE_DONE.
 * -EUCLEAN: the database is damaged; -ESTALE: see store-text.h. */
int store_schema_errno(int result);

/* The number that a query gives in its first row. SQLite's code; without a row the database is
 * corrupt. */
int store_read_number(sqlite3 *database, const char *text, int64_t *ret);

/* ---- columns and parameters ---- */

/* False: it is no id. */
bool store_column_id(sqlite3_stmt *row, int column, struct ring_id *ret);

/* The key in the columns hlc, origin id, seq from `column` on; false: it is none. */
bool store_column_key(sqlite3_stmt *row, int column, struct message_key *ret);

/* The text of a column, as long as the row is the statement's. */
struct bytes store_column_text(sqlite3_stmt *row, int column);

void store_bind_id(sqlite3_stmt *statement, int place, const struct ring_id *id);

/* SQLite's integers are signed: hlc and seq of a message never have the highest bit set (the core
 * refuses such frames), so they sort. Bounds from elsewhere are cut to what can be. Numbers that
 * are not compared in the database are kept bit by bit. */
sqlite3_int64 store_sortable(uint64_t value);

/* The text of a message `m`, wherever it is. NULL: it is missing. */
#define STORE_TEXT                                                                                 \
    "CASE WHEN m.long = 0 THEN m.text WHEN m.long < 0 THEN stored_text(m.long, m.id)"              \
    " ELSE (SELECT text FROM long_text WHERE number = m.long) END"

/* The columns of a message `m` and its origin `o`, as store_row_packet() takes them. */
#define STORE_ROW_COLUMNS                                                                          \
    "m.hlc, o.id, m.seq, m.late, m.twin, m.id, m.sent, m.kind, m.user, m.node, "                   \
    "m.room, " STORE_TEXT
#define STORE_ROW_LATE 3
#define STORE_ROW_TWIN 4
#define STORE_ROW_ID 5
#define STORE_ROW_SENT 6
#define STORE_ROW_USER 8
#define STORE_ROW_NODE 9
#define STORE_ROW_ROOM 10
#define STORE_ROW_TEXT 11

/* The message of a row, which belongs to the caller. 0; -ENOMEM; -EUCLEAN: it is no message. */
int store_row_packet(sqlite3_stmt *row, struct packet **ret);
