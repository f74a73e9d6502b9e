#include "link.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "common/check.h"
#include "common/list.h"
#include "common/util.h"
#include "dial.h"

/* Accepted connections at once: two for each member while views change, and probes. */
#define LINKS_ACCEPTED_MAX (4 * MEMBERS_MAX)

/* How long a link that was hung up may take to send what is queued. */
#define FLUSH_TIMEOUT_SEC 1

/* Below this a frame is copied into the queue: cheaper than a reference, and it fills a segment. */
#define COPY_BYTES_MAX 1024

/* A link reads at most this much before others get their turn. */
#define READ_BYTES_MAX (256 * 1024)

struct link {
    struct list list;
    struct links *links;
    ring_link number;
    bool accepted, closing;
    struct dial *dial;          /* while it is being dialled */
    struct bufferevent *stream; /* once it is open */
    struct ring_address remote;
    struct event *broken; /* pending: tells the core of the loss from the loop */
};

struct links {
    struct event_base *base;
    struct links_callbacks callbacks;
    struct list list;
    size_t accepted;
    ring_link last_accepted; /* odd */
    bool paused;
};

/* The transport of a link over a connected socket, which it owns: here a layer for encryption goes
 * in.
 */
static struct bufferevent *transport_new(struct event_base *base, int fd)
{
    return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
}

struct links *links_new(struct event_base *base, const struct links_callbacks *callbacks)
{
    struct links *links = calloc(1, sizeof(*links));

    if (!links)
        return NULL;
    links->base = base;
    links->callbacks = *callbacks;
    links->last_accepted = (ring_link)-1;
    list_init(&links->list);
    return links;
}

static void link_free(struct link *link)
{
    list_remove(&link->list);
    if (link->accepted)
        link->links->accepted--;
    dial_free(link->dial);
    if (link->stream)
        bufferevent_free(link->stream);
    if (link->broken)
        event_free(link->broken);
    free(link);
}

void links_free(struct links *links)
{
    if (!links)
        return;
    list_for_each_safe (at, &links->list)
        link_free(list_entry(at, struct link, list));
    free(links);
}

/* A link that the core knows: not one that is only being flushed. */
static struct link *find(const struct links *links, ring_link number)
{
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (link->number == number && !link->closing)
            return link;
    }
    return NULL;
}

bool links_remote(const struct links *links, ring_link number, struct ring_address *ret)
{
    const struct link *link = find(links, number);

    if (link)
        *ret = link->remote;
    return link != NULL;
}

/* ---- loss ---- */

static void lose(struct link *link)
{
    struct links *links = link->links;
    ring_link number = link->number;
    bool closing = link->closing;

    link_free(link);
    if (!closing)
        links->callbacks.down(links->callbacks.userdata, number);
}

static void on_broken(evutil_socket_t fd, short what, void *userdata)
{
    (void)fd, (void)what;
    lose(userdata);
}

/* Tells of the loss from the loop, since the caller may be applying the core's outputs. */
static void lose_soon(struct link *link)
{
    bufferevent_disable(link->stream, EV_READ | EV_WRITE);
    if (!link->broken)
        link->broken = evtimer_new(link->links->base, on_broken, link);
    check(link->broken != NULL);
    event_active(link->broken, EV_TIMEOUT, 0);
}

/* ---- frames ---- */

/* 1: a frame was taken; 0: it is not whole yet; -EBADMSG or -ENOMEM: the link must go. */
static int take_frame(struct link *link, struct evbuffer *input)
{
    struct links *links = link->links;
    uint8_t header[RING_FRAME_HEADER_BYTES];
    struct packet *packet;
    int64_t size;

    if (evbuffer_copyout(input, header, sizeof(header)) < (ssize_t)sizeof(header))
        return 0;
    size = ring_frame_size(header);
    if (size < 0)
        return (int)size;
    if (evbuffer_get_length(input) < (size_t)size)
        return 0;
    packet = packet_new((size_t)size);
    if (!packet)
        return -ENOMEM;
    evbuffer_remove(input, packet->data, packet->size);
    links->callbacks.frame(links->callbacks.userdata, link->number, packet);
    return 1;
}

static void on_read(struct bufferevent *stream, void *userdata)
{
    struct link *link = userdata;
    struct evbuffer *input = bufferevent_get_input(stream);
    int result;

    if (link->closing) {
        evbuffer_drain(input, evbuffer_get_length(input));
        return;
    }
    while ((result = take_frame(link, input)) > 0)
        ;
    if (result < 0)
        lose(link);
}

static void on_event(struct bufferevent *stream, short what, void *userdata)
{
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        lose(userdata);
}

static void on_flushed(struct bufferevent *stream, void *userdata)
{
    struct link *link = userdata;

    (void)stream;
    if (link->closing)
        link_free(link);
}

/* ---- opening ---- */

static struct link *link_new(struct links *links, ring_link number)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->links = links;
    link->number = number;
    list_append(&links->list, &link->list);
    return link;
}

