/* Every command gets one final answer, unless its daemon dies; what was refused is never sent. */

#include "sim.h"

static void answered(struct sim *sim, struct node *node, int number, enum ring_reply reply)
{
    struct sent *sent = &sim->messages[number];

    if (reply == RING_ACCEPTED)
        return;
    if (sent->answers++ > 0)
        sim_fail(sim, "answers", "node %d answers message %d twice", node->number, number);
    sent->refused = reply == RING_BUSY || reply == RING_NOT_IN_RING;
}

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    (void)message, (void)late;
    if (number >= 0 && (size_t)number < sim->messages_count && sim->messages[number].refused)
        sim_fail(sim, "answers", "node %d delivers message %d, which was refused", node->number,
                 number);
}

static void ended(struct sim *sim)
{
    for (size_t i = 0; i < sim->messages_count; i++) {
        const struct sent *sent = &sim->messages[i];

        if (sent->answers == 0 && sim->nodes[sent->sender].life == sent->life)
            sim_fail(sim, "answers", "message %zu of node %d has no answer", i, sent->sender);
    }
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].commands != 0)
            sim_fail(sim, "answers", "node %zu leaves %d commands without an answer", i,
                     sim->nodes[i].commands);
    }
}

const struct checker check_answers = {
    .name = "answers", .answered = answered, .delivered = delivered, .ended = ended};
