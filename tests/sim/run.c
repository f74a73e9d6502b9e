/* One seed: a ring forms, is used and hurt, is healed, and is looked at. */

#include <string.h>

#include "sim.h"

#define SECOND 1000000ULL

/* After healing, one ring within this (guarantee G4), and at rest soon after. */
#define HEAL_MAX (15 * SECOND)
#define REST (3 * SECOND)

/* The histories are the same within this after that: tens of MB may have to be repaired. */
#define REPAIR_MAX (60 * SECOND)

/* A stable split gets this long to form its rings. */
#define SPLIT_TIME (20 * SECOND)

/* Messages of one burst: several windows. */
#define BURST_MAX 400

/* More formations than this after healing would not end. */
#define FORMATIONS_PER_NODE_MAX 30

bool run_is_one_ring(const struct sim *sim)
{
    const struct ring_view *first = NULL;
    size_t count = 0;

    for (size_t i = 0; i < sim->nodes_count; i++) {
        const struct node *node = &sim->nodes[i];
        const struct ring_view *view;
        struct ring_status status;

        if (!node->running || node->paused)
            return false;
        ring_get_status(node->ring, &status);
        if (status.cloned)
            continue;
        count++;
        view = ring_get_view(node->ring);
        first = first ? first : view;
        if (status.phase != RING_LIVE || view->formation.tag != first->formation.tag)
            return false;
    }
    return first && first->count == count;
}

/* Of two with one id the one that knows it stays alone. */
static void except_clones(struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        struct ring_status status;

        ring_get_status(sim->nodes[i].ring, &status);
        sim->nodes[i].excepted = status.cloned;
    }
}

static bool commands_wait(const struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].commands > 0)
            return true;
    }
    return false;
}

static void rejoin_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++)
        node_rejoin(sim, &sim->nodes[i]);
}

static uint64_t count_formations(const struct sim *sim)
{
    uint64_t count = sim->formations;

    for (size_t i = 0; i < sim->nodes_count; i++) {
        struct ring_status status;

        if (!sim->nodes[i].running)
            continue;
        ring_get_status(sim->nodes[i].ring, &status);
        count += status.formations;
    }
    return count;
}

static struct node *any_node(struct sim *sim)
{
    return &sim->nodes[sim_below(sim, sim->nodes_count)];
}

/* One message, or now and then a burst that fills windows and queues. */
static void send_some(struct sim *sim, struct node *node)
{
    uint64_t count = sim->floods && sim_chance(sim, 10) ? sim_below(sim, BURST_MAX) : 1;

    for (uint64_t i = 0; i < count && !sim->failed; i++)
        node_send_message(sim, node);
}

/* Messages from random nodes at about `rate` a second. */
static void chat(struct sim *sim, uint64_t until, uint64_t rate)
{
    while (sim->now < until && !sim->failed) {
        uint64_t next = sim->now + SECOND / rate / 2 + sim_below(sim, SECOND / rate);

        sim_run(sim, next < until ? next : until);
        if (!sim->failed)
            send_some(sim, any_node(sim));
    }
}

static void hurt(struct sim *sim)
{
    static const uint64_t pauses[] = {300, 1000, 3000, 10000, 50000, 300000, 1000000, 2500000};
    static const uint64_t rates[] = {2, 20, 80};
    uint64_t faults = 1 + sim_below(sim, 8), rate = rates[sim_below(sim, 3)];

    for (uint64_t i = 0; i < faults && !sim->failed; i++) {
        uint64_t pause = pauses[sim_below(sim, 8)];

        chat(sim, sim->now + pause / 2 + sim_below(sim, pause), rate);
        if (!sim->failed)
            fault_random(sim);
    }
    if (!sim->failed)
        sim_run(sim, sim->now + 10000 + sim_below(sim, 3 * SECOND));
}

/* All faults end, and whoever was leaving has left, and comes back. */
static void settle_down(struct sim *sim)
{
    fault_heal_all(sim);
    if (!sim->failed)
        sim_run(sim, sim->now + 2 * REST);
    rejoin_all(sim);
}

/* G7: what these nodes send is acknowledged, whatever the others do. */
static void check_available(struct sim *sim, const struct node *except)
{
    size_t before = sim->messages_count;

    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++) {
        if (&sim->nodes[i] != except)
            node_send_message(sim, &sim->nodes[i]);
    }
    if (!sim->failed)
        sim_run(sim, sim->now + REST);
    for (size_t i = before; i < sim->messages_count && !sim->failed; i++) {
        if (!sim->messages[i].acknowledged)
            sim_fail(sim, "availability", "message %zu is not acknowledged", i);
    }
}

/* Each part of a stable split goes on by itself. */
static void split(struct sim *sim)
{
    settle_down(sim);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = i % 2 != k % 2;
    }
    sim_trace(sim, "a stable split: odd and even nodes");
    if (!sim->failed)
        sim_run(sim, sim->now + SPLIT_TIME + 2 * sim->slowest_timeout);
    if (!sim->failed)
        check_available(sim, NULL);
}

