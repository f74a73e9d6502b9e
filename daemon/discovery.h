#pragma once

/* Datagrams, sealed where there are keys: multicast on every usable interface, unicast to nodes and
 * to the configured peers. Loop thread only. */

#include <event2/event.h>

#include "hearing.h"
#include "interfaces.h"
#include "keys.h"
#include "listen.h"
#include "ring/ring.h"

struct discovery;

struct discovery_options {
    const char *group4, *group6;          /* numeric multicast addresses */
    const char *peers;                    /* HOST or HOST:PORT, separated by blanks */
    struct keys *keys;                    /* must live longer */
    const struct interfaces *interfaces;  /* must live longer */
    const struct listen_sockets *sockets; /* the UDP ones are used, not owned; must live longer */
};

/* Called from the loop. `data` is valid during the call. */
typedef void (*discovery_received)(void *userdata, const struct ring_address *from,
                                   const uint8_t *data, size_t size);

/* Joins the groups. Interfaces on which that fails are left out; only where nothing at all works is
 * there an error: 0 or a negative errno. */
int discovery_new(struct event_base *base, const struct discovery_options *options,
                  discovery_received received, void *userdata, struct discovery **ret);
void discovery_free(struct discovery *discovery); /* NULL is allowed */

/* `interfaces` have changed: joins the groups on those that are there now. 0 or -ENOMEM. */
int discovery_refresh(struct discovery *discovery);

/* Sends by multicast on all interfaces, and to all peers. What cannot be sent is lost, as any
 * datagram may be. */
void discovery_send_to_everyone(struct discovery *discovery, struct packet *packet);

/* Repeats on all interfaces the first datagram that was sent there, a question that is answered
 * anew: to see what comes of it. */
void discovery_probe(struct discovery *discovery);

/* What was sent and heard by multicast. */
const struct hearing *discovery_get_hearing(const struct discovery *discovery);

/* Sends to each of the addresses. */
void discovery_send(struct discovery *discovery, const struct ring_addresses *addresses,
                    const struct packet *packet);
