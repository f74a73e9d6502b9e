/* Relay: bytes that mean something to the shell only go once round the ring.
 *
 * Rule: each member gives them to its shell, and passes them on when the shell says that it has
 * done with them what is to be done. So when they are back at their origin, everybody has. Frames
 * go the way of all others, in their order. One of an origin is under way at most: a new one ends
 * the one before. It fails when a shell never answers, which the origin's own shell has to time,
 * and by a change of the view, which the origin is told. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* A frame that waits for the shell. */
struct relay {
    struct list list; /* ring->relays */
    ring_ticket ticket;
    struct ring_id origin;
    struct packet *frame;
};

static void relay_free(struct relay *relay)
{
    list_remove(&relay->list);
    packet_unref(relay->frame);
    free(relay);
}

void relays_done(struct ring *ring)
{
    list_for_each_safe (at, &ring->relays)
        relay_free(list_entry(at, struct relay, list));
}

void relay_abandon(struct ring *ring)
{
    relays_done(ring);
    if (ring->relay_ticket)
        ring_emit_reply(ring, ring->relay_ticket, RING_ABANDONED);
    ring->relay_ticket = 0;
}

void relay_command(struct ring *ring, ring_ticket ticket, struct bytes bytes)
{
    struct writer writer;

    if (ring->phase == RING_FAILED) {
        ring_emit_reply(ring, ticket, RING_STORE_BROKEN);
        return;
    }
    if (ring->phase == RING_FORMING || bytes.size > RELAY_BYTES_MAX) {
        ring_emit_reply(ring, ticket, RING_BUSY);
        return;
    }
    if (view_is_alone(ring)) {
        ring_emit_reply(ring, ticket, RING_DONE);
        return;
    }
    if (ring->relay_ticket)
        ring_emit_reply(ring, ring->relay_ticket, RING_ABANDONED);
    ring->relay_ticket = ticket;
    writer_begin(&writer, FRAME_RELAY, ring->view.formation.tag);
    write_id(&writer, &ring->config.id);
    write_u64(&writer, ticket);
    write_raw(&writer, bytes.data, bytes.size);
    link_send(ring, ring->successor, writer_end(&writer));
}

/* The origin's last one came to nothing if a new one comes. */
static void forget_older(struct ring *ring, const struct ring_id *origin)
{
    list_for_each_safe (at, &ring->relays) {
        struct relay *relay = list_entry(at, struct relay, list);

        if (ring_id_equal(&relay->origin, origin))
            relay_free(relay);
    }
}

static void give_to_shell(struct ring *ring, const struct ring_id *origin, struct packet *frame,
                          struct bytes bytes)
{
    struct relay *relay = ring_allocate(ring, 1, sizeof(*relay));
    struct packet *packet = relay ? packet_new(bytes.size) : NULL;
    struct ring_output *output;

    if (!packet) {
        free(relay);
        ring->broken = true;
        return;
    }
    memcpy(packet->data, bytes.data, bytes.size);
    *relay =
        (struct relay){.ticket = ++ring->last_relay, .origin = *origin, .frame = packet_ref(frame)};
    list_append(&ring->relays, &relay->list);
    output = ring_emit(ring, RING_RELAYED);
    output->relayed.ticket = relay->ticket;
    output->relayed.packet = packet;
}

int relay_received(struct ring *ring, struct reader *reader, struct packet *frame)
{
    struct ring_id origin = read_id(reader);
    ring_ticket ticket = read_u64(reader);
    size_t size = (size_t)(reader->end - reader->at);

    if (reader->failed || size > RELAY_BYTES_MAX || !view_member(ring, &origin))
        return -EBADMSG;
    if (!ring_id_equal(&origin, &ring->config.id)) {
        forget_older(ring, &origin);
        give_to_shell(ring, &origin, frame, read_raw(reader, size));
    } else if (ring->relay_ticket == ticket && ticket != 0) {
        ring_emit_reply(ring, ticket, RING_DONE);
        ring->relay_ticket = 0;
    }
    return 0;
}

void relay_pass_on(struct ring *ring, ring_ticket ticket)
{
    list_for_each_safe (at, &ring->relays) {
        struct relay *relay = list_entry(at, struct relay, list);

        if (relay->ticket != ticket)
            continue;
        link_send(ring, ring->successor, packet_ref(relay->frame));
        relay_free(relay);
        return;
    }
}
