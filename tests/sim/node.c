/* A node: the real core, with a simulated shell around it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "sim.h"

/* The wall clock at the begin of the world: 2025-11-23. */
#define WALL_USEC (1763900000ULL * 1000000)

#define TEXT_SIZE_MAX 16384

/* Tickets from here on are of commands that are no sends, and tell which, and about whom. */
#define FIRST_COMMAND (1ULL << 40)
#define COMMANDS 8

int message_number(const struct packet *packet)
{
    struct message message;
    int number;

    if (message_unpack(packet, &message) < 0)
        return -1;
    memcpy(&number, message.id.bytes, sizeof(number));
    return number;
}

/* ---- outputs ---- */

static void command_answered(struct sim *sim, struct node *node, const struct ring_output *output)
{
    const struct ring_view *view = ring_get_view(node->ring);
    struct ring_id target = node_id(output->reply.ticket / COMMANDS % NODES_MAX);

    node->commands--;
    sim_trace(sim, "%d: command answered %d", node->number, output->reply.reply);
    if (output->reply.ticket % COMMANDS == RING_ELECT && output->reply.reply == RING_DONE &&
        !ring_id_equal(&view->members[view->leader].id, &target))
        sim_fail(sim, "answers", "node %d tells of an election that did not happen", node->number);
}

/* Something happens to a node just when this one sends a certain frame. */
static void spring_trap(struct sim *sim, const struct node *node, const struct packet *packet)
{
    struct trap trap = sim->trap;
    struct node *victim = &sim->nodes[trap.victim];

    if (trap.kind == TRAP_NONE || node->number != trap.node ||
        strcmp(trap.frame, ring_frame_name(packet->data, packet->size)) != 0)
        return;
    sim->trap.kind = TRAP_NONE;
    if (trap.kind == TRAP_PAUSE)
        node_pause(sim, victim);
    else if (victim == node)
        victim->crash_after = 0;
    else
        node_crash(sim, victim, trap.kind == TRAP_POWER);
}

static void apply(struct sim *sim, struct node *node, const struct ring_output *output)
{
    switch (output->type) {
    case RING_DIAL:
        network_dial(sim, node, output);
        return;
    case RING_HANGUP:
        network_hang_up(sim, node, output->hangup.link);
        return;
    case RING_SEND:
        spring_trap(sim, node, output->send.packet);
        network_send(sim, node, output);
        return;
    case RING_SEND_DATAGRAM:
        network_datagram(sim, node, output);
        return;
    case RING_STORE:
    case RING_FETCH:
        disk_submit(sim, node, output);
        return;
    case RING_DELIVER:
        checkers_delivered(sim, node, output->deliver.packet, output->deliver.late);
        return;
    case RING_REPLY:
        if (output->reply.ticket >= FIRST_COMMAND)
            command_answered(sim, node, output);
        else
            checkers_answered(sim, node, (int)output->reply.ticket - 1, output->reply.reply);
        return;
    case RING_EVENT:
        trace_event(sim, node, &output->event);
        return;
    }
    check_unreachable();
}

static void apply_all(struct sim *sim, struct node *node)
{
    unsigned life = node->life;

    for (size_t i = 0; i < sim->outbox.count && node->life == life && !sim->failed; i++) {
        checkers_output(sim, node, &sim->outbox.outputs[i]);
        apply(sim, node, &sim->outbox.outputs[i]);
        /* A process may die between any two of its actions. */
        if (node->crash_after >= 0 && node->crash_after-- == 0)
            node_crash(sim, node, false);
    }
    ring_outbox_clear(&sim->outbox);
}

static void arm_timer(struct sim *sim, struct node *node)
{
    uint64_t deadline = ring_deadline(node->ring);

    node->timer = deadline;
    if (deadline == UINT64_MAX)
        return;
    sim_push(sim, sim_event(sim, node->number, deadline > sim->now ? deadline - sim->now : 0,
                            EVENT_TIMER));
}

static uint64_t wall(const struct sim *sim, const struct node *node)
{
    return WALL_USEC + sim->now + (uint64_t)node->clock_skew;
}

