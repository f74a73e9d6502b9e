/* G1, agreed order: a node's deliveries not marked late are in key order, restarts included. So any
 * two nodes agree. G5, a sender's messages are in the order sent, in every history, and behind what
 * the sender had seen. */

#include <stdlib.h>

#include "common/check.h"
#include "sim.h"

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    if (message_key_compare(&message->key, &sim->messages[number].seen) <= 0)
        sim_fail(sim, "order", "message %d stands before what its sender had seen", number);
    if (message_key_compare(&message->key, &node->top) > 0)
        node->top = message->key;
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
        const struct message_key *key = &node->disk.messages[i].key;

        if (!node->disk.messages[i].packet)
            continue;
        if (!node->has_last || message_key_compare(key, &node->last) > 0)
            node->last = *key;
        node->has_last = true;
        if (message_key_compare(key, &node->top) > 0)
            node->top = *key;
    }
}

/* Numbers rise with time, so a sender's keys must rise with its numbers. */
static void ended(struct sim *sim)
{
    const struct disk *disk = &sim_first(sim)->disk;
    struct message_key last[NODES_MAX] = {{0}};
    const struct record **records = calloc(MESSAGES_MAX, sizeof(*records));

    check(records != NULL);
    for (size_t i = 0; i < disk->count; i++)
        records[disk->messages[i].number] = &disk->messages[i];
    for (size_t i = 0; i < sim->messages_count; i++) {
        int sender = sim->messages[i].sender;

        if (!records[i])
            continue;
        if (!sim->messages[i].from_backup &&
            message_key_compare(&records[i]->key, &last[sender]) <= 0)
            sim_fail(sim, "order", "message %zu of node %d stands before an earlier one", i,
                     sender);
        last[sender] = records[i]->key;
    }
    free(records);
}

const struct checker check_order = {
    .name = "order", .delivered = delivered, .started = started, .ended = ended};
