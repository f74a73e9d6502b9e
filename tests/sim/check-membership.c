/* One leader a view, the same members in the same order at each of them, and epochs that rise. */

#include <stdlib.h>

#include "common/check.h"
#include "sim.h"

/* FNV-1a (Fowler, Noll, Vo) over the members and the leader. */
static uint64_t hash_view(const struct ring_view *view)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ view->leader;

    for (size_t i = 0; i < view->count; i++) {
        for (size_t k = 0; k < sizeof(view->members[i].id.bytes); k++)
            hash = (hash ^ view->members[i].id.bytes[k]) * 0x100000001b3ULL;
    }
    return hash;
}

static void check_ids(struct sim *sim, const struct node *node, const struct ring_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (ring_id_equal(&view->members[i].id, &view->members[k].id))
                sim_fail(sim, "membership", "node %d has a member twice in its view", node->number);
        }
    }
}

static void remember(struct sim *sim, const struct ring_view *view)
{
    if (sim->views_count == sim->views_allocated) {
        sim->views_allocated = sim->views_count ? 2 * sim->views_count : 64;
        sim->views = realloc(sim->views, sim->views_allocated * sizeof(*sim->views));
        check(sim->views != NULL);
    }
    sim->views[sim->views_count++] = (struct seen_view){view->formation.tag, hash_view(view)};
}

static void stepped(struct sim *sim, struct node *node)
{
    const struct ring_view *view;

    if (!node->ring)
        return;
    view = ring_get_view(node->ring);
    if (!view->members || view->formation.tag == node->checked_view)
        return;
    if (view->formation.epoch <= node->checked_epoch)
        sim_fail(sim, "membership", "node %d goes from epoch %llu to %llu", node->number,
                 (unsigned long long)node->checked_epoch,
                 (unsigned long long)view->formation.epoch);
    node->checked_view = view->formation.tag;
    node->checked_epoch = view->formation.epoch;
    if (view->count < 2)
        return;
    for (size_t i = sim->views_count; i-- > 0;) {
        if (sim->views[i].tag != view->formation.tag)
            continue;
        if (sim->views[i].hash != hash_view(view))
            sim_fail(sim, "membership", "node %d has another list or leader of its view",
                     node->number);
        return;
    }
    check_ids(sim, node, view);
    remember(sim, view);
}

/* A node goes from a formation to higher ones only. */
static void output(struct sim *sim, struct node *node, const struct ring_output *output)
{
    const struct ring_event *event = &output->event;

    if (output->type != RING_EVENT ||
        (event->type != RING_EVENT_FORMATION && event->type != RING_EVENT_TOKEN_ACCEPTED))
        return;
    if (event->epoch < node->checked_formation)
        sim_fail(sim, "membership", "node %d takes part in formation %llu after %llu", node->number,
                 (unsigned long long)event->epoch, (unsigned long long)node->checked_formation);
    node->checked_formation = event->epoch;
}

const struct checker check_membership = {
    .name = "membership", .stepped = stepped, .output = output};
