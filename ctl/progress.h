#pragma once

/* How far something is that takes longer than a second: a bar on a terminal, else a line now and
 * then, both on stderr. With --quiet nothing. */

#include "context.h"

struct progress {
    const char *what;      /* "messages"; NULL: nothing is shown */
    bool bar;              /* else lines */
    uint64_t begun, shown; /* monotonic µs */
};

/* `what` is counted, "messages"; it stays the caller's. */
void progress_begin(struct progress *progress, const struct context *context, const char *what);

/* Shows it if it is time to. `total` is in the unit of `part`, as bytes of a file; 0: not known. */
void progress_show(struct progress *progress, uint64_t done, uint64_t part, uint64_t total);

/* Takes the bar off the screen: before anything else is printed, and at the end. */
void progress_clear(const struct progress *progress);
