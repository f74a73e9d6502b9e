/* G1, agreed order: a node's deliveries not marked late are in key order, restarts included. So any
 * two nodes agree. G5, a sender's messages are in the order sent, in every history. */

#include "common/check.h"
#include "sim.h"

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    if (late)
        return;
    if (node->has_last && message_key_compare(&message->key, &node->last) <= 0)
        sim_fail(sim, "order", "node %d delivers message %d behind a higher key", node->number,
                 number);
    node->last = message->key;
    node->has_last = true;
}

/* After a restart the history is what the disk has: its highest key is where the order goes on. */
static void started(struct sim *sim, struct node *node)
{
    (void)sim;
    for (size_t i = 0; i < node->disk.count; i++) {
        struct message message;

        check(message_unpack(node->disk.messages[i], &message) == 0);
        if (!node->has_last || message_key_compare(&message.key, &node->last) > 0)
            node->last = message.key;
        node->has_last = true;
    }
}

static bool find(const struct disk *disk, int number, struct message_key *ret)
{
    for (size_t i = 0; i < disk->count; i++) {
        struct message message;

        if (message_number(disk->messages[i]) != number)
            continue;
        check(message_unpack(disk->messages[i], &message) == 0);
        *ret = message.key;
        return true;
    }
    return false;
}

/* Numbers rise with time, so a sender's keys must rise with its numbers. */
static void ended(struct sim *sim)
{
    const struct disk *disk = &sim->nodes[0].disk;
    struct message_key last[NODES_MAX] = {{0}}, key;

    for (size_t i = 0; i < sim->messages_count; i++) {
        int sender = sim->messages[i].sender;

        if (!find(disk, (int)i, &key))
            continue;
        if (message_key_compare(&key, &last[sender]) <= 0)
            sim_fail(sim, "order", "message %zu of node %d stands before an earlier one", i,
                     sender);
        last[sender] = key;
    }
}

const struct checker check_order = {
    .name = "order", .delivered = delivered, .started = started, .ended = ended};
