/* Faults, drawn at random from the classes that are on in this seed, and their end. */

#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

#define CLOCK_STEP_MAX_SEC 7200
#define CENTURY_USEC (100LL * 365 * 86400 * 1000000)

/* A host sleeps so long now and then, and runs are long enough for the rest. */
#define LONG_SLEEP_USEC (3600ULL * 1000000)
#define LONG_SLEEP_PERCENT 10

/* The longest history that a node with retention keeps: some of it, and not all. */
#define RETENTION_MAX_USEC (4 * USEC_PER_SEC)

/* A crash between two outputs comes within so many; a failed allocation within so many others. */
#define CRASH_AFTER_MAX 40
#define ALLOCATIONS_MAX 60

/* Messages of one import. */
#define IMPORT_MAX 30

static void kill_process(struct sim *sim, struct node *node)
{
    node_crash(sim, node, false);
}

static void cut_power(struct sim *sim, struct node *node)
{
    node_crash(sim, node, true);
}

static void die_in_step(struct sim *sim, struct node *node)
{
    if (node->running)
        node->crash_after = (int)sim_below(sim, CRASH_AFTER_MAX);
}

static void run_out_of_memory(struct sim *sim, struct node *node)
{
    if (node->running)
        node->fail_allocation = 1 + (long)sim_below(sim, ALLOCATIONS_MAX);
}

static void reset_connections(struct sim *sim, struct node *node)
{
    network_reset(sim, node);
}

static void cut(struct sim *sim, struct node *node, bool both_ways)
{
    size_t to = sim_below(sim, sim->nodes_count);

    if ((int)to == node->number)
        return;
    sim->cut[node->number][to] = true;
    sim->cut[to][node->number] |= both_ways;
    sim_trace(sim, "cut %d %s %zu", node->number, both_ways ? "-" : "->", to);
}

static void cut_link(struct sim *sim, struct node *node)
{
    cut(sim, node, true);
}

static void cut_one_way(struct sim *sim, struct node *node)
{
    cut(sim, node, false);
}

/* Into two or three parts. */
static void partition(struct sim *sim, struct node *node)
{
    uint64_t parts = 2 + sim_below(sim, 2);
    uint64_t part[NODES_MAX];

    (void)node;
    for (size_t i = 0; i < sim->nodes_count; i++) {
        part[i] = sim_below(sim, parts);
        sim_trace(sim, "partition: node %zu in part %llu", i, (unsigned long long)part[i]);
    }
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = part[i] != part[k];
    }
}

/* By some hours, or to before 1970, or behind 2080. */
static void step_clock(struct sim *sim, struct node *node)
{
    if (sim_chance(sim, 10)) {
        node->clock_skew = sim_chance(sim, 50) ? -2 * WALL_BEGIN_MSEC * 1000 : 100 * CENTURY_USEC;
        return;
    }
    node->clock_skew +=
        ((int64_t)sim_below(sim, 2 * CLOCK_STEP_MAX_SEC) - CLOCK_STEP_MAX_SEC) * 1000000;
}

static void lose_datagrams(struct sim *sim, struct node *node)
{
    (void)node;
    sim->datagram_loss = (unsigned)sim_below(sim, 60);
    sim->datagram_copies = (unsigned)sim_below(sim, 30);
    sim->datagrams_late = (unsigned)sim_below(sim, 50);
}

static void suspend(struct sim *sim, struct node *node)
{
    if (!node->running || node->paused)
        return;
    node_suspend(sim, node);
    if (sim_chance(sim, LONG_SLEEP_PERCENT) && sim->nodes_count < 10)
        sim_run(sim, sim->now + LONG_SLEEP_USEC);
}

/* It counts when the daemon starts again. */
static void move(struct sim *sim, struct node *node)
{
    if (node->running)
        node_crash(sim, node, sim_chance(sim, 50));
    if (sim_chance(sim, 50))
        node->renamed++;
    else
        node->moved++;
}

/* Its clock is right, and it has no messages of its own that would go out twice. */
static void clone(struct sim *sim, struct node *node)
{
    struct node *twin = &sim->nodes[sim->nodes_count - 1];

    if (sim->nodes_count < 3 || twin->life > 0 || node == twin || node->disk.state.run == 0 ||
        node->disk.outbox_count > 0)
        return;
    sim_trace(sim, "%d: gets a copy of %d's state directory", twin->number, node->number);
    disk_copy(&twin->disk, &node->disk);
    twin->identity = node->number;
    node_start(sim, twin);
}

static void retry(struct sim *sim, struct node *node)
{
    if (sim_chance(sim, 50))
        node_send_message(sim, node);
    if (!sim->failed)
        node_retry(sim, node, sim_chance(sim, 50));
}

static void elect(struct sim *sim, struct node *node)
{
    node_command(sim, node, RING_ELECT, sim_below(sim, sim->nodes_count));
}

static void refresh(struct sim *sim, struct node *node)
{
    node_command(sim, node, RING_REFRESH, 0);
    node_command(sim, node, RING_RELAY, 0);
}

static void leave(struct sim *sim, struct node *node)
{
    node_command(sim, node, RING_LEAVE, 0);
}

/* Or somebody asks to join who is in. */
static void join(struct sim *sim, struct node *node)
{
    node_command(sim, node, RING_JOIN, 0);
}

static void reload(struct sim *sim, struct node *node)
{
    if (sim_chance(sim, 30))
        node_set_slow(sim, node);
    else
        node->heartbeat_interval = 300000;
    node_reload(sim, node);
}

