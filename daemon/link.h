#pragma once

/* Links: TCP connections that carry frames, inside TLS where there are keys. Each is known by the
 * core's number. Loop thread only. */

#include <event2/event.h>

#include "interfaces.h"
#include "keys.h"
#include "ring/ring.h"

struct links;

/* Called from the loop, never from inside the functions below. */
struct links_callbacks {
    void (*up)(void *userdata, ring_link link, const struct ring_address *remote);
    void (*down)(void *userdata, ring_link link);
    void (*dial_failed)(void *userdata, ring_link link, bool refused);
    void (*frame)(void *userdata, ring_link link, struct packet *packet); /* takes the reference */
    void *userdata;
};

/* `keys` must live longer. NULL: out of memory. */
struct links *links_new(struct event_base *base, struct keys *keys,
                        const struct links_callbacks *callbacks);

/* Closes all, without callbacks. NULL is allowed. */
void links_free(struct links *links);

/* Begins to dial the node `target` at its addresses: those in a network of `interfaces` first, the
 * next after a short wait, the first that answers wins. `self` is left out: where hosts have an
 * address in common, it would lead here. Where the other end does not take one key, the next is
 * tried. Ends with `up` or `dial_failed`, unless hung up before. */
void links_dial(struct links *links, ring_link number, const struct ring_id *target,
                const struct ring_addresses *addresses, const struct interfaces *interfaces,
                const struct ring_addresses *self);

/* A connection that was accepted; `fd` is taken over. It becomes a link when its other end has
 * shown that it holds a key. Above LINKS_ACCEPTED_MAX it is closed. */
void links_accept(struct links *links, int fd, const struct ring_address *remote);

/* Queues a frame; dropped where the link is gone. A link whose queue would exceed
 * LINK_QUEUE_BYTES_MAX is closed, and `down` follows. */
void links_send(struct links *links, ring_link number, struct packet *packet);

/* Writes what was queued, as far as it goes; else the loop does so in its next turn. */
void links_flush(struct links *links);

/* Sends what is queued, for a moment at most, and closes; or ends the dialling. */
void links_hang_up(struct links *links, ring_link number);

/* Closes the links that came up by a key that is accepted no more. */
void links_close_retired(struct links *links);

/* Stops reading from all links, and starts again: while the inbox is full. */
void links_pause(struct links *links, bool pause);

/* The other end, for a log; false: there is no such link. */
bool links_remote(const struct links *links, ring_link number, struct ring_address *ret);
