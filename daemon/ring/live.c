/* Live traffic: one lap for a message, one for its acknowledgement (LCR; DCTOP's Lamport clocks).
 *
 * DATA goes from its origin round to the origin's predecessor; every node stores and forwards at
 * once. SEAL follows when the origin's own copy is on disk, and each node holds it until its copies
 * up to that seq are on disk: back at the origin, everything up to it is stable, and STABLE says
 * so. One SEAL an origin is under way; what gathers meanwhile is acknowledged as one group. It
 * fails if a node lets a SEAL pass that its disk does not cover. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/check.h"
#include "common/util.h"

/* A queued message that cannot go out for this long gets a row in the outbox. */
#define OUTBOX_DELAY (50 * USEC_PER_MSEC)

static size_t window_bytes(const struct ring *ring)
{
    return MIN(WINDOW_BYTES_MAX, WINDOW_BYTES_RING / MAX(ring->view.count, 1));
}

static size_t window_cost(const struct held_message *message)
{
    return message->packet->size + WINDOW_MESSAGE_COST;
}

static bool window_has_room(const struct ring *ring, const struct held_message *message)
{
    return ring->window_count == 0 ||
           ring->window_bytes + window_cost(message) <= window_bytes(ring);
}

/* ---- from the client to the queue ---- */

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static struct held_message *find_own(struct ring *ring, const struct ring_id *id)
{
    struct list *same = own_ids_of(ring, id);

    list_for_each (at, same) {
        struct held_message *message = list_entry(at, struct held_message, by_id);

        if (ring_id_equal(&message->id, id))
            return message;
    }
    return NULL;
}

/* A further sender of a message that is on its way already; false: there is none with this id. */
static bool join_message(struct ring *ring, const struct ring_input *in)
{
    const struct message *wanted = in->command.message;
    struct held_message *held = find_own(ring, &wanted->id);
    struct message there;
    struct waiter *waiter;

    if (!held)
        return false;
    check(message_unpack(held->packet, &there) == 0);
    if (!bytes_equal(there.user, wanted->user) || !bytes_equal(there.room, wanted->room) ||
        !bytes_equal(there.text, wanted->text)) {
        ring_emit_reply(ring, in->command.ticket, RING_ID_CONFLICT);
        return true;
    }
    if (held->settled) {
        ring_emit_reply(ring, in->command.ticket, RING_DONE);
        return true;
    }
    waiter = ring_allocate(ring, 1, sizeof(*waiter));
    if (!waiter)
        return true;
    *waiter = (struct waiter){.next = held->waiters, .ticket = in->command.ticket};
    held->waiters = waiter;
    if (held->accepted)
        ring_emit_reply(ring, in->command.ticket, RING_ACCEPTED);
    return true;
}

/* Takes the packet. */
static struct held_message *enqueue(struct ring *ring, const struct message *message,
                                    struct packet *packet)
{
    struct held_message *held = packet ? ring_allocate(ring, 1, sizeof(*held)) : NULL;

    if (!held) {
        ring->broken = true;
        packet_unref(packet);
        return NULL;
    }
    held->id = message->id;
    held->packet = packet;
    held->queued_at = ring->now;
    list_append(&ring->queue, &held->list);
    list_append(own_ids_of(ring, &held->id), &held->by_id);
    ring->queue_count++;
    ring->queue_bytes += packet->size;
    return held;
}

void live_send_command(struct ring *ring, const struct ring_input *in)
{
    struct message message = *in->command.message;
    struct held_message *held;

    if (ring->phase == RING_FAILED || ring->phase == RING_STALLED) {
        ring_emit_reply(ring, in->command.ticket, RING_STORE_BROKEN);
        return;
    }
    if (ring->phase == RING_LEFT || ring->leaving) {
        ring_emit_reply(ring, in->command.ticket, RING_NOT_IN_RING);
        return;
    }
    if (join_message(ring, in))
        return;
    if (ring->queue_count >= QUEUE_MESSAGES_MAX || ring->queue_bytes >= QUEUE_BYTES_MAX) {
        ring_emit_reply(ring, in->command.ticket, RING_BUSY);
        return;
    }
    message.key = (struct message_key){.origin = ring->config.id};
    message.node = (struct bytes){.data = ring->name, .size = strlen(ring->name)};
    held = enqueue(ring, &message, message_pack(&message));
    if (!held)
        return;
    held->waiters = ring_allocate(ring, 1, sizeof(*held->waiters));
    if (held->waiters)
        held->waiters->ticket = in->command.ticket;
    live_pump(ring);
    if (!list_empty(&ring->queue) && ring->timers[TIMER_OUTBOX] == NEVER)
        ring_arm(ring, TIMER_OUTBOX, OUTBOX_DELAY);
}

