/* History repair: what a newcomer, or a ring that was apart, lacks comes in the background.
 *
 * Rule: digest.c finds out who lacks what, supply.c sends it; here it is taken in. What comes is
 * delivered late, as soon as it is stored, and from then on passed on from the store. Below the
 * horizon it is acknowledged and dropped. When it has been quiet for a moment, a new digest shows
 * whether both have the same now. */

#include "ring-internal.h"

#include <errno.h>

#include "common/byteorder.h"
#include "common/util.h"

/* Repair that has been quiet for this long is told as one event. */
#define REPORT_DELAY (500 * USEC_PER_MSEC)

void repair_stopped(struct ring *ring)
{
    ring->repair_missing = 0;
    supplies_done(ring);
    digest_drop_early(ring);
}

/* What is in the store now may be given to others. */
void repair_started(struct ring *ring)
{
    for (size_t i = 0; i < ring->origins_count && !ring->broken; i++) {
        struct origin *origin = ring->origins[i];

        if (intervals_copy(&origin->repairable, &origin->held) < 0)
            ring->broken = true;
        for (size_t k = 0; k < origin->pruned.count && !ring->broken; k++) {
            if (intervals_remove(&origin->repairable, origin->pruned.list[k].from,
                                 origin->pruned.list[k].to) < 0)
                ring->broken = true;
        }
    }
    digest_tell(ring);
}

void repair_done(struct ring *ring)
{
    repair_stopped(ring);
    while (ring->fetches) {
        struct fetch *fetch = ring->fetches;

        ring->fetches = fetch->next;
        free(fetch);
    }
}

/* ---- receiving ---- */

/* Whether the message is, or will be, one of this view's live traffic. */
static bool is_live(const struct ring *ring, const struct origin *origin, uint64_t seq)
{
    if (origin == ring->self)
        return seq > ring->seq;
    return view_member(ring, &origin->id) && seq > origin->last;
}

static void acknowledge(struct ring *ring, const struct ring_id *supplier, uint64_t bytes)
{
    struct writer writer;

    writer_begin(&writer, FRAME_REPAIR_ACK, ring->view.formation.tag);
    write_id(&writer, supplier);
    write_id(&writer, &ring->config.id);
    write_u64(&writer, bytes);
    link_send(ring, ring->predecessor, writer_end(&writer));
}

/* How many are to come behind it: 0 also from a supplier that does not tell. */
static uint64_t read_missing(const struct packet *packet, const struct message *message,
                             size_t trailer)
{
    size_t at = message_end(packet, message);
    uint64_t missing;

    if (packet->size < at + sizeof(missing) + trailer)
        return 0;
    missing = get_le64(packet->data + at);
    return missing <= INT64_MAX ? missing : 0;
}

int repair_received(struct ring *ring, struct packet *packet, const struct message *message,
                    const struct ring_id *supplier, size_t trailer)
{
    struct origin *origin = origin_get(ring, &message->key.origin);
    uint64_t seq = message->key.seq;
    struct held_message *held;

    if (!origin)
        return 0;
    if (seq == 0 || is_live(ring, origin, seq))
        return -EBADMSG;
    if (intervals_contain(&origin->held, seq) || message->key.hlc < ring->state.horizon) {
        acknowledge(ring, supplier, packet->size);
        return 0;
    }
    held = message_new(ring, message, packet);
    if (!held)
        return 0;
    held->settled = held->repaired = true;
    held->repair_tag = ring->view.formation.tag;
    held->supplier = *supplier;
    held->missing = read_missing(packet, message, trailer);
    list_append(&ring->repaired, &held->list);
    if (intervals_add_sum(&origin->held, seq, seq, ring_id_hash(&message->id)) < 0)
        ring->broken = true;
    clock_received(ring, message->key.hlc);
    message_write(ring, held);
    return 0;
}

/* Of several suppliers each knows of its own messages only, and some of those are the same: the one
 * that knows of most is believed. */
static void note_missing(struct ring *ring, const struct held_message *held)
{
    if (held->missing <= ring->repair_missing &&
        !ring_id_equal(&held->supplier, &ring->repair_missing_at))
        return;
    ring->repair_missing = held->missing;
    ring->repair_missing_at = held->supplier;
}

