/* Probes: which candidates are there, asked all at once before the token leaves.
 *
 * Rule: only a frame answers (a hung process's kernel accepts connections too), by datagram or,
 * after a moment, over a connection, so that lossy or filtered UDP excludes nobody. It ends when
 * each has answered or refused, at the latest after PROBE_ROUND * 3. It fails if a live node is
 * left out: it then merges back. */

#include "ring-internal.h"

#include "common/util.h"

/* Time between the rounds: far above a lap of a LAN, and three of them pass unnoticed in a chat. */
#define PROBE_ROUND (50 * USEC_PER_MSEC)
#define PROBE_ROUNDS 3

static void send_probe(struct ring *ring, const struct candidate *candidate)
{
    struct writer writer;

    datagram_begin(ring, &writer, FRAME_PROBE_DATAGRAM);
    write_formation_id(&writer, &ring->formation->token.id);
    datagram_send(ring, &writer, &candidate->addresses);
}

static void dial_probe(struct ring *ring, const struct candidate *candidate)
{
    struct writer writer;

    writer_begin(&writer, FRAME_PROBE, 0);
    write_formation_id(&writer, &ring->formation->token.id);
    link_dial(ring, LINK_PROBE, &candidate->id, &candidate->addresses, writer_end(&writer));
}

void probes_hang_up(struct ring *ring)
{
    list_for_each_safe (at, &ring->links) {
        struct link *link = list_entry(at, struct link, list);

        if (link->role == LINK_PROBE)
            link_hang_up(ring, link);
    }
}

static void probe_end(struct ring *ring)
{
    struct token *token = &ring->formation->token;

    ring->formation->probing = false;
    ring_disarm(ring, TIMER_PROBE);
    probes_hang_up(ring);
    for (size_t i = 0; i < token->candidates_count; i++) {
        struct candidate *candidate = &token->candidates[i];

        if (candidate->heard || candidate->failed)
            continue;
        candidate->failed = true;
        ring_emit_event_about(ring, RING_EVENT_PROBE_SILENT, &candidate->id);
    }
    gather_pass_token(ring);
}

static bool all_decided(const struct token *token)
{
    for (size_t i = 0; i < token->candidates_count; i++) {
        if (!token->candidates[i].heard && !token->candidates[i].failed)
            return false;
    }
    return true;
}

void probe_begin(struct ring *ring)
{
    struct formation *formation = ring->formation;
    struct token *token = &formation->token;

    for (size_t i = 0; i < token->candidates_count; i++) {
        struct candidate *candidate = &token->candidates[i];

        candidate->heard = ring_id_equal(&candidate->id, &ring->config.id) ||
                           ring_id_equal(&candidate->id, &formation->broken);
    }
    if (token->candidates_count < 3 || all_decided(token)) {
        gather_pass_token(ring);
        return;
    }
    formation->probing = true;
    formation->probe_round = 0;
    probe_tick(ring);
}

void probe_tick(struct ring *ring)
{
    struct formation *formation = ring->formation;
    struct token *token = &formation->token;
    unsigned round = formation->probe_round++;

    if (round == PROBE_ROUNDS || all_decided(token)) {
        probe_end(ring);
        return;
    }
    for (size_t i = 0; i < token->candidates_count && !ring->broken; i++) {
        struct candidate *candidate = &token->candidates[i];

        if (candidate->heard || candidate->failed)
            continue;
        if (round < 2)
            send_probe(ring, candidate);
        if (round == 1)
            dial_probe(ring, candidate);
    }
    ring_arm(ring, TIMER_PROBE, PROBE_ROUND);
}

void probe_answered(struct ring *ring, const struct ring_id *id, uint64_t instance, uint64_t tag)
{
    struct formation *formation = ring->formation;
    struct candidate *candidate;

    if (!formation) {
        clone_probe_answered(ring, id, instance, tag);
        return;
    }
    if (!formation->probing || formation->token.id.tag != tag)
        return;
    candidate = token_candidate(&formation->token, id);
    if (!candidate || candidate->heard || candidate->failed)
        return;
    if (candidate->instance == instance)
        candidate->heard = true;
    else
        candidate->failed = true;
    if (all_decided(&formation->token))
        probe_end(ring);
}

void probe_silent(struct ring *ring, const struct ring_id *id)
{
    struct formation *formation = ring->formation;
    struct candidate *candidate;

    if (!formation) {
        clone_probe_silent(ring, id);
        return;
    }
    candidate = formation->probing ? token_candidate(&formation->token, id) : NULL;
    if (!candidate || candidate->heard)
        return;
    candidate->failed = true;
    if (all_decided(&formation->token))
        probe_end(ring);
}

/* Somebody's probe over a connection. */
void probe_received(struct ring *ring, struct link *link, struct reader *reader)
{
    struct ring_formation_id id = read_formation_id(reader);
    struct writer writer;

    writer_begin(&writer, FRAME_PROBE_ACK, 0);
    write_formation_id(&writer, &id);
    write_id(&writer, &ring->config.id);
    write_u64(&writer, ring->config.instance);
    link_send(ring, link, writer_end(&writer));
}

void probe_acknowledged(struct ring *ring, struct reader *reader)
{
    struct ring_formation_id formation = read_formation_id(reader);
    struct ring_id id = read_id(reader);
    uint64_t instance = read_u64(reader);

    if (!reader->failed)
        probe_answered(ring, &id, instance, formation.tag);
}
