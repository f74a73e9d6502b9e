/* Leaving in good order.
 *
 * Rule: a leaver takes no new sends, waits until its own messages are stable, and asks its
 * successor to form the view without it; until that view is installed it takes part in everything.
 * It is then told that it may go, and all members that it left, not failed. It fails if the others
 * never answer: after LEAVE_TIMEOUT it goes anyway, and is taken for failed. */

#include "ring-internal.h"

#include <errno.h>

#include "common/util.h"

#define LEAVE_TIMEOUT (3 * USEC_PER_SEC)

bool leaver_is(const struct ring *ring, const struct ring_id *id)
{
    for (size_t i = 0; i < ring->leavers_count; i++) {
        if (ring_id_equal(&ring->leavers[i], id))
            return true;
    }
    return false;
}

static void answer_leave(struct ring *ring, enum ring_reply reply)
{
    if (ring->leave_ticket)
        ring_emit_reply(ring, ring->leave_ticket, reply);
    ring->leave_ticket = 0;
}

void leave_command(struct ring *ring, ring_ticket ticket)
{
    if (ring->phase == RING_FAILED || ring->phase == RING_LEFT) {
        ring_emit_reply(ring, ticket, ring->phase == RING_LEFT ? RING_DONE : RING_STORE_BROKEN);
        return;
    }
    answer_leave(ring, RING_ABANDONED);
    ring->leave_ticket = ticket;
    if (ring->phase == RING_STALLED) {
        leave_now(ring);
        return;
    }
    if (!ring->leaving)
        ring_arm(ring, TIMER_LEAVE, LEAVE_TIMEOUT);
    ring->leaving = true;
    leave_check(ring);
}

void leave_check(struct ring *ring)
{
    struct writer writer;

    if (!ring->leaving || ring->phase != RING_LIVE || ring->window_count > 0 ||
        !list_empty(&ring->queue))
        return;
    if (view_is_alone(ring)) {
        leave_now(ring);
        return;
    }
    if (ring->leave_asked)
        return;
    ring->leave_asked = true;
    writer_begin(&writer, FRAME_LEAVE, ring->view.formation.tag);
    write_id(&writer, &ring->config.id);
    link_send(ring, ring->successor, writer_end(&writer));
}

int leave_received(struct ring *ring, struct reader *reader)
{
    struct formation_cause cause = {.reason = "a member leaves"};
    struct ring_id id = read_id(reader);

    if (reader->failed || !view_member(ring, &id) || ring_id_equal(&id, &ring->config.id))
        return -EBADMSG;
    if (!leaver_is(ring, &id) && ring->leavers_count < MEMBERS_MAX)
        ring->leavers[ring->leavers_count++] = id;
    formation_start(ring, &cause);
    return 0;
}

void leave_let_go(struct ring *ring)
{
    if (ring->leaving)
        leave_now(ring);
}

/* A clean stop needs no bound ahead: the clock itself is written. */
static void write_clock(struct ring *ring)
{
    ring->state.hlc_bound = 0;
    state_write_bound(ring, ring->hlc);
    ring->stored_state.hlc_bound = MIN(ring->stored_state.hlc_bound, ring->hlc);
}

void leave_detach(struct ring *ring)
{
    formation_free(ring);
    while (!list_empty(&ring->links))
        link_hang_up(ring, list_entry(ring->links.next, struct link, list));
    for (size_t i = 0; i < TIMERS; i++)
        ring_disarm(ring, (enum timer)i);
    repair_stopped(ring);
    merges_free(steal_pointer(ring->merges));
    clone_stop(ring);
    ring->offer_pending = false;
    live_reset(ring);
    commands_abandon(ring);
    if (!view_is_alone(ring) || ring->told_members)
        view_alone(ring);
    view_forget_told(ring);
}

void leave_now(struct ring *ring)
{
    ring->leaving = false;
    leave_detach(ring);
    ring->phase = RING_LEFT;
    leave_settle(ring);
    write_clock(ring);
    ring_emit_event_about(ring, RING_EVENT_SELF_LEFT, &ring->config.id);
    answer_leave(ring, RING_DONE);
}

void leave_settle(struct ring *ring)
{
    if (ring->phase == RING_LEFT && ring->stored_ticket == ring->last_ticket)
        messages_settle_all(ring);
}

/* From being away to a ring of one that looks for others. */
void leave_return(struct ring *ring)
{
    ring->phase = RING_LIVE;
    if (ring->config.networked)
        discovery_begin(ring);
    live_pump(ring);
}

void leave_join(struct ring *ring, ring_ticket ticket)
{
    if (ring->phase != RING_LEFT) {
        ring_emit_reply(ring, ticket, ring->phase == RING_FAILED ? RING_STORE_BROKEN : RING_DONE);
        return;
    }
    if (ring->undelivered_count > 0) {
        ring_emit_reply(ring, ticket, RING_BUSY);
        return;
    }
    view_alone(ring);
    ring_emit_reply(ring, ticket, RING_DONE);
    leave_return(ring);
}
