/* G2, no acknowledged loss: when a send returns success, the message is on disk at every member of
 * the view, and in the end it is in every history. What was accepted is on this disk. Nothing is
 * shown that a crash could take back. */

#include "sim.h"

static void check_members(struct sim *sim, const struct node *node, int number)
{
    const struct ring_view *view = ring_get_view(node->ring);

    for (size_t i = 0; i < view->count; i++) {
        const struct node *member = node_of(sim, &view->members[i]);

        /* Its disk has been replaced by an older one since. */
        if (member->restored && member->instance != view->members[i].instance)
            continue;
        if (!disk_had(&member->disk, number))
            sim_fail(sim, "durability", "node %d acknowledges message %d, node %d has it not",
                     node->number, number, member->number);
    }
}

static void answered(struct sim *sim, struct node *node, int number, enum ring_reply reply)
{
    if (reply == RING_DONE) {
        check_members(sim, node, number);
        sim->messages[number].acknowledged = true;
        sim->acknowledgements++;
    }
    if (reply == RING_ACCEPTED) {
        if (!disk_has(&node->disk, number) && !disk_has_in_outbox(&node->disk, number))
            sim_fail(sim, "durability", "node %d accepts message %d and does not have it",
                     node->number, number);
        sim->messages[number].accepted = true;
    }
}

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    (void)message, (void)late;
    if (!disk_has(&node->disk, number))
        sim_fail(sim, "durability", "node %d delivers message %d and does not have it on disk",
                 node->number, number);
}

/* What was imported is on this disk, or this node does not want to keep it. */
void check_imported(struct sim *sim, const struct node *node, int number, enum ring_reply reply)
{
    if (reply == RING_DONE && !disk_had(&node->disk, number) &&
        sim->messages[number].hlc >= node->disk.state.horizon)
        sim_fail(sim, "durability", "node %d has imported message %d and does not have it",
                 node->number, number);
    if (reply != RING_DONE && reply != RING_BUSY && reply != RING_STORE_BROKEN)
        sim_fail(sim, "answers", "node %d answers the import of message %d with %d", node->number,
                 number, reply);
}

static bool anybody_had(const struct sim *sim, int number)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (disk_had(&sim->nodes[i].disk, number))
            return true;
    }
    return false;
}

static void ended(struct sim *sim)
{
    for (size_t i = 0; i < sim->messages_count; i++) {
        if ((!sim->messages[i].acknowledged && !sim->messages[i].accepted) ||
            sim->messages[i].excused || sim->nodes[sim->messages[i].sender].excepted)
            continue;
        if (!anybody_had(sim, (int)i) || !history_is_whole(sim, (int)i))
            sim_fail(sim, "durability", "message %zu, %s, is lost", i,
                     sim->messages[i].acknowledged ? "acknowledged" : "accepted");
    }
}

const struct checker check_durability = {
    .name = "durability", .answered = answered, .delivered = delivered, .ended = ended};
