/* G6, integrity: nothing appears that no client sent, and it appears as it was sent. A message has
 * one key for ever, and a key one message. */

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

/* Who has that number of that origin; the message itself where nobody had it. */
static int owner_of(struct sim *sim, const struct message_key *key, int number)
{
    uint64_t hash = (key->seq ^ (uint64_t)node_number(&key->origin) << 20) * 0x9e3779b97f4a7c15ULL;
    size_t at = (size_t)(hash >> 32) % KEY_SLOTS;

    for (; sim->keys[at] != 0; at = (at + 1) % KEY_SLOTS) {
        const struct sent *sent = &sim->messages[sim->keys[at] - 1];

        if (sent->seq == key->seq && sim->nodes[sent->sender].identity == node_number(&key->origin))
            return sim->keys[at] - 1;
    }
    sim->keys[at] = number + 1;
    return number;
}

static void stored(struct sim *sim, struct node *node, const struct message *message, int number)
{
    struct sent *sent = &sim->messages[number];
    int owner;

    if (sent->hlc == 0) {
        sent->hlc = message->key.hlc;
        sent->seq = message->key.seq;
        owner = owner_of(sim, &message->key, number);
        if (owner != number && sim->classes[FAULT_CLONE])
            sim->doubled = true;
        else if (owner != number)
            sim_fail(sim, "integrity", "messages %d and %d have one seq", owner, number);
    }
    if (sent->hlc != message->key.hlc || sent->seq != message->key.seq)
        sim_fail(sim, "integrity", "message %d has another key at node %d", number, node->number);
}

const struct checker check_integrity = {
    .name = "integrity", .delivered = delivered, .stored = stored};
