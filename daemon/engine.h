#pragma once

/* The pump: the only caller of ring_step(). Callbacks put inputs into its bounded inbox; it drains
 * some, applies the outboxes, arms the one timer and yields to I/O. It owns the core, the store and
 * the history, and tells those who watch what is delivered and what happens. Loop thread only. */

#include <event2/event.h>

#include "history.h"
#include "ring/ring.h"
#include "store.h"

struct engine;
struct config;
struct hearing;
struct interfaces;
struct keys;
struct journal;

struct engine_callbacks {
    /* The daemon cannot go on: `error` says why and what to do. Called from the loop, once. */
    void (*failed)(void *userdata, const char *error);
    /* What was in the inbox when engine_nudge() was called has been taken. */
    void (*nudged)(void *userdata);
    /* Called often from inside engine_new() while it takes its time and gets on: see
     * store-progress.h. Returns whether to go on: else that fails with -ECANCELED. */
    bool (*working)(void *userdata, enum store_work work, int percent);
    void *userdata;
};

/* Opens the store in `state_directory`, the sockets and the rest, and starts the core. Sockets are
 * opened only where the configuration allows to talk to others. 0, or a negative errno with a
 * sentence in `ret_error` (to be freed). `config`, `keys` and `journal` must live
 * longer. */
int engine_new(struct event_base *base, const struct config *config, const char *state_directory,
               struct keys *keys, struct journal *journal, const struct engine_callbacks *callbacks,
               struct engine **ret, char **ret_error);

/* Ends at once, without leaving the ring. NULL is allowed. */
void engine_free(struct engine *engine);

/* Asks for `nudged` as soon as the engine has got so far. */
void engine_nudge(struct engine *engine);

/* There is a key now: opens the sockets and looks for others. Errors as engine_new(). */
int engine_connect(struct engine *engine, char **ret_error);

/* Closes the links that rest on keys that are accepted no more. */
void engine_close_retired(struct engine *engine);

/* Checks the whole database beside everything else, once READY has been told. What is found damaged
 * ends this daemon, and the next one sets the database aside. */
void engine_check_store(struct engine *engine);

/* Whether it was the store that made engine_new() fail, or the daemon end. */
bool engine_store_has_failed(const struct engine *engine);

/* New settings: times, addresses, greeting. */
void engine_reconfigure(struct engine *engine, const struct config *config);

/* The port in use; 0: not on the network. */
uint16_t engine_port(const struct engine *engine);

/* Called once or, where ACCEPTED comes first, twice; `members` as in the output. */
typedef void (*engine_reply)(void *userdata, enum ring_reply reply, size_t members);

/* Gives a command to the core. For RING_SEND_MESSAGE `message` is copied before the call returns;
 * its id, sent, kind, user, room and text are set. `ret_ticket` (may be NULL) can be given to
 * engine_forget(). 0; -ENOMEM; -EBUSY: the inbox is full. The callback never comes from inside this
 * call. */
int engine_command(struct engine *engine, enum ring_command command, const struct message *message,
                   const struct ring_id *node, engine_reply callback, void *userdata,
                   ring_ticket *ret_ticket);

/* Sends a text (at most RELAY_BYTES_MAX) to every other member's shell; the callback comes when all
 * have passed it on, or with RING_ABANDONED. 0 or -ENOMEM. */
int engine_relay(struct engine *engine, const char *text, engine_reply callback, void *userdata,
                 ring_ticket *ret_ticket);

/* Another member's text has come, not ended by NUL; engine_pass_on() says that this node has done
 * with it. One may be set. */
typedef void (*engine_relayed)(void *userdata, ring_ticket ticket, const struct packet *packet);
void engine_set_relayed(struct engine *engine, engine_relayed relayed, void *userdata);
void engine_pass_on(struct engine *engine, ring_ticket ticket);

/* The callback of this command will not be called any more; the command itself goes on. */
void engine_forget(struct engine *engine, ring_ticket ticket);

/* Whether there is room for another RING_SEND_MESSAGE; if not, wait for the watcher's `room`. */
bool engine_has_room(const struct engine *engine);

/* Those who want to know. Called from the pump, outside ring_step(); a watcher may remove itself.
 */
struct engine_watcher {
    /* After one or more deliveries: there is something new to read in the history. */
    void (*delivered)(void *userdata);
    void (*event)(void *userdata, const struct ring_event *event);
    /* The view, the leader or the phase may have changed. */
    void (*changed)(void *userdata);
    /* engine_has_room() has become true. */
    void (*room)(void *userdata);
    /* engine_has_counted() has become true for somebody. */
    void (*counted)(void *userdata);
    void *userdata;
    struct engine_watcher *next; /* the engine's */
};

void engine_add_watcher(struct engine *engine, struct engine_watcher *watcher);
void engine_remove_watcher(struct engine *engine, struct engine_watcher *watcher);

/* Has the store bring its table of rooms up to date with what it was given so far, for
 * history_read_rooms(): it is once engine_has_counted() is true for `ret`; never where the store
 * fails. 0 or -ENOMEM. */
int engine_count_rooms(struct engine *engine, uint64_t *ret);
bool engine_has_counted(const struct engine *engine, uint64_t number);

/* The clocks, µs: since the boot, and UTC. */
uint64_t engine_monotonic(void);
uint64_t engine_wall(void);

const struct ring_view *engine_get_view(const struct engine *engine);
void engine_get_status(const struct engine *engine, struct ring_status *ret);
void engine_get_repair(const struct engine *engine, struct ring_repair *ret);
struct history *engine_get_history(const struct engine *engine);
/* Logs that reading it failed with this negative errno, and what to do. */
void engine_log_unreadable(struct engine *engine, int error);
struct store *engine_get_store(const struct engine *engine);

/* The network as this node sees it; empty where it does not talk to others. */
const struct interfaces *engine_get_interfaces(const struct engine *engine);
const struct hearing *engine_get_hearing(const struct engine *engine);

/* Sends a question by multicast, so that it shows what works; see discovery_probe(). */
void engine_probe(struct engine *engine);
