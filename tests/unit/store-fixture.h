#pragma once

/* A store in a directory of its own, with a loop, and messages for it. */

#include "daemon/history.h"
#include "daemon/store.h"

struct completion {
    enum { STORED, FAILED, FETCHED, PRUNED, COUNTED, CHECKED } type;
    ring_ticket ticket;
    char *error;
    size_t count;
    struct packet **packets;
};

#define WORKED_MAX 2000

struct fixture {
    char directory[64];
    struct event_base *base;
    struct store *store;
    struct history *history;
    ring_ticket next_ticket;
    void (*kept)(ring_ticket ticket); /* NULL, or called when writes are done */
    struct ring_id node;              /* as it was opened last */
    size_t pruned;                    /* messages removed so far */
    ring_ticket counted;              /* of store_submit_rooms(): the last one asked for */
    ring_ticket has_counted;          /* and answered */
    size_t worked;                    /* how often opening said that it gets on, */
    int percents[WORKED_MAX];         /* and how far it was */
    size_t stop_at;                   /* it is stopped when it says so for the n-th time */
    size_t packet_count;              /* messages given to the store, not delivered yet */
    struct packet **packets;
    size_t count; /* completions so far, in their order */
    struct completion *completions;
};

/* For cmocka: a new directory with an open store and history in `*state`. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

void fixture_open(struct fixture *fixture);
/* Where it may fail; returns what store_open() does. */
int fixture_try_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* As after a restart: closed and opened again. */
void fixture_reopen(struct fixture *fixture);

/* The path of a file in the state directory, valid until the next call. */
const char *fixture_path(struct fixture *fixture, const char *file);

/* Runs a statement on the database, past the store. */
void fixture_sql(struct fixture *fixture, const char *text);

/* The number that a query gives. */
int fixture_number(struct fixture *fixture, const char *text);

/* Runs the loop until a completion of that kind and ticket (or above, for STORED) has come. */
struct completion *fixture_wait(struct fixture *fixture, int type, ring_ticket ticket);

/* Asks nothing of the store until the number that a query gives is 0: what the store does by itself
 * then gets done. */
void fixture_leave_alone(struct fixture *fixture, const char *query);
/* How many messages are not indexed yet. */
#define UNINDEXED                                                                                  \
    "SELECT (SELECT total(last - first + 1) FROM held)"                                            \
    " - (SELECT total(last - first + 1) FROM indexed)"

/* Whether something below the horizon is left. */
#define ANYTHING_BELOW                                                                             \
    "SELECT EXISTS (SELECT 1 FROM message WHERE hlc < (SELECT horizon FROM state))"

/* Keeps a state with that horizon, and waits until retention has removed what lies below. */
void fixture_set_horizon(struct fixture *fixture, uint64_t horizon);

/* How many segments have other texts than the table says, or are not in it. */
#define WRONG_SEGMENTS                                                                             \
    "WITH used AS (SELECT -long >> 32 AS number, count(*) AS texts FROM message WHERE long < 0"    \
    "    GROUP BY 1)"                                                                              \
    " SELECT (SELECT count(*) FROM used WHERE (number, texts) NOT IN"                              \
    "    (SELECT number, live FROM segment))"                                                      \
    " + (SELECT count(*) FROM segment WHERE live <> 0 AND number NOT IN (SELECT number FROM "      \
    "used))"                                                                                       \
    " + (SELECT count(*) FROM segment WHERE live > texts OR live = 0"                              \
    "    AND number < (SELECT max(number) FROM segment))"

/* How many rooms are in the table with other sums than their messages have, or are not in it. */
#define WRONG_ROOMS                                                                                \
    "WITH counted AS (SELECT room AS name, count(*) AS messages, max(hlc) AS hlc FROM message"     \
    "    WHERE twin < 2 GROUP BY room)"                                                            \
    " SELECT (SELECT count(*) FROM counted WHERE (name, messages, hlc) NOT IN"                     \
    "    (SELECT name, messages, hlc FROM room))"                                                  \
    " + (SELECT count(*) FROM room WHERE (name, messages, hlc) NOT IN"                             \
    "    (SELECT name, messages, hlc FROM counted))"                                               \
    " + (SELECT count(*) FROM room r WHERE NOT EXISTS (SELECT 1 FROM message m"                    \
    "    WHERE m.hlc = r.hlc AND m.room = r.name AND m.sent = r.sent AND m.twin < 2))"

/* What the store said on opening that it holds of an origin; NULL: nothing. */
const struct ring_held *held_of(struct fixture *fixture, unsigned origin);

/* The origin with that small number. */
struct ring_id origin_of(unsigned number);

/* A message's key: the seq of the first run, unless it is given whole. */
struct message_key key_of(uint64_t hlc, unsigned origin, uint64_t n);

/* A message whose id and text follow from its key. */
struct message message_of(const struct message_key *key);

/* Another, whose id, room, kind and length follow from a number. Some tens of the long ones are
 * more than a tail's memory. */
struct message message_of_id(const struct message_key *key, unsigned id);
#define LONG_TEXT 60000

/* Hands a message to the store, as the engine does. The ticket. */
ring_ticket submit_message(struct fixture *fixture, const struct message *message, bool repaired);
ring_ticket submit_key(struct fixture *fixture, const struct message_key *key, bool repaired);
ring_ticket submit_outbox(struct fixture *fixture, const struct message *message);
ring_ticket submit_state(struct fixture *fixture, const struct ring_state *state);
ring_ticket submit_fetch(struct fixture *fixture, unsigned origin, uint64_t from, uint64_t to,
                         size_t bytes_max);

/* Has the table of rooms brought up to date, and waits for that. */
void count_rooms(struct fixture *fixture);

/* As the engine does for a RING_DELIVER of what was submitted; and without telling the store. */
void deliver(struct fixture *fixture, const struct message_key *key, bool late);
void deliver_untold(struct fixture *fixture, const struct message_key *key, bool late);

/* Stores and delivers one message, and waits for both. */
void say(struct fixture *fixture, const struct message_key *key);
void repair(struct fixture *fixture, const struct message_key *key);

/* The number that message_of_id() was given. */
unsigned packet_id(const struct packet *packet);

struct message_key packet_key(const struct packet *packet);

/* That the packet is the n-th of a test's messages. */
typedef void assert_number(const struct packet *packet, uint64_t n);

/* That the page has these, and a search for the words finds them. The page is freed. */
void assert_page_has(struct history_page *page, assert_number *is, uint64_t first, uint64_t last);
void assert_found(struct fixture *fixture, const char *words, assert_number *is, uint64_t first,
                  uint64_t last);
