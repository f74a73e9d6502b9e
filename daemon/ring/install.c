/* Formation, second lap: INSTALL tells everybody the new view.
 *
 * Rule: when the token is back at the initiator, its entries are the new ring, and every link of it
 * has just been used. A node takes INSTALL of exactly the formation that it last took part in,
 * passes it on at once and has the epoch on disk before it lets SYNC pass. It fails if two views of
 * one epoch could both be installed: their formations' bases and ranks forbid it. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"

/* ---- the initiator's part ---- */

static bool would_lose_member(const struct token *token)
{
    for (size_t i = 0; i < token->candidates_count; i++) {
        const struct candidate *candidate = &token->candidates[i];

        if (!candidate->newcomer && !token_entry(token, &candidate->id))
            return true;
    }
    return false;
}

static bool has_newcomers(const struct token *token)
{
    for (size_t i = 0; i < token->candidates_count; i++) {
        if (token->candidates[i].newcomer && token_entry(token, &token->candidates[i].id))
            return true;
    }
    return false;
}

/* The one asked for, else the incumbent, else the longest-standing (tie: the smallest id). */
static const struct entry *elect(const struct token *token)
{
    const struct entry *best = token_entry(token, &token->elect);

    if (!best)
        best = token_entry(token, &token->incumbent);
    if (best)
        return best;
    best = &token->entries[0];
    for (size_t i = 1; i < token->entries_count; i++) {
        const struct entry *entry = &token->entries[i];

        if (entry->member.joined < best->member.joined ||
            (entry->member.joined == best->member.joined &&
             ring_id_compare(&entry->member.id, &best->member.id) < 0))
            best = entry;
    }
    return best;
}

/* Live traffic of a member begins behind its own seq; where anybody holds a higher one (an old
 * backup came back), behind a run that nobody has seen. */
static uint64_t cut_for(const struct entry *entry, const struct candidate *candidate)
{
    if (candidate->held <= entry->seq)
        return entry->seq;
    return ((candidate->held >> 32) + 1) << 32;
}

static bool same_view(const struct ring_formation_id *a, const struct ring_formation_id *b)
{
    return a->epoch == b->epoch && a->tag == b->tag;
}

static void fill_member(struct ring *ring, const struct token *token, const struct entry *entry,
                        const struct entry *leader, struct install *install)
{
    const struct candidate *candidate = token_candidate(token, &entry->member.id);
    struct ring_member *member = &install->members[install->count];

    *member = entry->member;
    member->clock_offset = entry->member.clock_offset - leader->member.clock_offset;
    if (!same_view(&entry->view, &ring->view.formation)) {
        member->joined = token->id.epoch;
        member->since = ring->wall;
    }
    install->cuts[install->count++] = cut_for(entry, candidate);
    install->hlc = MAX(install->hlc, entry->hlc);
}

static bool build_install(struct ring *ring, struct install *ret)
{
    struct token *token = &ring->formation->token;
    const struct entry *leader = elect(token);
    struct ring_event *event;

    *ret = (struct install){.leader = leader->member.id,
                            .heartbeat_interval = leader->heartbeat_interval,
                            .heartbeat_timeout = leader->heartbeat_timeout,
                            .wall = ring->wall,
                            .leavers = steal_pointer(token->leavers),
                            .leavers_count = token->leavers_count,
                            .unsettled = token->unsettled};
    token->leavers_count = 0;
    token->unsettled = (struct ranges){0};
    ret->members = ring_allocate(ring, token->entries_count, sizeof(*ret->members));
    ret->cuts = ring_allocate(ring, token->entries_count, sizeof(*ret->cuts));
    if (!ret->members || !ret->cuts)
        return false;
    for (size_t i = 0; i < token->candidates_count; i++) {
        const struct entry *entry = token_entry(token, &token->candidates[i].id);

        if (entry)
            fill_member(ring, token, entry, leader, ret);
    }
    for (size_t i = 0; i < token->entries_count; i++)
        ring->highest_epoch = MAX(ring->highest_epoch, token->entries[i].epoch);
    event = ring_emit_event_about(ring, RING_EVENT_ELECTED, &ret->leader);
    event->number = token->entries_count;
    event->other = ret->unsettled.count;
    return true;
}

/* ---- everybody's part ---- */

static void remember_leavers(struct ring *ring, const struct install *install)
{
    for (size_t i = 0; i < install->leavers_count; i++) {
        if (!leaver_is(ring, &install->leavers[i]) && ring->leavers_count < MEMBERS_MAX)
            ring->leavers[ring->leavers_count++] = install->leavers[i];
    }
}

