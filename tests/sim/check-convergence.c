/* G4, convergence: at rest all histories are the same within each node's retention, every node has
 * the same members and leader, and nothing waits for anything (G8). */

#include <inttypes.h>

#include "sim.h"

static void check_views(struct sim *sim)
{
    const struct ring_view *first = ring_get_view(sim_first(sim)->ring);

    for (size_t i = 0; i < sim->nodes_count; i++) {
        const struct ring_view *view = ring_get_view(sim->nodes[i].ring);

        if (sim->nodes[i].excepted)
            continue;
        for (size_t k = 0; k < first->count; k++) {
            if (!ring_id_equal(&view->members[k].id, &first->members[k].id) ||
                view->leader != first->leader)
                sim_fail(sim, "convergence", "node %zu has other members or another leader", i);
        }
    }
}

static void check_histories(struct sim *sim)
{
    for (size_t i = 0; i < sim->messages_count; i++) {
        if (!history_is_whole(sim, (int)i))
            sim_fail(sim, "convergence", "message %zu is in some histories only", i);
    }
}

static void check_rest(struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        struct ring_status status;
        struct ring_repair repair;

        if (sim->nodes[i].excepted)
            continue;
        ring_get_status(sim->nodes[i].ring, &status);
        if (status.queued || status.unstable || status.undelivered)
            sim_fail(sim, "convergence",
                     "node %zu at rest has %zu messages queued, %zu unstable, %zu undelivered", i,
                     status.queued, status.unstable, status.undelivered);
        ring_get_repair(sim->nodes[i].ring, &repair);
        /* What came may be reported half a second later. */
        if (repair.lacking)
            sim_fail(sim, "convergence",
                     "node %zu at rest knows of %" PRIu64 " messages that others lack", i,
                     repair.lacking);
    }
}

static void ended(struct sim *sim)
{
    check_views(sim);
    check_histories(sim);
    check_rest(sim);
}

const struct checker check_convergence = {.name = "convergence", .ended = ended};