void outbox_load(struct ring *ring, struct packet *const *packets, size_t count)
{
    for (size_t i = 0; i < count && !ring->broken; i++) {
        struct held_message *held;
        struct message message;

        if (message_unpack(packets[i], &message) < 0)
            continue;
        held = enqueue(ring, &message, packet_ref(packets[i]));
        if (held)
            held->from_outbox = held->accepted = true;
    }
}

/* Rows for what has waited long enough, in the order of the queue. */
void outbox_tick(struct ring *ring)
{
    list_for_each (at, &ring->queue) {
        struct held_message *held = list_entry(at, struct held_message, list);
        struct ring_output *output;

        if (held->from_outbox)
            continue;
        if (held->queued_at + OUTBOX_DELAY > ring->now) {
            ring_arm(ring, TIMER_OUTBOX, held->queued_at + OUTBOX_DELAY - ring->now);
            return;
        }
        output = ring_emit(ring, RING_STORE);
        output->store.write = RING_WRITE_OUTBOX;
        output->store.ticket = held->stored = ++ring->last_ticket;
        output->store.packet = packet_ref(held->packet);
        held->from_outbox = true;
    }
}

void queue_done(struct ring *ring)
{
    list_for_each_safe (at, &ring->queue)
        message_free(list_entry(at, struct held_message, list));
}

void live_answer_all(struct ring *ring, enum ring_reply reply)
{
    list_for_each (at, &ring->queue)
        message_answer(ring, list_entry(at, struct held_message, list), reply);
    list_for_each (at, &ring->self->messages)
        message_answer(ring, list_entry(at, struct held_message, list), reply);
    list_for_each (at, &ring->repaired)
        message_answer(ring, list_entry(at, struct held_message, list), reply);
}

/* ---- from the queue to the ring ---- */

/* Gives the key: from here on it is in the history's order. Returns the keyed packet. */
static struct packet *give_key(struct ring *ring, struct held_message *queued,
                               struct message *ret_message)
{
    struct packet *packet;

    check(message_unpack(queued->packet, ret_message) == 0);
    ret_message->key.hlc = clock_next(ring);
    ret_message->key.origin = ring->config.id;
    ret_message->key.seq = ++ring->seq;
    packet = frame_retag(queued->packet, FRAME_DATA, ring->view.formation.tag);
    if (!packet) {
        ring->broken = true;
        return NULL;
    }
    put_le64(packet->data + RING_FRAME_HEADER_BYTES, ret_message->key.hlc);
    memcpy(packet->data + RING_FRAME_HEADER_BYTES + 8, ring->config.id.bytes,
           sizeof(ring->config.id.bytes));
    put_le64(packet->data + RING_FRAME_HEADER_BYTES + 24, ret_message->key.seq);
    return packet;
}

static void send_one(struct ring *ring, struct held_message *queued)
{
    struct message message;
    _cleanup_(packet_unrefp) struct packet *packet = give_key(ring, queued, &message);
    struct held_message *held;

    if (!packet)
        return;
    held = message_take(ring, ring->self, &message, packet);
    if (!held)
        return;
    held->from_outbox = queued->from_outbox;
    held->accepted = queued->accepted;
    held->waiters = queued->waiters;
    queued->waiters = NULL;
    ring->queue_count--;
    ring->queue_bytes -= queued->packet->size;
    message_free(queued);
    ring->window_count++;
    ring->window_bytes += window_cost(held);
    ring->self->last = message.key.seq;
    ring->chat_at = ring->now;
    ring->counters.sent_messages++;
    message_write(ring, held);
    /* What has an outbox row leaves only when the keyed message has taken its place on this disk:
     * after a crash the row would go out again under another key. Nothing overtakes it. */
    if (held->from_outbox || ring->waiting_count > 0) {
        held->waits = true;
        ring->waiting_count++;
        return;
    }
    link_send(ring, ring->successor, packet_ref(packet));
}

