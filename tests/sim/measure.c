/* What the seeds do not ask: how long things take in rings of 3 to 256, as a table; and
 * whether all get their share while all flood. Times are virtual: 40 to 340 µs a hop, 1 to 2 ms a
 * commit, and the processors cost nothing. */

#include <stdio.h>
#include <stdlib.h>

#include "common/bounds.h"
#include "common/util.h"
#include "sim.h"

#define CHAT_USEC 2000

/* Messages of each run that are sent one at a time. */
#define SENDS 3

/* How long chat goes on around a failure. */
#define BEFORE_USEC (200 * USEC_PER_MSEC)
#define BEHIND_USEC (4 * USEC_PER_SEC)

#define FORM_MAX (30 * USEC_PER_SEC)

/* What follows a view's START. */
#define SETTLE_USEC (100 * USEC_PER_MSEC)

/* Bytes of what these runs send: a message, a SEAL or STABLE; and of each candidate, entry, and
 * member on the tokens of a formation, with one address. */
#define DATA_BYTES 114
#define MARK_BYTES 40
#define CANDIDATE_BYTES 53
#define ENTRY_BYTES 140
#define MEMBER_BYTES 84

/* All else of a formation, for each member. */
#define FORMATION_BYTES 480

static void begin(struct sim *sim, uint64_t seed, size_t nodes)
{
    sim_begin(sim, seed, nodes);
    for (size_t i = 0; i < FAULT_CLASSES; i++)
        sim->classes[i] = false;
    for (size_t i = 0; i < nodes; i++) {
        sim->nodes[i].clock_skew = 0;
        sim->nodes[i].keyless = false;
        node_set_usual(&sim->nodes[i]);
    }
    sim->floods = sim->garbling = false;
    sim->counting = true;
    sim->hop_usec = 40;
    sim->hop_spread = 300;
    sim->commit_usec = 2000;
    sim->datagram_loss = sim->datagram_copies = sim->datagrams_late = 0;
    for (size_t i = 0; i < nodes; i++)
        node_start(sim, &sim->nodes[i]);
}

/* µs until all that run are one ring. */
static uint64_t await_ring(struct sim *sim, size_t members)
{
    uint64_t from = sim->now;
    bool formed = false;

    while (!formed && !sim->failed && sim->now < from + FORM_MAX) {
        sim_run(sim, sim->now + 100);
        formed = true;
        for (size_t i = 0; i < sim->nodes_count && formed; i++) {
            const struct node *node = &sim->nodes[i];
            struct ring_status status;

            if (!node->running)
                continue;
            ring_get_status(node->ring, &status);
            formed = status.phase == RING_LIVE && ring_get_view(node->ring)->count == members;
        }
    }
    if (!formed && !sim->failed)
        sim_fail(sim, "measure", "no ring of %zu", members);
    return sim->now - from;
}

static void chat(struct sim *sim, struct node *sender, uint64_t usec)
{
    uint64_t until = sim->now + usec;

    while (sim->now < until && !sim->failed) {
        node_send_text(sim, sender, 20);
        sim_run(sim, sim->now + CHAT_USEC);
    }
}

static bool is_shown_by_all(const struct sim *sim, size_t message)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (!sim->nodes[i].seen[message])
            return false;
    }
    return true;
}

/* One message on its way: µs until its send returned, and until every node has shown it. */
static void send_one(struct sim *sim, uint64_t *ret_acknowledged, uint64_t *ret_shown)
{
    size_t number = sim->messages_count;
    uint64_t from = sim->now;

    node_send_text(sim, &sim->nodes[0], 20);
    while (!sim->messages[number].acknowledged && !sim->failed)
        sim_run(sim, sim->now + 10);
    *ret_acknowledged = sim->now - from;
    while (!is_shown_by_all(sim, number) && !sim->failed)
        sim_run(sim, sim->now + 10);
    *ret_shown = sim->now - from;
}

/* The longest time without a delivery at any survivor, when a node dies. */
static uint64_t gap(struct sim *sim, bool power)
{
    struct node *victim = &sim->nodes[sim->nodes_count / 2], *sender = &sim->nodes[0];
    uint64_t longest = 0;

    chat(sim, sender, BEFORE_USEC);
    for (size_t i = 0; i < sim->nodes_count; i++)
        sim->nodes[i].longest_gap = 0;
    node_crash(sim, victim, power);
    chat(sim, sender, BEHIND_USEC);
    await_ring(sim, sim->nodes_count - 1);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].running)
            longest = MAX(longest, sim->nodes[i].longest_gap);
    }
    node_start(sim, victim);
    await_ring(sim, sim->nodes_count);
    return longest;
}

