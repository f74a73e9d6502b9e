/* G1, its second part: a message sent in a view is late at no member that goes from that view
 * directly into the next. So two that take the same step show it unmarked, both, or neither. */

#include "sim.h"

static void stepped(struct sim *sim, struct node *node)
{
    struct ring_status status;
    uint64_t tag;

    (void)sim;
    if (!node->ring)
        return;
    ring_get_status(node->ring, &status);
    tag = ring_get_view(node->ring)->formation.tag;
    if (status.phase != RING_LIVE || tag == node->live_view)
        return;
    node->view_before = node->live_view;
    node->live_view = tag;
}

/* The view in which the origin gives the key. */
static void output(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct message message;
    int number;

    if (output->type != RING_STORE || output->store.write != RING_WRITE_MESSAGE ||
        output->store.repaired || message_unpack(output->store.packet, &message) < 0 ||
        node_number(&message.key.origin) != node->identity)
        return;
    number = message_number(output->store.packet);
    if (sim->messages[number].sender == node->number && sim->messages[number].sent_in == 0)
        sim->messages[number].sent_in = node->live_view;
}

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    struct sent *sent = &sim->messages[number];

    (void)message;
    if (sent->sent_in == 0 || sent->sent_in != node->view_before)
        return;
    if (!late)
        sent->shown_in = node->live_view;
    else if (sent->shown_in == node->live_view)
        sim_fail(sim, "late", "message %d is late at node %d, which was there when it was sent",
                 number, node->number);
}

const struct checker check_late = {
    .name = "late", .stepped = stepped, .output = output, .delivered = delivered};
