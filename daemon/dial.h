#pragma once

/* Dialling a node that has several addresses: one attempt after the other in quick succession, as
 * in RFC 8305; the first that connects wins. */

#include <event2/event.h>

#include "ring/ring.h"

struct dial;

/* `fd` is a connected socket that belongs to the callee, or -1: nothing answered; `refused`: every
 * address was refused. Called once, from the loop; the dial is freed then. */
typedef void (*dial_done)(void *userdata, int fd, const struct ring_address *remote, bool refused);

/* Addresses are tried in their order. NULL: out of memory. */
struct dial *dial_new(struct event_base *base, const struct ring_address *addresses, size_t count,
                      dial_done done, void *userdata);

/* Ends it without a callback. NULL is allowed. */
void dial_free(struct dial *dial);
