/* The step: takes an input, finds who handles it, keeps timers and outputs. */

#include <errno.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "gate.h"
#include "ring-internal.h"

/* A timer that comes this late shows that this process was held up. */
#define LATE_LOOP (300 * USEC_PER_MSEC)

/* What others get to show that they are there after this node was held up. */
#define LATE_LOOP_GRACE (200 * USEC_PER_MSEC)

/* How often in a row: a process that is starved all the time must still see who is dead. */
#define DOUBTS_MAX 3

/* ---- random numbers and timers ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t ring_random(struct ring *ring)
{
    return ring_mix(ring->random += 0x9e3779b97f4a7c15ULL);
}

uint64_t ring_jitter(struct ring *ring, uint64_t delay, unsigned spread)
{
    return delay + ring_random(ring) % (delay * spread / 100 + 1);
}

void ring_arm(struct ring *ring, enum timer timer, uint64_t delay)
{
    ring->timers[timer] = ring->now + delay;
    ring->doubts[timer] = 0;
}

void ring_disarm(struct ring *ring, enum timer timer)
{
    ring->timers[timer] = NEVER;
}

uint64_t ring_deadline(const struct ring *ring)
{
    uint64_t deadline = NEVER;

    for (size_t i = 0; i < TIMERS; i++)
        deadline = MIN(deadline, ring->timers[i]);
    return deadline;
}

static void fire(struct ring *ring, enum timer timer)
{
    switch (timer) {
    case TIMER_PING:
        link_ping_tick(ring);
        return;
    case TIMER_HEARTBEAT:
        heartbeat_tick(ring);
        return;
    case TIMER_HEARTBEAT_LOST:
        heartbeat_lost(ring);
        return;
    case TIMER_DISCOVER:
        discovery_tick(ring);
        return;
    case TIMER_ANNOUNCE:
        announce_tick(ring);
        return;
    case TIMER_CHOOSE_OFFER:
        merge_choose(ring);
        return;
    case TIMER_MERGE:
        merge_begin(ring);
        return;
    case TIMER_MERGE_GIVE_UP:
        merge_give_up(ring);
        return;
    case TIMER_PROBE:
        probe_tick(ring);
        return;
    case TIMER_HOP:
        gather_hop_failed(ring, "time-out");
        return;
    case TIMER_DEADLINE:
        formation_no_progress(ring);
        return;
    case TIMER_SYNC:
        sync_tick(ring);
        return;
    case TIMER_LINK_BROKE:
        formation_link_broke(ring);
        return;
    case TIMER_OUTBOX:
        outbox_tick(ring);
        return;
    case TIMER_LEAVE:
        leave_now(ring);
        return;
    case TIMER_REPAIR_REST:
        supplies_pump(ring);
        return;
    case TIMER_REPAIR_REPORT:
        repair_report(ring);
        return;
    case TIMER_STORE:
        stall_begin(ring);
        return;
    case TIMER_CLONE:
        clone_cleared(ring);
        return;
    case TIMERS:
        break;
    }
    check_unreachable();
}

static void fire_due(struct ring *ring)
{
    for (enum timer timer = 0; timer < TIMERS && !ring->broken; timer++) {
        if (ring->timers[timer] > ring->now)
            continue;
        ring->timers[timer] = NEVER;
        fire(ring, timer);
    }
}

static bool may_doubt(unsigned *doubts)
{
    return *doubts < DOUBTS_MAX && ++*doubts > 0;
}

/* This process was stopped or starved: whoever seems silent may have spoken all the time. What has
 * arrived is taken first; only then may a time-out accuse anyone. */
static void doubt_self(struct ring *ring)
{
    static const enum timer accusing[] = {TIMER_HEARTBEAT_LOST, TIMER_PROBE,      TIMER_HOP,
                                          TIMER_DEADLINE,       TIMER_LINK_BROKE, TIMER_STORE,
                                          TIMER_CLONE};

    if (list_empty(&ring->links))
        return;
    ring_emit_event(ring, RING_EVENT_LATE_LOOP)->number =
        (ring->now - ring->expected) / USEC_PER_MSEC;
    list_for_each (at, &ring->links) {
        struct link *link = list_entry(at, struct link, list);

        if (may_doubt(&link->doubts))
            link->received = ring->now;
    }
    for (size_t i = 0; i < ELEMENTS(accusing); i++) {
        uint64_t *deadline = &ring->timers[accusing[i]];

        if (*deadline < ring->now + LATE_LOOP_GRACE && may_doubt(&ring->doubts[accusing[i]]))
            *deadline = ring->now + LATE_LOOP_GRACE;
    }
}

/* ---- start ---- */

static struct bytes keep_name(struct bytes name, char *place, size_t capacity)
{
    bytes_to_text(name, place, capacity);
    return (struct bytes){.data = place, .size = strlen(place)};
}