static void take_links(struct ring *ring)
{
    struct formation *formation = ring->formation;
    struct link *old_successor = ring->successor, *old_predecessor = ring->predecessor;
    struct writer writer;

    ring->successor = ring->predecessor = NULL;
    if (old_predecessor && old_predecessor != formation->in &&
        leaver_is(ring, &old_predecessor->peer)) {
        writer_begin(&writer, FRAME_LEFT, 0);
        link_send(ring, old_predecessor, writer_end(&writer));
    }
    if (old_successor && old_successor != formation->out)
        link_hang_up(ring, old_successor);
    if (old_predecessor && old_predecessor != formation->in)
        link_hang_up(ring, old_predecessor);
    ring->successor = formation->out;
    ring->predecessor = formation->in;
    if (ring->successor)
        ring->successor->role = LINK_SUCCESSOR;
    if (ring->predecessor)
        ring->predecessor->role = LINK_PREDECESSOR;
}

/* Takes the members out of `install`, which becomes the formation's. */
static void apply(struct ring *ring, struct install *install)
{
    struct formation *formation = ring->formation;
    const struct ring_formation_id *id = &formation->token.id;

    formation->installed = true;
    ring_disarm(ring, TIMER_HOP);
    remember_leavers(ring, install);
    view_install(ring, id, install);
    take_links(ring);
    clock_received(ring, install->hlc);
    if (install->cuts[ring->view.self] > ring->seq)
        ring->seq = install->cuts[ring->view.self];
    ring->state.run = ring->seq >> 32;
    ring->state.epoch = MAX(ring->state.epoch, id->epoch);
    formation->state_written = state_write(ring);
    formation->install = *install;
    *install = (struct install){0};
    formation_arm_deadline(ring);
}

void install_begin(struct ring *ring)
{
    struct formation_cause again = {.reason = "again, without the newcomers",
                                    .without_newcomers = true};
    struct formation *formation = ring->formation;
    struct install install = {0};

    ring_disarm(ring, TIMER_HOP);
    if (formation->token.merge && would_lose_member(&formation->token)) {
        merge_failed(ring);
        formation_start(ring, &again);
        return;
    }
    if (formation->token.merge && !has_newcomers(&formation->token))
        merge_failed(ring);
    if (!build_install(ring, &install)) {
        install_done(&install);
        return;
    }
    if (install.count == 1) {
        link_hang_up(ring, formation->out);
        link_hang_up(ring, formation->in);
    }
    if (install.count > 1)
        link_send(ring, formation->out, install_write(&install, formation->token.id.tag));
    apply(ring, &install);
    if (view_is_alone(ring)) {
        formation->sync = SYNC_LAP;
        sync_check(ring);
    }
}

/* What is to be had of this node's own messages is behind its live traffic. */
static bool is_below_cut(const struct ring *ring, const struct install *install, uint64_t cut)
{
    for (size_t i = 0; i < install->unsettled.count; i++) {
        const struct range *range = &install->unsettled.list[i];

        if (ring_id_equal(&range->origin, &ring->config.id) && range->interval.to > cut)
            return false;
    }
    return intervals_top(&ring->self->held) <= cut;
}

/* The INSTALL must make sense, and this node's link must lead to its successor in it. */
static bool is_sound(const struct ring *ring, const struct install *install)
{
    size_t self = install->count;
    bool leader = false;

    for (size_t i = 0; i < install->count; i++) {
        if (ring_id_equal(&install->members[i].id, &ring->config.id))
            self = i;
        leader |= ring_id_equal(&install->members[i].id, &install->leader);
    }
    return install->count >= 2 && self < install->count && leader &&
           is_below_cut(ring, install, install->cuts[self]);
}

static bool leads_to_successor(const struct ring *ring, const struct install *install)
{
    const struct formation *formation = ring->formation;

    for (size_t i = 0; i < install->count; i++) {
        const struct ring_member *next = &install->members[(i + 1) % install->count];

        if (ring_id_equal(&install->members[i].id, &ring->config.id))
            return formation->out && ring_id_equal(&next->id, &formation->next);
    }
    return false;
}

int install_received(struct ring *ring, struct packet *packet, struct install *install)
{
    struct formation_cause lost = {.reason = "no link to the new successor"};
    struct formation *formation = ring->formation;

    if (ring_id_equal(&formation->token.id.initiator, &ring->config.id)) {
        if (!formation->installed || formation->sync != SYNC_NONE)
            return -EBADMSG;
        sync_want(ring);
        formation->sync = SYNC_MINE;
        sync_check(ring);
        return 0;
    }
    if (formation->installed || !is_sound(ring, install))
        return -EBADMSG;
    if (!leads_to_successor(ring, install)) {
        formation_start(ring, &lost);
        return 0;
    }
    apply(ring, install);
    link_send(ring, ring->successor, packet_ref(packet));
    sync_want(ring);
    return 0;
}
