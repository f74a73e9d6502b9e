/* History repair, second part: sending what others lack.
 *
 * Rule: a supplier sends what is missing of what it had at START or got by repair since, newest
 * first, and at most REPAIR_CREDIT_BYTES (or one message) that are not yet acknowledged as stored;
 * the successor is served before anyone further on. While chat flows it goes in smaller chunks, and
 * rests after each for as many times as long as it took as there are members: every SEAL waits for
 * all disks, so together they must be free for most of the time. It fails if live traffic is sent
 * too: DATA would meet a copy of itself. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* A REPAIR_FAR frame ends with supplier and target, behind what the message's reader looks at, and
 * in both frames there is between them and the message how many are to come behind it. Those that
 * were made before that was told have none. */
#define TRAILER_BYTES (2 * sizeof(struct ring_id))

/* ---- supplies ---- */

struct supply *supply_find(const struct ring *ring, const struct ring_id *target)
{
    for (struct supply *supply = ring->supplies; supply; supply = supply->next) {
        if (ring_id_equal(&supply->target, target))
            return supply;
    }
    return NULL;
}

static bool is_near(const struct ring *ring, const struct supply *supply)
{
    return ring_id_equal(&supply->target, &view_successor(ring)->id);
}

/* Where the part for an origin is, or belongs. */
static size_t position(const struct supply *supply, const struct ring_id *id)
{
    size_t low = 0, high = supply->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ring_id_compare(&supply->origins[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct supply_origin *supply_origin_get(struct ring *ring, struct supply *supply,
                                        const struct ring_id *id)
{
    size_t at = position(supply, id);

    if (at < supply->count && ring_id_equal(&supply->origins[at].id, id))
        return &supply->origins[at];
    if (!ring_grow(ring, (void **)&supply->origins, supply->count, &supply->allocated,
                   sizeof(*supply->origins)))
        return NULL;
    memmove(supply->origins + at + 1, supply->origins + at,
            (supply->count - at) * sizeof(*supply->origins));
    supply->origins[at] = (struct supply_origin){.id = *id};
    supply->count++;
    return &supply->origins[at];
}

struct supply *supply_new(struct ring *ring, const struct ring_id *target)
{
    struct supply *supply = ring_allocate(ring, 1, sizeof(*supply)), **place = &ring->supplies;

    if (!supply)
        return NULL;
    supply->target = *target;
    while (*place && !is_near(ring, supply))
        place = &(*place)->next;
    supply->next = *place;
    *place = supply;
    for (size_t i = 0; i < ring->origins_count && !ring->broken; i++) {
        const struct origin *origin = ring->origins[i];
        struct supply_origin *part = supply_origin_get(ring, supply, &origin->id);

        if (!part || intervals_copy(&part->had, &origin->base) < 0)
            ring->broken = true;
    }
    return ring->broken ? NULL : supply;
}

void supply_drop(struct ring *ring, struct supply *supply)
{
    struct supply **place = &ring->supplies;

    if (!supply)
        return;
    while (*place != supply)
        place = &(*place)->next;
    *place = supply->next;
    for (size_t i = 0; i < supply->count; i++)
        intervals_done(&supply->origins[i].had);
    free(supply->origins);
    free(supply);
}

void supplies_done(struct ring *ring)
{
    while (ring->supplies)
        supply_drop(ring, ring->supplies);
}

void supply_repaired(struct ring *ring, const struct ring_id *origin)
{
    for (struct supply *supply = ring->supplies; supply && !ring->broken; supply = supply->next)
        supply_origin_get(ring, supply, origin);
}

/* ---- sending ---- */

/* The newest range that the target lacks: runs begin with the time of their start. */
static bool newest_missing(const struct ring *ring, const struct supply *supply, struct range *ret)
{
    static const struct ring_interval everything = {1, INT64_MAX, 0};
    bool found = false;

    for (size_t i = 0; i < supply->count; i++) {
        const struct supply_origin *part = &supply->origins[i];
        const struct origin *origin = origin_find(ring, &part->id);
        struct ring_interval missing;

        if (!origin ||
            !intervals_highest_missing(&origin->repairable, &part->had, &everything, &missing))
            continue;
        if (!found || missing.to > ret->interval.to)
            *ret = (struct range){.origin = part->id, .interval = missing};
        found = true;
    }
    return found;
}

bool supply_is_done(const struct ring *ring, const struct supply *supply)
{
    struct range unused;

    return supply->ready && !supply->fetching && supply->unacknowledged == 0 &&
           !newest_missing(ring, supply, &unused);
}

static uint64_t count_lacking(const struct ring *ring, const struct supply *supply)
{
    uint64_t count = 0;

    for (size_t i = 0; i < supply->count; i++) {
        const struct origin *origin = origin_find(ring, &supply->origins[i].id);

        if (origin)
            count += intervals_count_missing(&origin->repairable, &supply->origins[i].had);
    }
    return count;
}

uint64_t supplies_lacking(const struct ring *ring)
{
    uint64_t count = 0;

    for (const struct supply *supply = ring->supplies; supply; supply = supply->next)
        count += supply->ready ? count_lacking(ring, supply) : 0;
    return count;
}

/* How many bytes may be sent now. */
static size_t credit(struct ring *ring, const struct supply *supply)
{
    bool chat = ring->chat_at && ring->now < ring->chat_at + REPAIR_CHAT_USEC;
    size_t limit = chat ? REPAIR_CREDIT_CHAT_BYTES : REPAIR_CREDIT_BYTES;

    if (chat && supply->unacknowledged > 0)
        return 0;
    if (chat && ring->now < ring->supply_rest) {
        ring_arm(ring, TIMER_REPAIR_REST, ring->supply_rest - ring->now);
        return 0;
    }
    return limit - MIN(limit, supply->unacknowledged);
}

/* true: it keeps the link busy, and those further on wait. */
static bool pump(struct ring *ring, struct supply *supply)
{
    struct range range;
    struct fetch *fetch;
    size_t bytes;

    if (!supply->ready || supply->fetching)
        return true;
    if (!newest_missing(ring, supply, &range))
        return supply->unacknowledged > 0;
    bytes = credit(ring, supply);
    if (bytes == 0)
        return true;
    if (supply->unacknowledged == 0)
        ring->supply_begun = ring->now;
    supply->fetching = true;
    fetch = fetch_begin(ring, FETCH_REPAIR, ring->view.formation.tag, &range, bytes);
    if (fetch)
        fetch->target = supply->target;
    return true;
}

void supplies_pump(struct ring *ring)
{
    if (ring->phase != RING_LIVE)
        return;
    for (struct supply *supply = ring->supplies; supply && !ring->broken; supply = supply->next) {
        if (pump(ring, supply))
            return;
    }
}

static struct packet *repair_frame(struct ring *ring, const struct supply *supply,
                                   const struct packet *packet, const struct message *message,
                                   uint64_t missing)
{
    bool near = is_near(ring, supply);
    struct writer writer;

    writer_begin(&writer, near ? FRAME_REPAIR : FRAME_REPAIR_FAR, ring->view.formation.tag);
    write_raw(&writer, packet->data + RING_FRAME_HEADER_BYTES,
              message_end(packet, message) - RING_FRAME_HEADER_BYTES);
    write_u64(&writer, missing);
    if (!near) {
        write_id(&writer, &ring->config.id);
        write_id(&writer, &supply->target);
    }
    return writer_end(&writer);
}

/* `missing`: how many the target lacks still when it has this one. */
static void send_one(struct ring *ring, struct supply *supply, struct packet *packet,
                     uint64_t missing)
{
    struct message message;
    struct packet *frame;

    if (message_unpack(packet, &message) < 0 || message.key.hlc < supply->floor ||
        message.key.hlc >= supply->ceiling)
        return;
    frame = repair_frame(ring, supply, packet, &message, missing);
    if (frame)
        supply->unacknowledged += frame->size;
    link_send(ring, ring->successor, frame);
}

/* What of the range is dealt with. The hlc of a run rises with its seq: where the lowest is below
 * what the target keeps, so is all before it. */
static uint64_t lowest_done(const struct supply *supply, const struct ring_interval *range,
                            size_t count, struct packet *const *packets)
{
    struct message first;

    if (count == 0 || message_unpack(packets[0], &first) < 0 || first.key.hlc < supply->floor)
        return range->from;
    return MIN(MAX(range->from, first.key.seq), range->to);
}

void supply_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                    struct packet *const *packets)
{
    const struct ring_interval *range = &fetch->range.interval;
    struct supply *supply = supply_find(ring, &fetch->target);
    struct supply_origin *part;
    uint64_t missing;

    if (ring->phase != RING_LIVE || fetch->tag != ring->view.formation.tag || !supply)
        return;
    supply->fetching = false;
    part = supply_origin_get(ring, supply, &fetch->range.origin);
    if (!part ||
        intervals_add(&part->had, lowest_done(supply, range, count, packets), range->to) < 0)
        ring->broken = true;
    missing = count_lacking(ring, supply);
    for (size_t i = 0; i < count && !ring->broken; i++)
        send_one(ring, supply, packets[i], missing + count - 1 - i);
    if (!ring->broken)
        supplies_pump(ring);
}

int supply_addressed(struct ring *ring, struct reader *reader, struct packet *packet,
                     struct supply **ret)
{
    struct ring_id supplier = read_id(reader), target = read_id(reader);

    if (reader->failed || !view_member(ring, &supplier) || !view_member(ring, &target) ||
        ring_id_equal(&target, &ring->config.id))
        return -EBADMSG;
    if (!ring_id_equal(&supplier, &ring->config.id)) {
        link_send(ring, ring->predecessor, packet_ref(packet));
        return 0;
    }
    *ret = supply_find(ring, &target);
    return *ret ? 1 : -EBADMSG;
}

int repair_acknowledged(struct ring *ring, struct reader *reader, struct packet *packet)
{
    struct supply *supply;
    int result = supply_addressed(ring, reader, packet, &supply);
    uint64_t bytes = read_u64(reader);

    if (result <= 0)
        return result;
    if (reader->failed)
        return -EBADMSG;
    supply->unacknowledged -= MIN(bytes, supply->unacknowledged);
    if (supply->unacknowledged == 0)
        ring->supply_rest =
            ring->now + MIN(ring->view.count * (ring->now - ring->supply_begun), REPAIR_REST_USEC);
    supplies_pump(ring);
    return 0;
}

/* From further away: for this node, or to be passed on without a look. */
int repair_far_received(struct ring *ring, struct packet *packet, const struct message *message)
{
    struct ring_id supplier, target;
    const uint8_t *trailer = packet->data + packet->size - TRAILER_BYTES;

    memcpy(supplier.bytes, trailer, sizeof(supplier.bytes));
    memcpy(target.bytes, trailer + sizeof(supplier.bytes), sizeof(target.bytes));
    if (!view_member(ring, &supplier) || !view_member(ring, &target) ||
        ring_id_equal(&supplier, &ring->config.id))
        return -EBADMSG;
    if (ring_id_equal(&target, &ring->config.id))
        return repair_received(ring, packet, message, &supplier, TRAILER_BYTES);
    link_send(ring, ring->successor, packet_ref(packet));
    return 0;
}
