/* All checkers, one after the other. */

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

static const struct checker *const checkers[] = {
    &check_outputs, &check_membership,  &check_bounds, &check_integrity,
    &check_order,   &check_late,        &check_once,   &check_durability,
    &check_answers, &check_convergence, &check_repair,
};

const struct node *sim_first(const struct sim *sim)
{
    size_t i = 0;

    while (sim->nodes[i].excepted)
        i++;
    return &sim->nodes[i];
}

void checkers_stepped(struct sim *sim, struct node *node)
{
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->stepped)
            checkers[i]->stepped(sim, node);
    }
}

void checkers_output(struct sim *sim, struct node *node, const struct ring_output *output)
{
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->output)
            checkers[i]->output(sim, node, output);
    }
}

void checkers_delivered(struct sim *sim, struct node *node, const struct packet *packet, bool late)
{
    int number = message_number(packet);
    struct message message;

    check(message_unpack(packet, &message) == 0);
    sim_trace(sim, "%d: delivers message %d, key %+lld ms %u%s", node->number, number,
              (long long)(message.key.hlc >> 16) - WALL_BEGIN_MSEC,
              (unsigned)(message.key.hlc & 0xFFFF), late ? ", late" : "");
    sim->late += late;
    if (!late) {
        node->longest_gap = MAX(node->longest_gap, sim->now - node->last_delivery);
        node->last_delivery = sim->now;
    }
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->delivered)
            checkers[i]->delivered(sim, node, &message, number, late);
    }
}

void checkers_answered(struct sim *sim, struct node *node, int number, enum ring_reply reply)
{
    sim_trace(sim, "%d: message %d: %s", node->number, number,
              reply == RING_DONE ? "acknowledged" : reply_name(reply));
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->answered)
            checkers[i]->answered(sim, node, number, reply);
    }
}

void checkers_stored(struct sim *sim, struct node *node, const struct message *message, int number)
{
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->stored)
            checkers[i]->stored(sim, node, message, number);
    }
}

void checkers_started(struct sim *sim, struct node *node)
{
    for (size_t i = 0; i < ELEMENTS(checkers); i++) {
        if (checkers[i]->started)
            checkers[i]->started(sim, node);
    }
}

void checkers_ended(struct sim *sim)
{
    for (size_t i = 0; i < ELEMENTS(checkers) && !sim->failed; i++) {
        if (checkers[i]->ended)
            checkers[i]->ended(sim);
    }
}
