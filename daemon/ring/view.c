/* The installed view: who is in the ring, in which order, and who leads it. */

#include "ring-internal.h"

#include <string.h>

#include "common/check.h"
#include "common/util.h"

struct ring_member *view_member(const struct ring *ring, const struct ring_id *id)
{
    for (size_t i = 0; i < ring->view.count; i++) {
        if (ring_id_equal(&ring->members[i].id, id))
            return &ring->members[i];
    }
    return NULL;
}

bool view_is_leader(const struct ring *ring)
{
    return ring->view.leader == ring->view.self;
}

bool view_is_alone(const struct ring *ring)
{
    return ring->view.count == 1;
}

const struct ring_member *view_successor(const struct ring *ring)
{
    return &ring->members[(ring->view.self + 1) % ring->view.count];
}

bool ring_addresses_equal(const struct ring_addresses *a, const struct ring_addresses *b)
{
    for (size_t i = 0; a->count == b->count && i < a->count; i++) {
        const struct ring_address *one = &a->list[i], *other = &b->list[i];

        if (one->family != other->family || one->port != other->port ||
            memcmp(one->ip, other->ip, one->family == 4 ? 4 : sizeof(one->ip)) != 0)
            return false;
    }
    return a->count == b->count;
}

struct candidate candidate_of(const struct ring_member *member)
{
    return (struct candidate){
        .id = member->id, .instance = member->instance, .addresses = member->addresses};
}

void view_describe_self(struct ring *ring, struct ring_member *ret)
{
    const struct ring_member *self = view_member(ring, &ring->config.id);

    *ret = (struct ring_member){
        .id = ring->config.id,
        .instance = ring->config.instance,
        .addresses = ring->config.addresses,
        .version = version_own(ring),
        .joined = self ? self->joined : 0,
        .since = self ? self->since : ring->wall,
        .clock_offset = (int64_t)ring->wall,
    };
    memcpy(ret->name, ring->name, sizeof(ret->name));
}

static size_t position_of(const struct ring_member *members, size_t count, const struct ring_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (ring_id_equal(&members[i].id, id))
            return i;
    }
    check_unreachable();
}

void view_install(struct ring *ring, const struct ring_formation_id *id, struct install *install)
{
    if (ring->members && !ring->told_members) {
        ring->told = ring->view;
        ring->told_members = steal_pointer(ring->members);
    }
    free(ring->members);
    ring->members = steal_pointer(install->members);
    ring->view = (struct ring_view){
        .formation = *id,
        .count = install->count,
        .self = position_of(ring->members, install->count, &ring->config.id),
        .leader = position_of(ring->members, install->count, &install->leader),
        .members = ring->members,
    };
    ring->view.version = version_of_view(ring);
    ring->heartbeat_interval = install->heartbeat_interval;
    ring->heartbeat_timeout = install->heartbeat_timeout;
    ring->view_since = ring->now;
    ring->lap_usec = 0;
}

void view_alone(struct ring *ring)
{
    struct ring_member *member = ring_allocate(ring, 1, sizeof(*member));
    struct ring_formation_id id = {
        .epoch = ring->highest_epoch + 1, .initiator = ring->config.id, .tag = ring_random(ring)};
    struct install install = {.leader = ring->config.id,
                              .heartbeat_interval = ring->config.heartbeat_interval,
                              .heartbeat_timeout = ring->config.heartbeat_timeout,
                              .count = 1,
                              .members = member};

    if (!member)
        return;
    ring->highest_epoch = id.epoch;
    ring->state.epoch = MAX(ring->state.epoch, id.epoch);
    view_describe_self(ring, member);
    member->joined = id.epoch;
    member->since = ring->wall;
    member->clock_offset = 0;
    view_install(ring, &id, &install);
    ring->self->last = ring->seq;
    state_write(ring);
}

static void tell_gone(struct ring *ring, const struct ring_member *member)
{
    struct ring_event *event =
        ring_emit_event(ring, leaver_is(ring, &member->id) ? RING_EVENT_LEFT : RING_EVENT_FAILED);

    event->peer = member->id;
    memcpy(event->peer_name, member->name, sizeof(event->peer_name));
    if (member->addresses.count > 0)
        event->address = member->addresses.list[0];
}

void view_forget_told(struct ring *ring)
{
    free(ring->told_members);
    ring->told_members = NULL;
    ring->told = (struct ring_view){0};
}

static bool is_in(const struct ring_member *member, const struct ring_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ring_id_equal(&members[i].id, &member->id) && members[i].instance == member->instance)
            return true;
    }
    return false;
}

/* A clock that is off shows wrong times, and pulls the ring's logical clock ahead. */
static void tell_clock(struct ring *ring, const struct ring_member *member)
{
    int64_t offset = member->clock_offset;

    if (offset >= -CLOCK_OFFSET_MAX && offset <= CLOCK_OFFSET_MAX)
        return;
    ring_emit_event_about(ring, RING_EVENT_CLOCK, &member->id)->number =
        (uint64_t)(offset < 0 ? -offset : offset) / USEC_PER_SEC;
}

void view_tell_changes(struct ring *ring)
{
    const struct ring_view *told = &ring->told;
    const struct ring_member *leader = &ring->members[ring->view.leader];
    size_t joined = 0;

    for (size_t i = 0; i < told->count; i++) {
        if (is_in(&ring->told_members[i], ring->members, ring->view.count))
            continue;
        if (!leaver_is(ring, &ring->told_members[i].id))
            flap_lost(ring, &ring->told_members[i].id);
        tell_gone(ring, &ring->told_members[i]);
    }
    for (size_t i = 0; i < ring->view.count; i++) {
        if (is_in(&ring->members[i], ring->told_members, told->count))
            continue;
        joined++;
        if (i == ring->view.self)
            continue;
        flap_joined(ring, &ring->members[i].id);
        ring_emit_event_about(ring, RING_EVENT_JOINED, &ring->members[i].id);
        tell_clock(ring, &ring->members[i]);
    }
    if (joined > 1)
        ring_emit_event_about(ring, RING_EVENT_MERGED, &leader->id)->number = joined;
    if (!ring->told_members || !ring_id_equal(&ring->told_members[told->leader].id, &leader->id))
        ring_emit_event_about(ring, RING_EVENT_LEADER, &leader->id);
    ring_emit_event_about(ring, RING_EVENT_VIEW, &leader->id)->number = ring->view.count;
    version_tell(ring, told->version);
    view_forget_told(ring);
}