/* Of another node's history as it is now, or of the one that was kept. */
static void import(struct sim *sim, struct node *node)
{
    const struct disk *from = &sim->nodes[sim_below(sim, sim->nodes_count)].disk;
    size_t count, at;

    if (sim->has_backup && sim_chance(sim, 30))
        from = &sim->backup;
    if (from->count == 0 || from == &node->disk)
        return;
    at = sim_below(sim, from->count);
    count = 1 + sim_below(sim, IMPORT_MAX);
    for (size_t i = at; i < from->count && i < at + count && !sim->failed; i++)
        node_import(sim, node, &from->messages[i]);
}

static void retain_less(struct sim *sim, struct node *node)
{
    node_retain(sim, node,
                sim_chance(sim, 50) ? (int64_t)sim_below(sim, RETENTION_MAX_USEC)
                                    : -(int64_t)RETENTION_MAX_USEC);
}

static const struct fault {
    enum fault_class class;
    void (*strike)(struct sim *sim, struct node *node);
} faults[] = {
    {FAULT_KILL, kill_process},
    {FAULT_POWER, cut_power},
    {FAULT_IN_STEP, die_in_step},
    {FAULT_MEMORY, run_out_of_memory},
    {FAULT_PAUSE, node_pause},
    {FAULT_RESET, reset_connections},
    {FAULT_CUT, cut_link},
    {FAULT_ONE_WAY, cut_one_way},
    {FAULT_PARTITION, partition},
    {FAULT_CLOCK, step_clock},
    {FAULT_DATAGRAMS, lose_datagrams},
    {FAULT_DISK_HANG, disk_hang},
    {FAULT_DISK_FAIL, disk_break},
    {FAULT_DISK_FULL, disk_fill},
    {FAULT_SUSPEND, suspend},
    {FAULT_STARVE, node_starve},
    {FAULT_MOVE, move},
    {FAULT_CLONE, clone},
    {FAULT_BACKUP, disk_back_up_or_restore},
    {FAULT_ELECT, elect},
    {FAULT_REFRESH, refresh},
    {FAULT_LEAVE, leave},
    {FAULT_LEAVE, join},
    {FAULT_RETENTION, retain_less},
    {FAULT_RETRY, retry},
    {FAULT_IMPORT, import},
    {FAULT_RELOAD, reload},
    {FAULT_STRANGER, stranger_comes},
    {FAULT_GARBLE, node_send_message},
};

/* Every seed has a few classes of its own: combinations come up that a mixture of all would not
 * show (swarm testing, Groce et al. 2012). */
void fault_choose_classes(struct sim *sim)
{
    bool any = false;

    for (size_t i = 0; i < FAULT_CLASSES; i++) {
        sim->classes[i] = sim_chance(sim, i == FAULT_CLONE ? 6 : 30);
        any |= sim->classes[i];
    }
    if (!any)
        sim->classes[FAULT_KILL] = true;
    /* The run of a restored node is told from its lost ones by a clock that goes on. */
    if (sim->classes[FAULT_BACKUP])
        sim->classes[FAULT_CLOCK] = false;
    /* The same for two that share an id; and what only the one that stays alone has is lost. */
    if (sim->classes[FAULT_CLONE])
        sim->classes[FAULT_CLOCK] = sim->classes[FAULT_BACKUP] = sim->classes[FAULT_RETENTION] =
            false;
}

static void heal_network(struct sim *sim)
{
    sim_trace(sim, "the network is whole");
    memset(sim->cut, 0, sizeof(sim->cut));
}

/* The last node, until it is made a clone. */
static bool is_kept_for_later(const struct sim *sim, const struct node *node)
{
    return sim->classes[FAULT_CLONE] && node->life == 0 &&
           (size_t)node->number + 1 == sim->nodes_count && sim->nodes_count > 2;
}

/* It will find the key. */
static void give_key(struct sim *sim, struct node *node)
{
    if (node->keyless && node->running && !sim->failed)
        node_reload(sim, node);
    node->keyless = false;
}

static void mend_node(struct sim *sim, struct node *node)
{
    /* A daemon whose disk failed ends, and is started again. */
    if (node->disk_broken || node->disk_full)
        node_crash(sim, node, false);
    node->disk_full = false;
    disk_go_on(sim, node);
    node->starved = false;
    if (node->suspended)
        node_wake(sim, node);
    node_resume(sim, node);
    if (!node->running && !sim->failed && !is_kept_for_later(sim, node))
        node_start(sim, node);
    give_key(sim, node);
    node_rejoin(sim, node);
}

void fault_random(struct sim *sim)
{
    struct node *node = &sim->nodes[sim_below(sim, sim->nodes_count)];
    const struct fault *fault = &faults[sim_below(sim, ELEMENTS(faults))];

    if (sim_chance(sim, 30)) {
        mend_node(sim, node);
        return;
    }
    if (sim_chance(sim, 10)) {
        heal_network(sim);
        return;
    }
    while (!sim->classes[fault->class])
        fault = &faults[sim_below(sim, ELEMENTS(faults))];
    fault->strike(sim, node);
}

void fault_heal_all(struct sim *sim)
{
    heal_network(sim);
    sim->datagram_loss = 2;
    sim->datagrams_late = 0;
    sim->garbling = false;
    for (size_t i = 0; i < sim->nodes_count && !sim->failed; i++) {
        struct node *node = &sim->nodes[i];

        node->fail_allocation = 0;
        node->crash_after = -1;
        mend_node(sim, node);
        node->crash_after = -1;
        if (!node->running && !sim->failed)
            node_start(sim, node);
    }
}