/* A node whose process or disk hangs is left out. */
static void hang(struct sim *sim)
{
    struct node *node = any_node(sim);

    settle_down(sim);
    if (sim_chance(sim, 50))
        node_pause(sim, node);
    else
        disk_hang(sim, node);
    /* Something to be written, so that the disk can be seen to hang. */
    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++)
        node_send_message(sim, &sim->nodes[i]);
    if (!sim->failed)
        sim_run(sim, sim->now + SPLIT_TIME + 2 * sim->slowest_timeout);
    if (!sim->failed)
        check_available(sim, node);
}

static void heal(struct sim *sim)
{
    uint64_t begin = sim->now, formations = count_formations(sim);

    sim_trace(sim, "=== everything is healed");
    fault_heal_all(sim);
    while (!sim->failed && (!run_is_one_ring(sim) || commands_wait(sim)) &&
           sim->now < begin + HEAL_MAX + 3 * sim->slowest_timeout) {
        sim_run(sim, sim->now + 20000);
        rejoin_all(sim);
        if (!sim->failed && sim_chance(sim, 10))
            node_send_message(sim, any_node(sim));
    }
    if (sim->failed)
        return;
    if (!run_is_one_ring(sim)) {
        sim_fail(sim, "convergence", "no one ring %llu s after healing", HEAL_MAX / SECOND);
        return;
    }
    sim->heal_usec = sim->now - begin;
    except_clones(sim);
    /* A link that lost something is noticed by its time-out only. */
    sim_run(sim, sim->now + REST + 2 * sim->slowest_timeout);
    sim->formations_after_heal = count_formations(sim) - formations;
    if (sim->formations_after_heal > FORMATIONS_PER_NODE_MAX * sim->nodes_count)
        sim_fail(sim, "convergence", "%llu formations after healing",
                 (unsigned long long)sim->formations_after_heal);
}

static bool histories_are_the_same(const struct sim *sim)
{
    for (size_t i = 0; i < sim->messages_count; i++) {
        if (!history_is_whole(sim, (int)i))
            return false;
    }
    return true;
}

/* History repair goes on in the background; at its credit a large one takes its time. */
static void await_repair(struct sim *sim)
{
    uint64_t end = sim->now + REPAIR_MAX;

    while (!sim->failed && sim->now < end && !histories_are_the_same(sim))
        sim_run(sim, sim->now + 100000);
}

/* What is sent now comes everywhere, unmarked and soon. */
static void probe(struct sim *sim)
{
    size_t before = sim->messages_count;

    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++) {
        if (!sim->nodes[i].excepted)
            node_send_message(sim, &sim->nodes[i]);
    }
    if (!sim->failed)
        sim_run(sim, sim->now + 2 * SECOND);
    if (!sim->failed && !run_is_one_ring(sim))
        sim_fail(sim, "convergence", "the ring fell apart without a fault");
    for (size_t i = before; i < sim->messages_count && !sim->failed; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++) {
            if (!sim->nodes[k].seen[i] && !sim->nodes[k].excepted)
                sim_fail(sim, "convergence", "message %zu is not delivered at node %zu", i, k);
        }
    }
}

/* Where nothing disturbs it an election has the result that was asked for. */
static void elect(struct sim *sim)
{
    struct node *node = any_node(sim);
    size_t target = (size_t)any_node(sim)->identity;
    const struct ring_view *view;

    while (node->excepted)
        node = any_node(sim);

    node_command(sim, node, RING_ELECT, target);
    if (!sim->failed)
        sim_run(sim, sim->now + 2 * SECOND);
    if (sim->failed)
        return;
    view = ring_get_view(node->ring);
    if (node_number(&view->members[view->leader].id) != (int)target || !run_is_one_ring(sim))
        sim_fail(sim, "membership", "node %zu was elected and does not lead", target);
}

void run_seed(struct sim *sim, uint64_t seed, size_t nodes)
{
    size_t late;

    sim_begin(sim, seed, nodes);
    late = sim->nodes_count > 2 ? sim->nodes_count - 1 : NODES_MAX;
    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++) {
        /* With retention one comes later, and lacks all that the others keep; or it is a clone. */
        if ((sim->classes[FAULT_RETENTION] || sim->classes[FAULT_CLONE]) && i == late)
            continue;
        node_start(sim, &sim->nodes[i]);
        /* Together, or one by one. */
        if (sim_chance(sim, 20))
            sim_run(sim, sim->now + sim_below(sim, SECOND));
    }
    if (sim_chance(sim, 70))
        sim_run(sim, sim->now + 3 * SECOND);
    hurt(sim);
    if (!sim->failed && sim_chance(sim, 15))
        split(sim);
    if (!sim->failed && sim_chance(sim, 15))
        hang(sim);
    if (!sim->failed)
        heal(sim);
    /* Numbers that clones gave twice are told of, and nothing can mend them. */
    if (sim->doubled)
        return;
    if (!sim->failed)
        probe(sim);
    if (!sim->failed)
        elect(sim);
    await_repair(sim);
    if (!sim->failed)
        checkers_ended(sim);
}
