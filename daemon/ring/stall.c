/* A disk that does not answer.
 *
 * Rule: a node whose writes make no progress for STORE_TIMEOUT leaves at once, without waiting for
 * its own messages, since every SEAL of the ring would wait for it. It acknowledges nothing and
 * merges with nobody until all its writes are on disk. It fails if a slow disk is taken for a hung
 * one again and again: so only a disk that completes nothing at all counts. */

#include "ring-internal.h"

#include "common/util.h"

#define STORE_TIMEOUT (5 * USEC_PER_SEC)

void stall_watch(struct ring *ring)
{
    if (ring->stored_ticket == ring->last_ticket || ring->phase == RING_FAILED)
        ring_disarm(ring, TIMER_STORE);
    else if (ring->timers[TIMER_STORE] == NEVER)
        ring_arm(ring, TIMER_STORE, STORE_TIMEOUT);
}

void stall_begin(struct ring *ring)
{
    if (ring->phase == RING_LEFT || ring->phase == RING_STALLED)
        return;
    ring_emit_event(ring, RING_EVENT_STORE_HUNG)->number = STORE_TIMEOUT / USEC_PER_SEC;
    ring->disk_hung = true;
    if (ring->leaving) {
        leave_now(ring);
        return;
    }
    leave_detach(ring);
    ring->phase = RING_STALLED;
}

void stall_stored(struct ring *ring)
{
    ring_disarm(ring, TIMER_STORE);
    if (ring->phase != RING_STALLED || ring->stored_ticket < ring->last_ticket)
        return;
    if (ring->disk_hung)
        ring_emit_event(ring, RING_EVENT_STORE_BACK);
    ring->disk_hung = false;
    messages_settle_all(ring);
    leave_return(ring);
}
