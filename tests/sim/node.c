/* A node: the real core, with a simulated shell around it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "sim.h"

#define TEXT_SIZE_MAX 16384

static const char message_text[TEXT_SIZE_MAX + 1] = "text";

/* Tickets from here on are of commands that are no sends, and tell which, and about whom. */
#define FIRST_COMMAND (1ULL << 40)
#define COMMANDS 8

/* And from here on they are of sends of a message that is on its way already. */
#define FIRST_RETRY (1ULL << 50)

/* And from here on of imports of messages. */
#define FIRST_IMPORT (1ULL << 55)

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

static const char *const command_names[] = {[RING_ELECT] = "election",
                                            [RING_LEAVE] = "leave",
                                            [RING_JOIN] = "join",
                                            [RING_REFRESH] = "refresh",
                                            [RING_RELAY] = "relay"};

static void command_answered(struct sim *sim, struct node *node, const struct ring_output *output)
{
    const struct ring_view *view = ring_get_view(node->ring);
    struct ring_id target = node_id(output->reply.ticket / COMMANDS % NODES_MAX);

    node->commands--;
    sim_trace(sim, "%d: %s: %s", node->number, command_names[output->reply.ticket % COMMANDS],
              reply_name(output->reply.reply));
    if (output->reply.ticket % COMMANDS == RING_ELECT && output->reply.reply == RING_DONE &&
        !ring_id_equal(&view->members[view->leader].id, &target))
        sim_fail(sim, "answers", "node %d tells of an election that did not happen", node->number);
    if (output->reply.ticket % COMMANDS == RING_RELAY && output->reply.reply == RING_DONE)
        relay_check(sim, node, output->reply.ticket);
}

static bool is_taken(enum ring_reply reply)
{
    return reply == RING_ACCEPTED || reply == RING_DONE;
}

static void retry_answered(struct sim *sim, struct node *node, const struct ring_output *output)
{
    bool conflict = output->reply.ticket % 2;
    int number = (int)((output->reply.ticket - FIRST_RETRY) / 2);

    sim_trace(sim, "%d: message %d, asked again: %s", node->number, number,
              reply_name(output->reply.reply));
    if (conflict ? is_taken(output->reply.reply) : output->reply.reply == RING_ID_CONFLICT)
        sim_fail(sim, "answers", "node %d takes another text for message %d", node->number, number);
    if (output->reply.reply != RING_ACCEPTED)
        node->commands--;
    check_durability.answered(sim, node, number, output->reply.reply);
}

static void import_answered(struct sim *sim, struct node *node, const struct ring_output *output)
{
    int number = (int)(output->reply.ticket - FIRST_IMPORT);

    node->commands--;
    sim_trace(sim, "%d: import of message %d: %s", node->number, number,
              reply_name(output->reply.reply));
    check_imported(sim, node, number, output->reply.reply);
}

static void reply(struct sim *sim, struct node *node, const struct ring_output *output)
{
    if (output->reply.ticket >= FIRST_IMPORT)
        import_answered(sim, node, output);
    else if (output->reply.ticket >= FIRST_RETRY)
        retry_answered(sim, node, output);
    else if (output->reply.ticket >= FIRST_COMMAND)
        command_answered(sim, node, output);
    else
        checkers_answered(sim, node, (int)output->reply.ticket - 1, output->reply.reply);
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
        trap_spring(sim, node, output->send.packet, false);
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
    case RING_RELAYED:
        relay_take(sim, node, output);
        return;
    case RING_REPLY:
        reply(sim, node, output);
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
    node->timer = deadline += node->asleep_usec;
    sim_push(sim, sim_event(sim, node->number, deadline > sim->now ? deadline - sim->now : 0,
                            EVENT_TIMER));
}

static uint64_t wall(const struct sim *sim, const struct node *node)
{
    return (uint64_t)WALL_BEGIN_MSEC * 1000 + sim->now - BEGIN_USEC + (uint64_t)node->clock_skew;
}

/* That the process was held up shows with whatever input comes first. */
static bool has_outputs(const struct ring_outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++) {
        const struct ring_output *output = &outbox->outputs[i];

        if (output->type != RING_EVENT || output->event.type != RING_EVENT_LATE_LOOP)
            return true;
    }
    return false;
}

static void step_with(struct sim *sim, struct node *node, struct ring_input *in, bool garbled)
{
    bool awaited = in->type != RING_STORED || ring_awaits_store(node->ring);
    int result;

    in->now = sim->now - node->asleep_usec;
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
    /* What is for others is passed on as it is, so that a garbled frame may be refused behind. */
    if (result == -EBADMSG && in->type != RING_DATAGRAM && !garbled && !sim->classes[FAULT_GARBLE])
        sim_fail(sim, "outputs", "node %d refuses an input of type %d: %d", node->number, in->type,
                 result);
    if (!awaited && has_outputs(&sim->outbox))
        sim_fail(sim, "outputs", "node %d has outputs for a write that it did not await",
                 node->number);
    checkers_stepped(sim, node);
    apply_all(sim, node);
    if (node->ring)
        arm_timer(sim, node);
}

/* Hears of writes that are done and were not awaited. */
static void hear_of_writes(struct sim *sim, struct node *node)
{
    struct ring_input in = {.type = RING_STORED};

    if (node->unheard == 0 || !node->ring || sim->failed)
        return;
    in.stored.ticket = node->unheard;
    node->unheard = 0;
    step_with(sim, node, &in, false);
}

/* As the engine does it, every second node hears of writes only when something else comes to pass,
 * unless it awaits them. */
