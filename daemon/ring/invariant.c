/* What always holds between two steps. For tests. */

#include "ring-internal.h"

static const char *broken_view(const struct ring *ring)
{
    const struct ring_view *view = &ring->view;

    if (view->count == 0 || view->self >= view->count || view->leader >= view->count)
        return "the view has members, this node and a leader among them";
    if (!ring_id_equal(&ring->members[view->self].id, &ring->config.id))
        return "the view's self is this node";
    return NULL;
}

static const char *broken_phase(const struct ring *ring)
{
    if ((ring->phase == RING_FORMING) != (ring->formation != NULL))
        return "a formation is there exactly while forming";
    if (ring->phase == RING_FORMING && ring->timers[TIMER_DEADLINE] == NEVER)
        return "a formation has a deadline";
    if (ring->phase == RING_LIVE && !view_is_alone(ring) &&
        ring->timers[TIMER_HEARTBEAT_LOST] == NEVER)
        return "a live ring waits for heartbeats";
    if (ring->phase == RING_LIVE && !view_is_alone(ring) && !ring->successor)
        return "a live member has a successor link";
    if (ring->phase == RING_LIVE && ring->seal_in_flight && view_is_alone(ring))
        return "a ring of one seals nothing";
    return NULL;
}

static const char *broken_messages(const struct ring *ring)
{
    size_t messages = 0, queued = 0, unstable = 0;

    for (size_t i = 0; i < ring->origins_count; i++) {
        const struct origin *origin = ring->origins[i];
        uint64_t before = 0;

        list_for_each (at, &origin->messages) {
            const struct held_message *message = list_entry(at, struct held_message, list);

            if (message->key.seq <= before)
                return "an origin's messages ascend by seq";
            if (!intervals_contain(&origin->held, message->key.seq))
                return "what is in memory counts as held";
            before = message->key.seq;
            messages++;
            unstable += origin == ring->self && !message->settled;
        }
    }
    if (messages != ring->undelivered_count)
        return "the heap holds exactly the undelivered messages";
    list_for_each (at, &ring->queue)
        queued++;
    if (queued != ring->queue_count)
        return "the queue is counted";
    if (ring->phase == RING_LIVE && unstable < ring->window_count)
        return "the window counts own unstable messages";
    return NULL;
}

const char *ring_broken_invariant(const struct ring *ring)
{
    const char *broken;

    if (!ring->started || ring->broken)
        return NULL;
    broken = broken_view(ring);
    if (!broken)
        broken = broken_phase(ring);
    if (!broken)
        broken = broken_messages(ring);
    if (!broken && ring->hlc < ring->top_delivered.hlc)
        broken = "the clock is not below what was delivered";
    return broken;
}
