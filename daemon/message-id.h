#pragma once

/* Ids of messages: UUIDs of version 7 (RFC 9562), which begin with the time, so that an index of
 * them is appended to. */

#include "ring/message.h"

/* `wall`: µs UTC. Random but for the time. */
void message_id_make(struct ring_id *ret, uint64_t wall);
