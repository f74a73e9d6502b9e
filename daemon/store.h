#pragma once

/* The durable store: the history, the outbox and the node's state in one SQLite database (WAL,
 * synchronous=FULL), and long texts in files beside it. One thread of its own holds the only write
 * handle; requests go to it first in, first out, and one transaction takes all that waits (group
 * commit). Completions come back in the event loop's thread. */

#include <event2/event.h>

#include "ring/ring.h"
#include "store-progress.h"

struct store;

/* What the database held when it was opened; valid until store_close(). */
struct store_contents {
    struct ring_id node;     /* the node's id, made when the database was */
    struct ring_id instance; /* of the database: a rebuilt one has another */
    struct ring_state state;
    struct message_key top;
    size_t held_count;
    const struct ring_held *held;
    size_t outbox_count;
    struct packet *const *outbox;
    uint64_t messages; /* how many are held */
};

/* What retention has removed in one step; the intervals of one origin ascend. */
struct store_pruned_interval {
    struct ring_id origin;
    struct ring_interval interval;
};

struct store_pruned {
    size_t messages;
    size_t count, allocated;
    struct store_pruned_interval *intervals;
};

/* Called from the event loop, in the order of the requests; none may close the store. */
struct store_callbacks {
    /* All writes up to `ticket` are on disk. Ticket 0: late notes are, no write. */
    void (*stored)(void *userdata, ring_ticket ticket);
    /* Writes from `ticket` on are not on disk (0: a read or a late note failed), and nothing that
     * was not completed before, or is submitted later, ever will be. Comes once. `error` is a text
     * for the journal: what failed and what to do. */
    void (*failed)(void *userdata, ring_ticket ticket, const char *error);
    void (*fetched)(void *userdata, ring_ticket ticket, size_t count,
                    struct packet *const *packets);
    /* Messages below the horizon of the state are gone, those of every write up to then included.
     */
    void (*pruned)(void *userdata, const struct store_pruned *pruned);
    /* The answer to a store_submit_rooms(). */
    void (*counted)(void *userdata);
    /* A check of the whole database is done: it is sound, or (with a text) it is not. */
    void (*checked)(void *userdata, const char *error);
    /* Opening takes its time and gets on: see store-progress.h. Called from inside store_open(),
     * often; may be NULL. Returns whether to go on: else that fails with -ECANCELED. */
    bool (*working)(void *userdata, enum store_work work, int percent);
};

/* Opens or makes the database `history.db` in the directory `state_directory` (which exists),
 * checks it, reads its contents and starts the thread. One that is damaged is renamed, and a new
 * one made (store_get_notice()). 0, or a negative errno with a sentence in `ret_error` (to be
 * freed) that says what is wrong and what to do; -EBUSY: another daemon has it open. */
int store_open(const char *state_directory, struct event_base *base,
               const struct store_callbacks *callbacks, void *userdata, struct store **ret,
               char **ret_error);

/* What is to be said at the start: a damaged database was set aside. NULL: nothing. The text ends
 * without a full stop and belongs to the store. `ret_salvaged`: messages that waited to be sent and
 * were found in it. */
const char *store_get_notice(const struct store *store, unsigned *ret_salvaged);

/* Checks the whole database beside everything else, unless that was done when it was opened: tells
 * by the callback `checked`. What is found damaged is set aside by the next store_open(). 0 or a
 * negative errno. */
int store_check(struct store *store, struct event_base *base);

/* Whether the database was deleted, or replaced, while it is open. */
bool store_is_gone(const struct store *store);

/* How many messages were written so far whose id the database had under another key; all of the
 * writes that were completed are counted. */
uint64_t store_twins(const struct store *store);

/* Does what waits, stops the thread, closes. No callback comes any more. NULL is allowed. */
void store_close(struct store *store);

/* Gives the node whose state this is a new id, as a copy of another node's must have; the history
 * and what waits to be sent are kept. Errors as with store_open(). */
int store_renew_identity(const char *state_directory, struct ring_id *ret_node, char **ret_error);

const struct store_contents *store_get_contents(const struct store *store);

/* Queues a RING_STORE or RING_FETCH output; takes references of its own. 0 or -ENOMEM. */
int store_submit(struct store *store, const struct ring_output *output);

/* What is submitted while held may wait until it is not: for the little while in which several
 * come, and what goes to the network is to go first. */
void store_hold(struct store *store, bool hold);

/* Whether the loop is woken when writes are on disk, as it is at first. Else their completion comes
 * with whatever else wakes it: by store_collect(), or when it is awaited again. */
void store_await(struct store *store, bool await);

/* Calls back for all that is done by now. */
void store_collect(struct store *store);

/* A message was delivered unmarked. Whatever is written from now on with a smaller key can only be
 * delivered late, so its note goes into the transaction that stores it: a crash before its delivery
 * then hides it from no tail. */
void store_delivered(struct store *store, const struct message_key *key);

/* Queues the note that a message was delivered late (its place in this node's tails; what has
 * been noted with its write is not noted again).
 * Completed as ticket 0. 0 or -ENOMEM. */
int store_submit_late(struct store *store, const struct message_key *key);

/* Asks that the table of rooms has all that was submitted before. 0 or -ENOMEM. */
int store_submit_rooms(struct store *store);

/* The size of the database on disk with its log and its texts, bytes. */
uint64_t store_size(const struct store *store);
