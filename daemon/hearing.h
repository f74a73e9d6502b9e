#pragma once

/* What was sent and heard by multicast, interface by interface: so that a person can be told why
 * other hosts are not seen. Times are monotonic µs; 0: never. */

#include "interfaces.h"

struct hearing_interface {
    unsigned index;
    uint64_t sent;      /* when the last datagram went out */
    int error;          /* of the last one that could not be sent, after `sent`; 0: none */
    uint64_t echoed;    /* when an own one came back, as the kernel hands them out */
    uint64_t heard;     /* when another node's came in */
    uint64_t datagrams; /* of other nodes */
};

struct hearing {
    uint64_t begun; /* since when this is noted */
    size_t count;
    struct hearing_interface list[INTERFACES_MAX];
};

/* A datagram to a group was given to the interface; `error`: a positive errno, or 0. */
void hearing_sent(struct hearing *hearing, unsigned index, int error, uint64_t now);

/* One came by a group: from which of the interfaces is seen from its sender's address. */
void hearing_received(struct hearing *hearing, const struct interfaces *interfaces,
                      const struct ring_address *from, uint16_t own_port, uint64_t now);

/* The row of an interface, or NULL: nothing was sent or heard there. */
const struct hearing_interface *hearing_find(const struct hearing *hearing, unsigned index);
