/* Formations: how one begins, and what a node says of itself when it takes part.
 *
 * Rule: whoever sees a need starts a formation with an epoch above all it has seen. Taking part
 * freezes a node: no new key, no delivery, no forwarding, until START. What it has received and
 * does not know to be settled goes into the token's union, so that INSTALL can have it everywhere.
 * It fails if a node takes DATA after it gave its entry: nobody would look for it. */

#include "ring-internal.h"

#include <string.h>

#include "common/util.h"

/* A formation without progress for this long, and so much for each candidate, is given up (jittered
 * by half). */
#define FORMATION_DEADLINE (2 * USEC_PER_SEC)
#define CANDIDATE_TIME (150 * USEC_PER_MSEC)

void formation_arm_deadline(struct ring *ring)
{
    size_t candidates = ring->formation->token.candidates_count;

    ring_arm(ring, TIMER_DEADLINE,
             ring_jitter(ring, FORMATION_DEADLINE + candidates * CANDIDATE_TIME, 50));
}

void formation_free(struct ring *ring)
{
    struct formation *formation = ring->formation;

    if (!formation)
        return;
    token_done(&formation->token);
    install_done(&formation->install);
    ranges_done(&formation->successor_wants);
    ranges_done(&formation->pruned_wants);
    free(formation->merging);
    free(formation);
    ring->formation = NULL;
}

void formation_no_progress(struct ring *ring)
{
    struct formation_cause cause = {.reason = "no progress"};

    if (ring->formation)
        formation_start(ring, &cause);
}

void formation_link_broke(struct ring *ring)
{
    struct formation_cause cause = {.reason = "a link of the formation broke"};

    if (ring->formation)
        formation_start(ring, &cause);
}

/* ---- the entry of this node ---- */

/* Adds a range to the union: an overlapping or adjacent one of the same origin grows. */
static int union_add(struct ranges *ranges, const struct ring_id *origin, uint64_t from,
                     uint64_t to)
{
    for (size_t i = 0; i < ranges->count; i++) {
        struct ring_interval *interval = &ranges->list[i].interval;

        if (!ring_id_equal(&ranges->list[i].origin, origin) || interval->from > to + 1 ||
            from > interval->to + 1)
            continue;
        interval->from = MIN(interval->from, from);
        interval->to = MAX(interval->to, to);
        return 0;
    }
    return ranges_add(ranges, origin, from, to);
}

static void union_add_origin(struct ring *ring, struct ranges *ranges, const struct origin *origin)
{
    struct ring_interval run = {0};

    list_for_each (at, &origin->messages) {
        const struct held_message *message = list_entry(at, struct held_message, list);

        if (message->settled)
            continue;
        if (run.from && message->key.seq == run.to + 1) {
            run.to++;
            continue;
        }
        if (run.from && union_add(ranges, &origin->id, run.from, run.to) < 0)
            ring->broken = true;
        run.from = run.to = message->key.seq;
    }
    if (run.from && union_add(ranges, &origin->id, run.from, run.to) < 0)
        ring->broken = true;
}

static void add_entry(struct ring *ring, struct token *token)
{
    struct entry *entry = &token->entries[token->entries_count++];

    if ((uint32_t)ring->seq >= RUN_LENGTH_MAX)
        ring->seq = ((ring->seq >> 32) + 1) << 32;
    *entry = (struct entry){
        .view = ring->view.formation,
        .seq = ring->seq,
        .epoch = ring->highest_epoch,
        .hlc = ring->hlc,
        .heartbeat_interval = ring->config.heartbeat_interval,
        .heartbeat_timeout = ring->config.heartbeat_timeout,
    };
    view_describe_self(ring, &entry->member);
    for (size_t i = 0; i < token->candidates_count; i++) {
        struct candidate *candidate = &token->candidates[i];
        const struct origin *origin = origin_find(ring, &candidate->id);

        if (origin)
            candidate->held = MAX(candidate->held, intervals_top(&origin->held));
    }
    for (size_t i = 0; i < ring->origins_count; i++)
        union_add_origin(ring, &token->unsettled, ring->origins[i]);
}

/* ---- taking part ---- */

static void hang_up_unless(struct ring *ring, struct link *link, const struct link *keep)
{
    if (link && link != keep)
        link_hang_up(ring, link);
}

