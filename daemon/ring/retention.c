/* How far back this node keeps the history.
 *
 * Rule: below the horizon nothing is kept, and nothing that comes by repair is stored; the store
 * removes messages only below a horizon that is on disk. What was removed counts as had, so it
 * never comes back. It fails if something live or unsettled is removed: so the horizon stays below
 * all that is not delivered yet, and below the highest key delivered, where the order goes on after
 * a restart. */

#include "ring-internal.h"

#include "common/util.h"

void retention_wanted(struct ring *ring, uint64_t horizon)
{
    horizon = MIN(horizon, ring->top_delivered.hlc);
    if (ring->undelivered_count > 0)
        horizon = MIN(horizon, ring->undelivered[0]->key.hlc);
    list_for_each (at, &ring->repaired)
        horizon = MIN(horizon, list_entry(at, struct held_message, list)->key.hlc);
    if (horizon <= ring->state.horizon || ring->phase == RING_FAILED)
        return;
    ring->state.horizon = horizon;
    state_write(ring);
    digest_horizon_rose(ring);
}

void retention_pruned(struct ring *ring, const struct ring_id *id,
                      const struct ring_interval *interval)
{
    struct origin *origin = origin_find(ring, id);

    if (!origin || interval->from == 0 || interval->from > interval->to)
        return;
    if (intervals_add(&origin->pruned, interval->from, interval->to) < 0 ||
        intervals_remove(&origin->repairable, interval->from, interval->to) < 0)
        ring->broken = true;
}
