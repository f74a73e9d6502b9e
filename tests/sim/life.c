/* How a node comes to life and dies, and what it finds when it comes back. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "sim.h"

/* How long a starved process has the processor, and how long it waits for it. */
#define STARVED_RUNS_USEC 20000
#define STARVED_WAITS_USEC 400000
#define STARVED_MAX_USEC 4000000

struct ring_id node_id(size_t number)
{
    return (struct ring_id){{(uint8_t)((number + 1) / 256), (uint8_t)((number + 1) % 256)}};
}

int node_number(const struct ring_id *id)
{
    return id->bytes[0] * 256 + id->bytes[1] - 1;
}

/* What the store would tell: ascending intervals for each origin. */
struct contents {
    size_t held_count, intervals_count, pruned_count;
    struct ring_held held[NODES_MAX];
    struct ring_interval *intervals, *pruned;
    struct message_key top;
};

static int by_origin_and_seq(const void *a, const void *b)
{
    const struct record *first = *(const struct record *const *)a;
    const struct record *second = *(const struct record *const *)b;
    int order = ring_id_compare(&first->key.origin, &second->key.origin);

    return order ? order : first->key.seq < second->key.seq ? -1 : first->key.seq > second->key.seq;
}

/* Adds a record behind those before it. */
static void add_record(struct contents *contents, const struct record *record)
{
    struct ring_held *held =
        contents->held_count ? &contents->held[contents->held_count - 1] : NULL;
    struct ring_interval *last = contents->intervals + contents->intervals_count - 1;
    struct ring_interval one = {record->key.seq, record->key.seq, ring_id_hash(&record->id)};

    if (record->packet && message_key_compare(&record->key, &contents->top) > 0)
        contents->top = record->key;
    if (!held || !ring_id_equal(&held->origin, &record->key.origin)) {
        held = &contents->held[contents->held_count++];
        *held = (struct ring_held){.origin = record->key.origin,
                                   .intervals = last + 1,
                                   .pruned = contents->pruned + contents->pruned_count};
    }
    if (!record->packet) {
        contents->pruned[contents->pruned_count++] = one;
        held->pruned_count++;
    }
    if (held->count > 0 && last->to + 1 == one.from) {
        last->to++;
        last->sum += one.sum;
        return;
    }
    held->count++;
    contents->intervals_count++;
    last[1] = one;
}

struct node *node_of(struct sim *sim, const struct ring_member *member)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i].instance == member->instance)
            return &sim->nodes[i];
    }
    return &sim->nodes[node_number(&member->id)];
}

static void read_disk(const struct disk *disk, struct contents *ret)
{
    const struct record **records = calloc(disk->count + 1, sizeof(*records));

    memset(ret, 0, sizeof(*ret));
    ret->intervals = calloc(disk->count + 1, sizeof(struct ring_interval));
    ret->pruned = calloc(disk->count + 1, sizeof(struct ring_interval));
    check(ret->intervals != NULL && ret->pruned != NULL && records != NULL);
    for (size_t i = 0; i < disk->count; i++)
        records[i] = &disk->messages[i];
    qsort(records, disk->count, sizeof(*records), by_origin_and_seq);
    for (size_t i = 0; i < disk->count; i++)
        add_record(ret, records[i]);
    free(records);
}

struct ring_config node_config(const struct node *node, char *name)
{
    snprintf(name, NODE_NAME_MAX, node->renamed ? "node%d.%u" : "node%d", node->number,
             node->renamed);
    return (struct ring_config){.id = node_id((size_t)node->identity),
                                .instance = node->instance,
                                .name = {name, strlen(name)},
                                .ring = {"sim", 3},
                                .addresses = {.count = 1, .list = {network_address(node)}},
                                .heartbeat_interval = node->heartbeat_interval,
                                .heartbeat_timeout = node->heartbeat_timeout,
                                .link_timeout = node->link_timeout,
                                .networked = !node->keyless};
}

