/* Virtual time: a queue of events, and random numbers. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

/* Most seeds have so many nodes at most, and one of many this many. */
#define NODES_USUAL 9
#define NODES_MANY 64
#define MANY_EVERY 200
#define MOST_EVERY 2000

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t sim_random(struct sim *sim)
{
    uint64_t value = sim->random += 0x9e3779b97f4a7c15ULL;

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sim_random(sim) % bound;
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return sim_below(sim, 100) < percent;
}

void sim_fail(struct sim *sim, const char *checker, const char *format, ...)
{
    va_list arguments;
    int size;

    if (sim->failed)
        return;
    sim->failed = true;
    size = snprintf(sim->failure, sizeof(sim->failure), "%s: ", checker);
    va_start(arguments, format);
    vsnprintf(sim->failure + size, sizeof(sim->failure) - (size_t)size, format, arguments);
    va_end(arguments);
    sim->tracing |= sim->story;
    sim_trace(sim, "!!! %s", sim->failure);
}

/* ---- events: a heap ---- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->number < b->number;
}

struct event *sim_event(struct sim *sim, int node, uint64_t delay, enum event_kind kind)
{
    struct event *event = calloc(1, sizeof(*event));

    check(event != NULL);
    event->time = sim->now + delay;
    event->kind = kind;
    event->node = node;
    event->life = sim->nodes[node].life;
    return event;
}

void sim_push(struct sim *sim, struct event *event)
{
    size_t at = sim->events_count;

    event->number = sim->events_made++;
    if (at == sim->events_allocated) {
        sim->events_allocated = at ? 2 * at : 1024;
        sim->events = realloc(sim->events, sim->events_allocated * sizeof(*sim->events));
        check(sim->events != NULL);
    }
    for (; at > 0 && is_before(event, sim->events[(at - 1) / 2]); at = (at - 1) / 2)
        sim->events[at] = sim->events[(at - 1) / 2];
    sim->events[at] = event;
    sim->events_count++;
}

static struct event *pop(struct sim *sim)
{
    struct event **heap = sim->events, *first = heap[0], *last = heap[--sim->events_count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= sim->events_count)
            break;
        if (child + 1 < sim->events_count && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

void event_free(struct event *event)
{
    packet_unref(event->packet);
    if (event->packets) {
        for (size_t i = 0; i < event->count; i++)
            packet_unref(event->packets[i]);
        free(event->packets);
    }
    free(event);
}

void sim_run(struct sim *sim, uint64_t until)
{
    while (sim->events_count > 0 && sim->events[0]->time <= until && !sim->failed) {
        struct event *event = pop(sim);

        sim->now = event->time > sim->now ? event->time : sim->now;
        node_take(sim, event);
    }
    if (!sim->failed)
        sim->now = until;
}

/* ---- beginning and end ---- */

static void begin(struct sim *sim, uint64_t seed)
{
    bool tracing = sim->tracing;

    memset(sim, 0, offsetof(struct sim, messages));
    sim->tracing = tracing;
    sim->seed = seed;
    sim->random = seed * 7919 + 1;
    sim->now = BEGIN_USEC;
    sim->last_accepted = (ring_link)-1;
}

void node_set_usual(struct node *node)
{
    node->heartbeat_interval = 500000;
    node->heartbeat_timeout = 2000000;
    node->link_timeout = 1000000;
}

static void clear_nodes(struct sim *sim)
{
    memset(sim->nodes, 0, sim->nodes_count * sizeof(sim->nodes[0]));
    for (size_t i = 0; i < sim->nodes_count; i++) {
        sim->nodes[i].number = sim->nodes[i].identity = (int)i;
        sim->nodes[i].crash_after = -1;
        node_set_usual(&sim->nodes[i]);
    }
}

/* A LAN mostly, a busy one, or one with a slow bridge in it. */
static void choose_latency(struct sim *sim)
{
    static const struct {
        uint64_t hop, spread;
    } kinds[] = {{40, 300}, {40, 300}, {40, 300}, {500, 4000}, {3000, 12000}};
    size_t kind = sim_below(sim, sim->nodes_count > NODES_USUAL ? 1 : ELEMENTS(kinds));

    sim->hop_usec = kinds[kind].hop;
    sim->hop_spread = kinds[kind].spread;
}

void node_set_slow(struct sim *sim, struct node *node)
{
    node->heartbeat_interval = 5000000;
    node->heartbeat_timeout = node->link_timeout = 10000000;
    sim->slowest_timeout = node->link_timeout;
}

/* The defaults mostly, or the original's long times at one node or at all. */
static void choose_settings(struct sim *sim)
{
    bool all = sim_chance(sim, 4), one = sim_chance(sim, 8);

    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (all || (one && i == 0))
            node_set_slow(sim, &sim->nodes[i]);
        sim->nodes[i].keyless = sim->classes[FAULT_RELOAD] && sim_chance(sim, 20);
    }
}

void sim_begin(struct sim *sim, uint64_t seed, size_t nodes)
{
    begin(sim, seed);
    sim->nodes_count = nodes                    ? nodes
                       : seed % MOST_EVERY == 0 ? NODES_MAX
                       : seed % MANY_EVERY == 0 ? NODES_MANY
                                                : 1 + sim_below(sim, NODES_USUAL);
    clear_nodes(sim);
    fault_choose_classes(sim);
    sim->floods = sim_chance(sim, 5);
    choose_latency(sim);
    choose_settings(sim);
    sim->garbling = sim->classes[FAULT_GARBLE];
    sim->commit_usec = 100 + sim_below(sim, 4000);
    sim->datagram_loss = sim_chance(sim, 30) ? (unsigned)sim_below(sim, 40) : 2;
    sim->datagram_copies = (unsigned)sim_below(sim, 20);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (sim_chance(sim, 30) && !sim->classes[FAULT_CLONE])
            sim->nodes[i].clock_skew = ((int64_t)sim_below(sim, 7) - 3) * 3600 * 1000000;
    }
}

void sim_begin_story(struct sim *sim, size_t nodes)
{
    begin(sim, 1);
    sim->story = true;
    sim->nodes_count = nodes;
    clear_nodes(sim);
    sim->hop_usec = 100;
    sim->hop_spread = 1;
    sim->commit_usec = 1000;
}

void sim_end(struct sim *sim)
{
    for (size_t i = 0; i < sim->nodes_count; i++)
        node_free(sim, &sim->nodes[i]);
    while (sim->events_count > 0)
        event_free(pop(sim));
    free(sim->events);
    free(sim->connections);
    free(sim->views);
    disk_free(&sim->backup);
    ring_outbox_done(&sim->outbox);
    packet_unref(sim->heard_datagram);
    packet_unref(sim->heard_hello);
    sim->heard_datagram = sim->heard_hello = NULL;
    sim->events = NULL;
    sim->connections = NULL;
}
