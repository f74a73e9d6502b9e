/* Messages in memory, and their delivery in agreed order.
 *
 * Rule: a message is delivered once it and every received message with a smaller key are stable. A
 * message that can still come with a smaller key than m was sent before its origin received m; on
 * every link it travels ahead of m's SEAL or STABLE, so it has been received when m is stable. It
 * fails if anything overtakes on a link, or if a key is given that is not above all received ones.
 */

#include "ring-internal.h"

#include <string.h>

#include "common/check.h"

/* ---- origins ---- */

static size_t origin_position(const struct ring *ring, const struct ring_id *id)
{
    size_t low = 0, high = ring->origins_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ring_id_compare(&ring->origins[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct origin *origin_find(const struct ring *ring, const struct ring_id *id)
{
    size_t at = origin_position(ring, id);

    if (at < ring->origins_count && ring_id_equal(&ring->origins[at]->id, id))
        return ring->origins[at];
    return NULL;
}

struct origin *origin_get(struct ring *ring, const struct ring_id *id)
{
    size_t at = origin_position(ring, id);
    struct origin *origin = origin_find(ring, id);

    if (origin)
        return origin;
    if (!ring_grow(ring, (void **)&ring->origins, ring->origins_count, &ring->origins_allocated,
                   sizeof(struct origin *)))
        return NULL;
    origin = ring_allocate(ring, 1, sizeof(*origin));
    if (!origin)
        return NULL;
    origin->id = *id;
    list_init(&origin->messages);
    memmove(ring->origins + at + 1, ring->origins + at,
            (ring->origins_count - at) * sizeof(struct origin *));
    ring->origins[at] = origin;
    ring->origins_count++;
    return origin;
}

/* ---- the heap of undelivered messages ---- */

static bool before(const struct held_message *a, const struct held_message *b)
{
    return message_key_compare(&a->key, &b->key) < 0;
}

static bool heap_add(struct ring *ring, struct held_message *message)
{
    struct held_message **heap;
    size_t at = ring->undelivered_count;

    if (!ring_grow(ring, (void **)&ring->undelivered, at, &ring->undelivered_allocated,
                   sizeof(message)))
        return false;
    heap = ring->undelivered;
    for (; at > 0 && before(message, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = message;
    ring->undelivered_count++;
    ring->undelivered_bytes += message->packet->size;
    return true;
}

static struct held_message *heap_take(struct ring *ring)
{
    struct held_message **heap = ring->undelivered, *top = heap[0], *last;
    size_t count = --ring->undelivered_count, at = 0;

    ring->undelivered_bytes -= top->packet->size;
    last = heap[count];
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= count)
            break;
        if (child + 1 < count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* ---- messages ---- */

struct list *own_ids_of(struct ring *ring, const struct ring_id *id)
{
    return &ring->own_ids[ring_id_hash(id) % OWN_ID_LISTS];
}

bool is_stored(const struct ring *ring, ring_ticket ticket)
{
    return ticket != 0 && ticket <= ring->stored_ticket;
}

/* Own messages are answered when they are stored, and queued ones may wait for the state's. */
static bool messages_await_store(const struct ring *ring)
{
    if (!list_empty(&ring->queue) || !list_empty(&ring->self->messages) ||
        !list_empty(&ring->repaired))
        return true;
    for (size_t i = 0; i < ring->view.count; i++) {
        const struct origin *origin = origin_find(ring, &ring->members[i].id);

        if (origin && origin->seal)
            return true;
    }
    return false;
}

bool ring_awaits_store(const struct ring *ring)
{
    return ring->phase != RING_LIVE || ring->formation || ring->leaving ||
           ring->state_writes_count > 0 || messages_await_store(ring);
}

void message_free(struct held_message *message)
{
    list_remove(&message->list);
    list_remove(&message->by_id);
    packet_unref(message->packet);
    while (message->waiters) {
        struct waiter *waiter = message->waiters;

        message->waiters = waiter->next;
        free(waiter);
    }
    free(message);
}

void message_answer(struct ring *ring, struct held_message *message, enum ring_reply reply)
{
    for (struct waiter *waiter = message->waiters; waiter; waiter = waiter->next)
        ring_emit_reply(ring, waiter->ticket, reply);
    if (reply == RING_ACCEPTED) {
        message->accepted = true;
        return;
    }
    while (message->waiters) {
        struct waiter *waiter = message->waiters;

        message->waiters = waiter->next;
        free(waiter);
    }
}

/* By seq; nearly always the last. */
static void insert_by_seq(struct origin *origin, struct held_message *message)
{
    struct list *at = origin->messages.previous;

    while (at != &origin->messages &&
           list_entry(at, struct held_message, list)->key.seq > message->key.seq)
        at = at->previous;
    list_append(at->next, &message->list);
}

void message_write(struct ring *ring, struct held_message *message)
{
    struct ring_output *output = ring_emit(ring, RING_STORE);

    output->store.write = RING_WRITE_MESSAGE;
    output->store.ticket = message->stored = ++ring->last_ticket;
    output->store.packet = packet_ref(message->packet);
    output->store.from_outbox = message->from_outbox;
    output->store.repaired = message->repaired;
}

struct held_message *message_new(struct ring *ring, const struct message *message,
                                 struct packet *packet)
{
    struct held_message *held = ring_allocate(ring, 1, sizeof(*held));

    if (!held)
        return NULL;
    list_init(&held->list);
    list_init(&held->by_id);
    held->key = message->key;
    held->id = message->id;
    held->packet = packet_ref(packet);
    return held;
}

struct held_message *message_take(struct ring *ring, struct origin *origin,
                                  const struct message *message, struct packet *packet)
{
    uint64_t seq = message->key.seq;
    struct held_message *held = message_new(ring, message, packet);

    if (!held)
        return NULL;
    check(!intervals_contain(&origin->held, seq));
    if (intervals_add_sum(&origin->held, seq, seq, ring_id_hash(&message->id)) < 0 ||
        !heap_add(ring, held)) {
        ring->broken = true;
        message_free(held);
        return NULL;
    }
    if (origin == ring->self)
        list_append(own_ids_of(ring, &held->id), &held->by_id);
    insert_by_seq(origin, held);
    clock_received(ring, message->key.hlc);
    return held;
}

void message_deliver(struct ring *ring, struct held_message *message, bool late)
{
    struct ring_output *output = ring_emit(ring, RING_DELIVER);

    output->deliver.packet = packet_ref(message->packet);
    output->deliver.late = late;
    message->delivered = true;
    ring->counters.delivered_messages++;
    if (late)
        ring->counters.late_messages++;
    else if (message_key_compare(&message->key, &ring->top_delivered) > 0)
        ring->top_delivered = message->key;
}

void messages_settle(struct ring *ring, struct origin *origin, uint64_t seq)
{
    (void)ring;
    list_for_each (at, &origin->messages) {
        struct held_message *message = list_entry(at, struct held_message, list);

        if (message->key.seq > seq)
            break;
        message->settled = true;
    }
}

void messages_deliver(struct ring *ring)
{
    while (ring->undelivered_count > 0 && ring->undelivered[0]->settled) {
        struct held_message *message = heap_take(ring);

        message_deliver(ring, message, false);
        message_free(message);
    }
}

void messages_settle_all(struct ring *ring)
{
    struct message_key top = ring->top_delivered;

    while (ring->undelivered_count > 0) {
        struct held_message *message = heap_take(ring);

        message->settled = true;
        message_deliver(ring, message, message_key_compare(&message->key, &top) < 0);
        message_answer(ring, message, RING_DONE);
        message_free(message);
    }
}

void delivery_done(struct ring *ring)
{
    for (size_t i = 0; i < ring->origins_count; i++) {
        struct origin *origin = ring->origins[i];

        list_for_each_safe (at, &origin->messages)
            message_free(list_entry(at, struct held_message, list));
        packet_unref(origin->seal);
        intervals_done(&origin->held);
        intervals_done(&origin->pruned);
        intervals_done(&origin->base);
        intervals_done(&origin->repairable);
        free(origin);
    }
    list_for_each_safe (at, &ring->repaired)
        message_free(list_entry(at, struct held_message, list));
    free(ring->origins);
    free(ring->undelivered);
}
