#pragma once

/* The door: accepted connections until their other end has shown that it holds a key of the ring.
 *
 * A stranger costs a descriptor and an event until its first byte, then the memory of a handshake,
 * and all that for HANDSHAKE_TIMEOUT_USEC at most. When there are too many, of one address or
 * altogether, the one that has taken the longest goes: an honest handshake is done in
 * milliseconds. Loop thread only. */

#include <event2/event.h>

#include "keys.h"
#include "stream.h"

struct admission;

/* The other end has proved itself; the stream belongs to the callee. Called from the loop. */
typedef void (*admission_admit)(void *userdata, struct stream *stream,
                                const struct ring_address *remote);

/* NULL: out of memory. `keys` must live longer. */
struct admission *admission_new(struct event_base *base, struct keys *keys, admission_admit admit,
                                void *userdata);
void admission_free(struct admission *admission); /* NULL is allowed */

/* A connection that was accepted; `fd` is taken over. */
void admission_begin(struct admission *admission, int fd, const struct ring_address *remote);