static void step(struct sim *sim, struct node *node, struct ring_input *in)
{
    int result;

    in->now = sim->now;
    in->wall = wall(sim, node);
    memory_fail_after(node->fail_allocation);
    result = ring_step(node->ring, in, &sim->outbox);
    if (node->fail_allocation > 0)
        node->fail_allocation = memory_left();
    memory_fail_after(0);
    if (result == -ENOMEM) {
        if (sim->outbox.count > 0)
            sim_fail(sim, "outputs", "node %d without memory has outputs", node->number);
        node_crash(sim, node, false);
        return;
    }
    if (result == -EBADMSG && in->type != RING_DATAGRAM)
        sim_fail(sim, "outputs", "node %d refuses an input of type %d: %d", node->number, in->type,
                 result);
    checkers_stepped(sim, node);
    apply_all(sim, node);
    if (node->ring)
        arm_timer(sim, node);
}

/* ---- inputs ---- */

static void give(struct sim *sim, struct node *node, struct event *event)
{
    struct ring_input *in = &event->input;

    if (event->kind == EVENT_TIMER) {
        if (node->timer <= sim->now) {
            in->type = RING_TIMER;
            step(sim, node, in);
        }
        return;
    }
    if (!network_arrives(sim, event))
        return;
    if (in->type == RING_FRAME)
        in->frame.packet = event->packet;
    if (in->type == RING_DATAGRAM) {
        in->datagram.data = event->packet->data;
        in->datagram.size = event->packet->size;
    }
    if (in->type == RING_FETCHED)
        in->fetched.packets = event->packets;
    step(sim, node, in);
}

static void keep(struct node *node, struct event *event)
{
    if (node->inbox_count == node->inbox_allocated) {
        node->inbox_allocated = node->inbox_count ? 2 * node->inbox_count : 64;
        node->inbox = realloc(node->inbox, node->inbox_allocated * sizeof(*node->inbox));
        check(node->inbox != NULL);
    }
    node->inbox[node->inbox_count++] = event;
}

void node_take(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->node];

    if (event->life != node->life || !node->running) {
        event_free(event);
        return;
    }
    if (event->kind == EVENT_COMMIT) {
        if (!node->disk_broken)
            disk_commit(sim, node, event->count);
        event->count = 0;
        event_free(event);
        return;
    }
    if (node->paused) {
        keep(node, event);
        return;
    }
    give(sim, node, event);
    event_free(event);
}

void node_pause(struct sim *sim, struct node *node)
{
    if (!node->running || node->paused)
        return;
    sim_trace(sim, "%d: stopped", node->number);
    node->paused = true;
}

void node_resume(struct sim *sim, struct node *node)
{
    struct event **inbox = node->inbox;
    size_t count = node->inbox_count;
    unsigned life = node->life;

    if (!node->paused)
        return;
    sim_trace(sim, "%d: goes on", node->number);
    node->paused = false;
    node->inbox = NULL;
    node->inbox_count = node->inbox_allocated = 0;
    for (size_t i = 0; i < count; i++) {
        if (node->life == life && !sim->failed)
            give(sim, node, inbox[i]);
        event_free(inbox[i]);
    }
    free(inbox);
}

void node_send_message(struct sim *sim, struct node *node)
{
    static const char text[TEXT_SIZE_MAX] = "text";
    uint64_t longest = sim->floods || sim->story ? TEXT_SIZE_MAX : sim_chance(sim, 10) ? 2000 : 40;
    int number = (int)sim->messages_count;
    struct ring_input in = {.type = RING_COMMAND};
    struct message message = {.id = {{0}}, .user = {"user", 4}, .room = {"main", 4}};

    if (!node->running || node->paused || sim->messages_count == MESSAGES_MAX)
        return;
    message.text = (struct bytes){text, 1 + sim_below(sim, longest)};
    sim->messages[sim->messages_count++] = (struct sent){.sender = node->number,
                                                         .life = node->life,
                                                         .seen = node->top,
                                                         .from_backup = node->restored,
                                                         .size = message.text.size};
    memcpy(message.id.bytes, &number, sizeof(number));
    message.id.bytes[15] = 1;
    in.command.command = RING_SEND_MESSAGE;
    in.command.ticket = (ring_ticket)number + 1;
    in.command.message = &message;
    sim_trace(sim, "%d: sends message %d", node->number, number);
    step(sim, node, &in);
}

