/* Merging: joining a ring and healing a partition are one operation.
 *
 * Rule: of two leaders that hear each other, the one with fewer members (tie: the smaller id) asks
 * the other by MERGE; the other gathers the merges of a short moment and starts one formation with
 * all. It fails if both wait for each other, or if a ring that cannot be reached is asked for ever:
 * so the rank is strict, and the wait after a failure doubles. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* Offers, and merges, of this moment are taken together. */
#define CHOOSE_TIME (20 * USEC_PER_MSEC)
#define MERGE_TIME (50 * USEC_PER_MSEC)

/* A ring that was asked and does nothing is asked again after this, jittered by as much again. */
#define ASK_AGAIN (500 * USEC_PER_MSEC)

/* However long a ring says that it will take nobody in. */
#define ASK_WAIT_MAX (10 * USEC_PER_SEC)

/* Rings that wait to be merged: more come with the next formation. */
#define MERGES_MAX MEMBERS_MAX

enum merge_refusal {
    MERGE_NOT_LEADER = 1,
    MERGE_FORMING = 2,
    MERGE_HELD_OFF = 3,
    MERGE_FULL = 4,
};

static const char *const refusal_texts[] = {
    [MERGE_NOT_LEADER] = "it does not lead its ring",
    [MERGE_FORMING] = "it is forming a view",
    [MERGE_HELD_OFF] = "an earlier merge did not hold, it waits",
    [MERGE_FULL] = "its ring is full",
};

void merges_free(struct merge *merges)
{
    while (merges) {
        struct merge *next = merges->next;

        free(merges);
        merges = next;
    }
}

static bool ranks_above(size_t members, const struct ring_id *leader, size_t other_members,
                        const struct ring_id *other_leader)
{
    if (members != other_members)
        return members > other_members;
    return ring_id_compare(leader, other_leader) > 0;
}

/* ---- the smaller ring asks ---- */

bool merge_wanted(const struct ring *ring, const struct offer *offer)
{
    const struct ring_member *member = view_member(ring, &offer->leader);

    if (member && member->instance == offer->instance)
        return false;
    /* Another one that has this node's identity, or this node itself, before it was restarted. */
    if (ring_id_equal(&offer->leader, &ring->config.id))
        return !ring_addresses_equal(&offer->addresses, &ring->config.addresses) &&
               (offer->members > ring->view.count ||
                (offer->members == ring->view.count && offer->instance > ring->config.instance));
    return ranks_above(offer->members, &offer->leader, ring->view.count, &ring->config.id);
}

void merge_consider(struct ring *ring, const struct offer *offer)
{
    if (ring->now < ring->merge_after || ring->merge_link)
        return;
    if (!ring->offer_pending) {
        ring->offer_pending = true;
        ring->best_offer = *offer;
        ring_arm(ring, TIMER_CHOOSE_OFFER, CHOOSE_TIME);
        return;
    }
    if (ranks_above(offer->members, &offer->leader, ring->best_offer.members,
                    &ring->best_offer.leader))
        ring->best_offer = *offer;
}

static struct packet *merge_frame(struct ring *ring)
{
    struct writer writer;

    writer_begin(&writer, FRAME_MERGE, 0);
    write_formation_id(&writer, &ring->view.formation);
    write_u64(&writer, ring->highest_epoch);
    write_u32(&writer, (uint32_t)ring->view.count);
    for (size_t i = 0; i < ring->view.count; i++) {
        struct candidate candidate = candidate_of(&ring->members[i]);

        if (i == ring->view.self)
            candidate.addresses = ring->config.addresses;
        candidate_write(&writer, &candidate);
    }
    return writer_end(&writer);
}

void merge_choose(struct ring *ring)
{
    const struct offer *offer = &ring->best_offer;
    struct ring_event *event;

    ring->offer_pending = false;
    if (ring->phase != RING_LIVE || ring->leaving || !view_is_leader(ring) || ring->merges ||
        !merge_wanted(ring, offer))
        return;
    event = ring_emit_event(ring, RING_EVENT_MERGE_ASKED);
    event->peer = offer->leader;
    memcpy(event->peer_name, offer->name, sizeof(event->peer_name));
    event->address = offer->addresses.list[0];
    event->number = offer->members;
    ring->merge_link =
        link_dial(ring, LINK_MERGE, &offer->leader, &offer->addresses, merge_frame(ring));
    ring_arm(ring, TIMER_MERGE_GIVE_UP, ring_jitter(ring, ASK_AGAIN, 100));
}

void merge_give_up(struct ring *ring)
{
    link_hang_up(ring, ring->merge_link);
}

void merge_refused(struct ring *ring, struct link *link, struct reader *reader)
{
    uint8_t reason = read_u8(reader);
    uint64_t wait = read_u64(reader);

    if (link != ring->merge_link || reader->failed || reason < MERGE_NOT_LEADER ||
        reason > MERGE_FULL)
        return;
    ring_emit_event_about(ring, RING_EVENT_MERGE_REFUSED, &link->peer)->reason =
        refusal_texts[reason];
    ring->merge_after = ring->now + MIN(wait, ASK_WAIT_MAX);
    link_hang_up(ring, link);
}

