/* Flapping: members that join and are lost again at once, as over a link that works one way.
 *
 * Rule: a member that is lost within FLAP_TIME of its merge has flapped; its next merge waits, each
 * time twice as long, up to FLAP_WAIT_MAX. FLAP_FORGET in one view and it is as good as any. A ring
 * whose merge failed waits from MERGE_WAIT_MIN on, in the same way. It fails if a node that merely
 * restarts is held back: its first wait is none. */

#include "ring-internal.h"

#include <string.h>

#include "common/util.h"

#define FLAP_TIME (2 * USEC_PER_SEC)
#define FLAP_WAIT_MIN (1 * USEC_PER_SEC)
#define FLAP_WAIT_MAX (10 * USEC_PER_SEC)
#define MERGE_WAIT_MIN (2 * USEC_PER_SEC)
#define FLAP_FORGET (60 * USEC_PER_SEC)

static struct flap *find(struct ring *ring, const struct ring_id *id)
{
    for (size_t i = 0; i < ring->flaps_count; i++) {
        if (ring_id_equal(&ring->flaps[i].id, id))
            return &ring->flaps[i];
    }
    return NULL;
}

static uint64_t last_heard(const struct flap *flap)
{
    return MAX(flap->merged_at, flap->held_until);
}

/* With all places taken, the one of which nothing was heard for longest goes. */
static struct flap *add(struct ring *ring, const struct ring_id *id)
{
    struct flap *place = &ring->flaps[0];

    if (ring->flaps_count < ELEMENTS(ring->flaps)) {
        place = &ring->flaps[ring->flaps_count++];
    } else {
        for (size_t i = 1; i < ring->flaps_count; i++) {
            if (last_heard(&ring->flaps[i]) < last_heard(place))
                place = &ring->flaps[i];
        }
    }
    *place = (struct flap){.id = *id};
    return place;
}

void flap_joined(struct ring *ring, const struct ring_id *id)
{
    struct flap *flap = find(ring, id);

    if (!flap)
        flap = add(ring, id);
    flap->merged_at = ring->now;
    flap->merge_wait = 0;
}

/* Its wait doubles with each failure, and ends with a merge that holds. */
void flap_merge_failed(struct ring *ring, const struct ring_id *leader)
{
    struct flap *flap = find(ring, leader);

    if (!flap)
        flap = add(ring, leader);
    flap->merge_wait = MIN(FLAP_WAIT_MAX, MAX(MERGE_WAIT_MIN, 2 * flap->merge_wait));
    flap->held_until = MAX(flap->held_until, ring->now + ring_jitter(ring, flap->merge_wait, 20));
}

void flap_lost(struct ring *ring, const struct ring_id *id)
{
    struct flap *flap = find(ring, id);
    uint64_t stayed;

    if (!flap)
        return;
    stayed = ring->now - flap->merged_at;
    if (stayed >= FLAP_FORGET)
        flap->wait = flap->count = 0;
    if (stayed > FLAP_TIME)
        return;
    if (flap->count++ > 0)
        flap->wait = MIN(FLAP_WAIT_MAX, MAX(FLAP_WAIT_MIN, 2 * flap->wait));
    flap->held_until = ring->now + flap->wait;
}

uint64_t flap_wait(struct ring *ring, const struct ring_id *id)
{
    const struct flap *flap = find(ring, id);

    return flap && flap->held_until > ring->now ? flap->held_until - ring->now : 0;
}
