#pragma once

/* An immutable run of bytes with a reference count: a frame as it came in, which is stored and
 * forwarded without a copy. References may be held by several threads. */

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct packet {
    unsigned references;
    size_t size; /* bytes in `data` */
    uint8_t data[];
};

/* A packet of `size` bytes, to be filled before it is shared, with one reference that belongs to
 * the caller; NULL: out of memory. */
struct packet *packet_new(size_t size);

/* A further reference to the same packet, which belongs to the caller. */
struct packet *packet_ref(struct packet *packet);

/* Gives a reference back; the last one frees the packet. NULL is allowed. */
void packet_unref(struct packet *packet);

DEFINE_CLEANUP(struct packet *, packet_unref);
