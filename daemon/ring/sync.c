/* Formation, third and fourth lap: SYNC and START.
 *
 * Rule: whatever a member has received and does not know to be settled is on every disk of the new
 * view before live traffic goes on. A node asks its predecessor for what it lacks; SYNC goes round
 * and is held at each node until it has everything on disk; then START goes round, ahead of any
 * DATA. It fails if the union names what no gathered node holds: SYNC would never come round. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* How much of a WANT is read from the disk at once. */
#define FILL_BYTES (256 * 1024)

/* A slow node says that it goes on at most this often. */
#define PROGRESS_INTERVAL (300 * USEC_PER_MSEC)

/* The first part of the range that this node has not received; false: it has all of it. */
static bool first_gap(const struct ring *ring, const struct range *range, struct ring_interval *ret)
{
    const struct origin *origin = origin_find(ring, &range->origin);

    if (origin)
        return intervals_lowest_gap(&origin->held, &range->interval, ret);
    *ret = range->interval;
    return true;
}

/* ---- getting what is missing ---- */

static void send_want(struct ring *ring, const struct ranges *ranges)
{
    struct writer writer;

    if (ranges->count == 0)
        return;
    writer_begin(&writer, FRAME_WANT, ring->formation->token.id.tag);
    ranges_write(&writer, ranges);
    link_send(ring, ring->predecessor, writer_end(&writer));
}

/* Once, when the predecessor has INSTALL. */
static void send_pruned_wants(struct ring *ring)
{
    struct formation *formation = ring->formation;

    if (!formation->wanted)
        return;
    send_want(ring, &formation->pruned_wants);
    ranges_done(&formation->pruned_wants);
}

void sync_want(struct ring *ring)
{
    const struct ranges *unsettled = &ring->formation->install.unsettled;
    struct ranges missing = {0};
    uint64_t messages = 0;

    for (size_t i = 0; i < unsettled->count; i++) {
        struct range rest = unsettled->list[i];
        struct ring_interval gap;

        while (rest.interval.from <= rest.interval.to && first_gap(ring, &rest, &gap)) {
            if (ranges_add(&missing, &rest.origin, gap.from, gap.to) < 0)
                ring->broken = true;
            messages += gap.to - gap.from + 1;
            rest.interval.from = gap.to + 1;
        }
    }
    ring_emit_event(ring, RING_EVENT_INSTALLED)->number = messages;
    send_want(ring, &missing);
    ranges_done(&missing);
    ring->formation->wanted = true;
    send_pruned_wants(ring);
}

static void fetch_fill(struct ring *ring, const struct range *range)
{
    fetch_begin(ring, FETCH_FILL, ring->formation->token.id.tag, range, FILL_BYTES);
}

/* What is here is read and sent; what is not is on its way here, and passed on as it comes. */
static void answer_want(struct ring *ring, struct range rest)
{
    struct ring_interval gap;
    struct range part = rest;

    while (rest.interval.from <= rest.interval.to && !ring->broken) {
        if (!first_gap(ring, &rest, &gap)) {
            fetch_fill(ring, &rest);
            return;
        }
        if (gap.from > rest.interval.from) {
            part.interval = (struct ring_interval){rest.interval.from, gap.from - 1};
            fetch_fill(ring, &part);
        }
        if (ranges_add(&ring->formation->successor_wants, &rest.origin, gap.from, gap.to) < 0)
            ring->broken = true;
        rest.interval.from = gap.to + 1;
    }
}

/* What was delivered here, and is not kept any more, is still unsettled at somebody further on. */
static void want_pruned(struct ring *ring, const struct range *range)
{
    const struct origin *origin = origin_find(ring, &range->origin);
    struct formation *formation = ring->formation;

    for (size_t i = 0; origin && i < origin->pruned.count; i++) {
        uint64_t from = MAX(origin->pruned.list[i].from, range->interval.from);
        uint64_t to = MIN(origin->pruned.list[i].to, range->interval.to);

        if (from <= to && (ranges_add(&formation->pruned_wants, &range->origin, from, to) < 0 ||
                           ranges_add(&formation->successor_wants, &range->origin, from, to) < 0))
            ring->broken = true;
    }
}

