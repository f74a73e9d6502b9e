#pragma once

/* What engine.c and its parts share. */

#include "common/list.h"
#include "discovery.h"
#include "engine.h"
#include "interfaces.h"
#include "journal.h"
#include "keys.h"
#include "link.h"
#include "listen.h"
#include "netlink.h"
#include "retention.h"

/* Outstanding commands are found by ticket in this many lists. */
#define TICKET_LISTS 256

/* An input that waits, with what it holds. */
struct inbox_item {
    struct inbox_item *next;
    struct ring_input input; /* its packet or datagram is owned */
    struct packet *packet;   /* a frame, a datagram's bytes, or a command's message */
    struct packet **packets; /* fetched ones, owned */
    bool nudge;              /* engine_nudge() wants to know when it has been taken */
};

/* A command whose reply is waited for. */
struct waiting {
    struct list list;
    ring_ticket ticket;
    engine_reply callback;
    void *userdata;
};

struct engine {
    struct event_base *base;
    struct journal *journal;
    struct keys *keys;
    struct ring *ring;
    struct store *store;
    struct history *history;
    struct links *links;
    struct discovery *discovery;
    const struct config *settings;
    struct netlink *netlink;
    struct interfaces interfaces;
    struct ring_addresses addresses; /* as they are; the core's are in config */
    struct listen_sockets sockets;
    struct event *accept4, *accept6;
    struct engine_callbacks callbacks;
    struct ring_config config;
    char *name, *ring_name;
    struct retention retention;

    /* the pump */
    struct event *pump, *timer, *tick;
    struct inbox_item *inbox, **inbox_last;
    size_t inbox_count;
    struct ring_outbox outbox;
    uint64_t deadline; /* what the timer is armed for, monotonic µs */
    bool failed;
    bool store_failed;                 /* and it was the store's fault */
    bool delivered, changed, was_full; /* to be told when the outputs are applied */
    unsigned replies, writes;          /* among the outputs of this turn of the pump */

    uint64_t counts_asked, counts_done; /* of engine_count_rooms() */

    /* commands */
    ring_ticket last_ticket;
    struct list waiting[TICKET_LISTS];
    struct engine_watcher *watchers;
    engine_relayed relayed;
    void *relayed_userdata;
};

/* Inputs that wait; above it links are not read, and clients are told to wait. */
#define INBOX_MAX 16384

/* ---- engine.c ---- */

/* Gives the core one input, and applies what it wants. */
void engine_step(struct engine *engine, struct ring_input *in);
void engine_arm_timer(struct engine *engine);
/* The daemon cannot go on. */
void engine_fail(struct engine *engine, const char *error);
void engine_on_pump(evutil_socket_t fd, short what, void *userdata);
void engine_on_timer(evutil_socket_t fd, short what, void *userdata);

/* ---- engine-input.c ---- */

/* An input to be filled and given to engine_enqueue(), which takes it over. */
struct inbox_item *engine_item_new(enum ring_input_type type);
void engine_item_free(struct inbox_item *item);
void engine_enqueue(struct engine *engine, struct inbox_item *item);
struct inbox_item *engine_dequeue(struct engine *engine);

/* Callbacks of links, discovery, store and loop; `userdata` is the engine. */
void engine_on_link_up(void *userdata, ring_link link, const struct ring_address *remote);
void engine_on_link_down(void *userdata, ring_link link);
void engine_on_dial_failed(void *userdata, ring_link link, bool refused);
void engine_on_frame(void *userdata, ring_link link, struct packet *packet);
void engine_on_datagram(void *userdata, const struct ring_address *from, const uint8_t *data,
                        size_t size);
void engine_on_accept(evutil_socket_t fd, short what, void *userdata);

/* ---- engine-network.c ---- */

/* 0, or a negative errno with a sentence in `ret_error` or NULL there. */
int engine_open_network(struct engine *engine, char **ret_error);
/* Gives the core the addresses that were found, if they are new and may be told to the others. */
void engine_tell_addresses(struct engine *engine);

/* ---- engine-store.c ---- */

/* Opens store and history. As engine_new(). */
int engine_store_open(struct engine *engine, const char *state_directory, char **ret_error);

/* ---- engine-output.c ---- */

/* Applies everything in engine->outbox, in order. */
void engine_apply(struct engine *engine);
