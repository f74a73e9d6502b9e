/* Formation, first lap: GATHER builds the list of members and elects the leader.
 *
 * Rule: whoever sees a need starts a formation with a higher epoch. Its token visits all candidates
 * that answer; a node takes part if its own view or formation is one of the token's bases, and only
 * in the highest formation that it knows (Chang and Roberts 1979: lower ones die on the way). The
 * token always travels over a new connection, which becomes the link of the new view. It fails if a
 * token gets lost: then everybody's deadline passes, and the next formation has a higher epoch. */

#include "ring-internal.h"

#include <string.h>

#include "common/check.h"
#include "common/util.h"

/* The next holder of the token must acknowledge within this. */
#define HOP_TIMEOUT (300 * USEC_PER_MSEC)

/* The same where its link has just broken: a killed process refuses at once. */
#define HOP_TIMEOUT_BROKEN (100 * USEC_PER_MSEC)

enum refusal {
    REFUSAL_BASE = 1,      /* the token's rings are not this node's */
    REFUSAL_HIGHER = 2,    /* this node takes part in a higher formation */
    REFUSAL_DUPLICATE = 3, /* the token has been here */
    REFUSAL_AWAY = 4,      /* this node is not in any ring */
};

static const char *const refusal_texts[] = {
    [REFUSAL_BASE] = "it has another view",
    [REFUSAL_HIGHER] = "it takes part in a higher formation",
    [REFUSAL_DUPLICATE] = "the token has been there",
    [REFUSAL_AWAY] = "it is away",
};

/* The next candidate behind this node that has neither an entry nor failed; NULL: all are done. */
static const struct candidate *next_holder(const struct ring *ring)
{
    const struct token *token = &ring->formation->token;
    size_t self = (size_t)(token_candidate(token, &ring->config.id) - token->candidates);

    for (size_t i = self + 1; i < token->candidates_count; i++) {
        const struct candidate *candidate = &token->candidates[i];

        if (!candidate->failed && !token_entry(token, &candidate->id))
            return candidate;
    }
    return NULL;
}

void gather_pass_token(struct ring *ring)
{
    struct formation *formation = ring->formation;
    const struct token *token = &formation->token;
    const struct candidate *next = next_holder(ring);
    bool broken;

    if (!next)
        next = token_candidate(token, &token->id.initiator);
    if (!next || ring_id_equal(&next->id, &ring->config.id)) {
        install_begin(ring);
        return;
    }
    broken = ring_id_equal(&next->id, &formation->broken);
    formation->next = next->id;
    formation->out_acknowledged = false;
    formation->passed_at = ring->now;
    formation->out =
        link_dial(ring, LINK_TOKEN_OUT, &next->id, &next->addresses, token_write(token));
    ring_emit_event_about(ring, RING_EVENT_TOKEN_PASSED, &next->id)->number = token->entries_count;
    ring_arm(ring, TIMER_HOP, broken ? HOP_TIMEOUT_BROKEN : HOP_TIMEOUT);
}

void gather_hop_failed(struct ring *ring, const char *reason)
{
    struct formation_cause cause = {.reason = "the token cannot go back"};
    struct formation *formation = ring->formation;
    struct candidate *candidate;

    if (!formation || formation->installed)
        return;
    ring_disarm(ring, TIMER_HOP);
    link_hang_up(ring, formation->out);
    ring_emit_event_about(ring, RING_EVENT_HOP_FAILED, &formation->next)->reason = reason;
    if (ring_id_equal(&formation->next, &formation->token.id.initiator)) {
        formation_start(ring, &cause);
        return;
    }
    candidate = token_candidate(&formation->token, &formation->next);
    if (candidate)
        candidate->failed = true;
    gather_pass_token(ring);
}

void gather_acknowledged(struct ring *ring, struct link *link)
{
    struct formation *formation = ring->formation;

    (void)link;
    formation->out_acknowledged = true;
    formation->hop_usec = ring->now - formation->passed_at;
    ring_disarm(ring, TIMER_HOP);
}

void gather_refused(struct ring *ring, struct link *link, struct reader *reader)
{
    struct token *token = &ring->formation->token;
    uint8_t reason = read_u8(reader);
    uint64_t epoch = read_u64(reader);
    const struct candidate *refuser = token_candidate(token, &link->peer);

    if (reader->failed || reason < REFUSAL_BASE || reason > REFUSAL_AWAY)
        return;
    if (ring->formation->out_acknowledged || link == ring->formation->in) {
        ring->formation->outranked |= reason == REFUSAL_HIGHER;
        return;
    }
    if (ring->formation->installed)
        return;
    ring_emit_event_about(ring, RING_EVENT_TOKEN_REFUSED, &link->peer)->reason =
        refusal_texts[reason];
    if (reason == REFUSAL_HIGHER) {
        ring->highest_epoch = MAX(ring->highest_epoch, MIN(epoch, INT64_MAX - 1));
        if (!token->merge || !refuser || !refuser->newcomer) {
            /* This formation ends here; the higher one will come, or the next one. */
            ring_disarm(ring, TIMER_HOP);
            ring->formation->outranked = true;
            ring->formation->hop_usec = ring->now - ring->formation->passed_at;
            link_broke_in_formation(ring);
            return;
        }
        for (size_t i = 0; i < token->candidates_count; i++) {
            if (token->candidates[i].newcomer && !token_entry(token, &token->candidates[i].id))
                token->candidates[i].failed = true;
        }
    }
    gather_hop_failed(ring, refusal_texts[reason]);
}

