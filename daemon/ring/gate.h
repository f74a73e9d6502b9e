#pragma once

/* The gate before dispatch: which frame may come over which link now. */

#include "ring-internal.h"

enum gate_verdict {
    GATE_TAKE,
    GATE_DROP,   /* of another formation or view, or too late: normal, ignored */
    GATE_EARLY,  /* a HAVE of the view that is about to start: kept */
    GATE_REFUSE, /* malformed or against the protocol: the link is closed */
};

enum gate_verdict gate_frame(const struct ring *ring, const struct link *link,
                             const struct packet *packet);
