/* G8, bounded: queues, what is undelivered, links, and what waits in a connection. */

#include "common/bounds.h"
#include "sim.h"

/* Links for traffic and for a formation, and those that others opened and left. */
#define LINKS_MAX(nodes) (8 + 6 * (nodes))

static void stepped(struct sim *sim, struct node *node)
{
    struct ring_status status;

    if (!node->ring)
        return;
    ring_get_status(node->ring, &status);
    if (status.queued > QUEUE_MESSAGES_MAX || status.undelivered_bytes > 2 * WINDOW_BYTES_RING)
        sim_fail(sim, "bounds", "node %d holds %zu queued messages and %zu bytes undelivered",
                 node->number, status.queued, status.undelivered_bytes);
    if (status.unstable > 1 && status.unstable_bytes > WINDOW_BYTES_MAX)
        sim_fail(sim, "bounds", "node %d has %zu bytes unstable", node->number,
                 status.unstable_bytes);
    if (status.links > LINKS_MAX(sim->nodes_count))
        sim_fail(sim, "bounds", "node %d has %zu links", node->number, status.links);
    if (sim->on_the_way_max > LINK_QUEUE_BYTES_MAX)
        sim_fail(sim, "bounds", "%zu bytes wait in one connection", sim->on_the_way_max);
}

const struct checker check_bounds = {.name = "bounds", .stepped = stepped};
