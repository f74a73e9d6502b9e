#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "engine-internal.h"

/* Inputs taken in one turn of the loop, before it looks at its sockets again. */
#define PUMP_MAX 256

/* ---- the pump ---- */

void engine_fail(struct engine *engine, const char *error)
{
    if (engine->failed)
        return;
    engine->failed = true;
    engine->callbacks.failed(engine->callbacks.userdata, error);
}

/* The core's pointers lead into the item, which lives until after the step. */
static void point(struct inbox_item *item, struct message *message)
{
    struct ring_input *in = &item->input;

    if (in->type == RING_FRAME)
        in->frame.packet = item->packet;
    if (in->type == RING_DATAGRAM) {
        in->datagram.data = item->packet->data;
        in->datagram.size = item->packet->size;
    }
    if (in->type == RING_COMMAND && in->command.command == RING_RELAY) {
        in->command.bytes = (struct bytes){(const char *)item->packet->data, item->packet->size};
    } else if (in->type == RING_COMMAND && item->packet) {
        check(message_unpack(item->packet, message) == 0);
        in->command.message = message;
    }
    if (in->type == RING_FETCHED)
        in->fetched.packets = item->packets;
}

void engine_step(struct engine *engine, struct ring_input *in)
{
    in->now = engine_monotonic();
    in->wall = engine_wall();
    if (ring_step(engine->ring, in, &engine->outbox) == -ENOMEM) {
        engine_fail(engine, "out of memory; give this host more memory or fewer tasks");
        return;
    }
    engine_apply(engine);
}

void engine_arm_timer(struct engine *engine)
{
    uint64_t deadline = ring_deadline(engine->ring), now;
    struct timeval wait;

    if (deadline == engine->deadline)
        return;
    engine->deadline = deadline;
    if (deadline == UINT64_MAX) {
        evtimer_del(engine->timer);
        return;
    }
    now = engine_monotonic();
    deadline = deadline > now ? deadline - now : 0;
    wait.tv_sec = (time_t)(deadline / USEC_PER_SEC);
    wait.tv_usec = (suseconds_t)(deadline % USEC_PER_SEC);
    evtimer_add(engine->timer, &wait);
}

static void tell_watchers(struct engine *engine)
{
    bool delivered = engine->delivered, changed = engine->changed;
    bool room = engine->was_full && engine_has_room(engine);

    engine->delivered = engine->changed = false;
    if (room)
        engine->was_full = false;
    if (!delivered && !changed && !room)
        return;
    for (struct engine_watcher *at = engine->watchers, *next; at; at = next) {
        next = at->next;
        if (delivered && at->delivered)
            at->delivered(at->userdata);
        if (changed && at->changed)
            at->changed(at->userdata);
        if (room && at->room)
            at->room(at->userdata);
    }
}

/* A lone answer goes before the marks that are sent on: its client is all that waits. The loop
 * comes to what is queued for the links behind the clients. */
static bool answers_first(const struct engine *engine)
{
    return engine->replies == 1 && engine->writes == 0;
}

void engine_on_pump(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)fd, (void)what;
    store_collect(engine->store);
    store_hold(engine->store, true);
    engine->replies = engine->writes = 0;
    for (unsigned i = 0; i < PUMP_MAX && engine->inbox && !engine->failed; i++) {
        struct inbox_item *item = engine_dequeue(engine);
        struct message message;

        point(item, &message);
        engine_step(engine, &item->input);
        if (item->nudge)
            engine->callbacks.nudged(engine->callbacks.userdata);
        engine_item_free(item);
    }
    /* The next member's disk can work while this one's does. */
    if (engine->links && !answers_first(engine))
        links_flush(engine->links);
    store_hold(engine->store, false);
    if (engine->failed)
        return;
    store_await(engine->store, ring_awaits_store(engine->ring));
    if (engine->inbox)
        event_active(engine->pump, EV_TIMEOUT, 0);
    engine_arm_timer(engine);
    tell_watchers(engine);
}

void engine_on_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)fd, (void)what;
    engine->deadline = 0;
    /* What is on disk by now is not late. */
    store_collect(engine->store);
    engine_enqueue(engine, engine_item_new(RING_TIMER));
}

/* A timer that comes early is harmless. */
void engine_nudge(struct engine *engine)
{
    struct inbox_item *item = engine_item_new(RING_TIMER);

    item->nudge = true;
    engine_enqueue(engine, item);
}