/* Sends what had to wait for this disk. Before any SEAL is let pass: a message that came after the
 * key was given is written behind this one, so its SEAL comes behind this DATA. */
static void send_waiting(struct ring *ring)
{
    if (ring->waiting_count == 0)
        return;
    list_for_each (at, &ring->self->messages) {
        struct held_message *held = list_entry(at, struct held_message, list);

        if (!held->waits)
            continue;
        if (held->from_outbox && !is_stored(ring, held->stored))
            return;
        held->waits = false;
        ring->waiting_count--;
        link_send(ring, ring->successor, packet_ref(held->packet));
    }
}

/* Whether the run is on disk. */
static bool run_may_give(const struct ring *ring)
{
    return ring->stored_state.run == ring->seq >> 32;
}

/* n is 32 bits of a seq: a formation takes a new run long before they overflow. */
static bool run_is_used_up(struct ring *ring)
{
    struct formation_cause cause = {.reason = "the run of sequence numbers is used up"};

    if ((uint32_t)ring->seq < RUN_LENGTH_MAX)
        return false;
    formation_start(ring, &cause);
    return true;
}

void live_pump(struct ring *ring)
{
    while (ring->phase == RING_LIVE && !list_empty(&ring->queue) && !ring->broken) {
        struct held_message *queued = list_entry(ring->queue.next, struct held_message, list);

        if (!window_has_room(ring, queued) || !run_may_give(ring) || !clock_may_give(ring) ||
            run_is_used_up(ring))
            return;
        send_one(ring, queued);
    }
    if (list_empty(&ring->queue))
        ring_disarm(ring, TIMER_OUTBOX);
}

/* ---- acknowledgement ---- */

static void send_mark(struct ring *ring, enum frame_type type, uint64_t seq)
{
    struct writer writer;

    writer_begin(&writer, type, ring->view.formation.tag);
    write_id(&writer, &ring->config.id);
    write_u64(&writer, seq);
    link_send(ring, ring->successor, writer_end(&writer));
}

/* Everything of this node up to seq is on disk at every member. */
static void own_stable(struct ring *ring, uint64_t seq)
{
    ring->seal_in_flight = 0;
    list_for_each (at, &ring->self->messages) {
        struct held_message *message = list_entry(at, struct held_message, list);

        if (message->key.seq > seq)
            break;
        if (message->settled)
            continue;
        message->settled = true;
        ring->window_count--;
        ring->window_bytes -= window_cost(message);
        message_answer(ring, message, RING_DONE);
    }
    if (!view_is_alone(ring))
        send_mark(ring, FRAME_STABLE, seq);
    messages_deliver(ring);
    live_pump(ring);
    leave_check(ring);
}

/* Begins the next SEAL where own copies are on disk that none covers. */
static void seal_next(struct ring *ring)
{
    uint64_t seq = 0;

    if (ring->phase != RING_LIVE || ring->seal_in_flight != 0)
        return;
    list_for_each (at, &ring->self->messages) {
        struct held_message *message = list_entry(at, struct held_message, list);

        if (message->settled)
            continue;
        if (!is_stored(ring, message->stored))
            break;
        seq = message->key.seq;
    }
    if (seq == 0)
        return;
    if (view_is_alone(ring)) {
        own_stable(ring, seq);
        return;
    }
    ring->seal_in_flight = seq;
    send_mark(ring, FRAME_SEAL, seq);
}

/* Whether this disk has everything of the origin up to seq. */
static bool covers(const struct ring *ring, const struct origin *origin, uint64_t seq)
{
    if (origin->last < seq)
        return false;
    list_for_each (at, &origin->messages) {
        const struct held_message *message = list_entry(at, struct held_message, list);

        if (message->key.seq > seq)
            break;
        if (!is_stored(ring, message->stored))
            return false;
    }
    return true;
}

