/* The list of outputs of a step, and memory whose lack breaks the core. */

#include <string.h>

#include "common/util.h"
#include "ring-internal.h"

/* ---- outputs ---- */

static struct ring_output dummy_output;

struct ring_output *ring_emit(struct ring *ring, enum ring_output_type type)
{
    struct ring_outbox *out = ring->out;

    if (!ring_grow(ring, (void **)&out->outputs, out->count, &out->allocated,
                   sizeof(*out->outputs))) {
        dummy_output = (struct ring_output){0};
        return &dummy_output;
    }
    out->outputs[out->count] = (struct ring_output){.type = type};
    return &out->outputs[out->count++];
}

struct ring_event *ring_emit_event(struct ring *ring, enum ring_event_type type)
{
    struct ring_event *event = &ring_emit(ring, RING_EVENT)->event;

    event->type = type;
    event->epoch = ring->formation ? ring->formation->token.id.epoch : ring->view.formation.epoch;
    return event;
}

struct ring_event *ring_emit_event_about(struct ring *ring, enum ring_event_type type,
                                         const struct ring_id *peer)
{
    struct ring_event *event = ring_emit_event(ring, type);
    const struct ring_member *member = view_member(ring, peer);

    event->peer = *peer;
    if (!member && ring->formation) {
        const struct entry *entry = token_entry(&ring->formation->token, peer);
        const struct candidate *candidate = token_candidate(&ring->formation->token, peer);

        member = entry ? &entry->member : NULL;
        if (!member && candidate && candidate->addresses.count > 0)
            event->address = candidate->addresses.list[0];
    }
    if (member) {
        memcpy(event->peer_name, member->name, sizeof(event->peer_name));
        if (member->addresses.count > 0)
            event->address = member->addresses.list[0];
    }
    return event;
}

void ring_emit_reply(struct ring *ring, ring_ticket ticket, enum ring_reply reply)
{
    struct ring_output *output = ring_emit(ring, RING_REPLY);

    output->reply.ticket = ticket;
    output->reply.reply = reply;
    output->reply.members = ring->view.count;
}

static void output_done(struct ring_output *output)
{
    switch (output->type) {
    case RING_SEND:
        packet_unref(output->send.packet);
        break;
    case RING_SEND_DATAGRAM:
        packet_unref(output->datagram.packet);
        break;
    case RING_STORE:
        packet_unref(output->store.packet);
        break;
    case RING_RELAYED:
        packet_unref(output->relayed.packet);
        break;
    case RING_DELIVER:
        packet_unref(output->deliver.packet);
        break;
    case RING_DIAL:
    case RING_HANGUP:
    case RING_FETCH:
    case RING_REPLY:
    case RING_EVENT:
        break;
    }
}

void ring_outbox_clear(struct ring_outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        output_done(&outbox->outputs[i]);
    outbox->count = 0;
}

void ring_outbox_done(struct ring_outbox *outbox)
{
    ring_outbox_clear(outbox);
    free(outbox->outputs);
    *outbox = (struct ring_outbox){0};
}

/* ---- memory ---- */

void *ring_allocate(struct ring *ring, size_t count, size_t size)
{
    void *memory = calloc(MAX(count, 1), size);

    if (!memory)
        ring->broken = true;
    return memory;
}

bool ring_grow(struct ring *ring, void **list, size_t count, size_t *allocated, size_t size)
{
    size_t wanted = *allocated ? 2 * *allocated : 16;
    void *grown;

    if (count < *allocated)
        return true;
    grown = realloc(*list, wanted * size);
    if (!grown) {
        ring->broken = true;
        return false;
    }
    *list = grown;
    *allocated = wanted;
    return true;
}
