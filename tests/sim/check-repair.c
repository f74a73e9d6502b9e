/* What a node tells of its repair is true: in a ring of two, which keep everything, the other has
 * as many messages of earlier views that this one has not shown as it says are still to come. */

#include <inttypes.h>

#include "sim.h"

static const struct node *other_of(const struct sim *sim, const struct ring_view *view)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        const struct node *other = &sim->nodes[i];

        if (other->ring && !other->excepted &&
            ring_id_equal(&ring_get_view(other->ring)->members[ring_get_view(other->ring)->self].id,
                          &view->members[1 - view->self].id))
            return other;
    }
    return NULL;
}

/* Where two give messages the same numbers, what is missing is other messages than are counted. */
static bool has_clone(const struct sim *sim)
{
    bool found = false;

    for (size_t i = 0; i < sim->nodes_count; i++)
        found |= sim->nodes[i].identity != sim->nodes[i].number;
    return found;
}

/* Of one whose disk was lost it is not known any more what is new to it. */
static void started(struct sim *sim, struct node *node)
{
    for (size_t i = 0; i < sim->messages_count; i++)
        node->forgot |= node->seen[i] && !disk_has(&node->disk, (int)i);
}

static bool keeps_everything(const struct node *node)
{
    return node->horizon == 0 && node->disk.state.horizon == 0 && !node->restored && !node->forgot;
}

/* Of an earlier view, and to come from the other. */
static bool is_to_come(const struct sim *sim, const struct node *node, const struct node *other,
                       size_t message)
{
    return !node->seen[message] && disk_has(&other->disk, (int)message) &&
           sim->messages[message].sent_in != ring_get_view(node->ring)->formation.tag;
}

/* Of some it is not known in which view they were sent. */
struct truth {
    uint64_t least, most;
};

static void count_one(const struct sim *sim, size_t message, struct truth *truth, int64_t sign)
{
    truth->most += (uint64_t)sign;
    if (sim->messages[message].sent_in != 0)
        truth->least += (uint64_t)sign;
}

static struct truth find_truth(const struct sim *sim, const struct node *node,
                               const struct node *other)
{
    struct truth truth = {0};

    for (size_t i = 0; i < sim->messages_count; i++) {
        if (is_to_come(sim, node, other, i))
            count_one(sim, i, &truth, 1);
    }
    /* What the core has just delivered is not shown yet. */
    for (size_t i = 0; i < sim->outbox.count; i++) {
        const struct ring_output *output = &sim->outbox.outputs[i];
        size_t message = output->type == RING_DELIVER
                             ? (size_t)message_number(output->deliver.packet)
                             : sim->messages_count;

        if (message < sim->messages_count && is_to_come(sim, node, other, message))
            count_one(sim, message, &truth, -1);
    }
    return truth;
}

static void stepped(struct sim *sim, struct node *node)
{
    const struct ring_view *view = node->ring ? ring_get_view(node->ring) : NULL;
    const struct node *other;
    struct ring_repair repair;
    struct truth truth;

    if (!view || view->count != 2 || node->excepted || !keeps_everything(node))
        return;
    ring_get_repair(node->ring, &repair);
    other = repair.missing > 0 ? other_of(sim, view) : NULL;
    if (!other || !keeps_everything(other) || has_clone(sim))
        return;
    truth = find_truth(sim, node, other);
    if (repair.missing < truth.least || repair.missing > truth.most)
        sim_fail(sim, "repair",
                 "node %d says that %" PRIu64 " messages are to come: %" PRIu64 " to %" PRIu64
                 " are",
                 node->number, repair.missing, truth.least, truth.most);
}

const struct checker check_repair = {.name = "repair", .stepped = stepped, .started = started};
