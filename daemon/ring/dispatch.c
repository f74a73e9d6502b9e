/* Frames: each row of wire.def has its handler here. */

#include <errno.h>

#include "gate.h"
#include "ring-internal.h"

/* What a handler is given: the packet, and a reader behind its header. 0, or -EBADMSG where the
 * frame makes no sense: its link is then closed. */
struct frame {
    struct link *link;
    struct packet *packet;
    struct reader reader;
};

static int take_HELLO(struct ring *ring, struct frame *frame)
{
    return link_hello(ring, frame->link, frame->packet) ? 0 : -EBADMSG;
}

static int take_PING(struct ring *ring, struct frame *frame)
{
    (void)ring, (void)frame;
    return 0;
}

static int take_MERGE(struct ring *ring, struct frame *frame)
{
    return merge_received(ring, frame->link, &frame->reader);
}

static int take_MERGE_REFUSE(struct ring *ring, struct frame *frame)
{
    merge_refused(ring, frame->link, &frame->reader);
    return 0;
}

static int take_PROBE(struct ring *ring, struct frame *frame)
{
    probe_received(ring, frame->link, &frame->reader);
    return 0;
}

static int take_PROBE_ACK(struct ring *ring, struct frame *frame)
{
    probe_acknowledged(ring, &frame->reader);
    return 0;
}

static int take_LEFT(struct ring *ring, struct frame *frame)
{
    (void)frame;
    leave_let_go(ring);
    return 0;
}

static int take_CLONE(struct ring *ring, struct frame *frame)
{
    return clone_received(ring, &frame->reader);
}

/* The token comes over a connection of its own: taking part closes what is in use. */
static int take_GATHER(struct ring *ring, struct frame *frame)
{
    struct token token = {0};
    int result = frame->link->role == LINK_NEW ? token_read(frame->packet, &token) : -EBADMSG;

    if (result == 0)
        gather_received(ring, frame->link, &token);
    token_done(&token);
    return result;
}

static int take_GATHER_ACK(struct ring *ring, struct frame *frame)
{
    gather_acknowledged(ring, frame->link);
    return 0;
}

static int take_GATHER_REFUSE(struct ring *ring, struct frame *frame)
{
    gather_refused(ring, frame->link, &frame->reader);
    return 0;
}

static int take_INSTALL(struct ring *ring, struct frame *frame)
{
    struct install install = {0};
    int result = install_read(frame->packet, &install);

    if (result == 0)
        result = install_received(ring, frame->packet, &install);
    install_done(&install);
    return result;
}

static int take_WANT(struct ring *ring, struct frame *frame)
{
    struct ranges wants = {0};
    int result = ranges_read(&frame->reader, &wants);

    if (result == 0)
        sync_want_received(ring, &wants);
    ranges_done(&wants);
    return result;
}

static int take_FILL(struct ring *ring, struct frame *frame)
{
    struct message message;

    if (message_unpack(frame->packet, &message) < 0)
        return -EBADMSG;
    return sync_fill_received(ring, frame->packet, &message);
}

static int take_SYNC(struct ring *ring, struct frame *frame)
{
    (void)frame;
    sync_received(ring);
    return 0;
}

static int take_SYNC_PROGRESS(struct ring *ring, struct frame *frame)
{
    sync_progress_received(ring, &frame->reader, frame->packet);
    return 0;
}

static int take_START(struct ring *ring, struct frame *frame)
{
    (void)frame;
    if (ring->formation->installed)
        sync_go(ring);
    return 0;
}

static int take_DATA(struct ring *ring, struct frame *frame)
{
    struct message message;

    if (message_unpack(frame->packet, &message) < 0)
        return -EBADMSG;
    return live_data(ring, frame->packet, &message);
}

static int take_SEAL(struct ring *ring, struct frame *frame)
{
    return live_seal(ring, &frame->reader, frame->packet);
}

static int take_STABLE(struct ring *ring, struct frame *frame)
{
    return live_stable(ring, &frame->reader, frame->packet);
}

static int take_HEARTBEAT(struct ring *ring, struct frame *frame)
{
    return heartbeat_received(ring, frame->link, &frame->reader, FRAME_HEARTBEAT);
}