static void hear_and_step(struct sim *sim, struct node *node, struct ring_input *in, bool garbled)
{
    if (in->type == RING_STORED && node->number % 2 == 0 && !ring_awaits_store(node->ring)) {
        node->unheard = in->stored.ticket;
        return;
    }
    if (in->type == RING_TIMER)
        hear_of_writes(sim, node);
    if (node->ring)
        step_with(sim, node, in, garbled);
    hear_of_writes(sim, node);
}

void node_step(struct sim *sim, struct node *node, struct ring_input *in)
{
    hear_and_step(sim, node, in, false);
}

/* ---- inputs ---- */

static void give(struct sim *sim, struct node *node, struct event *event)
{
    struct ring_input *in = &event->input;

    if (event->kind == EVENT_TIMER) {
        if (node->timer <= sim->now) {
            in->type = RING_TIMER;
            node_step(sim, node, in);
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
    hear_and_step(sim, node, in, event->garbled);
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
    if (event->kind == EVENT_STARVE) {
        node_starve_tick(sim, node);
        event_free(event);
        return;
    }
    if (!node->paused && event->kind == EVENT_INPUT && event->input.type == RING_FRAME)
        trap_spring(sim, node, event->packet, true);
    if (!node->running) {
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
    /* A late timer may well come before what has arrived in the meantime. */
    if (node->timer <= sim->now && (sim->story ? !sim->inputs_first : sim_chance(sim, 50)))
        node_step(sim, node, &(struct ring_input){.type = RING_TIMER});
    for (size_t i = 0; i < count; i++) {
        if (node->life == life && !sim->failed)
            give(sim, node, inbox[i]);
        event_free(inbox[i]);
    }
    free(inbox);
}

void node_send_message(struct sim *sim, struct node *node)
{
    uint64_t longest = sim->floods ? TEXT_SIZE_MAX : sim_chance(sim, 10) ? 2000 : 40;

    node_send_text(sim, node, 1 + sim_below(sim, longest));
}

void node_send_text(struct sim *sim, struct node *node, size_t size)
{
    int number = (int)sim->messages_count;
    struct ring_input in = {.type = RING_COMMAND};
    struct message message = {.id = {{0}}, .user = {"user", 4}, .room = {"main", 4}};

    if (!node->running || node->paused || sim->messages_count == MESSAGES_MAX)
        return;
    message.text = (struct bytes){message_text, size};
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
    node_step(sim, node, &in);
}

void node_retry(struct sim *sim, struct node *node, bool other_text)
{
    struct ring_input in = {.type = RING_COMMAND};
    struct message message = {.id = {{0}}, .user = {"user", 4}, .room = {"main", 4}};
    int number = (int)sim->messages_count - 1;

    while (number >= 0 &&
           (sim->messages[number].sender != node->number ||
            sim->messages[number].life != node->life || sim->messages[number].answers > 0))
        number--;
    if (number < 0 || !node->running || node->paused)
        return;
    message.text = (struct bytes){message_text, sim->messages[number].size + other_text};
    memcpy(message.id.bytes, &number, sizeof(number));
    message.id.bytes[15] = 1;
    in.command.command = RING_SEND_MESSAGE;
    in.command.ticket = FIRST_RETRY + 2 * (ring_ticket)number + other_text;
    in.command.message = &message;
    node->commands++;
    sim_trace(sim, "%d: sends message %d again%s", node->number, number,
              other_text ? " with another text" : "");
    node_step(sim, node, &in);
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
    in.command.bytes = relay_bytes(&in.command.ticket);
    node->commands++;
    if (command == RING_ELECT)
        sim_trace(sim, "%d: asks for the election of %llu", node->number,
                  (unsigned long long)target);
    else
        sim_trace(sim, "%d: asks for: %s", node->number, command_names[command]);
    node_step(sim, node, &in);
}

void node_import(struct sim *sim, struct node *node, const struct record *record)
{
    struct ring_input in = {.type = RING_COMMAND};
    struct message message;

    if (!node->running || node->paused || !record->packet ||
        message_unpack(record->packet, &message) < 0)
        return;
    in.command.command = RING_IMPORT;
    in.command.ticket = FIRST_IMPORT + (ring_ticket)record->number;
    in.command.message = &message;
    node->commands++;
    sim_trace(sim, "%d: imports message %d", node->number, record->number);
    node_step(sim, node, &in);
}

void node_retain(struct sim *sim, struct node *node, int64_t usec)
{
    struct ring_input in = {.type = RING_RETENTION};

    if (!node->running || node->paused)
        return;
    in.retention.horizon = (wall(sim, node) - (uint64_t)usec) / 1000 << 16;
    sim_trace(sim, "%d: keeps the last %lld ms", node->number, (long long)usec / 1000);
    node_step(sim, node, &in);
}

void node_reload(struct sim *sim, struct node *node)
{
    struct ring_input in = {.type = RING_CONFIG};
    struct ring_config config;
    char name[NODE_NAME_MAX];

    if (!node->running || node->paused)
        return;
    node->keyless = false;
    config = node_config(node, name);
    in.config.config = &config;
    sim_trace(sim, "%d: reads its settings again", node->number);
    node_step(sim, node, &in);
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

void node_suspend(struct sim *sim, struct node *node)
{
    sim_trace(sim, "%d: the host is suspended", node->number);
    node_pause(sim, node);
    node->suspended = true;
    node->asleep_since = sim->now;
}

void node_wake(struct sim *sim, struct node *node)
{
    sim_trace(sim, "%d: the host wakes up", node->number);
    node->suspended = false;
    node->asleep_usec += sim->now - node->asleep_since;
    if (node->timer != UINT64_MAX)
        node->timer += sim->now - node->asleep_since;
    node_resume(sim, node);
    if (node->running)
        arm_timer(sim, node);
}
