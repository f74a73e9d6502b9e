/* G6, integrity: nothing appears that no client sent, and it appears as it was sent. */

#include <string.h>

#include "sim.h"

static bool is(struct bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static void delivered(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late)
{
    const struct sent *sent;

    (void)late;
    if (number < 0 || (size_t)number >= sim->messages_count) {
        sim_fail(sim, "integrity", "node %d delivers what nobody sent", node->number);
        return;
    }
    sent = &sim->messages[number];
    if (node_number(&message->key.origin) != sim->nodes[sent->sender].identity ||
        !is(message->user, "user") || !is(message->room, "main") ||
        message->text.size != sent->size)
        sim_fail(sim, "integrity", "node %d delivers message %d otherwise than it was sent",
                 node->number, number);
}

const struct checker check_integrity = {.name = "integrity", .delivered = delivered};
