/* What comes in, from the sockets and the store, becomes inputs that wait for the pump. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "common/check.h"
#include "common/util.h"
#include "engine-internal.h"

/* Connections accepted in one turn of the loop. */
#define ACCEPT_MAX 16

/* ---- the inbox ---- */

void engine_item_free(struct inbox_item *item)
{
    packet_unref(item->packet);
    if (item->packets) {
        for (size_t i = 0; i < item->input.fetched.count; i++)
            packet_unref(item->packets[i]);
        free(item->packets);
    }
    free(item);
}

struct inbox_item *engine_item_new(enum ring_input_type type)
{
    struct inbox_item *item = calloc(1, sizeof(*item));

    /* Without memory for an input the core would miss it: as good as a crash. */
    check(item != NULL);
    item->input.type = type;
    return item;
}

void engine_enqueue(struct engine *engine, struct inbox_item *item)
{
    *engine->inbox_last = item;
    engine->inbox_last = &item->next;
    if (engine->inbox_count++ == 0)
        event_active(engine->pump, EV_TIMEOUT, 0);
    if (engine->inbox_count == INBOX_MAX && engine->links)
        links_pause(engine->links, true);
}

struct inbox_item *engine_dequeue(struct engine *engine)
{
    struct inbox_item *item = engine->inbox;

    engine->inbox = item->next;
    if (!engine->inbox)
        engine->inbox_last = &engine->inbox;
    if (engine->inbox_count-- == INBOX_MAX && engine->links)
        links_pause(engine->links, false);
    return item;
}

/* ---- what comes in ---- */

void engine_on_link_up(void *userdata, ring_link link, const struct ring_address *remote)
{
    struct inbox_item *item = engine_item_new(RING_LINK_UP);

    item->input.link_up.link = link;
    item->input.link_up.remote = *remote;
    engine_enqueue(userdata, item);
}

void engine_on_link_down(void *userdata, ring_link link)
{
    struct inbox_item *item = engine_item_new(RING_LINK_DOWN);

    item->input.link_down.link = link;
    engine_enqueue(userdata, item);
}

void engine_on_dial_failed(void *userdata, ring_link link, bool refused)
{
    struct inbox_item *item = engine_item_new(RING_DIAL_FAILED);

    item->input.dial_failed.link = link;
    item->input.dial_failed.refused = refused;
    engine_enqueue(userdata, item);
}

void engine_on_frame(void *userdata, ring_link link, struct packet *packet)
{
    struct engine *engine = userdata;
    struct inbox_item *item = engine_item_new(RING_FRAME);
    struct ring_address remote = {0};
    char text[ADDRESS_TEXT_MAX];

    if (journal_wants(engine->journal, TOPIC_RING, LOG_DEBUG)) {
        links_remote(engine->links, link, &remote);
        address_format(&remote, text);
        journal_debug(engine->journal, TOPIC_RING, "frame %s from %s, %zu bytes",
                      ring_frame_name(packet->data, packet->size), text, packet->size);
    }
    item->input.frame.link = link;
    item->packet = packet;
    engine_enqueue(engine, item);
}

void engine_on_datagram(void *userdata, const struct ring_address *from, const uint8_t *data,
                        size_t size)
{
    struct engine *engine = userdata;
    struct inbox_item *item;
    char text[ADDRESS_TEXT_MAX];

    /* A flood of datagrams must not fill the inbox: any of them may be lost. */
    if (engine->inbox_count >= INBOX_MAX / 2)
        return;
    if (journal_wants(engine->journal, TOPIC_DISCOVERY, LOG_DEBUG)) {
        address_format(from, text);
        journal_debug(engine->journal, TOPIC_DISCOVERY, "datagram %s from %s, %zu bytes",
                      ring_frame_name(data, size), text, size);
    }
    item = engine_item_new(RING_DATAGRAM);
    item->packet = packet_new(size);
    check(item->packet != NULL);
    memcpy(item->packet->data, data, size);
    item->input.datagram.from = *from;
    engine_enqueue(engine, item);
}

void engine_on_accept(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)what;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        struct ring_address remote;
        int peer = accept4(fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (peer < 0)
            return;
        address_from_socket((struct sockaddr *)&from, &remote);
        links_accept(engine->links, peer, &remote);
    }
}
