#pragma once

/* The sockets that a node is reached at: TCP for links, UDP as the source of all its datagrams and
 * the target of answers, both at one port, for IPv4 and IPv6. */

#include "ring/ring.h"

/* The port of a node and of the multicast groups, if nothing else is set. */
#define RING_PORT 7263
#define RING_PORT_TEXT "7263"

struct listen_sockets {
    uint16_t port;
    int tcp4, tcp6, udp4, udp6; /* -1: not there */
};

/* Binds to `address` (family 0: all addresses) and `port`. Where the port is taken and `fixed` is
 * not set, the next free one is used. 0, or a negative errno with a sentence in `ret_error` (to be
 * freed) that says what to do. */
int listen_open(const struct ring_address *address, uint16_t port, bool fixed,
                struct listen_sockets *ret, char **ret_error);

void listen_close(struct listen_sockets *sockets);
