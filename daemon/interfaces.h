#pragma once

/* The network interfaces of this host, and which of their addresses a node tells others.
 *
 * A node is either on the network or on loopback only: it uses loopback where it listens there, or
 * where no other interface is usable. So a loopback address is never handed to another host. */

#include <net/if.h>

#include "ring/ring.h"

/* Interfaces that one node uses: hosts with more have containers on most of them. */
#define INTERFACES_MAX 32

/* Addresses of one interface that are looked at. */
#define INTERFACE_ADDRESSES_MAX 8

struct interface {
    char name[IF_NAMESIZE];
    unsigned index;
    bool loopback, has_ipv4, has_ipv6;
    size_t count;
    struct ring_address addresses[INTERFACE_ADDRESSES_MAX]; /* without port */
    uint8_t prefixes[INTERFACE_ADDRESSES_MAX];              /* bits of the network */
};

struct interfaces {
    size_t count;
    struct interface list[INTERFACES_MAX];
};

/* Which interfaces to use: those that are up and have an address; with `names` (separated by
 * blanks) only these; with `listen` only the one that has that address. 0 or a negative errno;
 * -ENODEV: there is none. */
int interfaces_find(const char *names, const struct ring_address *listen, struct interfaces *ret);

/* The addresses to tell others, best first: IPv4, then IPv6, link-local ones only where nothing
 * else is there. */
void interfaces_addresses(const struct interfaces *interfaces, const struct ring_address *listen,
                          uint16_t port, struct ring_addresses *ret);

/* Whether the address is in a network of one of the interfaces. */
bool interfaces_reach(const struct interfaces *interfaces, const struct ring_address *address);

/* Whether this node is on loopback only. */
bool interfaces_are_loopback(const struct interfaces *interfaces);