static void load_held(struct ring *ring, const struct ring_held *held)
{
    struct origin *origin = origin_get(ring, &held->origin);

    for (size_t i = 0; origin && i < held->count; i++) {
        if (intervals_add_sum(&origin->held, held->intervals[i].from, held->intervals[i].to,
                              held->intervals[i].sum) < 0)
            ring->broken = true;
    }
    for (size_t i = 0; origin && i < held->pruned_count; i++) {
        if (intervals_add(&origin->pruned, held->pruned[i].from, held->pruned[i].to) < 0)
            ring->broken = true;
    }
}

static void start(struct ring *ring, const struct ring_input *in)
{
    ring->started = true;
    ring->config = *in->start.config;
    ring->config.name = keep_name(in->start.config->name, ring->name, sizeof(ring->name));
    ring->config.ring = keep_name(in->start.config->ring, ring->ring_name, sizeof(ring->ring_name));
    ring->random = ring->config.entropy;
    ring->state = ring->stored_state = in->start.state;
    ring->top_delivered = in->start.top;
    ring->hlc = MAX(in->start.state.hlc_bound, in->start.top.hlc);
    ring->physical_at = ring->now;
    ring->highest_epoch = in->start.state.epoch;
    ring->state.run = run_for_start(in->start.state.run, ring->wall);
    ring->seq = ring->state.run << 32;
    for (size_t i = 0; i < in->start.held_count; i++)
        load_held(ring, &in->start.held[i]);
    ring->self = origin_get(ring, &ring->config.id);
    if (ring->broken)
        return;
    view_alone(ring);
    ring_emit_event(ring, RING_EVENT_STARTED)->number = ring->state.run;
    outbox_load(ring, in->start.outbox, in->start.outbox_count);
    if (ring->config.networked)
        discovery_begin(ring);
}

static void reconfigure(struct ring *ring, const struct ring_config *config)
{
    bool moved = !ring_addresses_equal(&ring->config.addresses, &config->addresses);
    bool opened = config->networked && !ring->config.networked && !ring->counters.cloned;

    ring->config.heartbeat_interval = config->heartbeat_interval;
    ring->config.heartbeat_timeout = config->heartbeat_timeout;
    ring->config.link_timeout = config->link_timeout;
    ring->config.addresses = config->addresses;
    ring->config.networked |= opened;
    if (!ring->config.networked || (!moved && !opened))
        return;
    if (view_is_alone(ring))
        ring->members[ring->view.self].addresses = config->addresses;
    /* There is a key now, or whoever could not be reached before may be now. */
    if (ring->phase == RING_LIVE)
        discovery_begin(ring);
}

/* ---- the step ---- */

static void stored(struct ring *ring, ring_ticket ticket)
{
    size_t done = 0;

    ring->stored_ticket = MAX(ring->stored_ticket, MIN(ticket, ring->last_ticket));
    while (done < ring->state_writes_count &&
           ring->state_writes[done].ticket <= ring->stored_ticket)
        ring->stored_state = ring->state_writes[done++].state;
    ring->state_writes_count -= done;
    memmove(ring->state_writes, ring->state_writes + done,
            ring->state_writes_count * sizeof(ring->state_writes[0]));
    stall_stored(ring);
    repair_stored(ring);
    live_stored(ring);
    sync_check(ring);
    leave_settle(ring);
    leave_check(ring);
}

void commands_abandon(struct ring *ring)
{
    if (ring->elect_ticket)
        ring_emit_reply(ring, ring->elect_ticket, RING_ABANDONED);
    if (ring->refresh_ticket)
        ring_emit_reply(ring, ring->refresh_ticket, RING_ABANDONED);
    ring->elect_ticket = ring->refresh_ticket = 0;
    relay_abandon(ring);
}

/* The disk takes nothing any more: no promise can be kept, so none is made, and the others are not
 * held up. */
static void store_failed(struct ring *ring)
{
    if (ring->phase == RING_FAILED)
        return;
    ring_emit_event(ring, RING_EVENT_STORE_FAILED);
    live_answer_all(ring, RING_STORE_BROKEN);
    commands_abandon(ring);
    formation_free(ring);
    while (!list_empty(&ring->links))
        link_hang_up(ring, list_entry(ring->links.next, struct link, list));
    for (size_t i = 0; i < TIMERS; i++)
        ring->timers[i] = NEVER;
    if (ring->leave_ticket)
        ring_emit_reply(ring, ring->leave_ticket, RING_STORE_BROKEN);
    ring->leave_ticket = 0;
    ring->phase = RING_FAILED;
}

static void command(struct ring *ring, const struct ring_input *in)
{
    switch (in->command.command) {
    case RING_SEND_MESSAGE:
        live_send_command(ring, in);
        return;
    case RING_ELECT:
        elect_command(ring, in->command.ticket, &in->command.node);
        return;
    case RING_LEAVE:
        leave_command(ring, in->command.ticket);
        return;
    case RING_JOIN:
        leave_join(ring, in->command.ticket);
        return;
    case RING_IMPORT:
        repair_import(ring, in->command.ticket, in->command.message);
        return;
    case RING_REFRESH:
        heartbeat_refresh(ring, in->command.ticket);
        return;
    case RING_RELAY:
        relay_command(ring, in->command.ticket, in->command.bytes);
        return;
    case RING_PASS_ON:
        relay_pass_on(ring, in->command.ticket);
        return;
    }
    check_unreachable();
}

