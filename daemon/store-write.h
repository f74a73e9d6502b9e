#pragma once

/* The store's work on the database: writes in a transaction, and reads that see them. Used by one
 * thread at a time. */

#include <sqlite3.h>

#include "store.h"

struct store_writer;

/* Takes the database over (also on failure); `contents` says what it holds. 0 or a negative errno.
 */
int store_writer_new(sqlite3 *database, const struct store_contents *contents,
                     struct store_writer **ret);
void store_writer_free(struct store_writer *writer); /* NULL is allowed */

/* Writes join one transaction until store_writer_commit(). SQLite's result codes. */
int store_writer_apply(struct store_writer *writer, enum ring_write write, struct packet *packet,
                       const struct ring_state *state, bool from_outbox, bool repaired);
int store_writer_note_late(struct store_writer *writer, const struct message_key *key);
int store_writer_commit(struct store_writer *writer);

/* The highest messages of the range that fit `bytes_max`, ascending; the array is to be freed and
 * its packets to be given back. */
int store_writer_fetch(struct store_writer *writer, const struct ring_output *fetch,
                       struct packet ***ret_packets, size_t *ret_count);

sqlite3 *store_writer_database(struct store_writer *writer);

/* Makes a message's packet of a row: hlc, origin id, seq, id, sent, kind, user, node, room, text.
 * NULL: no memory, or the row is not a message. */
struct packet *store_row_packet(sqlite3_stmt *row);
#define STORE_ROW_COLUMNS "m.hlc, o.id, m.seq, m.id, m.sent, m.kind, m.user, m.node, m.room, m.text"
