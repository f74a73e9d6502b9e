#pragma once

/* The store's work on the database: writes gathered in one transaction, and reads that see them.
 * Used by one thread at a time. Results are SQLite's codes, SQLITE_OK if all went well; after any
 * other nothing more may be asked of the writer. */

#include <sqlite3.h>

#include "store.h"

struct store_writer;

/* Takes the database over (also on failure); `contents` says what it holds. 0 or a negative errno.
 */
int store_writer_new(sqlite3 *database, const struct store_contents *contents,
                     struct store_writer **ret);

/* Drops what is not committed and closes the database. NULL is allowed. */
void store_writer_free(struct store_writer *writer);

/* Adds a RING_STORE output to the transaction; a message that is `late` gets its note with it. */
int store_writer_apply(struct store_writer *writer, const struct ring_output *output, bool late);

/* Adds the note that a stored message was delivered late, unless it has one. */
int store_writer_note_late(struct store_writer *writer, const struct message_key *key);

/* How many second keys of an id were written since the writer was made. Any thread may ask; what is
 * committed is counted. */
uint64_t store_writer_twins(const struct store_writer *writer);

/* Ends the transaction, if there is one: everything is on disk. The table of rooms may lack the
 * messages of the last commits. */
int store_writer_commit(struct store_writer *writer);

/* The same, and the table of rooms has all. */
int store_writer_write_rooms(struct store_writer *writer);

/* Answers a RING_FETCH output: the highest messages of the range that fit, ascending. The array is
 * to be freed and its packets are to be given back, also on failure. */
int store_writer_fetch(struct store_writer *writer, const struct ring_output *output,
                       struct packet ***ret_packets, size_t *ret_count);

/* Does a small piece of what can wait (a smaller one where `hurried`: there is other work), in a
 * transaction of its own, committed, but only what is told in `ret` for certain on disk: removes
 * messages below the horizon (told in `ret`, whose intervals are to be freed also on failure),
 * indexes words, brings the table of rooms up to date, gives free pages back; or copies the log
 * into the database, unless `hurried`. `ret_more`: there is more to do. */
int store_writer_step(struct store_writer *writer, bool hurried, struct store_pruned *ret,
                      bool *ret_more);

/* Whether the log has become so long that it shall be copied into the database although there is
 * other work; and does that. All that was committed stays readable at every moment, and on disk. */
bool store_writer_has_long_log(const struct store_writer *writer);
int store_writer_copy_log(struct store_writer *writer);

/* Whether the file or its log was deleted or replaced by another since the database was opened:
 * then what is written is lost. */
bool store_writer_is_gone(const struct store_writer *writer);

/* Notes that the database is closed in good order. */
int store_writer_close(struct store_writer *writer);

/* A sentence for a failure: what went wrong and what to do. NULL: no memory. */
char *store_writer_error(const struct store_writer *writer, int result, const char *path);