static int take_HEARTBEAT_ACK(struct ring *ring, struct frame *frame)
{
    heartbeat_acknowledged(ring, &frame->reader);
    return 0;
}

static int take_REFRESH(struct ring *ring, struct frame *frame)
{
    return heartbeat_received(ring, frame->link, &frame->reader, FRAME_REFRESH);
}

static int take_LEAVE(struct ring *ring, struct frame *frame)
{
    return leave_received(ring, &frame->reader);
}

static int take_DIGEST(struct ring *ring, struct frame *frame)
{
    return digest_received(ring, frame->packet);
}

static int take_ORIGIN_DIGESTS(struct ring *ring, struct frame *frame)
{
    return origin_digests_received(ring, frame->packet);
}

static int take_HAVE(struct ring *ring, struct frame *frame)
{
    return have_received(ring, frame->packet);
}

static int take_REPAIR(struct ring *ring, struct frame *frame)
{
    struct message message;

    if (message_unpack(frame->packet, &message) < 0)
        return -EBADMSG;
    return repair_received(ring, frame->packet, &message, &frame->link->peer, 0);
}

static int take_REPAIR_FAR(struct ring *ring, struct frame *frame)
{
    struct message message;

    if (message_unpack(frame->packet, &message) < 0)
        return -EBADMSG;
    return repair_far_received(ring, frame->packet, &message);
}

static int take_REPAIR_ACK(struct ring *ring, struct frame *frame)
{
    return repair_acknowledged(ring, &frame->reader, frame->packet);
}

static int take_CONFLICT(struct ring *ring, struct frame *frame)
{
    return conflict_received(ring, &frame->reader, frame->packet);
}

static int take_RELAY(struct ring *ring, struct frame *frame)
{
    return relay_received(ring, &frame->reader, frame->packet);
}

typedef int (*frame_handler)(struct ring *ring, struct frame *frame);

#define HANDLER_LINK(name, number) [number] = take_##name,
#define HANDLER_FREE(name, number) [number] = take_##name,
#define HANDLER_FORMATION(name, number) [number] = take_##name,
#define HANDLER_FORWARD(name, number) [number] = take_##name,
#define HANDLER_BACKWARD(name, number) [number] = take_##name,
#define HANDLER_DATAGRAM(name, number)

static const frame_handler handlers[] = {
#define FRAME(name, number, scope) HANDLER_##scope(name, number)
#include "wire.def"
#undef FRAME
};

/* The frame of a peer makes no sense: the link is closed, and its loss taken as any loss. */
static int refuse(struct ring *ring, struct link *link, const struct packet *packet)
{
    struct ring_event *event = ring_emit_event(ring, RING_EVENT_REFUSED);

    event->reason = ring_frame_name(packet->data, packet->size);
    event->address = link->remote;
    event->peer = link->peer;
    ring->counters.refused_frames++;
    ring_emit(ring, RING_HANGUP)->hangup.link = link->number;
    link_down(ring, link, "malformed frame");
    return -EBADMSG;
}

int frame_received(struct ring *ring, ring_link number, struct packet *packet)
{
    struct link *link = link_find(ring, number);
    struct frame frame = {.link = link, .packet = packet};
    int result;

    if (!link || !link->up)
        return -EINVAL;
    link->received = ring->now;
    link->doubts = 0;
    switch (gate_frame(ring, link, packet)) {
    case GATE_DROP:
        return 0;
    case GATE_EARLY:
        digest_early(ring, packet);
        return 0;
    case GATE_REFUSE:
        return refuse(ring, link, packet);
    case GATE_TAKE:
        break;
    }
    reader_begin(&frame.reader, packet->data, packet->size);
    result = handlers[frame_type(packet->data)](ring, &frame);
    if (result == -ENOMEM)
        ring->broken = true;
    /* Too short for what it should carry: no handler has done anything then. */
    if (result == 0 && frame.reader.failed)
        result = -EBADMSG;
    /* A handler that fails has not touched the link. */
    return result < 0 ? refuse(ring, link, packet) : 0;
}