void sync_want_received(struct ring *ring, struct ranges *wants)
{
    if (!ring->formation->installed)
        return;
    for (size_t i = 0; i < wants->count && !ring->broken; i++) {
        answer_want(ring, wants->list[i]);
        want_pruned(ring, &wants->list[i]);
    }
    send_pruned_wants(ring);
}

void sync_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                  struct packet *const *packets)
{
    struct formation *formation = ring->formation;
    struct range rest = fetch->range;
    struct message first;

    if (!formation || !formation->installed || formation->token.id.tag != fetch->tag)
        return;
    for (size_t i = 0; i < count && !ring->broken; i++)
        link_send(ring, ring->successor, frame_retag(packets[i], FRAME_FILL, fetch->tag));
    if (count == 0 || message_unpack(packets[0], &first) < 0 || first.key.seq <= rest.interval.from)
        return;
    rest.interval.to = first.key.seq - 1;
    fetch_fill(ring, &rest);
}

static bool are_in(const struct ranges *ranges, const struct message_key *key)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct range *range = &ranges->list[i];

        if (ring_id_equal(&range->origin, &key->origin) && range->interval.from <= key->seq &&
            key->seq <= range->interval.to)
            return true;
    }
    return false;
}

/* Had and not kept: only the successor wants it. */
static void pass_pruned(struct ring *ring, const struct origin *origin, struct packet *packet,
                        const struct message *message)
{
    if (!intervals_contain(&origin->pruned, message->key.seq) ||
        !are_in(&ring->formation->successor_wants, &message->key))
        return;
    formation_arm_deadline(ring);
    link_send(ring, ring->successor, packet_ref(packet));
}

int sync_fill_received(struct ring *ring, struct packet *packet, const struct message *message)
{
    struct formation *formation = ring->formation;
    struct held_message *held;
    struct origin *origin;

    if (!formation->installed)
        return 0;
    if (!are_in(&formation->install.unsettled, &message->key))
        return -EBADMSG;
    origin = origin_get(ring, &message->key.origin);
    if (!origin)
        return 0;
    if (intervals_contain(&origin->held, message->key.seq)) {
        pass_pruned(ring, origin, packet, message);
        return 0;
    }
    held = message_take(ring, origin, message, packet);
    if (!held)
        return 0;
    message_write(ring, held);
    formation->filled = true;
    formation_arm_deadline(ring);
    if (are_in(&formation->successor_wants, &message->key))
        link_send(ring, ring->successor, packet_ref(packet));
    sync_check(ring);
    return 0;
}

/* ---- SYNC ---- */

static bool has_all_unsettled(const struct ring *ring)
{
    const struct ranges *unsettled = &ring->formation->install.unsettled;
    struct ring_interval gap;

    for (size_t i = 0; i < unsettled->count; i++) {
        if (first_gap(ring, &unsettled->list[i], &gap))
            return false;
    }
    return true;
}

static void tell_progress(struct ring *ring)
{
    struct formation *formation = ring->formation;
    struct writer writer;

    formation->filled = false;
    formation->progress_reported = ring->stored_ticket;
    formation->progress_at = ring->now;
    writer_begin(&writer, FRAME_SYNC_PROGRESS, formation->token.id.tag);
    write_id(&writer, &ring->config.id);
    link_send(ring, ring->successor, writer_end(&writer));
    formation_arm_deadline(ring);
}

/* Nobody gives up on a node that gets on. */
static void report_progress(struct ring *ring)
{
    const struct formation *formation = ring->formation;

    if (formation->filled && ring->stored_ticket > formation->progress_reported &&
        ring->now - formation->progress_at >= PROGRESS_INTERVAL)
        tell_progress(ring);
}

/* Everything is here, and this disk is still at it. However slow it is, it gets through what it was
 * given, or is found to hang (stall.c): another formation would only give it more to write. */
static void wait_for_disk(struct ring *ring)
{
    if (ring->timers[TIMER_SYNC] == NEVER)
        ring_arm(ring, TIMER_SYNC, PROGRESS_INTERVAL);
}