void node_start(struct sim *sim, struct node *node)
{
    struct ring_input in = {.type = RING_START};
    struct contents contents;
    struct ring_config config;
    char name[NODE_NAME_MAX];

    /* A story's random numbers do not depend on what else is drawn. */
    if (sim->story)
        sim->random = ((uint64_t)node->number << 32) + node->life;
    node->instance = sim_random(sim);
    config = node_config(node, name);
    config.entropy = sim_random(sim);
    /* Hosts are upgraded, and set back, one at a time. */
    if (!sim->story)
        config.version = (uint8_t)(RING_WIRE_VERSION + (node->number + node->life) % 2);
    node->life++;
    node->started = sim->now;
    node->running = node->host_up = true;
    node->paused = node->suspended = false;
    node->crash_after = -1;
    node->fail_allocation = 0;
    node->disk_broken = false;
    node->commands = 0;
    node->live_view = node->view_before = 0;
    node->checked_view = node->checked_formation = 0;
    /* What is on disk; a higher epoch was told to nobody, or comes again by the others. */
    node->checked_epoch = node->disk.state.epoch;
    node->last_ticket = node->last_fetch = node->last_link = node->unheard = 0;
    node->horizon = node->disk.state.horizon;
    node->ring = ring_new();
    check(node->ring != NULL);
    checkers_started(sim, node);
    read_disk(&node->disk, &contents);
    in.start.config = &config;
    in.start.state = node->disk.state;
    in.start.top = contents.top;
    in.start.held_count = contents.held_count;
    in.start.held = contents.held;
    in.start.outbox_count = node->disk.outbox_count;
    in.start.outbox = node->disk.outbox;
    sim_trace(sim, "%d: starts with %zu messages, %zu in the outbox", node->number,
              node->disk.count, node->disk.outbox_count);
    node_step(sim, node, &in);
    free(contents.intervals);
    free(contents.pruned);
}

/* ---- how it ends ---- */

void node_crash(struct sim *sim, struct node *node, bool power)
{
    struct ring_status status;

    if (!node->running)
        return;
    sim_trace(sim, "%d: %s", node->number, power ? "loses its power" : "is killed");
    ring_get_status(node->ring, &status);
    sim->formations += status.formations;
    node->running = false;
    node->host_up = !power;
    if (!power)
        network_process_gone(sim, node);
    /* What was being written may be on the disk, all or the first part, and nobody was told. */
    if (node->committing && !node->disk_broken && !sim->story && sim_chance(sim, 50))
        disk_commit(sim, node,
                    sim_chance(sim, 50) ? node->commit_count
                                        : sim_below(sim, node->commit_count + 1));
    node->life++;
    node->commands = 0;
    node->crash_after = -1;
    disk_lose_requests(node);
    for (size_t i = 0; i < node->inbox_count; i++)
        event_free(node->inbox[i]);
    node->inbox_count = 0;
    node->paused = node->suspended = node->starved = false;
    ring_free(node->ring);
    node->ring = NULL;
}

void node_starve_tick(struct sim *sim, struct node *node)
{
    bool runs;

    if (!node->starved || node->suspended)
        return;
    if (node->paused)
        node_resume(sim, node);
    else
        node_pause(sim, node);
    node->starved =
        node->running && !sim->failed && (node->paused || sim->now < node->starved_until);
    runs = !node->paused;
    if (node->starved)
        sim_push(sim, sim_event(sim, node->number,
                                1 + sim_below(sim, runs ? STARVED_RUNS_USEC : STARVED_WAITS_USEC),
                                EVENT_STARVE));
}

void node_starve(struct sim *sim, struct node *node)
{
    if (!node->running || node->paused || node->starved)
        return;
    node->starved = true;
    node->starved_until = sim->now + sim_below(sim, STARVED_MAX_USEC);
    sim_push(sim, sim_event(sim, node->number, 0, EVENT_STARVE));
}

void node_free(struct sim *sim, struct node *node)
{
    node_crash(sim, node, true);
    disk_free(&node->disk);
    free(node->requests);
    free(node->inbox);
}
