/* Applying what the core wants: each output in its order. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "common/check.h"
#include "common/util.h"
#include "engine-internal.h"

static void log_frame(struct engine *engine, ring_link link, const struct packet *packet)
{
    struct ring_address remote = {0};
    char text[ADDRESS_TEXT_MAX];

    if (!journal_wants(engine->journal, TOPIC_RING, LOG_DEBUG))
        return;
    links_remote(engine->links, link, &remote);
    address_format(&remote, text);
    journal_debug(engine->journal, TOPIC_RING, "frame %s to %s, %zu bytes",
                  ring_frame_name(packet->data, packet->size), text, packet->size);
}

static void log_datagram(struct engine *engine, const struct ring_output *output)
{
    const struct packet *packet = output->datagram.packet;
    char text[ADDRESS_TEXT_MAX] = "everyone";

    if (!journal_wants(engine->journal, TOPIC_DISCOVERY, LOG_DEBUG))
        return;
    if (output->datagram.target == RING_TO_NODE && output->datagram.addresses.count > 0)
        address_format(&output->datagram.addresses.list[0], text);
    journal_debug(engine->journal, TOPIC_DISCOVERY, "datagram %s to %s, %zu bytes",
                  ring_frame_name(packet->data, packet->size), text, packet->size);
}

static void send_datagram(struct engine *engine, const struct ring_output *output)
{
    if (!engine->discovery)
        return;
    log_datagram(engine, output);
    switch (output->datagram.target) {
    case RING_TO_EVERYONE:
        discovery_send_to_everyone(engine->discovery, output->datagram.packet);
        return;
    case RING_TO_NODE:
        discovery_send(engine->discovery, &output->datagram.addresses, output->datagram.packet);
        return;
    }
    check_unreachable();
}

static struct message_key key_of(const struct packet *packet)
{
    struct message message;

    check(message_unpack(packet, &message) == 0);
    return message.key;
}

static void store(struct engine *engine, const struct ring_output *output)
{
    struct message_key key;

    engine->writes++;
    if (output->type == RING_STORE && output->store.write == RING_WRITE_MESSAGE) {
        key = key_of(output->store.packet);
        check(history_stored(engine->history, &key) == 0);
    }
    check(store_submit(engine->store, output) == 0);
}

static void log_message(struct engine *engine, const struct ring_output *output)
{
    struct message message;

    /* Texts go to the log only where the topic chat is asked for. */
    if (!journal_wants(engine->journal, TOPIC_CHAT, LOG_DEBUG) ||
        message_unpack(output->deliver.packet, &message) < 0)
        return;
    journal_log_text(engine->journal, &message, output->deliver.late);
}

static void deliver(struct engine *engine, const struct ring_output *output)
{
    struct message_key key = key_of(output->deliver.packet);

    check(history_delivered(engine->history, output->deliver.packet, output->deliver.late,
                            store_twins(engine->store)) == 0);
    if (output->deliver.late)
        check(store_submit_late(engine->store, &key) == 0);
    else
        store_delivered(engine->store, &key);
    log_message(engine, output);
    engine->delivered = true;
}

static struct waiting *find_waiting(struct engine *engine, ring_ticket ticket)
{
    list_for_each (at, &engine->waiting[ticket % TICKET_LISTS]) {
        struct waiting *waiting = list_entry(at, struct waiting, list);

        if (waiting->ticket == ticket)
            return waiting;
    }
    return NULL;
}

static void reply(struct engine *engine, const struct ring_output *output)
{
    struct waiting *waiting = find_waiting(engine, output->reply.ticket);
    engine_reply callback;
    void *userdata;

    if (!waiting)
        return;
    engine->replies++;
    callback = waiting->callback;
    userdata = waiting->userdata;
    if (output->reply.reply != RING_ACCEPTED) {
        list_remove(&waiting->list);
        free(waiting);
    }
    callback(userdata, output->reply.reply, output->reply.members);
}

void engine_forget(struct engine *engine, ring_ticket ticket)
{
    struct waiting *waiting = find_waiting(engine, ticket);

    if (!waiting)
        return;
    list_remove(&waiting->list);
    free(waiting);
}

static void update_context(struct engine *engine)
{
    const struct ring_view *view = ring_get_view(engine->ring);
    char text[40];

    snprintf(text, sizeof(text), "%llu-%016llx", (unsigned long long)view->formation.epoch,
             (unsigned long long)view->formation.tag);
    journal_set_context(engine->journal,
                        &(struct journal_context){.epoch = view->formation.epoch,
                                                  .view = text,
                                                  .leader = view->members[view->leader].name});
}

static void event(struct engine *engine, const struct ring_output *output)
{
    const struct ring_event *event = &output->event;

    if (event->type == RING_EVENT_VIEW || event->type == RING_EVENT_STARTED ||
        event->type == RING_EVENT_SELF_LEFT) {
        update_context(engine);
        engine_tell_addresses(engine);
    }
    journal_log_event(engine->journal, event);
    engine->changed = true;
    for (struct engine_watcher *at = engine->watchers, *next; at; at = next) {
        next = at->next;
        if (at->event)
            at->event(at->userdata, event);
    }
}

static void relayed(struct engine *engine, const struct ring_output *output)
{
    if (engine->relayed)
        engine->relayed(engine->relayed_userdata, output->relayed.ticket, output->relayed.packet);
    else
        engine_pass_on(engine, output->relayed.ticket);
}

static void apply(struct engine *engine, const struct ring_output *output)
{
    switch (output->type) {
    case RING_DIAL:
        links_dial(engine->links, output->dial.link, &output->dial.peer, &output->dial.addresses,
                   &engine->interfaces, &engine->config.addresses);
        return;
    case RING_HANGUP:
        links_hang_up(engine->links, output->hangup.link);
        return;
    case RING_SEND:
        log_frame(engine, output->send.link, output->send.packet);
        links_send(engine->links, output->send.link, output->send.packet);
        return;
    case RING_SEND_DATAGRAM:
        send_datagram(engine, output);
        return;
    case RING_STORE:
    case RING_FETCH:
        store(engine, output);
        return;
    case RING_DELIVER:
        deliver(engine, output);
        return;
    case RING_RELAYED:
        relayed(engine, output);
        return;
    case RING_REPLY:
        reply(engine, output);
        return;
    case RING_EVENT:
        event(engine, output);
        return;
    }
    check_unreachable();
}

void engine_apply(struct engine *engine)
{
    for (size_t i = 0; i < engine->outbox.count; i++)
        apply(engine, &engine->outbox.outputs[i]);
    ring_outbox_clear(&engine->outbox);
}

uint64_t engine_monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t engine_wall(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}
