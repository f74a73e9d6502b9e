/* History repair, first part: who lacks what.
 *
 * Rule: at START each node sends its predecessor a DIGEST of all that it had. Where that differs
 * from the predecessor's own, ORIGIN_DIGESTS come back, one an origin, and HAVE answers with the
 * intervals of the origins that differ, or that the predecessor does not know. A predecessor that
 * keeps less of the history than the node wants passes the DIGEST on, so that one node's retention
 * cuts nobody off; whoever supplies from further away is asked only for what those between do not
 * keep, and a DIGEST dies where it would come back to its node. It fails if a digest covers live
 * traffic, which is never the same at two nodes: so it is of what was had at START. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* Entries of one frame: 64 KiB, so that live chat waits behind no more than that. */
#define DIGESTS_MAX 2600
#define HAVE_MAX 1600

/* The bytes of one entry. */
#define DIGEST_BYTES (sizeof(struct ring_id) + sizeof(uint64_t))
#define HAVE_BYTES (sizeof(struct ring_id) + 3 * sizeof(uint64_t))

/* DIGESTs kept until START: each member may be the target of one. */
#define EARLY_DIGESTS_MAX MEMBERS_MAX

/* ---- digests ---- */

static uint64_t digest_of(const struct intervals *set)
{
    uint64_t digest = set->count;

    for (size_t i = 0; i < set->count; i++) {
        const struct ring_interval *interval = &set->list[i];

        digest = ring_mix(digest + interval->from);
        digest = ring_mix(digest + interval->to);
        digest = ring_mix(digest + interval->sum);
    }
    return digest;
}

static void take_bases(struct ring *ring)
{
    for (size_t i = 0; i < ring->origins_count; i++) {
        if (intervals_copy(&ring->origins[i]->base, &ring->origins[i]->held) < 0)
            ring->broken = true;
    }
}

static void compute_digests(struct ring *ring)
{
    ring->base_digest = 0;
    for (size_t i = 0; i < ring->origins_count; i++) {
        struct origin *origin = ring->origins[i];

        origin->digest = digest_of(&origin->base);
        if (origin->base.count > 0)
            ring->base_digest += ring_mix(ring_id_hash(&origin->id) + origin->digest);
    }
}

static void send_digest(struct ring *ring, const struct ring_id *target, uint64_t floor,
                        uint64_t ceiling, uint64_t digest)
{
    struct writer writer;

    writer_begin(&writer, FRAME_DIGEST, ring->view.formation.tag);
    write_id(&writer, target);
    write_u64(&writer, floor);
    write_u64(&writer, ceiling);
    write_u64(&writer, digest);
    link_send(ring, ring->predecessor, writer_end(&writer));
}

/* What this node does not keep, and the target wants, is asked of the predecessor. */
static void pass_on(struct ring *ring, const struct supply *supply)
{
    if (ring->state.horizon > supply->floor && ring->predecessor &&
        !ring_id_equal(&ring->predecessor->peer, &supply->target))
        send_digest(ring, &supply->target, supply->floor, MIN(supply->ceiling, ring->state.horizon),
                    supply->digest);
}

void digest_horizon_rose(struct ring *ring)
{
    if (ring->phase != RING_LIVE)
        return;
    for (const struct supply *supply = ring->supplies; supply; supply = supply->next) {
        if (!supply_is_done(ring, supply))
            pass_on(ring, supply);
    }
}

void digest_send(struct ring *ring)
{
    compute_digests(ring);
    send_digest(ring, &ring->config.id, ring->state.horizon, INT64_MAX, ring->base_digest);
}

void digest_tell(struct ring *ring)
{
    take_bases(ring);
    if (view_is_alone(ring))
        return;
    digest_send(ring);
    for (size_t i = 0; i < ring->early_digest_count && !ring->broken; i++) {
        /* Checked like any frame; a bad one only costs its own repair. */
        if (digest_received(ring, ring->early_digest[i]) == -ENOMEM)
            ring->broken = true;
    }
    digest_drop_early(ring);
}

void digest_early(struct ring *ring, struct packet *packet)
{
    if (!ring->early_digest)
        ring->early_digest = ring_allocate(ring, EARLY_DIGESTS_MAX, sizeof(struct packet *));
    if (ring->early_digest && ring->early_digest_count < EARLY_DIGESTS_MAX)
        ring->early_digest[ring->early_digest_count++] = packet_ref(packet);
}

void digest_drop_early(struct ring *ring)
{
    for (size_t i = 0; i < ring->early_digest_count; i++)
        packet_unref(ring->early_digest[i]);
    free(ring->early_digest);
    ring->early_digest = NULL;
    ring->early_digest_count = 0;
}

/* ---- from the predecessor's side ---- */

/* Origins ascend by id. A frame speaks of all origins above `after` and up to its last one, or to
 * the end: one that it does not name is not known here. */