/* ---- the larger one takes in ---- */

static void refuse(struct ring *ring, struct link *link, enum merge_refusal reason)
{
    struct writer writer;

    writer_begin(&writer, FRAME_MERGE_REFUSE, 0);
    write_u8(&writer, (uint8_t)reason);
    write_u64(&writer, flap_wait(ring, &link->peer));
    link_send(ring, link, writer_end(&writer));
}

static struct merge *merge_read(struct ring *ring, struct reader *reader)
{
    struct ring_formation_id view = read_formation_id(reader);
    uint64_t epoch = read_u64(reader);
    uint32_t count = read_count(reader, MEMBERS_MAX, sizeof(struct ring_id));
    struct merge *merge;

    if (reader->failed || count == 0 || epoch > INT64_MAX)
        return NULL;
    merge = ring_allocate(ring, 1, sizeof(*merge) + count * sizeof(merge->members[0]));
    if (!merge)
        return NULL;
    merge->view = view;
    merge->epoch = epoch;
    merge->count = count;
    for (uint32_t i = 0; i < count; i++) {
        merge->members[i] = candidate_read(reader);
        merge->members[i].newcomer = true;
    }
    if (reader->failed) {
        free(merge);
        return NULL;
    }
    return merge;
}

/* Takes the merge over. A second one of the same leader replaces the first. */
static void add(struct ring *ring, struct link *link, struct merge *merge)
{
    struct ring_event *event = ring_emit_event(ring, RING_EVENT_MERGE_TAKEN);
    struct merge **place = &ring->merges;
    size_t count = 0;

    event->peer = link->peer;
    event->address = link->remote;
    event->number = merge->count;
    while (*place) {
        struct merge *other = *place;

        if (ring_id_equal(&other->leader, &merge->leader)) {
            *place = other->next;
            free(other);
            continue;
        }
        place = &other->next;
        count++;
    }
    if (count >= MERGES_MAX) {
        free(merge);
        return;
    }
    *place = merge;
    if (ring->timers[TIMER_MERGE] == NEVER)
        ring_arm(ring, TIMER_MERGE, MERGE_TIME);
}

static size_t newcomers_of(const struct ring *ring, const struct merge *merge)
{
    size_t count = 0;

    for (size_t i = 0; i < merge->count; i++)
        count += !view_member(ring, &merge->members[i].id);
    return count;
}

/* A ring has MEMBERS_MAX members: nobody loses the place to a newcomer. */
static bool has_room(const struct ring *ring, const struct merge *merge)
{
    size_t count = ring->view.count + newcomers_of(ring, merge);

    for (const struct merge *other = ring->merges; other; other = other->next) {
        if (!ring_id_equal(&other->leader, &merge->leader))
            count += newcomers_of(ring, other);
    }
    return count <= MEMBERS_MAX;
}

/* 0: it may come in. A clone that stays alone may still have been heard before. */
static int find_refusal(struct ring *ring, const struct link *link, const struct merge *merge)
{
    if (ring->phase != RING_LIVE)
        return MERGE_FORMING;
    if (!view_is_leader(ring) || ring->leaving || !ring->config.networked)
        return MERGE_NOT_LEADER;
    if (!has_room(ring, merge))
        return MERGE_FULL;
    return flap_wait(ring, &link->peer) > 0 ? MERGE_HELD_OFF : 0;
}

/* Whether it is refused, and freed. */
static bool is_refused(struct ring *ring, struct link *link, struct merge *merge)
{
    int refusal = find_refusal(ring, link, merge);

    if (!refusal)
        return false;
    merges_free(merge);
    refuse(ring, link, (enum merge_refusal)refusal);
    return true;
}

void merge_cleared(struct ring *ring, struct link *link, struct merge *merge)
{
    if (!is_refused(ring, link, merge))
        add(ring, link, merge);
}

int merge_received(struct ring *ring, struct link *link, struct reader *reader)
{
    struct merge *merge = merge_read(ring, reader);

    if (!merge)
        return -EBADMSG;
    ring->highest_epoch = MAX(ring->highest_epoch, merge->epoch);
    merge->leader = link->peer;
    if (!is_refused(ring, link, merge) && !clone_suspected(ring, link, merge))
        add(ring, link, merge);
    return 0;
}

void merge_begin(struct ring *ring)
{
    struct merge *merges = steal_pointer(ring->merges);
    struct formation_cause cause = {.reason = "rings merge", .merges = merges};

    if (merges && ring->phase == RING_LIVE)
        formation_start(ring, &cause);
    merges_free(merges);
}

void merge_failed(struct ring *ring)
{
    const struct formation *formation = ring->formation;

    for (size_t i = 0; i < formation->merging_count; i++)
        flap_merge_failed(ring, &formation->merging[i]);
}
