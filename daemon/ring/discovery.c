/* Discovery: rings hear of each other by datagrams.
 *
 * DISCOVER asks who is there; leaders answer by OFFER. Every leader sends ANNOUNCE from time to
 * time, and answers a foreign one with an OFFER, so that it is enough if one side hears the other.
 * A member that is not the leader names its leader, seldom. All of them are hints: lost, repeated
 * or forged ones cost nothing but a connection. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* DISCOVER again after 50, 100, 200 … ms: an interface may still be busy with address detection. */
#define DISCOVER_FIRST (50 * USEC_PER_MSEC)
#define DISCOVER_ROUNDS 7

#define ANNOUNCE_INTERVAL (2 * USEC_PER_SEC)

/* After a view went live: soon, and not all at the same moment. */
#define ANNOUNCE_SOON (50 * USEC_PER_MSEC)

/* A member that is not the leader names its leader at most this often. */
#define REDIRECT_INTERVAL (1 * USEC_PER_SEC)

void datagram_begin(struct ring *ring, struct writer *writer, enum frame_type type)
{
    writer_begin(writer, type, 0);
    versions_write(ring, writer);
    write_name(writer, ring->config.ring);
    write_id(writer, &ring->config.id);
    write_u64(writer, ring->config.instance);
}

void datagram_send(struct ring *ring, struct writer *writer, const struct ring_addresses *to)
{
    struct packet *packet = writer_end(writer);
    struct ring_output *output;

    if (!packet) {
        ring->broken = true;
        return;
    }
    output = ring_emit(ring, RING_SEND_DATAGRAM);
    output->datagram.target = to ? RING_TO_NODE : RING_TO_EVERYONE;
    if (to)
        output->datagram.addresses = *to;
    output->datagram.packet = packet;
}

/* ---- telling of this ring ---- */

/* Whether this node may merge with others now. */
static bool is_open(const struct ring *ring)
{
    return ring->phase == RING_LIVE && ring->config.networked && !ring->leaving;
}

static void tell(struct ring *ring, enum frame_type type, const struct ring_addresses *to)
{
    const struct ring_member *leader = &ring->members[ring->view.leader];
    struct writer writer;

    datagram_begin(ring, &writer, type);
    write_formation_id(&writer, &ring->view.formation);
    write_id(&writer, &leader->id);
    write_u64(&writer, leader->instance);
    write_addresses(&writer, view_is_leader(ring) ? &ring->config.addresses : &leader->addresses);
    write_name(&writer, (struct bytes){leader->name, strlen(leader->name)});
    write_u32(&writer, (uint32_t)ring->view.count);
    datagram_send(ring, &writer, to);
}

void discovery_begin(struct ring *ring)
{
    ring->discover_round = 0;
    ring_arm(ring, TIMER_DISCOVER, 0);
    ring_arm(ring, TIMER_ANNOUNCE, ring_jitter(ring, ANNOUNCE_SOON, 100));
}

void discovery_tick(struct ring *ring)
{
    struct writer writer;

    if (!is_open(ring) || !view_is_alone(ring) || ring->discover_round == DISCOVER_ROUNDS)
        return;
    datagram_begin(ring, &writer, FRAME_DISCOVER);
    datagram_send(ring, &writer, NULL);
    ring_arm(ring, TIMER_DISCOVER, DISCOVER_FIRST << ring->discover_round++);
}

/* The others know a member by the addresses of its entry in the last formation. */
static void tell_new_addresses(struct ring *ring)
{
    const struct ring_member *self = &ring->members[ring->view.self];
    struct formation_cause cause = {.reason = "addresses of a member have changed"};

    if (!view_is_alone(ring) && !ring_addresses_equal(&self->addresses, &ring->config.addresses))
        formation_start(ring, &cause);
}

void announce_tick(struct ring *ring)
{
    if (is_open(ring))
        tell_new_addresses(ring);
    if (is_open(ring) && view_is_leader(ring))
        tell(ring, FRAME_ANNOUNCE, NULL);
    ring_arm(ring, TIMER_ANNOUNCE, ring_jitter(ring, ANNOUNCE_INTERVAL * 9 / 10, 20));
}

void discovery_view_started(struct ring *ring)
{
    if (ring->config.networked)
        ring_arm(ring, TIMER_ANNOUNCE, ring_jitter(ring, ANNOUNCE_SOON, 200));
}

/* ---- hearing of others ---- */

static struct ring_addresses one_address(const struct ring_address *address)
{
    return (struct ring_addresses){.count = 1, .list = {*address}};
}

/* An answer to whoever cannot know this ring. */
static void answer(struct ring *ring, const struct ring_address *from)
{
    struct ring_addresses to = one_address(from);

    if (!is_open(ring))
        return;
    if (!view_is_leader(ring)) {
        if (ring->redirected_at != 0 && ring->now - ring->redirected_at < REDIRECT_INTERVAL)
            return;
        ring->redirected_at = ring->now;
    }
    tell(ring, FRAME_OFFER, &to);
}

static int discover_received(struct ring *ring, const struct ring_address *from,
                             const struct ring_id *sender)
{
    ring_emit_event(ring, RING_EVENT_DISCOVER)->address = *from;
    if (!view_member(ring, sender) || view_is_leader(ring))
        answer(ring, from);
    return 0;
}