static void send_origin_digests(struct ring *ring, const struct ring_id *target)
{
    struct ring_id after = {{0}};
    size_t at = 0;

    do {
        struct writer writer;
        size_t count = MIN(ring->origins_count - at, (size_t)DIGESTS_MAX);

        writer_begin(&writer, FRAME_ORIGIN_DIGESTS, ring->view.formation.tag);
        write_id(&writer, &ring->config.id);
        write_id(&writer, target);
        write_u8(&writer, at + count == ring->origins_count);
        write_id(&writer, &after);
        write_u32(&writer, (uint32_t)count);
        for (size_t i = at; i < at + count; i++) {
            write_id(&writer, &ring->origins[i]->id);
            write_u64(&writer, ring->origins[i]->digest);
            after = ring->origins[i]->id;
        }
        link_send(ring, ring->successor, writer_end(&writer));
        at += count;
    } while (at < ring->origins_count && !ring->broken);
}

int digest_received(struct ring *ring, struct packet *packet)
{
    struct supply *supply;
    struct reader reader;
    struct ring_id target;
    uint64_t floor, ceiling, digest;

    reader_begin(&reader, packet->data, packet->size);
    target = read_id(&reader);
    floor = read_u64(&reader);
    ceiling = read_u64(&reader);
    digest = read_u64(&reader);
    if (reader.failed || !view_member(ring, &target) || ring_id_equal(&target, &ring->config.id))
        return -EBADMSG;
    /* Told again, after a repair or with a higher ceiling: from the beginning. */
    supply_drop(ring, supply_find(ring, &target));
    supply = supply_new(ring, &target);
    if (!supply)
        return -ENOMEM;
    supply->floor = floor;
    supply->ceiling = ceiling;
    supply->digest = digest;
    pass_on(ring, supply);
    compute_digests(ring);
    if (digest == ring->base_digest)
        supply->ready = true;
    else
        send_origin_digests(ring, &target);
    supplies_pump(ring);
    return 0;
}

/* ---- HAVE ---- */

struct have_writer {
    struct ring *ring;
    struct ring_id supplier;
    size_t count;
    struct range list[HAVE_MAX];
};

static void have_send(struct have_writer *have, bool last)
{
    struct ring *ring = have->ring;
    struct writer writer;

    writer_begin(&writer, FRAME_HAVE, ring->view.formation.tag);
    write_id(&writer, &have->supplier);
    write_id(&writer, &ring->config.id);
    write_u8(&writer, last);
    write_u32(&writer, (uint32_t)have->count);
    for (size_t i = 0; i < have->count; i++) {
        const struct range *range = &have->list[i];

        write_id(&writer, &range->origin);
        write_u64(&writer, range->interval.from);
        write_u64(&writer, range->interval.to);
        write_u64(&writer, range->interval.sum);
    }
    link_send(ring, ring->predecessor, writer_end(&writer));
    have->count = 0;
}

static void have_add(struct have_writer *have, const struct ring_id *id, struct ring_interval one)
{
    if (have->count == HAVE_MAX)
        have_send(have, false);
    have->list[have->count++] = (struct range){.origin = *id, .interval = one};
}

/* An origin of which there is nothing is named with an empty interval. What came since START is
 * told too: it need not come again. */
static void have_add_origin(struct have_writer *have, const struct ring_id *id)
{
    static const struct ring_interval nothing;
    const struct origin *origin = origin_find(have->ring, id);

    if (!origin || origin->held.count == 0) {
        have_add(have, id, nothing);
        return;
    }
    for (size_t i = 0; i < origin->held.count; i++)
        have_add(have, id, origin->held.list[i]);
}

/* Own origins above `after` and below `before` (or to the end): the supplier does not know them. */
static void have_add_unknown(struct have_writer *have, const struct ring_id *after,
                             const struct ring_id *before)
{
    const struct ring *ring = have->ring;

    for (size_t i = 0; i < ring->origins_count; i++) {
        const struct origin *origin = ring->origins[i];

        if (ring_id_compare(&origin->id, after) > 0 &&
            (!before || ring_id_compare(&origin->id, before) < 0) && origin->base.count > 0)
            have_add_origin(have, &origin->id);
    }
}

static int answer_digests(struct ring *ring, struct reader *reader, const struct ring_id *supplier)
{
    struct have_writer *have = ring_allocate(ring, 1, sizeof(*have));
    bool last = read_u8(reader);
    struct ring_id after = read_id(reader);
    uint32_t count = read_count(reader, DIGESTS_MAX, DIGEST_BYTES);

    if (!have)
        return -ENOMEM;
    *have = (struct have_writer){.ring = ring, .supplier = *supplier};
    for (uint32_t i = 0; i < count; i++) {
        struct ring_id id = read_id(reader);
        uint64_t digest = read_u64(reader);
        const struct origin *origin = origin_find(ring, &id);

        have_add_unknown(have, &after, &id);
        after = id;
        if (digest != (origin ? origin->digest : 0))
            have_add_origin(have, &id);
    }
    if (last)
        have_add_unknown(have, &after, NULL);
    if (!reader->failed)
        have_send(have, last);
    free(have);
    return reader->failed ? -EBADMSG : 0;
}

