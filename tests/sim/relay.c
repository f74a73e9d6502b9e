/* What the shells of a ring relay to each other: who is told that all have it can rely on that. */

#include <string.h>

#include "sim.h"

/* How long a shell has to do with it. */
#define WORK_USEC 1000

struct bytes relay_bytes(const ring_ticket *ticket)
{
    return (struct bytes){.data = (const char *)ticket, .size = sizeof(*ticket)};
}

void relay_take(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct event *event = sim_event(sim, node->number, WORK_USEC, EVENT_INPUT);
    ring_ticket ticket = 0;

    if (output->relayed.packet->size != sizeof(ticket)) {
        sim_fail(sim, "relay", "node %d is given other bytes than were sent", node->number);
    } else {
        memcpy(&ticket, output->relayed.packet->data, sizeof(ticket));
        sim_trace(sim, "%d: is told what is relayed", node->number);
        node->relayed[node->relayed_count++ % RELAYED_MAX] =
            (struct relayed){.ticket = ticket, .done = sim->now + WORK_USEC};
    }
    event->input.type = RING_COMMAND;
    event->input.command.command = RING_PASS_ON;
    event->input.command.ticket = output->relayed.ticket;
    sim_push(sim, event);
}

static bool has(const struct sim *sim, const struct node *node, ring_ticket ticket)
{
    for (size_t i = 0; i < RELAYED_MAX; i++) {
        if (node->relayed[i].ticket == ticket && node->relayed[i].done <= sim->now)
            return true;
    }
    return false;
}

void relay_check(struct sim *sim, struct node *node, ring_ticket ticket)
{
    const struct ring_view *view = ring_get_view(node->ring);

    for (size_t i = 0; i < view->count && !sim->failed; i++) {
        const struct node *member = node_of(sim, &view->members[i]);

        if (i != view->self && !has(sim, member, ticket))
            sim_fail(sim, "relay", "node %d is told that all have it, and %d has not", node->number,
                     member->number);
    }
}
