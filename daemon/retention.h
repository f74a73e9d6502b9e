#pragma once

/* How much of the history this node keeps. */

#include "history.h"

/* Limits; 0: none. */
struct retention {
    uint64_t usec;  /* age */
    uint64_t bytes; /* of the database, without its free pages */
};

/* The hlc below which nothing shall be kept, or 0: as far as it is now. `wall`: µs UTC. Where the
 * database is too large it rises in steps, each when the one before has been done. */
uint64_t retention_horizon(struct history *history, const struct retention *retention,
                           uint64_t wall);
