#include "gate.h"

#include "common/check.h"

static enum gate_verdict gate_formation(const struct ring *ring, const struct link *link,
                                        enum frame_type type, uint64_t tag)
{
    const struct formation *formation = ring->formation;

    if (type == FRAME_GATHER)
        return GATE_TAKE;
    if (!formation || formation->token.id.tag != tag)
        return GATE_DROP;
    if (type == FRAME_GATHER_REFUSE)
        return link == formation->out || link == formation->in ? GATE_TAKE : GATE_DROP;
    if (type == FRAME_GATHER_ACK || type == FRAME_WANT)
        return link == formation->out ? GATE_TAKE : GATE_DROP;
    return link == formation->in ? GATE_TAKE : GATE_DROP;
}

/* Frames of a view are all written in its version. */
static enum gate_verdict gate_version(const struct ring *ring, const struct packet *packet)
{
    return frame_version(packet->data) == ring->view.version ? GATE_TAKE : GATE_REFUSE;
}

static enum gate_verdict gate_forward(const struct ring *ring, const struct link *link,
                                      const struct packet *packet)
{
    return ring->phase == RING_LIVE && link == ring->predecessor &&
                   frame_tag(packet->data) == ring->view.formation.tag
               ? gate_version(ring, packet)
               : GATE_DROP;
}

static enum gate_verdict gate_backward(const struct ring *ring, const struct link *link,
                                       const struct packet *packet)
{
    enum frame_type type = frame_type(packet->data);

    if (link != ring->successor || frame_tag(packet->data) != ring->view.formation.tag)
        return GATE_DROP;
    if (ring->phase == RING_LIVE)
        return gate_version(ring, packet);
    return type == FRAME_DIGEST && ring->formation && ring->formation->installed ? GATE_EARLY
                                                                                 : GATE_DROP;
}

enum gate_verdict gate_frame(const struct ring *ring, const struct link *link,
                             const struct packet *packet)
{
    enum frame_type type;
    uint64_t tag;

    if (packet->size < RING_FRAME_HEADER_BYTES ||
        ring_frame_size(packet->data) != (int64_t)packet->size)
        return GATE_REFUSE;
    type = frame_type(packet->data);
    tag = frame_tag(packet->data);
    if (link->greeted == (type == FRAME_HELLO))
        return GATE_REFUSE;
    switch ((enum frame_scope)frame_scope((uint8_t)type)) {
    case SCOPE_LINK:
    case SCOPE_FREE:
        return GATE_TAKE;
    case SCOPE_FORMATION:
        return gate_formation(ring, link, type, tag);
    case SCOPE_FORWARD:
        return gate_forward(ring, link, packet);
    case SCOPE_BACKWARD:
        return gate_backward(ring, link, packet);
    case SCOPE_DATAGRAM:
        return GATE_REFUSE;
    }
    check_unreachable();
}