/* ---- commands ---- */

bool engine_has_room(const struct engine *engine)
{
    struct ring_status status;

    ring_get_status(engine->ring, &status);
    return engine->inbox_count < INBOX_MAX / 2 &&
           status.queued + engine->inbox_count < QUEUE_MESSAGES_MAX / 2;
}

/* Takes over both. */
static void give_command(struct engine *engine, struct inbox_item *item, struct waiting *waiting,
                         engine_reply callback, void *userdata)
{
    *waiting = (struct waiting){
        .ticket = ++engine->last_ticket, .callback = callback, .userdata = userdata};
    list_append(&engine->waiting[waiting->ticket % TICKET_LISTS], &waiting->list);
    item->input.command.ticket = waiting->ticket;
    engine_enqueue(engine, item);
}

int engine_command(struct engine *engine, enum ring_command command, const struct message *message,
                   const struct ring_id *node, engine_reply callback, void *userdata,
                   ring_ticket *ret_ticket)
{
    struct waiting *waiting;
    struct inbox_item *item;

    if (command == RING_SEND_MESSAGE && !engine_has_room(engine)) {
        engine->was_full = true;
        return -EBUSY;
    }
    waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return -ENOMEM;
    item = engine_item_new(RING_COMMAND);
    if (message) {
        item->packet = message_pack(message);
        if (!item->packet) {
            free(waiting);
            engine_item_free(item);
            return -ENOMEM;
        }
    }
    item->input.command.command = command;
    if (node)
        item->input.command.node = *node;
    give_command(engine, item, waiting, callback, userdata);
    if (ret_ticket)
        *ret_ticket = waiting->ticket;
    return 0;
}

int engine_relay(struct engine *engine, const char *text, engine_reply callback, void *userdata,
                 ring_ticket *ret_ticket)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    struct packet *packet = packet_new(strlen(text));
    struct inbox_item *item;

    if (!waiting || !packet) {
        free(waiting);
        packet_unref(packet);
        return -ENOMEM;
    }
    memcpy(packet->data, text, packet->size);
    item = engine_item_new(RING_COMMAND);
    item->packet = packet;
    item->input.command.command = RING_RELAY;
    give_command(engine, item, waiting, callback, userdata);
    *ret_ticket = waiting->ticket;
    return 0;
}

void engine_set_relayed(struct engine *engine, engine_relayed relayed, void *userdata)
{
    engine->relayed = relayed;
    engine->relayed_userdata = userdata;
}

void engine_pass_on(struct engine *engine, ring_ticket ticket)
{
    struct inbox_item *item = engine_item_new(RING_COMMAND);

    item->input.command.command = RING_PASS_ON;
    item->input.command.ticket = ticket;
    engine_enqueue(engine, item);
}

void engine_add_watcher(struct engine *engine, struct engine_watcher *watcher)
{
    watcher->next = engine->watchers;
    engine->watchers = watcher;
}

void engine_remove_watcher(struct engine *engine, struct engine_watcher *watcher)
{
    for (struct engine_watcher **place = &engine->watchers; *place; place = &(*place)->next) {
        if (*place == watcher) {
            *place = watcher->next;
            return;
        }
    }
}

const struct ring_view *engine_get_view(const struct engine *engine)
{
    return ring_get_view(engine->ring);
}

void engine_get_status(const struct engine *engine, struct ring_status *ret)
{
    ring_get_status(engine->ring, ret);
}

void engine_get_repair(const struct engine *engine, struct ring_repair *ret)
{
    ring_get_repair(engine->ring, ret);
}

struct history *engine_get_history(const struct engine *engine)
{
    return engine->history;
}

bool engine_store_has_failed(const struct engine *engine)
{
    return engine->store_failed;
}

struct store *engine_get_store(const struct engine *engine)
{
    return engine->store;
}

const struct interfaces *engine_get_interfaces(const struct engine *engine)
{
    return &engine->interfaces;
}

const struct hearing *engine_get_hearing(const struct engine *engine)
{
    static const struct hearing nothing;

    return engine->discovery ? discovery_get_hearing(engine->discovery) : &nothing;
}

void engine_probe(struct engine *engine)
{
    if (engine->discovery)
        discovery_probe(engine->discovery);
}

uint16_t engine_port(const struct engine *engine)
{
    return engine->config.networked ? engine->sockets.port : 0;
}
