/* Links: what each connection is for, pings, and what the loss of one means.
 *
 * Rule: each side pings where it sent nothing for 0.4 of what the other waits (where heartbeats
 * come in good time anyway, only when one did not), and gives a link up that was silent for its own
 * LinkTimeout. A successor lost starts a formation; a predecessor lost waits for one. It fails if a
 * node that was held up itself accuses others: see ring.c. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"

/* An accepted link that nobody makes use of is closed after this. */
#define NEW_LINK_TIMEOUT (5 * USEC_PER_SEC)

/* How long the rest of the ring is given to start a formation about a broken link of one. */
#define LINK_BROKE_DELAY (10 * USEC_PER_MSEC)

/* The same where a higher formation is known to be under way: its probes, and two of its laps. */
#define OUTRANKED_DELAY (150 * USEC_PER_MSEC)
#define OUTRANKED_LAPS 2

struct link *link_find(const struct ring *ring, ring_link number)
{
    list_for_each (at, &ring->links) {
        struct link *link = list_entry(at, struct link, list);

        if (link->number == number)
            return link;
    }
    return NULL;
}

static struct link *link_new(struct ring *ring, ring_link number, enum link_role role)
{
    struct link *link = ring_allocate(ring, 1, sizeof(*link));

    if (!link)
        return NULL;
    link->number = number;
    link->role = role;
    link->opened = link->received = link->sent = ring->now;
    link->peer_timeout = ring->config.link_timeout;
    list_append(&ring->links, &link->list);
    ring_arm(ring, TIMER_PING, 0);
    return link;
}

/* Frees the link and whatever pointed to it. */
static void link_forget(struct ring *ring, struct link *link)
{
    if (ring->successor == link)
        ring->successor = NULL;
    if (ring->predecessor == link)
        ring->predecessor = NULL;
    if (ring->merge_link == link)
        ring->merge_link = NULL;
    if (ring->formation && ring->formation->out == link)
        ring->formation->out = NULL;
    if (ring->formation && ring->formation->in == link)
        ring->formation->in = NULL;
    list_remove(&link->list);
    packet_unref(link->first);
    free(link);
}

void links_done(struct ring *ring)
{
    list_for_each_safe (at, &ring->links)
        link_forget(ring, list_entry(at, struct link, list));
}

struct link *link_dial(struct ring *ring, enum link_role role, const struct ring_id *peer,
                       const struct ring_addresses *addresses, struct packet *first)
{
    struct link *link = first ? link_new(ring, ring->last_link + 2, role) : NULL;
    struct ring_output *output;

    if (!link) {
        packet_unref(first);
        ring->broken = true;
        return NULL;
    }
    ring->last_link += 2;
    link->peer = *peer;
    link->first = first;
    output = ring_emit(ring, RING_DIAL);
    output->dial.link = link->number;
    output->dial.peer = *peer;
    output->dial.addresses = *addresses;
    return link;
}

void link_send(struct ring *ring, struct link *link, struct packet *packet)
{
    struct ring_output *output;

    if (!packet) {
        ring->broken = true;
        return;
    }
    if (!link || !link->up) {
        packet_unref(packet);
        return;
    }
    if (frame_has_version((enum frame_scope)frame_scope((uint8_t)frame_type(packet->data))))
        frame_set_version(packet, ring->view.version);
    output = ring_emit(ring, RING_SEND);
    output->send.link = link->number;
    output->send.packet = packet;
    link->sent = ring->now;
}

void link_hang_up(struct ring *ring, struct link *link)
{
    if (!link)
        return;
    ring_emit(ring, RING_HANGUP)->hangup.link = link->number;
    link_forget(ring, link);
}

/* ---- the first frame ---- */

static struct packet *hello(struct ring *ring)
{
    struct writer writer;

    writer_begin(&writer, FRAME_HELLO, 0);
    versions_write(ring, &writer);
    write_id(&writer, &ring->config.id);
    write_u64(&writer, ring->config.instance);
    write_u32(&writer, (uint32_t)(ring->config.link_timeout / USEC_PER_MSEC));
    write_name(&writer, ring->config.ring);
    write_name(&writer, ring->config.name);
    return writer_end(&writer);
}

void link_up(struct ring *ring, const struct ring_input *in)
{
    struct link *link = link_find(ring, in->link_up.link);

    if (!link)
        link = link_new(ring, in->link_up.link, LINK_NEW);
    if (!link)
        return;
    link->up = true;
    link->remote = in->link_up.remote;
    link->received = ring->now;
    link_send(ring, link, hello(ring));
    if (link->first)
        link_send(ring, link, steal_pointer(link->first));
    ring_arm(ring, TIMER_PING, 0);
}

