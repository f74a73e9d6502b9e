/* Traps of stories: something happens to a node just when a certain frame is sent or taken. */

#include <string.h>

#include "sim.h"

bool trap_set(struct sim *sim, const struct trap *trap)
{
    for (size_t i = 0; i < TRAPS_MAX; i++) {
        if (sim->traps[i].kind != TRAP_NONE)
            continue;
        sim->traps[i] = *trap;
        return true;
    }
    return false;
}

static void strike(struct sim *sim, struct node *node, const struct trap *trap)
{
    struct node *victim = &sim->nodes[trap->victim];

    switch (trap->kind) {
    case TRAP_NONE:
        return;
    case TRAP_KILL:
    case TRAP_POWER:
        /* Who sends a frame dies behind it; who is about to take one never sees it. */
        if (victim == node && !trap->takes)
            victim->crash_after = 0;
        else
            node_crash(sim, victim, trap->kind == TRAP_POWER);
        return;
    case TRAP_PAUSE:
        node_pause(sim, victim);
        return;
    case TRAP_CUT:
        sim_trace(sim, "cut %d - %d", node->number, victim->number);
        sim->cut[node->number][victim->number] = sim->cut[victim->number][node->number] = true;
        return;
    case TRAP_RESET:
        network_reset_between(sim, node, victim);
        return;
    }
}

void trap_spring(struct sim *sim, struct node *node, const struct packet *packet, bool takes)
{
    for (size_t i = 0; i < TRAPS_MAX; i++) {
        struct trap *trap = &sim->traps[i];
        struct trap sprung = *trap;

        if (trap->kind == TRAP_NONE || trap->takes != takes || trap->node != node->number ||
            strcmp(trap->frame, ring_frame_name(packet->data, packet->size)) != 0)
            continue;
        if (trap->skip > 0) {
            trap->skip--;
            continue;
        }
        trap->kind = TRAP_NONE;
        strike(sim, node, &sprung);
        return;
    }
}
