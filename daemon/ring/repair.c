/* History repair: what a newcomer, or a ring that was apart, lacks comes in the background.
 *
 * Rule: each node tells its predecessor what it holds (HAVE); the predecessor sends what is missing
 * of what it held at START or got by repair since, newest first, by credit. What a node is itself
 * being sent it passes on from its store. It fails if live traffic is repaired too: DATA would meet
 * a copy of itself. */

#include "ring-internal.h"

#include <errno.h>

#include "common/util.h"

/* Intervals in one HAVE frame: 64 KiB. */
#define HAVE_RANGES_MAX 2000

/* HAVE frames kept until START: a history in ruins has this many. */
#define EARLY_HAVE_MAX 256

/* Repair that has been quiet for this long is told as one event. */
#define REPORT_DELAY (500 * USEC_PER_MSEC)

/* ---- fetches ---- */

struct fetch *fetch_begin(struct ring *ring, enum fetch_purpose purpose, uint64_t tag,
                          const struct range *range, size_t bytes_max)
{
    struct fetch *fetch = ring_allocate(ring, 1, sizeof(*fetch));
    struct ring_output *output;

    if (!fetch)
        return NULL;
    *fetch = (struct fetch){.next = ring->fetches,
                            .ticket = ++ring->last_fetch,
                            .purpose = purpose,
                            .tag = tag,
                            .range = *range};
    ring->fetches = fetch;
    output = ring_emit(ring, RING_FETCH);
    output->fetch.ticket = fetch->ticket;
    output->fetch.origin = range->origin;
    output->fetch.from = range->interval.from;
    output->fetch.to = range->interval.to;
    output->fetch.bytes_max = bytes_max;
    return fetch;
}

void fetched(struct ring *ring, const struct ring_input *in)
{
    struct fetch **place = &ring->fetches, *fetch;

    while (*place && (*place)->ticket != in->fetched.ticket)
        place = &(*place)->next;
    fetch = *place;
    if (!fetch)
        return;
    *place = fetch->next;
    switch (fetch->purpose) {
    case FETCH_FILL:
        sync_fetched(ring, fetch, in->fetched.count, in->fetched.packets);
        break;
    case FETCH_REPAIR:
        repair_fetched(ring, fetch, in->fetched.count, in->fetched.packets);
        break;
    }
    free(fetch);
}

/* ---- HAVE ---- */

static void send_have(struct ring *ring, const struct ranges *ranges, bool last)
{
    struct writer writer;

    writer_begin(&writer, FRAME_HAVE, ring->view.formation.tag);
    write_u8(&writer, last);
    ranges_write(&writer, ranges);
    link_send(ring, ring->predecessor, writer_end(&writer));
}

static void tell_have(struct ring *ring)
{
    struct ranges ranges = {0};

    for (size_t i = 0; i < ring->origins_count; i++) {
        const struct origin *origin = ring->origins[i];

        for (size_t k = 0; k < origin->held.count; k++) {
            const struct ring_interval *interval = &origin->held.list[k];

            if (ranges.count == HAVE_RANGES_MAX) {
                send_have(ring, &ranges, false);
                ranges.count = 0;
            }
            if (ranges_add(&ranges, &origin->id, interval->from, interval->to) < 0)
                ring->broken = true;
        }
    }
    send_have(ring, &ranges, true);
    ranges_done(&ranges);
}

static void drop_early_have(struct ring *ring)
{
    for (size_t i = 0; i < ring->early_have_count; i++)
        packet_unref(ring->early_have[i]);
    free(ring->early_have);
    ring->early_have = NULL;
    ring->early_have_count = 0;
}

void repair_have_early(struct ring *ring, struct packet *packet)
{
    if (!ring->early_have)
        ring->early_have = ring_allocate(ring, EARLY_HAVE_MAX, sizeof(struct packet *));
    if (ring->early_have && ring->early_have_count < EARLY_HAVE_MAX)
        ring->early_have[ring->early_have_count++] = packet_ref(packet);
}

int repair_have_received(struct ring *ring, struct packet *packet)
{
    struct ranges ranges = {0};
    struct reader reader;
    bool last;
    int result;

    reader_begin(&reader, packet->data, packet->size);
    last = read_u8(&reader);
    result = ranges_read(&reader, &ranges);
    for (size_t i = 0; result == 0 && i < ranges.count; i++) {
        struct origin *origin = origin_get(ring, &ranges.list[i].origin);
        const struct ring_interval *interval = &ranges.list[i].interval;

        if (!origin || intervals_add(&origin->successor_held, interval->from, interval->to) < 0)
            result = -ENOMEM;
    }
    ranges_done(&ranges);
    if (result == 0 && last) {
        ring->successor_have = true;
        repair_pump(ring);
    }
    return result;
}

void repair_stopped(struct ring *ring)
{
    ring->successor_have = false;
    ring->repair_fetching = false;
    ring->repair_unacknowledged = 0;
    drop_early_have(ring);
    for (size_t i = 0; i < ring->origins_count; i++)
        ring->origins[i]->successor_held.count = 0;
}