void sync_tick(struct ring *ring)
{
    tell_progress(ring);
    sync_check(ring);
}

static void pass_sync(struct ring *ring)
{
    struct writer writer;

    ring_emit_event(ring, RING_EVENT_SYNCED);
    writer_begin(&writer, FRAME_SYNC, ring->formation->token.id.tag);
    link_send(ring, ring->successor, writer_end(&writer));
}

void sync_check(struct ring *ring)
{
    struct formation *formation = ring->formation;
    enum sync_state sync;

    if (!formation || !formation->installed)
        return;
    if (!has_all_unsettled(ring)) {
        report_progress(ring);
        return;
    }
    if (formation->unsettled_written == 0)
        formation->unsettled_written = ring->last_ticket;
    if (!is_stored(ring, formation->unsettled_written) ||
        !is_stored(ring, formation->state_written)) {
        report_progress(ring);
        wait_for_disk(ring);
        return;
    }
    ring_disarm(ring, TIMER_SYNC);
    sync = formation->sync;
    if (sync == SYNC_NONE)
        return;
    formation->sync = SYNC_NONE;
    if (sync == SYNC_LAP)
        sync_go(ring);
    else
        pass_sync(ring);
}

void sync_received(struct ring *ring)
{
    struct formation *formation = ring->formation;

    if (!formation->installed)
        return;
    formation->sync =
        ring_id_equal(&formation->token.id.initiator, &ring->config.id) ? SYNC_LAP : SYNC_HOLD;
    formation_arm_deadline(ring);
    sync_check(ring);
}

void sync_progress_received(struct ring *ring, struct reader *reader, struct packet *packet)
{
    struct ring_id id = read_id(reader);

    if (reader->failed || !ring->formation->installed || ring_id_equal(&id, &ring->config.id))
        return;
    formation_arm_deadline(ring);
    if (!ring_id_equal(&id, &view_successor(ring)->id))
        link_send(ring, ring->successor, packet_ref(packet));
}

/* ---- START ---- */

static void pass_start(struct ring *ring, const struct ring_formation_id *id)
{
    struct writer writer;

    if (view_is_alone(ring) || ring_id_equal(&view_successor(ring)->id, &id->initiator))
        return;
    writer_begin(&writer, FRAME_START, id->tag);
    link_send(ring, ring->successor, writer_end(&writer));
}

static void begin_live_traffic(struct ring *ring, const uint64_t *cuts)
{
    for (size_t i = 0; i < ring->view.count; i++) {
        struct origin *origin = origin_get(ring, &ring->members[i].id);

        if (!origin)
            return;
        origin->last = cuts[i];
    }
    ring->self->last = ring->seq;
}

static void answer_election(struct ring *ring)
{
    if (ring->elect_ticket == 0)
        return;
    ring_emit_reply(ring, ring->elect_ticket,
                    ring_id_equal(&ring->members[ring->view.leader].id, &ring->elect_node)
                        ? RING_DONE
                        : RING_ABANDONED);
    ring->elect_ticket = 0;
}

void sync_go(struct ring *ring)
{
    static const enum timer stopped[] = {TIMER_DEADLINE, TIMER_HOP, TIMER_SYNC, TIMER_LINK_BROKE,
                                         TIMER_PROBE};
    struct formation_cause broke = {.reason = "the link to the successor broke before START"};
    struct formation *formation = ring->formation;

    for (size_t i = 0; i < ELEMENTS(stopped); i++)
        ring_disarm(ring, stopped[i]);
    ring->phase = RING_LIVE;
    live_reset(ring);
    begin_live_traffic(ring, formation->install.cuts);
    pass_start(ring, &formation->token.id);
    messages_settle_all(ring);
    view_tell_changes(ring);
    formation_free(ring);
    ring->leavers_count = 0;
    ring->leave_asked = false;
    answer_election(ring);
    heartbeat_started(ring);
    relay_abandon(ring);
    repair_started(ring);
    discovery_view_started(ring);
    live_pump(ring);
    if (!ring->successor && !view_is_alone(ring))
        formation_start(ring, &broke);
    leave_check(ring);
}