void node_command(struct sim *sim, struct node *node, enum ring_command command, uint64_t target)
{
    struct ring_input in = {.type = RING_COMMAND};

    if (!node->running || node->paused)
        return;
    in.command.command = command;
    in.command.ticket =
        FIRST_COMMAND + COMMANDS * (NODES_MAX * ++sim->commands + target) + (ring_ticket)command;
    in.command.node = node_id(target);
    node->commands++;
    sim_trace(sim, "%d: command %d, node %llu", node->number, command, (unsigned long long)target);
    step(sim, node, &in);
}

void node_retain(struct sim *sim, struct node *node, int64_t usec)
{
    struct ring_input in = {.type = RING_RETENTION};

    if (!node->running || node->paused)
        return;
    in.retention.horizon = (wall(sim, node) - (uint64_t)usec) / 1000 << 16;
    sim_trace(sim, "%d: keeps the last %lld ms", node->number, (long long)usec / 1000);
    step(sim, node, &in);
}

void node_rejoin(struct sim *sim, struct node *node)
{
    struct ring_status status;

    if (!node->running || node->paused || sim->failed)
        return;
    ring_get_status(node->ring, &status);
    if (status.phase == RING_LEFT)
        node_command(sim, node, RING_JOIN, 0);
}

/* ---- starting and dying ---- */

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

struct ring_id node_id(size_t number)
{
    return (struct ring_id){{(uint8_t)((number + 1) / 256), (uint8_t)((number + 1) % 256)}};
}

int node_number(const struct ring_id *id)
{
    return id->bytes[0] * 256 + id->bytes[1] - 1;
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

void node_start(struct sim *sim, struct node *node)
{
    struct ring_input in = {.type = RING_START};
    struct contents contents;
    struct ring_config config = {.id = node_id((size_t)node->identity),
                                 .instance = sim_random(sim),
                                 .ring = {"sim", 3},
                                 .addresses = {.count = 1},
                                 .heartbeat_interval = 500000,
                                 .heartbeat_timeout = 2000000,
                                 .link_timeout = 1000000,
                                 .entropy = sim_random(sim),
                                 .networked = true};
    char name[16];

    snprintf(name, sizeof(name), "node%d", node->number);
    config.name = (struct bytes){name, strlen(name)};
    config.addresses.list[0] = network_address(node->number);
    node->life++;
    node->running = node->host_up = true;
    node->paused = false;
    node->crash_after = -1;
    node->fail_allocation = 0;
    node->disk_broken = false;
    node->commands = 0;
    node->checked_view = node->checked_formation = 0;
    /* What is on disk; a higher epoch was told to nobody, or comes again by the others. */
    node->checked_epoch = node->disk.state.epoch;
    node->last_ticket = node->last_fetch = node->last_link = 0;
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
    step(sim, node, &in);
    free(contents.intervals);
    free(contents.pruned);
}

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
    /* What was being written may be on the disk, and nobody was told. */
    if (node->committing && !node->disk_broken && !sim->story && sim_chance(sim, 30))
        disk_commit(sim, node, node->commit_count);
    node->life++;
    node->commands = 0;
    node->crash_after = -1;
    disk_lose_requests(node);
    for (size_t i = 0; i < node->inbox_count; i++)
        event_free(node->inbox[i]);
    node->inbox_count = 0;
    node->paused = false;
    ring_free(node->ring);
    node->ring = NULL;
}

void node_free(struct sim *sim, struct node *node)
{
    node_crash(sim, node, true);
    disk_free(&node->disk);
    free(node->requests);
    free(node->inbox);
}
