/* G3, exactly once: no history and no tail shows a message twice. */

#include <string.h>

#include "sim.h"

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    (void)message, (void)late;
    if (number < 0 || (size_t)number >= sim->messages_count)
        return;
    if (node->seen[number])
        sim_fail(sim, "once", "node %d delivers message %d twice", node->number, number);
    node->seen[number] = true;
}

/* After a restart the history is what the disk has. */
static void started(struct sim *sim, struct node *node)
{
    (void)sim;
    memset(node->seen, 0, sizeof(node->seen));
    for (size_t i = 0; i < node->disk.count; i++) {
        int number = node->disk.messages[i].number;

        if (node->seen[number])
            sim_fail(sim, "once", "node %d has message %d twice", node->number, number);
        node->seen[number] = true;
    }
}

const struct checker check_once = {.name = "once", .delivered = delivered, .started = started};
