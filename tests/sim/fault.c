/* Faults, drawn at random, and their end. */

#include <string.h>

#include "sim.h"

#define CLOCK_STEP_MAX_SEC 7200

/* A crash between two outputs comes within so many. */
#define CRASH_AFTER_MAX 40

static void cut_random(struct sim *sim, int node)
{
    int to = (int)sim_below(sim, sim->nodes_count);

    if (to == node)
        return;
    sim->cut[node][to] = true;
    if (sim_chance(sim, 50))
        sim->cut[to][node] = true;
    sim_trace(sim, "cut %d %s %d", node, sim->cut[to][node] ? "-" : "->", to);
}

/* Into two or three parts. */
static void partition(struct sim *sim)
{
    uint64_t parts = 2 + sim_below(sim, 2);
    uint64_t part[NODES_MAX];

    for (size_t i = 0; i < sim->nodes_count; i++) {
        part[i] = sim_below(sim, parts);
        sim_trace(sim, "partition: node %zu in part %llu", i, (unsigned long long)part[i]);
    }
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = part[i] != part[k];
    }
}

static void heal_network(struct sim *sim)
{
    sim_trace(sim, "the network is whole");
    memset(sim->cut, 0, sizeof(sim->cut));
}

void fault_random(struct sim *sim)
{
    struct node *node = &sim->nodes[sim_below(sim, sim->nodes_count)];

    switch (sim_below(sim, 13)) {
    case 0:
    case 1:
        node_crash(sim, node, false);
        return;
    case 2:
        node_crash(sim, node, true);
        return;
    case 3:
    case 4:
        if (!node->running)
            node_start(sim, node);
        return;
    case 5:
        node_pause(sim, node);
        return;
    case 6:
        node_resume(sim, node);
        return;
    case 7:
        cut_random(sim, node->number);
        return;
    case 8:
        partition(sim);
        return;
    case 9:
        heal_network(sim);
        return;
    case 10:
        network_reset(sim, node);
        return;
    case 11:
        node->clock_skew +=
            ((int64_t)sim_below(sim, 2 * CLOCK_STEP_MAX_SEC) - CLOCK_STEP_MAX_SEC) * 1000000;
        return;
    case 12:
        if (node->running)
            node->crash_after = (int)sim_below(sim, CRASH_AFTER_MAX);
        return;
    }
}

void fault_heal_all(struct sim *sim)
{
    heal_network(sim);
    sim->datagram_loss = 2;
    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++) {
        sim->nodes[i].crash_after = -1;
        node_resume(sim, &sim->nodes[i]);
        sim->nodes[i].crash_after = -1;
        if (!sim->nodes[i].running)
            node_start(sim, &sim->nodes[i]);
    }
}