static int offer_read(struct reader *reader, struct offer *ret)
{
    ret->view = read_formation_id(reader);
    ret->leader = read_id(reader);
    ret->instance = read_u64(reader);
    ret->addresses = read_addresses(reader);
    bytes_to_text(read_name(reader, NAME_BYTES_MAX), ret->name, sizeof(ret->name));
    ret->members = read_u32(reader);
    return reader->failed || ret->members == 0 || ret->members > MEMBERS_MAX ||
                   ret->addresses.count == 0
               ? -EBADMSG
               : 0;
}

static void tell_offer(struct ring *ring, const struct offer *offer, enum frame_type type)
{
    struct ring_event *event =
        ring_emit_event(ring, type == FRAME_OFFER ? RING_EVENT_OFFER : RING_EVENT_ANNOUNCE);

    event->peer = offer->leader;
    memcpy(event->peer_name, offer->name, sizeof(event->peer_name));
    event->address = offer->addresses.list[0];
    event->number = offer->members;
    event->epoch = offer->view.epoch;
}

static int offer_received(struct ring *ring, struct reader *reader, enum frame_type type,
                          const struct ring_address *from)
{
    struct offer offer;

    if (offer_read(reader, &offer) < 0)
        return -EBADMSG;
    if (offer.view.tag == ring->view.formation.tag)
        return 0;
    tell_offer(ring, &offer, type);
    if (!is_open(ring))
        return 0;
    if (view_is_leader(ring) && merge_wanted(ring, &offer))
        merge_consider(ring, &offer);
    else if (type == FRAME_ANNOUNCE)
        answer(ring, from);
    return 0;
}

static int probe_datagram_received(struct ring *ring, struct reader *reader,
                                   const struct ring_address *from)
{
    struct ring_formation_id id = read_formation_id(reader);
    struct ring_addresses to = one_address(from);
    struct writer writer;

    if (reader->failed)
        return -EBADMSG;
    if (ring->phase != RING_LIVE && ring->phase != RING_FORMING)
        return 0;
    datagram_begin(ring, &writer, FRAME_PROBE_DATAGRAM_ACK);
    write_formation_id(&writer, &id);
    datagram_send(ring, &writer, &to);
    return 0;
}

static int probe_ack_received(struct ring *ring, struct reader *reader,
                              const struct ring_id *sender, uint64_t instance)
{
    struct ring_formation_id id = read_formation_id(reader);

    if (reader->failed)
        return -EBADMSG;
    probe_answered(ring, sender, instance, id.tag);
    return 0;
}

static void tell_of_ring(struct ring *ring, const struct ring_address *from, struct bytes name)
{
    struct ring_event *event = ring_emit_event(ring, RING_EVENT_OTHER_RING);

    event->address = *from;
    memcpy(event->peer_name, name.data, MIN(name.size, sizeof(event->peer_name) - 1));
}

/* Reads the common fields. 0: go on; 1: not for this node; -EBADMSG. */
static int read_common(struct ring *ring, struct reader *reader, const struct ring_address *from,
                       struct ring_id *ret_sender, uint64_t *ret_instance)
{
    struct versions versions = versions_read(reader);
    struct bytes name = read_name(reader, RING_NAME_BYTES_MAX);

    *ret_sender = read_id(reader);
    *ret_instance = read_u64(reader);
    if (reader->failed)
        return -EBADMSG;
    if (name.size != ring->config.ring.size || memcmp(name.data, ring->ring_name, name.size) != 0) {
        ring->counters.refused_datagrams++;
        tell_of_ring(ring, from, name);
        return 1;
    }
    if (!versions_meet(ring, &versions)) {
        versions_warn(ring, from, &versions);
        return 1;
    }
    return *ret_instance == ring->config.instance && ring_id_equal(ret_sender, &ring->config.id);
}

static int take(struct ring *ring, const struct ring_input *in, struct reader *reader)
{
    const struct ring_address *from = &in->datagram.from;
    enum frame_type type = frame_type(in->datagram.data);
    struct ring_id sender;
    uint64_t instance;
    int result = read_common(ring, reader, from, &sender, &instance);

    if (result != 0)
        return result < 0 ? result : 0;
    if (type == FRAME_DISCOVER)
        return discover_received(ring, from, &sender);
    if (type == FRAME_OFFER || type == FRAME_ANNOUNCE)
        return offer_received(ring, reader, type, from);
    if (type == FRAME_PROBE_DATAGRAM)
        return probe_datagram_received(ring, reader, from);
    return probe_ack_received(ring, reader, &sender, instance);
}

int discovery_received(struct ring *ring, const struct ring_input *in)
{
    struct reader reader;
    int result = -EBADMSG;

    if (!ring->config.networked)
        return 0;
    reader_begin(&reader, in->datagram.data, in->datagram.size);
    if (!reader.failed && frame_scope(in->datagram.data[4]) == SCOPE_DATAGRAM)
        result = take(ring, in, &reader);
    if (result < 0)
        ring->counters.refused_datagrams++;
    return result;
}