/* Leaves the formation before, freezes, and takes part in this one. The token is taken over. */
bool formation_join(struct ring *ring, struct token *token)
{
    static const enum timer stopped[] = {
        TIMER_HEARTBEAT,  TIMER_HEARTBEAT_LOST, TIMER_HOP,          TIMER_PROBE,        TIMER_SYNC,
        TIMER_LINK_BROKE, TIMER_MERGE,          TIMER_CHOOSE_OFFER, TIMER_MERGE_GIVE_UP};
    struct formation *formation = ring->formation;

    if (formation) {
        gather_leave(ring, token);
        hang_up_unless(ring, formation->out, ring->successor);
        hang_up_unless(ring, formation->in, ring->predecessor);
    }
    formation_free(ring);
    probes_hang_up(ring);
    link_hang_up(ring, ring->merge_link);
    merges_free(steal_pointer(ring->merges));
    clone_stop(ring);
    for (size_t i = 0; i < ELEMENTS(stopped); i++)
        ring_disarm(ring, stopped[i]);
    formation = ring_allocate(ring, 1, sizeof(*formation));
    if (!formation)
        return false;
    ring->formation = formation;
    formation->token = *token;
    *token = (struct token){0};
    ring->phase = RING_FORMING;
    ring->offer_pending = false;
    ring->counters.formations++;
    ring->highest_epoch = MAX(ring->highest_epoch, formation->token.id.epoch);
    repair_stopped(ring);
    add_entry(ring, &formation->token);
    formation_arm_deadline(ring);
    return !ring->broken;
}

/* ---- starting one ---- */

static bool is_leaver(const struct token *token, const struct ring_id *id)
{
    for (size_t i = 0; i < token->leavers_count; i++) {
        if (ring_id_equal(&token->leavers[i], id))
            return true;
    }
    return false;
}

static void add_base(struct token *token, const struct ring_formation_id *id)
{
    if (token->bases_count < BASES_MAX && !token_has_base(token, id))
        token->bases[token->bases_count++] = *id;
}

static void collect_bases(struct ring *ring, const struct formation_cause *cause,
                          struct token *token)
{
    const struct formation *old = ring->formation;

    token->bases = ring_allocate(ring, BASES_MAX, sizeof(*token->bases));
    if (!token->bases)
        return;
    add_base(token, &ring->view.formation);
    for (const struct merge *merge = cause->merges; merge; merge = merge->next)
        add_base(token, &merge->view);
    if (!old)
        return;
    add_base(token, &old->token.id);
    for (size_t i = 0; i < old->token.bases_count; i++)
        add_base(token, &old->token.bases[i]);
}

static void collect_leavers(struct ring *ring, struct token *token)
{
    const struct formation *old = ring->formation;

    token->leavers = ring_allocate(ring, MEMBERS_MAX, sizeof(*token->leavers));
    if (!token->leavers)
        return;
    memcpy(token->leavers, ring->leavers, ring->leavers_count * sizeof(*token->leavers));
    token->leavers_count = ring->leavers_count;
    for (size_t i = 0; old && i < old->token.leavers_count; i++) {
        if (!is_leaver(token, &old->token.leavers[i]) && token->leavers_count < MEMBERS_MAX)
            token->leavers[token->leavers_count++] = old->token.leavers[i];
    }
}

/* United by id: the newer instance of a node that came back replaces the older one. */
static void add_candidate(const struct ring *ring, struct token *token,
                          const struct candidate *candidate)
{
    struct candidate *known = token_candidate(token, &candidate->id);

    if (is_leaver(token, &candidate->id) && !ring_id_equal(&candidate->id, &ring->config.id))
        return;
    if (known) {
        if (candidate->newcomer && !ring_id_equal(&candidate->id, &ring->config.id)) {
            known->instance = candidate->instance;
            known->addresses = candidate->addresses;
        }
        return;
    }
    if (token->candidates_count < MEMBERS_MAX) {
        token->candidates[token->candidates_count] = *candidate;
        token->candidates[token->candidates_count].failed = false;
        token->candidates[token->candidates_count].held = 0;
        token->candidates_count++;
    }
}

/* A newcomer whose merge comes to nothing has lost no member but those of its own ring: with the
 * others as its candidates it could exclude one that only it does not reach. */
static bool falls_back(const struct ring *ring)
{
    const struct formation *old = ring->formation;
    const struct candidate *self = token_candidate(&old->token, &ring->config.id);

    return old->token.merge && !old->installed && self && self->newcomer;
}

