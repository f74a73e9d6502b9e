/* Heartbeats: the leader's sign of life goes round, and tells how long the ways are.
 *
 * Rule: a node that sees none for HeartbeatTimeout starts a formation; so does the leader itself
 * when its own does not come back. It fails if settings differ from host to host: so all use the
 * leader's, from INSTALL. */

#include "ring-internal.h"

#include <errno.h>

#include "common/util.h"

static void arm_lost(struct ring *ring)
{
    ring_arm(ring, TIMER_HEARTBEAT_LOST, ring_jitter(ring, ring->heartbeat_timeout, 20));
}

void heartbeat_started(struct ring *ring)
{
    ring_disarm(ring, TIMER_HEARTBEAT);
    ring_disarm(ring, TIMER_HEARTBEAT_LOST);
    ring->hop_usec = 0;
    if (ring->refresh_ticket)
        ring_emit_reply(ring, ring->refresh_ticket, RING_ABANDONED);
    ring->refresh_ticket = 0;
    if (view_is_alone(ring))
        return;
    arm_lost(ring);
    if (view_is_leader(ring))
        ring_arm(ring, TIMER_HEARTBEAT, 0);
}

static void send_lap(struct ring *ring, enum frame_type type, const struct ring_id *origin,
                     uint64_t number, uint64_t lap)
{
    struct writer writer;

    ring->members[ring->view.self].hop_usec = (uint32_t)MIN(ring->hop_usec, UINT32_MAX);
    writer_begin(&writer, type, ring->view.formation.tag);
    write_id(&writer, origin);
    write_u64(&writer, number);
    write_u64(&writer, ring->now);
    write_u64(&writer, lap);
    write_u32(&writer, (uint32_t)ring->view.count);
    for (size_t i = 0; i < ring->view.count; i++)
        write_u32(&writer, ring->members[i].hop_usec);
    link_send(ring, ring->successor, writer_end(&writer));
}

void heartbeat_tick(struct ring *ring)
{
    ring->lap_started = ring->now;
    send_lap(ring, FRAME_HEARTBEAT, &ring->config.id, ++ring->heartbeat_number, ring->lap_usec);
    ring_arm(ring, TIMER_HEARTBEAT, ring->heartbeat_interval);
}

void heartbeat_lost(struct ring *ring)
{
    struct formation_cause cause = {.reason = "no heartbeat"};

    ring_emit_event_about(ring, RING_EVENT_HEARTBEAT_LOST, &ring->members[ring->view.leader].id)
        ->number = ring->heartbeat_timeout / USEC_PER_MSEC;
    formation_start(ring, &cause);
}

static void acknowledge(struct ring *ring, struct link *link, uint64_t stamp)
{
    struct writer writer;

    writer_begin(&writer, FRAME_HEARTBEAT_ACK, ring->view.formation.tag);
    write_u64(&writer, stamp);
    link_send(ring, link, writer_end(&writer));
}

void heartbeat_acknowledged(struct ring *ring, struct reader *reader)
{
    uint64_t stamp = read_u64(reader);

    if (!reader->failed && stamp <= ring->now)
        ring->hop_usec = MAX((ring->now - stamp) / 2, 1);
}

/* A lap that this node began is back. */
static void lap_done(struct ring *ring, enum frame_type type, uint64_t number)
{
    struct ring_event *event;

    if (type == FRAME_REFRESH) {
        if (ring->refresh_ticket)
            ring_emit_reply(ring, ring->refresh_ticket, RING_DONE);
        ring->refresh_ticket = 0;
        return;
    }
    if (number == ring->heartbeat_number)
        ring->lap_usec = ring->now - ring->lap_started;
    arm_lost(ring);
    event = ring_emit_event_about(ring, RING_EVENT_HEARTBEAT, &ring->config.id);
    event->number = number;
    event->other = ring->lap_usec;
}

static void lap_passes(struct ring *ring, enum frame_type type, const struct ring_id *origin,
                       uint64_t number, uint64_t lap)
{
    struct ring_event *event;

    if (type == FRAME_HEARTBEAT && ring_id_equal(origin, &ring->members[ring->view.leader].id)) {
        ring->lap_usec = lap;
        arm_lost(ring);
        event = ring_emit_event_about(ring, RING_EVENT_HEARTBEAT, origin);
        event->number = number;
        event->other = lap;
    }
    send_lap(ring, type, origin, number, lap);
}

int heartbeat_received(struct ring *ring, struct link *link, struct reader *reader,
                       enum frame_type type)
{
    struct ring_id origin = read_id(reader);
    uint64_t number = read_u64(reader), stamp = read_u64(reader), lap = read_u64(reader);
    uint32_t count = read_count(reader, MEMBERS_MAX, sizeof(uint32_t));

    if (reader->failed || count != ring->view.count || !view_member(ring, &origin))
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t hop = read_u32(reader);

        if (i != ring->view.self)
            ring->members[i].hop_usec = hop;
    }
    acknowledge(ring, link, stamp);
    if (ring_id_equal(&origin, &ring->config.id))
        lap_done(ring, type, number);
    else
        lap_passes(ring, type, &origin, number, lap);
    return 0;
}

void heartbeat_refresh(struct ring *ring, ring_ticket ticket)
{
    if (ring->phase != RING_LIVE || view_is_alone(ring)) {
        ring_emit_reply(ring, ticket, ring->phase == RING_FORMING ? RING_BUSY : RING_DONE);
        return;
    }
    if (ring->refresh_ticket)
        ring_emit_reply(ring, ring->refresh_ticket, RING_ABANDONED);
    ring->refresh_ticket = ticket;
    send_lap(ring, FRAME_REFRESH, &ring->config.id, 0, ring->lap_usec);
}