/* From the end of a cut into two halves to one ring. */
static uint64_t heal(struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = i % 2 != k % 2;
    }
    sim_run(sim, sim->now + 10 * USEC_PER_SEC);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = false;
    }
    return await_ring(sim, sim->nodes_count);
}

static struct cost spent(const struct sim *sim, enum frame_use use, const struct cost *before)
{
    return (struct cost){.frames = sim->costs[use].frames - before->frames,
                         .bytes = sim->costs[use].bytes - before->bytes};
}

/* A formation in which everybody is there: what is sent for it. */
static struct cost formation(struct sim *sim)
{
    struct cost before = sim->costs[USE_FORMATION];

    node_command(sim, &sim->nodes[0], RING_ELECT, sim->nodes_count / 2);
    sim_run(sim, sim->now + SETTLE_USEC);
    await_ring(sim, sim->nodes_count);
    sim_run(sim, sim->now + SETTLE_USEC);
    return spent(sim, USE_FORMATION, &before);
}

/* Half of the ring is away, and comes back at once; how many formations that takes. */
static uint64_t storm(struct sim *sim, uint64_t *ret_formations)
{
    size_t half = sim->nodes_count / 2;
    uint64_t epoch, usec;

    for (size_t i = half; i < sim->nodes_count; i++)
        node_crash(sim, &sim->nodes[i], true);
    await_ring(sim, half);
    /* Waits of those who were lost a moment ago are over then. */
    sim_run(sim, sim->now + 10 * USEC_PER_SEC);
    epoch = ring_get_view(sim->nodes[0].ring)->formation.epoch;
    for (size_t i = half; i < sim->nodes_count; i++)
        node_start(sim, &sim->nodes[i]);
    usec = await_ring(sim, sim->nodes_count);
    *ret_formations = ring_get_view(sim->nodes[0].ring)->formation.epoch - epoch;
    return usec;
}

static void print_cost(const char *name, const struct cost *cost, uint64_t frames, uint64_t bytes,
                       size_t nodes)
{
    printf("  %-34s %8llu frames (%llu) %10llu bytes (%llu); a member %.1f and %.0f\n", name,
           (unsigned long long)cost->frames, (unsigned long long)frames,
           (unsigned long long)cost->bytes, (unsigned long long)bytes,
           (double)cost->frames / (double)nodes, (double)cost->bytes / (double)nodes);
}

/* Beside what the formulae say: DATA and STABLE go to all but one, SEAL goes round. A formation has
 * two HELLOs, GATHER, its acknowledgement, INSTALL, SYNC, START and DIGEST of each, and the tokens
 * grow with the square. */
static void print_costs(size_t nodes, const struct cost *message, const struct cost *formed)
{
    print_cost("one message", message, 3 * nodes - 2,
               (nodes - 1) * DATA_BYTES + (2 * nodes - 1) * MARK_BYTES, nodes);
    print_cost("one formation", formed, 8 * nodes - 1,
               nodes * nodes * (CANDIDATE_BYTES + ENTRY_BYTES / 2 + MEMBER_BYTES) +
                   nodes * FORMATION_BYTES,
               nodes);
}

static int by_number(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return first < second ? -1 : first > second;
}

static void print_figure(const char *name, uint64_t *figures, size_t count)
{
    qsort(figures, count, sizeof(*figures), by_number);
    printf("  %-34s %8.1f ms (half) %8.1f ms (all)\n", name, (double)figures[count / 2] / 1000,
           (double)figures[count - 1] / 1000);
}

