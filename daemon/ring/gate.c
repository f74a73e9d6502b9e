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
    if (type == FRAME_GATHER_ACK || type == FRAME_GATHER_REFUSE || type == FRAME_WANT)
        return link == formation->out ? GATE_TAKE : GATE_DROP;
    return link == formation->in ? GATE_TAKE : GATE_DROP;
}

static enum gate_verdict gate_forward(const struct ring *ring, const struct link *link,
                                      uint64_t tag)
{
    return ring->phase == RING_LIVE && link == ring->predecessor && tag == ring->view.formation.tag
               ? GATE_TAKE
               : GATE_DROP;
}

static enum gate_verdict gate_backward(const struct ring *ring, const struct link *link,
                                       enum frame_type type, uint64_t tag)
{
    if (link != ring->successor || tag != ring->view.formation.tag)
        return GATE_DROP;
    if (ring->phase == RING_LIVE)
        return GATE_TAKE;
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
        return gate_forward(ring, link, tag);
    case SCOPE_BACKWARD:
        return gate_backward(ring, link, type, tag);
    case SCOPE_DATAGRAM:
        return GATE_REFUSE;
    }
    check_unreachable();
}