/* ---- being given the token ---- */

static void send_refusal(struct ring *ring, struct link *link, const struct token *token,
                         enum refusal reason)
{
    struct writer writer;

    writer_begin(&writer, FRAME_GATHER_REFUSE, token->id.tag);
    write_u8(&writer, (uint8_t)reason);
    write_u64(&writer, ring->highest_epoch);
    link_send(ring, link, writer_end(&writer));
}

/* Else the neighbours would take the end of the links for a failure, and start one more. Where the
 * other formation is not for them, or has given them up, it is one. */
void gather_leave(struct ring *ring, const struct token *higher)
{
    const struct formation *formation = ring->formation;
    struct link *const links[] = {formation->out, formation->in};

    for (size_t i = 0; i < ELEMENTS(links); i++) {
        const struct candidate *candidate =
            links[i] ? token_candidate(higher, &links[i]->peer) : NULL;

        if (candidate && !candidate->failed)
            send_refusal(ring, links[i], &formation->token, REFUSAL_HIGHER);
    }
}

static void refuse_token(struct ring *ring, struct link *link, const struct token *token,
                         enum refusal reason)
{
    struct ring_event *event;

    send_refusal(ring, link, token, reason);
    event = ring_emit_event_about(ring, RING_EVENT_GATHER_REFUSED, &token->id.initiator);
    event->epoch = token->id.epoch;
    event->reason = refusal_texts[reason];
}

static void acknowledge_token(struct ring *ring, struct link *link, uint64_t tag)
{
    struct writer writer;

    writer_begin(&writer, FRAME_GATHER_ACK, tag);
    link_send(ring, link, writer_end(&writer));
    link->role = LINK_TOKEN_IN;
    ring->formation->in = link;
    ring_emit_event_about(ring, RING_EVENT_TOKEN_ACCEPTED, &link->peer)->number =
        ring->formation->token.entries_count;
}

/* By epoch, then initiator. */
static int compare_rank(const struct ring_formation_id *a, const struct ring_formation_id *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return ring_id_compare(&a->initiator, &b->initiator);
}

/* 0 where this node may take part in the token's formation. */
static int find_refusal(struct ring *ring, const struct token *token)
{
    const struct formation *formation = ring->formation;
    const struct candidate *self = token_candidate(token, &ring->config.id);
    const struct entry *own = token_entry(token, &ring->config.id);
    const struct ring_formation_id *mine = formation ? &formation->token.id : &ring->view.formation;

    if ((ring->phase != RING_LIVE && ring->phase != RING_FORMING) || !ring->config.networked)
        return REFUSAL_AWAY;
    if (!self || self->instance != ring->config.instance ||
        (!own && token->entries_count >= token->candidates_count))
        return REFUSAL_BASE;
    /* A lower one, left for the one that this node takes part in. */
    if (own)
        return compare_rank(&token->id, mine) <= 0 ? REFUSAL_HIGHER : REFUSAL_BASE;
    if (!token_has_base(token, &ring->view.formation) &&
        !(formation && token_has_base(token, &formation->token.id)))
        return REFUSAL_BASE;
    return compare_rank(&token->id, mine) <= 0 ? REFUSAL_HIGHER : 0;
}

/* Whether this is the initiator's own token, back by the way that it was sent. */
static bool is_own_token_back(const struct ring *ring, const struct token *token)
{
    const struct formation *formation = ring->formation;

    return ring_id_equal(&token->id.initiator, &ring->config.id) && !formation->installed &&
           !formation->in && formation->out && token->entries_count >= 2 &&
           ring_id_equal(&token->entries[1].member.id, &formation->next);
}

/* The acknowledgement, on another link, may come later than the token itself. */
static void token_back(struct ring *ring, struct link *link, struct token *token)
{
    struct formation *formation = ring->formation;

    token_done(&formation->token);
    formation->token = *token;
    *token = (struct token){0};
    formation->out_acknowledged = true;
    ring_disarm(ring, TIMER_HOP);
    acknowledge_token(ring, link, formation->token.id.tag);
    install_begin(ring);
}

void gather_received(struct ring *ring, struct link *link, struct token *token)
{
    const struct formation *formation = ring->formation;
    int refusal;

    if (formation && compare_rank(&formation->token.id, &token->id) == 0 &&
        formation->token.id.tag == token->id.tag) {
        if (is_own_token_back(ring, token))
            token_back(ring, link, token);
        else
            refuse_token(ring, link, token, REFUSAL_DUPLICATE);
        return;
    }
    refusal = find_refusal(ring, token);
    if (refusal) {
        refuse_token(ring, link, token, (enum refusal)refusal);
        return;
    }
    if (!formation_join(ring, token))
        return;
    acknowledge_token(ring, link, ring->formation->token.id.tag);
    gather_pass_token(ring);
}
