#pragma once

/* What link.c and link-open.c share. */

#include "admission.h"
#include "common/list.h"
#include "dial.h"
#include "link.h"
#include "stream.h"

struct link {
    struct list list;
    struct links *links;
    ring_link number;
    bool accepted, closing;
    struct ring_id target; /* dialled: who is meant */
    struct dial *dial;     /* while it is being dialled */
    struct stream *stream; /* once it is connected */
    bool open;             /* and the core knows it */
    struct ring_address remote;
    uint32_t key_id; /* what the other end proved itself by; 0 in the clear */
    size_t tried_count;
    uint32_t tried[KEYS_MAX]; /* keys that it was dialled with */
    struct event *broken;     /* pending: tells the core of the loss from the loop */
};

struct links {
    struct event_base *base;
    struct keys *keys;
    struct links_callbacks callbacks;
    struct admission *admission;
    struct event *flush; /* active: queues are to be sent */
    struct list list;
    size_t accepted;
    ring_link last_accepted; /* odd */
    bool paused;
};

/* ---- link.c ---- */

/* NULL: out of memory. */
struct link *link_new(struct links *links, ring_link number);

/* Closes it, if it is open with a goodbye. */
void link_free(struct link *link);

/* The stream is connected and its other end may be talked to: tells the core, then reads. */
void link_open(struct link *link);

/* ---- link-open.c ---- */

/* The admission's: a stranger has proved itself. */
void links_on_admitted(void *userdata, struct stream *stream, const struct ring_address *remote);
