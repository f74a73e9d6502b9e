#pragma once

/* Writes long texts to the end of the last segment (see store-segment.h), once, where a text in the
 * database is written twice: to its log, and from there into its file.
 *
 * What a transaction appends is synced before the transaction is committed, so that no row on disk
 * says of a text that it is where it is not. The table `segment` has for each the size that was
 * committed, how many texts that were, and how many of them rows still have. What is behind that
 * size a crash has left, and is cut off before more is written. A segment of which no row has
 * anything is forgotten in the transaction that finds it so, and its file removed after that.
 *
 * All of the store's thread; results are SQLite's codes. */

#include "store-segment.h"

struct store_texts;

/* For the writer's handle, whose database is of this build's schema. Makes the directory, and
 * removes what a crash has left in it. 0 or a negative errno. */
int store_texts_new(sqlite3 *database, struct store_texts **ret);

/* Before the database is closed. Drops what is not committed. NULL is allowed. */
void store_texts_free(struct store_texts *texts);

/* Whether a text of that size, the next one that is too long for its row, is to go to a segment: a
 * commit then has two files to sync, which pays where it has much text. */
bool store_texts_want(struct store_texts *texts, size_t size);

/* The place where the next text, of that size, will be. */
int store_texts_find_place(struct store_texts *texts, size_t size, int64_t *ret);

/* Appends a text at the place that was found for it. */
int store_texts_append(struct store_texts *texts, const struct ring_id *id, struct bytes text);

/* In a transaction: notes that all rows up to that clock go; and forgets segments of which no row
 * has anything. */
int store_texts_prune(struct store_texts *texts, uint64_t hlc);

/* Before a commit: all that was appended is on disk. SQLITE_READONLY_DBMOVED: somebody has deleted
 * or replaced the file. */
int store_texts_sync(struct store_texts *texts);

/* After a commit: removes the files of the segments that it has forgotten. */
void store_texts_committed(struct store_texts *texts);

/* Whether the segments of the database are there, in their size. */
int store_texts_check(sqlite3 *database);

/* Bytes of all segments of the database at `path`. */
uint64_t store_texts_size(const char *path);
