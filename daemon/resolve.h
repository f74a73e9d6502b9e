#pragma once

/* Looking up the hosts of Peers= in a thread of its own: a name service blocks for seconds on a
 * network that is cut off. */

#include <event2/event.h>

#include "ring/ring.h"

/* Peers that are looked up; more are ignored with a warning. */
#define PEERS_MAX 64

struct resolver;

/* The addresses found so far; called in the loop after each pass. */
typedef void (*resolver_done)(void *userdata, const struct ring_address *addresses, size_t count);

/* Begins to look the peers up, and again from time to time. `peers` holds HOST or HOST:PORT,
 * separated by blanks. 0 or a negative errno. */
int resolver_new(struct event_base *base, const char *peers, uint16_t default_port,
                 resolver_done done, void *userdata, struct resolver **ret);

/* Does not wait for a lookup that hangs: its thread ends by itself. NULL is allowed. */
void resolver_free(struct resolver *resolver);