static void one_stored(struct ring *ring, struct held_message *held)
{
    struct origin *origin = origin_find(ring, &held->key.origin);

    message_deliver(ring, held, true);
    if (!origin || intervals_add(&origin->repairable, held->key.seq, held->key.seq) < 0 ||
        intervals_add_sum(&origin->base, held->key.seq, held->key.seq, ring_id_hash(&held->id)) < 0)
        ring->broken = true;
    supply_repaired(ring, &held->key.origin);
    ring->repair_received++;
    if (held->repair_tag == ring->view.formation.tag && ring->phase == RING_LIVE)
        note_missing(ring, held);
    message_answer(ring, held, RING_DONE);
    message_free(held);
}

/* What has been stored since the last time, acknowledged in as few frames as suppliers take turns.
 */
void repair_stored(struct ring *ring)
{
    struct ring_id supplier = {{0}};
    uint64_t bytes = 0;
    bool any = false;

    while (!list_empty(&ring->repaired) && !ring->broken) {
        struct held_message *held = list_entry(ring->repaired.next, struct held_message, list);

        if (!is_stored(ring, held->stored))
            break;
        if (bytes > 0 && !ring_id_equal(&supplier, &held->supplier)) {
            acknowledge(ring, &supplier, bytes);
            bytes = 0;
        }
        supplier = held->supplier;
        if (held->repair_tag == ring->view.formation.tag && ring->phase == RING_LIVE)
            bytes += held->packet->size;
        one_stored(ring, held);
        any = true;
    }
    if (!any)
        return;
    if (bytes > 0)
        acknowledge(ring, &supplier, bytes);
    ring_arm(ring, TIMER_REPAIR_REPORT, REPORT_DELAY);
    supplies_pump(ring);
}

/* ---- from a backup ---- */

static void import(struct ring *ring, ring_ticket ticket, const struct message *message,
                   struct origin *origin)
{
    struct packet *packet = message_pack(message);
    struct held_message *held = packet ? message_new(ring, message, packet) : NULL;
    struct waiter *waiter = held ? ring_allocate(ring, 1, sizeof(*waiter)) : NULL;

    packet_unref(packet);
    if (!waiter || intervals_add_sum(&origin->held, message->key.seq, message->key.seq,
                                     ring_id_hash(&message->id)) < 0) {
        ring->broken = true;
        free(waiter);
        if (held)
            message_free(held);
        return;
    }
    waiter->ticket = ticket;
    held->waiters = waiter;
    held->settled = held->repaired = true;
    held->supplier = ring->config.id;
    list_append(&ring->repaired, &held->list);
    clock_received(ring, message->key.hlc);
    message_write(ring, held);
}

static bool is_unwritten(const struct ring *ring, const struct list *head,
                         const struct origin *origin, uint64_t seq)
{
    list_for_each (at, head) {
        const struct held_message *held = list_entry(at, struct held_message, list);

        if (held->key.seq == seq && ring_id_equal(&held->key.origin, &origin->id))
            return !is_stored(ring, held->stored);
    }
    return false;
}

/* Whether the message has come, live or by repair, and is not on this disk yet. */
static bool is_being_written(const struct ring *ring, const struct origin *origin, uint64_t seq)
{
    return ring->stored_ticket < ring->last_ticket && intervals_contain(&origin->held, seq) &&
           (is_unwritten(ring, &ring->repaired, origin, seq) ||
            is_unwritten(ring, &origin->messages, origin, seq));
}

void repair_import(struct ring *ring, ring_ticket ticket, const struct message *message)
{
    struct origin *origin = origin_get(ring, &message->key.origin);

    if (!origin)
        return;
    if (ring->phase == RING_FAILED) {
        ring_emit_reply(ring, ticket, RING_STORE_BROKEN);
    } else if (is_being_written(ring, origin, message->key.seq)) {
        ring_emit_reply(ring, ticket, RING_BUSY);
    } else if (intervals_contain(&origin->held, message->key.seq) ||
               message->key.hlc < ring->state.horizon) {
        struct ring_output *output = ring_emit(ring, RING_REPLY);

        output->reply.ticket = ticket;
        output->reply.reply = RING_DONE;
    } else if (ring->phase != RING_LIVE || is_live(ring, origin, message->key.seq)) {
        ring_emit_reply(ring, ticket, RING_BUSY);
    } else {
        import(ring, ticket, message, origin);
    }
}

void repair_report(struct ring *ring)
{
    ring_emit_event(ring, RING_EVENT_REPAIR)->number = ring->repair_received;
    ring->repair_received = ring->repair_missing = 0;
    if (ring->phase == RING_LIVE && ring->predecessor)
        digest_send(ring);
}
