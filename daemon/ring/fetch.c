/* Reads of the store: what is asked for, and to whom the answer goes. */

#include "ring-internal.h"

struct fetch *fetch_begin(struct ring *ring, enum fetch_purpose purpose, uint64_t tag,
                          const struct range *range, size_t bytes_max)
{
    struct fetch *fetch = ring_allocate(ring, 1, sizeof(*fetch));
    struct ring_output *output;

    if (!fetch)
        return NULL;
    *fetch = (struct fetch){.next = ring->fetches,
                            .ticket = ++ring->last_fetch,
                            .purpose = purpose,
                            .tag = tag,
                            .range = *range};
    ring->fetches = fetch;
    output = ring_emit(ring, RING_FETCH);
    output->fetch.ticket = fetch->ticket;
    output->fetch.origin = range->origin;
    output->fetch.from = range->interval.from;
    output->fetch.to = range->interval.to;
    output->fetch.bytes_max = bytes_max;
    return fetch;
}

void fetched(struct ring *ring, const struct ring_input *in)
{
    struct fetch **place = &ring->fetches, *fetch;

    while (*place && (*place)->ticket != in->fetched.ticket)
        place = &(*place)->next;
    fetch = *place;
    if (!fetch)
        return;
    *place = fetch->next;
    switch (fetch->purpose) {
    case FETCH_FILL:
        sync_fetched(ring, fetch, in->fetched.count, in->fetched.packets);
        break;
    case FETCH_REPAIR:
        supply_fetched(ring, fetch, in->fetched.count, in->fetched.packets);
        break;
    }
    free(fetch);
}