int origin_digests_received(struct ring *ring, struct packet *packet)
{
    struct ring_id supplier, target;
    struct reader reader;

    reader_begin(&reader, packet->data, packet->size);
    supplier = read_id(&reader);
    target = read_id(&reader);
    if (reader.failed || !view_member(ring, &supplier) || !view_member(ring, &target) ||
        ring_id_equal(&supplier, &ring->config.id))
        return -EBADMSG;
    if (ring_id_equal(&target, &ring->config.id))
        return answer_digests(ring, &reader, &supplier);
    link_send(ring, ring->successor, packet_ref(packet));
    return 0;
}

/* ---- other messages under one number ---- */

static void tell_conflict(struct ring *ring, const struct ring_id *id)
{
    struct writer writer;

    writer_begin(&writer, FRAME_CONFLICT, ring->view.formation.tag);
    write_id(&writer, &ring->config.id);
    write_id(&writer, id);
    link_send(ring, ring->successor, writer_end(&writer));
}

static void conflict_found(struct ring *ring, const struct ring_id *id)
{
    struct origin *origin = origin_find(ring, id);

    if (origin == ring->self) {
        ring_emit_event_about(ring, RING_EVENT_IDENTITY_CONFLICT, id);
        clone_isolate(ring);
    } else if (origin && !origin->conflict_told) {
        origin->conflict_told = true;
        ring_emit_event_about(ring, RING_EVENT_REPAIR_CONFLICT, id);
    }
}

/* Equal intervals of one origin have the same messages everywhere, or two nodes have given the same
 * numbers. */
static bool has_conflict(const struct ring *ring, const struct range *range)
{
    const struct origin *origin = origin_find(ring, &range->origin);

    for (size_t i = 0; origin && i < origin->base.count; i++) {
        const struct ring_interval *own = &origin->base.list[i];

        if (own->from == range->interval.from && own->to == range->interval.to)
            return own->sum != 0 && range->interval.sum != 0 && own->sum != range->interval.sum;
    }
    return false;
}

int conflict_received(struct ring *ring, struct reader *reader, struct packet *packet)
{
    struct ring_id sender = read_id(reader), id = read_id(reader);

    if (reader->failed || !view_member(ring, &sender))
        return -EBADMSG;
    if (!ring_id_equal(&view_successor(ring)->id, &sender) &&
        !ring_id_equal(&sender, &ring->config.id))
        link_send(ring, ring->successor, packet_ref(packet));
    conflict_found(ring, &id);
    return 0;
}

/* ---- back at the supplier ---- */

static int take_one(struct ring *ring, struct supply *supply, const struct range *range)
{
    struct supply_origin *part = supply_origin_get(ring, supply, &range->origin);
    const struct ring_interval *interval = &range->interval;

    if (!part)
        return -ENOMEM;
    if (!part->told)
        part->had.count = 0;
    part->told = true;
    if (interval->from == 0)
        return 0;
    if (interval->from > interval->to || interval->to > INT64_MAX)
        return -EBADMSG;
    return intervals_add(&part->had, interval->from, interval->to);
}

static int take_have(struct ring *ring, struct supply *supply, struct reader *reader)
{
    bool last = read_u8(reader);
    uint32_t count = read_count(reader, HAVE_MAX, HAVE_BYTES);
    struct ring_id conflict;
    bool conflicts = false;
    int result = 0;

    for (uint32_t i = 0; i < count && result == 0; i++) {
        struct range range = {.origin = read_id(reader)};

        range.interval.from = read_u64(reader);
        range.interval.to = read_u64(reader);
        range.interval.sum = read_u64(reader);
        result = take_one(ring, supply, &range);
        if (result == 0 && has_conflict(ring, &range)) {
            conflicts = true;
            conflict = range.origin;
        }
    }
    if (result < 0 || reader->failed)
        return result < 0 ? result : -EBADMSG;
    if (last)
        supply->ready = true;
    supplies_pump(ring);
    if (conflicts) {
        tell_conflict(ring, &conflict);
        conflict_found(ring, &conflict);
    }
    return 0;
}

int have_received(struct ring *ring, struct packet *packet)
{
    struct supply *supply;
    struct reader reader;
    int result;

    reader_begin(&reader, packet->data, packet->size);
    result = supply_addressed(ring, &reader, packet, &supply);
    return result > 0 ? take_have(ring, supply, &reader) : result;
}