static int dial_failed(struct ring *ring, const struct ring_input *in)
{
    struct link *link = link_find(ring, in->dial_failed.link);

    if (!link || link->up)
        return -EINVAL;
    link_down(ring, link, in->dial_failed.refused ? "refused" : "unreachable");
    return 0;
}

static int link_event(struct ring *ring, const struct ring_input *in)
{
    ring_link number = in->type == RING_LINK_UP ? in->link_up.link : in->link_down.link;
    struct link *link = link_find(ring, number);

    if (in->type == RING_LINK_DOWN) {
        if (!link)
            return -EINVAL;
        link_down(ring, link, "closed by the other side");
        return 0;
    }
    if (link ? link->up : number % 2 == 0)
        return -EINVAL;
    link_up(ring, in);
    return 0;
}

static int dispatch(struct ring *ring, const struct ring_input *in)
{
    switch (in->type) {
    case RING_START:
        start(ring, in);
        return 0;
    case RING_LINK_UP:
    case RING_LINK_DOWN:
        return link_event(ring, in);
    case RING_FRAME:
        return frame_received(ring, in->frame.link, in->frame.packet);
    case RING_DATAGRAM:
        return discovery_received(ring, in);
    case RING_DIAL_FAILED:
        return dial_failed(ring, in);
    case RING_TIMER:
        fire_due(ring);
        return 0;
    case RING_COMMAND:
        command(ring, in);
        return 0;
    case RING_STORED:
        stored(ring, in->stored.ticket);
        return 0;
    case RING_STORE_FAILED:
        store_failed(ring);
        return 0;
    case RING_FETCHED:
        fetched(ring, in);
        return 0;
    case RING_CONFIG:
        reconfigure(ring, in->config.config);
        return 0;
    case RING_RETENTION:
        retention_wanted(ring, in->retention.horizon);
        return 0;
    case RING_PRUNED:
        retention_pruned(ring, &in->pruned.origin, &in->pruned.interval);
        return 0;
    }
    check_unreachable();
}

int ring_step(struct ring *ring, const struct ring_input *in, struct ring_outbox *outbox)
{
    int result;

    if (ring->broken)
        return -ENOMEM;
    if (ring->started == (in->type == RING_START))
        return -EINVAL;
    ring->out = outbox;
    ring->now = MAX(ring->now, in->now);
    ring->wall = in->wall;
    if (ring->started && ring->expected != NEVER && ring->now > ring->expected + LATE_LOOP)
        doubt_self(ring);
    result = dispatch(ring, in);
    stall_watch(ring);
    ring->out = NULL;
    /* What is overdue is expected at once: a hold-up is doubted once, however much has arrived. */
    ring->expected = MAX(ring_deadline(ring), ring->now);
    if (ring->broken) {
        ring_outbox_clear(outbox);
        return -ENOMEM;
    }
    return result;
}

struct ring *ring_new(void)
{
    struct ring *ring = calloc(1, sizeof(*ring));

    if (!ring)
        return NULL;
    for (size_t i = 0; i < TIMERS; i++)
        ring->timers[i] = NEVER;
    ring->expected = NEVER;
    list_init(&ring->queue);
    for (size_t i = 0; i < OWN_ID_LISTS; i++)
        list_init(&ring->own_ids[i]);
    list_init(&ring->repaired);
    list_init(&ring->links);
    list_init(&ring->relays);
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    formation_free(ring);
    links_done(ring);
    relays_done(ring);
    queue_done(ring);
    delivery_done(ring);
    repair_done(ring);
    merges_free(ring->merges);
    merges_free(ring->doubtful_merge);
    free(ring->members);
    free(ring->told_members);
    free(ring);
}

/* ---- looking at it ---- */

const struct ring_view *ring_get_view(const struct ring *ring)
{
    return &ring->view;
}

void ring_get_status(const struct ring *ring, struct ring_status *ret)
{
    *ret = ring->counters;
    ret->phase = ring->phase;
    ret->lap_usec = ring->lap_usec;
    ret->hlc = ring->hlc;
    ret->queued = ring->queue_count;
    ret->unstable = ring->window_count;
    ret->unstable_bytes = ring->window_bytes;
    ret->undelivered = ring->undelivered_count;
    ret->undelivered_bytes = ring->undelivered_bytes;
    list_for_each (at, &ring->links)
        ret->links++;
}

void ring_get_repair(const struct ring *ring, struct ring_repair *ret)
{
    ret->received = ring->timers[TIMER_REPAIR_REPORT] == NEVER ? 0 : ring->repair_received;
    ret->missing = ret->received > 0 ? ring->repair_missing : 0;
    ret->lacking = supplies_lacking(ring);
}