/* The socket is taken over. false: no memory. */
static bool open_stream(struct link *link, int fd, const struct ring_address *remote)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    link->remote = *remote;
    link->stream = transport_new(link->links->base, fd);
    if (!link->stream) {
        close(fd);
        return false;
    }
    bufferevent_set_max_single_read(link->stream, READ_BYTES_MAX);
    bufferevent_setcb(link->stream, on_read, on_flushed, on_event, link);
    bufferevent_enable(link->stream, link->links->paused ? EV_WRITE : EV_READ | EV_WRITE);
    return true;
}

static void on_dialled(void *userdata, int fd, const struct ring_address *remote, bool refused)
{
    struct link *link = userdata;
    struct links *links = link->links;
    ring_link number = link->number;

    link->dial = NULL;
    if (fd >= 0 && open_stream(link, fd, remote)) {
        links->callbacks.up(links->callbacks.userdata, number, remote);
        return;
    }
    link_free(link);
    links->callbacks.dial_failed(links->callbacks.userdata, number, refused);
}

static bool is_self(const struct ring_address *address, const struct ring_addresses *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (address_same_host(address, &self->list[i]) && address->port == self->list[i].port)
            return true;
    }
    return false;
}

/* The order in which addresses are tried. A link-local one is tried on each interface. */
static size_t sort_addresses(const struct ring_addresses *addresses,
                             const struct interfaces *interfaces, const struct ring_addresses *self,
                             struct ring_address *ret, size_t most)
{
    size_t count = 0;

    for (int near = 1; near >= 0; near--) {
        for (size_t i = 0; i < addresses->count && count < most; i++) {
            struct ring_address address = addresses->list[i];

            if (interfaces_reach(interfaces, &address) != (near == 1) || is_self(&address, self))
                continue;
            if (!address_is_link_local(&address) || address.scope) {
                ret[count++] = address;
                continue;
            }
            for (size_t k = 0; k < interfaces->count && count < most; k++) {
                address.scope = interfaces->list[k].index;
                ret[count++] = address;
            }
        }
    }
    return count;
}

void links_dial(struct links *links, ring_link number, const struct ring_addresses *addresses,
                const struct interfaces *interfaces, const struct ring_addresses *self)
{
    struct ring_address sorted[ADDRESSES_MAX * 2];
    size_t count = sort_addresses(addresses, interfaces, self, sorted, ELEMENTS(sorted));
    struct link *link = link_new(links, number);

    check(link != NULL);
    link->dial = dial_new(links->base, sorted, count, on_dialled, link);
    check(link->dial != NULL);
}

void links_accept(struct links *links, int fd, const struct ring_address *remote)
{
    struct link *link;

    if (links->accepted >= LINKS_ACCEPTED_MAX) {
        close(fd);
        return;
    }
    link = link_new(links, links->last_accepted + 2);
    if (!link) {
        close(fd);
        return;
    }
    links->last_accepted += 2;
    link->accepted = true;
    links->accepted++;
    if (!open_stream(link, fd, remote)) {
        link_free(link);
        return;
    }
    links->callbacks.up(links->callbacks.userdata, link->number, remote);
}

/* ---- sending, closing ---- */

static void unref_packet(const void *data, size_t size, void *packet)
{
    (void)data, (void)size;
    packet_unref(packet);
}

void links_send(struct links *links, ring_link number, struct packet *packet)
{
    struct link *link = find(links, number);
    struct evbuffer *output;
    int result;

    if (!link || !link->stream || link->broken)
        return;
    output = bufferevent_get_output(link->stream);
    if (evbuffer_get_length(output) + packet->size > LINK_QUEUE_BYTES_MAX) {
        lose_soon(link);
        return;
    }
    if (packet->size <= COPY_BYTES_MAX) {
        result = evbuffer_add(output, packet->data, packet->size);
    } else {
        result = evbuffer_add_reference(output, packet->data, packet->size, unref_packet,
                                        packet_ref(packet));
        if (result < 0)
            packet_unref(packet);
    }
    if (result < 0)
        lose_soon(link);
}

void links_hang_up(struct links *links, ring_link number)
{
    struct timeval timeout = {.tv_sec = FLUSH_TIMEOUT_SEC};
    struct link *link = find(links, number);

    if (!link)
        return;
    if (!link->stream || link->broken ||
        evbuffer_get_length(bufferevent_get_output(link->stream)) == 0) {
        link_free(link);
        return;
    }
    link->closing = true;
    bufferevent_set_timeouts(link->stream, NULL, &timeout);
    bufferevent_enable(link->stream, EV_READ | EV_WRITE);
}

void links_pause(struct links *links, bool pause)
{
    if (links->paused == pause)
        return;
    links->paused = pause;
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (!link->stream || link->broken || link->closing)
            continue;
        if (pause)
            bufferevent_disable(link->stream, EV_READ);
        else
            bufferevent_enable(link->stream, EV_READ);
    }
}