/* This node, then the newcomers, then the others in ring order behind this node. */
static void collect_candidates(struct ring *ring, const struct formation_cause *cause,
                               struct token *token)
{
    const struct token *old = ring->formation && !falls_back(ring) ? &ring->formation->token : NULL;
    size_t count = old ? old->candidates_count : ring->view.count, self = 0;
    struct candidate own = candidate_of(&ring->members[ring->view.self]);

    token->candidates = ring_allocate(ring, MEMBERS_MAX, sizeof(*token->candidates));
    if (!token->candidates)
        return;
    own.instance = ring->config.instance;
    own.addresses = ring->config.addresses;
    add_candidate(ring, token, &own);
    for (const struct merge *merge = cause->merges; merge; merge = merge->next) {
        for (size_t i = 0; i < merge->count; i++)
            add_candidate(ring, token, &merge->members[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (ring_id_equal(old ? &old->candidates[i].id : &ring->members[i].id, &ring->config.id))
            self = i;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = (self + i) % count;
        struct candidate candidate = old ? old->candidates[at] : candidate_of(&ring->members[at]);

        if (candidate.newcomer && cause->without_newcomers)
            continue;
        candidate.newcomer = false;
        add_candidate(ring, token, &candidate);
    }
}

/* A newcomer that is a member's newer instance must not count as a member that could be lost. */
static void mark_replaced(const struct ring *ring, struct token *token)
{
    for (size_t i = 0; i < token->candidates_count; i++) {
        const struct ring_member *member = view_member(ring, &token->candidates[i].id);

        if (member && member->instance == token->candidates[i].instance)
            token->candidates[i].newcomer = false;
    }
}

static bool is_zero(const struct ring_id *id)
{
    static const struct ring_id zero;

    return ring_id_equal(id, &zero);
}

static void remember_merging(struct ring *ring, const struct merge *merges)
{
    struct formation *formation = ring->formation;
    size_t count = 0;

    for (const struct merge *merge = merges; merge; merge = merge->next)
        count++;
    formation->merging = ring_allocate(ring, count, sizeof(*formation->merging));
    for (const struct merge *merge = merges; merge && formation->merging; merge = merge->next)
        formation->merging[formation->merging_count++] = merge->leader;
}

void formation_start(struct ring *ring, const struct formation_cause *cause)
{
    struct token token = {.merge = cause->merges != NULL, .elect = cause->elect};
    struct ring_event *event;

    token.id = (struct ring_formation_id){.epoch = ring->highest_epoch + 1,
                                          .initiator = ring->config.id,
                                          .tag = ring_random(ring) | 1};
    token.incumbent = ring->members[ring->view.leader].id;
    if (ring->formation && is_zero(&token.elect))
        token.elect = ring->formation->token.elect;
    collect_leavers(ring, &token);
    collect_bases(ring, cause, &token);
    collect_candidates(ring, cause, &token);
    token.entries = ring_allocate(ring, 1, sizeof(*token.entries));
    if (!ring->broken) {
        mark_replaced(ring, &token);
        event = ring_emit_event(ring, RING_EVENT_FORMATION);
        event->epoch = token.id.epoch;
        event->number = token.candidates_count;
        event->reason = cause->reason;
        if (formation_join(ring, &token)) {
            if (cause->broken)
                ring->formation->broken = *cause->broken;
            remember_merging(ring, cause->merges);
            probe_begin(ring);
        }
    }
    token_done(&token);
}

void elect_command(struct ring *ring, ring_ticket ticket, const struct ring_id *node)
{
    struct formation_cause cause = {.reason = "an election was asked for", .elect = *node};

    if (!view_member(ring, node)) {
        ring_emit_reply(ring, ticket, RING_BAD_NODE);
        return;
    }
    if (ring->phase != RING_LIVE || ring->leaving) {
        ring_emit_reply(ring, ticket, ring->phase == RING_FORMING ? RING_BUSY : RING_NOT_IN_RING);
        return;
    }
    if (ring_id_equal(&ring->members[ring->view.leader].id, node)) {
        ring_emit_reply(ring, ticket, RING_DONE);
        return;
    }
    ring->elect_ticket = ticket;
    ring->elect_node = *node;
    formation_start(ring, &cause);
}