static void release_seal(struct ring *ring, struct origin *origin)
{
    if (!origin->seal || !covers(ring, origin, origin->seal_seq))
        return;
    link_send(ring, ring->successor, steal_pointer(origin->seal));
}

void live_stored(struct ring *ring)
{
    list_for_each (at, &ring->queue) {
        struct held_message *held = list_entry(at, struct held_message, list);

        if (!is_stored(ring, held->stored))
            break;
        if (!held->accepted)
            message_answer(ring, held, RING_ACCEPTED);
    }
    list_for_each (at, &ring->self->messages) {
        struct held_message *held = list_entry(at, struct held_message, list);

        if (!is_stored(ring, held->stored))
            break;
        if (!held->accepted)
            message_answer(ring, held, RING_ACCEPTED);
    }
    if (ring->phase != RING_LIVE)
        return;
    send_waiting(ring);
    for (size_t i = 0; i < ring->view.count; i++) {
        struct origin *origin = origin_find(ring, &ring->members[i].id);

        if (origin)
            release_seal(ring, origin);
    }
    live_pump(ring);
    seal_next(ring);
}

/* ---- from the predecessor ---- */

static bool is_next_hop(const struct ring *ring, const struct ring_id *id)
{
    return ring_id_equal(&view_successor(ring)->id, id);
}

int live_data(struct ring *ring, struct packet *packet, const struct message *message)
{
    struct origin *origin;
    struct held_message *held;
    uint64_t seq = message->key.seq;

    if (!view_member(ring, &message->key.origin) ||
        ring_id_equal(&message->key.origin, &ring->config.id))
        return -EBADMSG;
    origin = origin_get(ring, &message->key.origin);
    if (!origin)
        return 0;
    if (seq != origin->last + 1 || intervals_contain(&origin->held, seq))
        return -EBADMSG;
    held = message_take(ring, origin, message, packet);
    if (!held)
        return 0;
    origin->last = seq;
    ring->chat_at = ring->now;
    if (!is_next_hop(ring, &message->key.origin))
        link_send(ring, ring->successor, packet_ref(packet));
    message_write(ring, held);
    return 0;
}

/* Reads the body of a SEAL or STABLE; NULL: it makes no sense here, or the ring is broken. */
static struct origin *read_mark(struct ring *ring, struct reader *reader, uint64_t *ret_seq)
{
    struct ring_id id = read_id(reader);

    *ret_seq = read_u64(reader);
    return reader->failed || !view_member(ring, &id) ? NULL : origin_get(ring, &id);
}

int live_seal(struct ring *ring, struct reader *reader, struct packet *packet)
{
    uint64_t seq;
    struct origin *origin = read_mark(ring, reader, &seq);

    if (!origin)
        return -EBADMSG;
    if (origin == ring->self) {
        if (seq != ring->seal_in_flight)
            return -EBADMSG;
        own_stable(ring, seq);
        seal_next(ring);
        return 0;
    }
    if (origin->seal || origin->last < seq)
        return -EBADMSG;
    origin->seal = packet_ref(packet);
    origin->seal_seq = seq;
    release_seal(ring, origin);
    return 0;
}

int live_stable(struct ring *ring, struct reader *reader, struct packet *packet)
{
    uint64_t seq;
    struct origin *origin = read_mark(ring, reader, &seq);

    if (!origin || origin == ring->self)
        return -EBADMSG;
    if (!is_next_hop(ring, &origin->id))
        link_send(ring, ring->successor, packet_ref(packet));
    messages_settle(ring, origin, seq);
    messages_deliver(ring);
    return 0;
}

void live_reset(struct ring *ring)
{
    ring->seal_in_flight = 0;
    ring->window_count = ring->window_bytes = 0;
    ring->waiting_count = 0;
    for (size_t i = 0; i < ring->origins_count; i++) {
        packet_unref(ring->origins[i]->seal);
        ring->origins[i]->seal = NULL;
    }
}
