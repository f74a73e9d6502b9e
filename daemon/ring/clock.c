/* The hybrid logical clock (Kulkarni et al. 2014), and the durable state that keeps it, the run and
 * the epoch from going back.
 *
 * Rule: a new key is above every key this node has sent or received, in any life of the node. So a
 * bound ahead of the clock is on disk before a key above it is given, and a restart begins at the
 * bound. It fails if a key is given that no write covers. */

#include "ring-internal.h"

#include "common/check.h"
#include "common/util.h"

/* How far ahead the bound is written, and how near the clock may come before the next write. */
#define BOUND_AHEAD_MS 2000
#define BOUND_NEAR_MS 1000

#define WALL_MS_MAX (1ULL << 47)
#define EPOCH_2020_SEC 1577836800ULL
#define EPOCH_2080_SEC 3471292800ULL

/* The logical clock in ms: it advances with the monotonic clock, is raised by whatever is ahead,
 * and never falls. */
static uint64_t physical_ms(struct ring *ring)
{
    uint64_t reading = ring->physical_ms + (ring->now - ring->physical_at) / USEC_PER_MSEC;
    uint64_t wall = ring->wall / USEC_PER_MSEC;
    uint64_t received = ring->hlc >> 16;
    uint64_t ahead = wall <= WALL_MS_MAX ? MAX(wall, received) : received;

    if (ahead > reading) {
        ring->physical_ms = ahead;
        ring->physical_at = ring->now;
        return ahead;
    }
    return reading;
}

static uint64_t peek(struct ring *ring)
{
    return MAX(physical_ms(ring) << 16, ring->hlc + 1);
}

uint64_t clock_next(struct ring *ring)
{
    ring->hlc = peek(ring);
    check(ring->hlc <= ring->stored_state.hlc_bound);
    return ring->hlc;
}

void clock_received(struct ring *ring, uint64_t hlc)
{
    ring->hlc = MAX(ring->hlc, hlc);
}

bool clock_may_give(struct ring *ring)
{
    uint64_t next = peek(ring);

    if (next + ((uint64_t)BOUND_NEAR_MS << 16) > ring->state.hlc_bound)
        state_write(ring);
    return next <= ring->stored_state.hlc_bound;
}

ring_ticket state_write(struct ring *ring)
{
    return state_write_bound(ring, peek(ring) + ((uint64_t)BOUND_AHEAD_MS << 16));
}

ring_ticket state_write_bound(struct ring *ring, uint64_t bound)
{
    struct ring_output *output = ring_emit(ring, RING_STORE);

    ring->state.hlc_bound = MAX(ring->state.hlc_bound, bound);
    output->store.write = RING_WRITE_STATE;
    output->store.state = ring->state;
    output->store.ticket = ++ring->last_ticket;
    /* With all places taken the newest write in flight gets the later ticket: its state is only
     * known to be on disk later than it is. */
    if (ring->state_writes_count == ELEMENTS(ring->state_writes))
        ring->state_writes_count--;
    ring->state_writes[ring->state_writes_count].ticket = ring->last_ticket;
    ring->state_writes[ring->state_writes_count].state = ring->state;
    ring->state_writes_count++;
    return ring->last_ticket;
}

uint64_t run_for_start(uint64_t last, uint64_t wall)
{
    uint64_t seconds = wall / USEC_PER_SEC, run = last + 1;

    if (seconds >= EPOCH_2020_SEC && seconds < EPOCH_2080_SEC)
        run = MAX(run, seconds - EPOCH_2020_SEC);
    return run;
}
