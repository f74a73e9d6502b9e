/* The contract of the step: outputs that any shell can apply, and a state that is sound after every
 * step. */

#include "sim.h"

#define NODES_LOOKED_AT 64

static void stepped(struct sim *sim, struct node *node)
{
    const char *broken;

    /* They cost as much as a ring has members: in the largest a part of the steps is looked at. */
    if (!node->ring || (sim->nodes_count > NODES_LOOKED_AT && sim->events_made % 16 != 0))
        return;
    broken = ring_broken_invariant(node->ring);
    if (broken)
        sim_fail(sim, "outputs", "at node %d it does not hold that %s", node->number, broken);
}

static void check_ascends(struct sim *sim, const struct node *node, ring_ticket *last,
                          ring_ticket ticket)
{
    if (ticket <= *last)
        sim_fail(sim, "outputs", "node %d uses a number twice", node->number);
    *last = ticket;
}

static void output(struct sim *sim, struct node *node, const struct ring_output *output)
{
    if (output->type == RING_STORE)
        check_ascends(sim, node, &node->last_ticket, output->store.ticket);
    if (output->type == RING_FETCH)
        check_ascends(sim, node, &node->last_fetch, output->fetch.ticket);
    if (output->type == RING_DIAL) {
        check_ascends(sim, node, &node->last_link, output->dial.link);
        if (output->dial.link % 2 != 0)
            sim_fail(sim, "outputs", "node %d dials with an odd number", node->number);
    }
    if (output->type == RING_SEND &&
        ring_frame_size(output->send.packet->data) != (int64_t)output->send.packet->size)
        sim_fail(sim, "outputs", "node %d sends a frame of another size than it says",
                 node->number);
    if (output->type == RING_SEND_DATAGRAM && output->datagram.packet->size > DATAGRAM_BYTES_MAX)
        sim_fail(sim, "outputs", "node %d sends too large a datagram", node->number);
    if (output->type == RING_EVENT && output->event.type == RING_EVENT_REFUSED &&
        !sim->classes[FAULT_GARBLE] && !sim->classes[FAULT_STRANGER])
        sim_fail(sim, "outputs", "node %d refuses a frame of a node like itself: %s", node->number,
                 output->event.reason ? output->event.reason : "");
}

const struct checker check_outputs = {.name = "outputs", .stepped = stepped, .output = output};