void repair_started(struct ring *ring)
{
    for (size_t i = 0; i < ring->origins_count; i++) {
        struct origin *origin = ring->origins[i];

        if (intervals_copy(&origin->repairable, &origin->held) < 0)
            ring->broken = true;
    }
    if (view_is_alone(ring))
        return;
    tell_have(ring);
    for (size_t i = 0; i < ring->early_have_count && !ring->broken; i++) {
        /* Checked like any frame; a bad one only costs its own repair. */
        if (repair_have_received(ring, ring->early_have[i]) == -ENOMEM)
            ring->broken = true;
    }
    drop_early_have(ring);
}

void repair_done(struct ring *ring)
{
    drop_early_have(ring);
    while (ring->fetches) {
        struct fetch *fetch = ring->fetches;

        ring->fetches = fetch->next;
        free(fetch);
    }
}

/* ---- sending ---- */

/* The newest range that the successor lacks: runs begin with the time of their start. */
static bool newest_missing(const struct ring *ring, struct range *ret)
{
    static const struct ring_interval everything = {1, INT64_MAX};
    bool found = false;

    for (size_t i = 0; i < ring->origins_count; i++) {
        const struct origin *origin = ring->origins[i];
        struct ring_interval missing;

        if (!intervals_highest_missing(&origin->repairable, &origin->successor_held, &everything,
                                       &missing))
            continue;
        if (!found || missing.to > ret->interval.to)
            *ret = (struct range){.origin = origin->id, .interval = missing};
        found = true;
    }
    return found;
}

void repair_pump(struct ring *ring)
{
    struct range range;

    if (ring->phase != RING_LIVE || !ring->successor_have || ring->repair_fetching ||
        ring->repair_unacknowledged >= REPAIR_CREDIT_BYTES || !newest_missing(ring, &range))
        return;
    ring->repair_fetching = true;
    fetch_begin(ring, FETCH_REPAIR, ring->view.formation.tag, &range,
                REPAIR_CREDIT_BYTES - ring->repair_unacknowledged);
}

void repair_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                    struct packet *const *packets)
{
    struct origin *origin = origin_find(ring, &fetch->range.origin);
    uint64_t lowest = fetch->range.interval.from;
    struct message first;

    if (ring->phase != RING_LIVE || fetch->tag != ring->view.formation.tag || !origin)
        return;
    ring->repair_fetching = false;
    if (count > 0 && message_unpack(packets[0], &first) == 0)
        lowest = MIN(MAX(lowest, first.key.seq), fetch->range.interval.to);
    for (size_t i = 0; i < count && !ring->broken; i++) {
        ring->repair_unacknowledged += packets[i]->size;
        link_send(ring, ring->successor, frame_retag(packets[i], FRAME_REPAIR, fetch->tag));
    }
    if (intervals_add(&origin->successor_held, lowest, fetch->range.interval.to) < 0)
        ring->broken = true;
    else
        repair_pump(ring);
}

void repair_acknowledged(struct ring *ring, struct reader *reader)
{
    uint64_t bytes = read_u64(reader);

    if (reader->failed)
        return;
    ring->repair_unacknowledged -= MIN(bytes, ring->repair_unacknowledged);
    repair_pump(ring);
}

/* ---- receiving ---- */

static void acknowledge(struct ring *ring, uint64_t bytes)
{
    struct writer writer;

    writer_begin(&writer, FRAME_REPAIR_ACK, ring->view.formation.tag);
    write_u64(&writer, bytes);
    link_send(ring, ring->predecessor, writer_end(&writer));
}

void repair_received(struct ring *ring, struct packet *packet, const struct message *message)
{
    struct origin *origin = origin_get(ring, &message->key.origin);
    uint64_t seq = message->key.seq;
    struct held_message *held;

    if (!origin)
        return;
    if (intervals_contain(&origin->held, seq)) {
        acknowledge(ring, packet->size);
        return;
    }
    held = message_new(ring, message, packet);
    if (!held)
        return;
    held->settled = held->repaired = true;
    held->repair_tag = ring->view.formation.tag;
    list_append(&ring->repaired, &held->list);
    if (intervals_add(&origin->held, seq, seq) < 0)
        ring->broken = true;
    clock_received(ring, message->key.hlc);
    message_write(ring, held);
}

static void one_stored(struct ring *ring, struct held_message *held, uint64_t *bytes)
{
    struct origin *origin = origin_find(ring, &held->key.origin);

    message_deliver(ring, held, true);
    if (!origin || intervals_add(&origin->repairable, held->key.seq, held->key.seq) < 0)
        ring->broken = true;
    if (held->repair_tag == ring->view.formation.tag)
        *bytes += held->packet->size;
    ring->repair_received++;
    message_free(held);
}

void repair_stored(struct ring *ring)
{
    uint64_t bytes = 0;
    bool any = false;

    while (!list_empty(&ring->repaired)) {
        struct held_message *held = list_entry(ring->repaired.next, struct held_message, list);

        if (!is_stored(ring, held->stored))
            break;
        one_stored(ring, held, &bytes);
        any = true;
    }
    if (!any)
        return;
    if (bytes > 0 && ring->phase == RING_LIVE && ring->predecessor)
        acknowledge(ring, bytes);
    ring_arm(ring, TIMER_REPAIR_REPORT, REPORT_DELAY);
    repair_pump(ring);
}

void repair_report(struct ring *ring)
{
    ring_emit_event(ring, RING_EVENT_REPAIR)->number = ring->repair_received;
    ring->repair_received = 0;
}