bool link_hello(struct ring *ring, struct link *link, const struct packet *packet)
{
    struct versions versions;
    struct reader reader;
    struct ring_id id;
    struct bytes name;

    reader_begin(&reader, packet->data, packet->size);
    versions = versions_read(&reader);
    if (!reader.failed && !versions_meet(ring, &versions)) {
        versions_warn(ring, &link->remote, &versions);
        return false;
    }
    id = read_id(&reader);
    link->instance = read_u64(&reader);
    link->peer_timeout = read_u32(&reader) * USEC_PER_MSEC;
    name = read_name(&reader, RING_NAME_BYTES_MAX);
    /* Pings for one that waits no time would never end. */
    if (reader.failed || link->peer_timeout == 0 || name.size != ring->config.ring.size ||
        memcmp(name.data, ring->ring_name, name.size) != 0)
        return false;
    if (link->number % 2 == 0 && !ring_id_equal(&id, &link->peer))
        return false;
    link->peer = id;
    link->greeted = true;
    ring_arm(ring, TIMER_PING, 0);
    return true;
}

/* ---- what a loss means ---- */

void link_broke_in_formation(struct ring *ring)
{
    const struct formation *formation = ring->formation;
    uint64_t lap = formation->hop_usec * formation->token.candidates_count;

    if (formation->outranked)
        ring_arm(ring, TIMER_LINK_BROKE,
                 ring_jitter(ring, OUTRANKED_DELAY + OUTRANKED_LAPS * lap, 50));
    else
        ring_arm(ring, TIMER_LINK_BROKE, ring_jitter(ring, LINK_BROKE_DELAY, 500));
}

static void successor_lost(struct ring *ring, const struct ring_id *peer, const char *reason)
{
    struct ring_event *event = ring_emit_event_about(ring, RING_EVENT_LINK_LOST, peer);
    struct formation_cause cause = {.reason = "the link to the successor broke", .broken = peer};

    event->reason = reason;
    formation_start(ring, &cause);
}

void link_down(struct ring *ring, struct link *link, const char *reason)
{
    struct formation *formation = ring->formation;
    bool was_out = formation && formation->out == link, was_in = formation && formation->in == link;
    bool was_successor = ring->successor == link;
    enum link_role role = link->role;
    struct ring_id peer = link->peer;

    link_forget(ring, link);
    if (was_out && !formation->installed && !formation->out_acknowledged)
        gather_hop_failed(ring, reason);
    else if (was_out || (was_in && formation->installed))
        link_broke_in_formation(ring);
    else if (was_successor && ring->phase == RING_LIVE)
        successor_lost(ring, &peer, reason);
    else if (role == LINK_PROBE)
        probe_silent(ring, &peer);
}

/* ---- pings ---- */

/* After how long a silence of ours this link needs a ping. In a live ring heartbeats and their
 * acknowledgements use it as often as their interval says. */
static uint64_t ping_interval(const struct ring *ring, const struct link *link)
{
    uint64_t interval = link->peer_timeout * 2 / 5, most = link->peer_timeout * 3 / 5;
    uint64_t beat = ring->heartbeat_interval + ring->heartbeat_interval / 10;
    bool beats = ring->phase == RING_LIVE && !view_is_alone(ring) &&
                 (link == ring->successor || link == ring->predecessor);

    return beats && beat <= most ? MAX(interval, beat) : interval;
}

/* Returns when this link needs the next look. */
static uint64_t ping_one(struct ring *ring, struct link *link)
{
    uint64_t interval = ping_interval(ring, link), timeout = ring->config.link_timeout;
    struct writer writer;

    if (!link->up)
        return NEVER;
    if (ring->now - link->sent >= interval) {
        writer_begin(&writer, FRAME_PING, 0);
        link_send(ring, link, writer_end(&writer));
        link->sent = ring->now;
    }
    return MIN(link->sent + interval, link->received + timeout);
}

static bool is_silent(const struct ring *ring, const struct link *link)
{
    if (!link->up)
        return false;
    if (link->role == LINK_NEW && ring->now - link->opened >= NEW_LINK_TIMEOUT)
        return true;
    return ring->now - link->received >= ring->config.link_timeout;
}

/* One silent link; the loss of it may change any other. */
static bool close_one_silent(struct ring *ring)
{
    list_for_each (at, &ring->links) {
        struct link *link = list_entry(at, struct link, list);

        if (!is_silent(ring, link))
            continue;
        if (link == ring->predecessor && ring->phase == RING_LIVE)
            ring_emit_event_about(ring, RING_EVENT_PREDECESSOR_SILENT, &link->peer);
        ring_emit(ring, RING_HANGUP)->hangup.link = link->number;
        link_down(ring, link, "silent");
        return true;
    }
    return false;
}

void link_ping_tick(struct ring *ring)
{
    uint64_t next = NEVER;

    while (!ring->broken && close_one_silent(ring))
        ;
    list_for_each (at, &ring->links) {
        uint64_t due = ping_one(ring, list_entry(at, struct link, list));

        next = MIN(next, due);
    }
    if (next != NEVER)
        ring_arm(ring, TIMER_PING, next > ring->now ? next - ring->now : 0);
}