bool measure_scale(struct sim *sim)
{
    static const struct {
        size_t nodes, runs;
    } sizes[] = {{3, 20}, {5, 20}, {16, 20}, {64, 8}, {128, 2}, {256, 2}};
    uint64_t start[20], sent[SENDS * 20], shown[SENDS * 20], killed[20], silent[20], healed[20],
        stormed[20];
    struct cost message, formed, before;
    uint64_t formations;
    bool failed = false;

    for (size_t i = 0; i < ELEMENTS(sizes) && !failed; i++) {
        for (size_t k = 0; k < sizes[i].runs && !failed; k++) {
            begin(sim, k + 1, sizes[i].nodes);
            start[k] = await_ring(sim, sizes[i].nodes);
            /* The first one after a formation may wait for the history to be compared. */
            for (unsigned j = 0; j < SENDS; j++) {
                before = sim->costs[USE_CHAT];
                send_one(sim, &sent[SENDS * k + j], &shown[SENDS * k + j]);
                sim_run(sim, sim->now + SETTLE_USEC);
                message = spent(sim, USE_CHAT, &before);
            }
            formed = formation(sim);
            killed[k] = gap(sim, false);
            silent[k] = gap(sim, true);
            healed[k] = heal(sim);
            stormed[k] = storm(sim, &formations);
            failed = sim->failed;
            if (failed)
                printf("%s\n", sim->failure);
            sim_end(sim);
        }
        printf("%zu nodes, %zu runs\n", sizes[i].nodes, sizes[i].runs);
        print_figure("started together, until one ring", start, sizes[i].runs);
        print_figure("one message, acknowledged", sent, SENDS * sizes[i].runs);
        print_figure("one message, shown by all", shown, SENDS * sizes[i].runs);
        print_figure("gap in delivery, kill -9", killed, sizes[i].runs);
        print_figure("gap in delivery, power cut", silent, sizes[i].runs);
        print_figure("halves cut apart, heal to one ring", healed, sizes[i].runs);
        print_figure("half of them join at once", stormed, sizes[i].runs);
        printf("  %-34s %8llu formations\n", "", (unsigned long long)formations);
        print_costs(sizes[i].nodes, &message, &formed);
        fflush(stdout);
    }
    return !failed;
}

/* ---- fairness ---- */

#define FLOODERS 5
/* Bytes of text that wait at each, so that its window can always be filled. */
#define FLOOD_QUEUED 400000
#define FLOOD_MESSAGES (MESSAGES_MAX - 1500)

/* Senders of short and long texts, one with a slow disk: each keeps its queue full. */
static void flood(struct sim *sim)
{
    static const size_t texts[FLOODERS] = {8000, 1000, 8000, 4000, 16000};

    for (size_t i = 0; i < FLOODERS && !sim->failed; i++) {
        struct ring_status status;

        if (!sim->nodes[i].running || sim->nodes[i].paused)
            continue;
        ring_get_status(sim->nodes[i].ring, &status);
        for (size_t k = status.queued; k < FLOOD_QUEUED / texts[i] && !sim->failed; k++)
            node_send_text(sim, &sim->nodes[i], texts[i]);
    }
    if (!sim->failed)
        sim_run(sim, sim->now + 500);
}

/* What each has delivered, in the window's terms, against its share of all. */
static void check_shares(struct sim *sim, size_t from)
{
    uint64_t each[FLOODERS] = {0}, sum = 0;

    for (size_t i = from; i < sim->messages_count; i++) {
        uint64_t cost = sim->messages[i].size + WINDOW_MESSAGE_COST;

        if (!sim->nodes[0].seen[i])
            continue;
        each[sim->messages[i].sender] += cost;
        sum += cost;
    }
    for (size_t i = 0; i < FLOODERS && !sim->failed; i++) {
        printf("node %zu: %.2f of its fair share\n", i,
               (double)each[i] * FLOODERS / (double)(sum + 1));
        if (each[i] * FLOODERS * 2 < sum || sum == 0)
            sim_fail(sim, "fairness", "node %zu gets less than half of its share", i);
    }
}

bool measure_fairness(struct sim *sim)
{
    bool fair;

    begin(sim, 1, FLOODERS);
    sim->nodes[2].commit_usec = 20 * USEC_PER_MSEC;
    await_ring(sim, FLOODERS);
    while (sim->messages_count < FLOOD_MESSAGES && !sim->failed)
        flood(sim);
    check_shares(sim, 0);
    /* A successor that hangs, and clients that do not stop: the bounds' checker looks on. */
    node_pause(sim, &sim->nodes[1]);
    for (unsigned i = 0; i < 2000 && sim->messages_count < MESSAGES_MAX && !sim->failed; i++)
        flood(sim);
    node_resume(sim, &sim->nodes[1]);
    await_ring(sim, FLOODERS);
    if (sim->failed)
        printf("%s\n", sim->failure);
    fair = !sim->failed;
    sim_end(sim);
    return fair;
}
