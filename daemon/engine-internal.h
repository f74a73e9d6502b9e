#pragma once

/* What engine.c and its parts share. */

#include "common/list.h"
#include "discovery.h"
#include "engine.h"
#include "interfaces.h"
#include "journal.h"
#include "link.h"
#include "listen.h"

/* Outstanding commands are found by ticket in this many lists. */
#define TICKET_LISTS 256

/* An input that waits, with what it holds. */
struct inbox_item {
    struct inbox_item *next;
    struct ring_input input; /* its packet or datagram is owned */
    struct packet *packet;   /* a frame, a datagram's bytes, or a command's message */
    struct packet **packets; /* fetched ones, owned */
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
    struct ring *ring;
    struct store *store;
    struct history *history;
    struct links *links;
    struct discovery *discovery;
    struct interfaces interfaces;
    struct listen_sockets sockets;
    struct event *accept4, *accept6;
    struct engine_callbacks callbacks;
    struct ring_config config;
    char *name, *ring_name;

    /* the pump */
    struct event *pump, *timer, *store_check;
    struct inbox_item *inbox, **inbox_last;
    size_t inbox_count;
    struct ring_outbox outbox;
    uint64_t deadline; /* what the timer is armed for, monotonic µs */
    bool failed;
    bool delivered, changed, was_full; /* to be told when the outputs are applied */

    /* commands */
    ring_ticket last_ticket;
    struct list waiting[TICKET_LISTS];
    struct engine_watcher *watchers;
};

/* ---- engine-output.c ---- */

/* Applies everything in engine->outbox, in order. */
void engine_apply(struct engine *engine);
