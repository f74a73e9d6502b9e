#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "common/check.h"
#include "common/util.h"
#include "link-internal.h"

/* How long a link that was hung up may take to send what is queued. */
#define FLUSH_TIMEOUT_SEC 1

/* Below this a frame is copied into the queue: cheaper than a reference, and it fills a segment. */
#define COPY_BYTES_MAX 1024

/* A link reads at most this much before others get their turn. */
#define READ_BYTES_MAX (256 * 1024)

/* Small frames gather in pieces of this size: what fits a record of TLS. */
#define QUEUE_PIECE_BYTES (16 * 1024)

static void on_flush(evutil_socket_t fd, short what, void *userdata);

struct links *links_new(struct event_base *base, struct keys *keys,
                        const struct links_callbacks *callbacks)
{
    struct links *links = calloc(1, sizeof(*links));

    if (!links)
        return NULL;
    links->base = base;
    links->keys = keys;
    links->callbacks = *callbacks;
    links->last_accepted = (ring_link)-1;
    list_init(&links->list);
    links->admission = admission_new(base, keys, links_on_admitted, links);
    links->flush = evtimer_new(base, on_flush, links);
    if (!links->admission || !links->flush) {
        links_free(links);
        return NULL;
    }
    return links;
}

void link_stream_free(struct bufferevent *stream)
{
    SSL *ssl = stream ? bufferevent_openssl_get_ssl(stream) : NULL;

    if (ssl && SSL_is_init_finished(ssl)) {
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(ssl);
    }
    if (stream)
        bufferevent_free(stream);
}

void link_free(struct link *link)
{
    list_remove(&link->list);
    if (link->accepted)
        link->links->accepted--;
    dial_free(link->dial);
    link_stream_free(link->stream);
    if (link->queue)
        evbuffer_free(link->queue);
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
    admission_free(links->admission);
    if (links->flush)
        event_free(links->flush);
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

/* Everything that is queued has left for the kernel. */
static void on_flushed(struct bufferevent *stream, void *userdata)
{
    struct link *link = userdata;

    (void)stream;
    if (link->closing && evbuffer_get_length(link->queue) == 0)
        link_free(link);
}

/* ---- opening ---- */

struct link *link_new(struct links *links, ring_link number)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->queue = evbuffer_new();
    if (!link->queue) {
        free(link);
        return NULL;
    }
    link->links = links;
    link->number = number;
    list_append(&links->list, &link->list);
    return link;
}

void link_open(struct link *link)
{
    struct links *links = link->links;

    link->open = true;
    if (bufferevent_openssl_get_ssl(link->stream)) {
        tls_is_authentic(bufferevent_openssl_get_ssl(link->stream), &link->key_id);
        keys_note(links->keys, &link->remote, link->key_id);
    }
    bufferevent_set_max_single_read(link->stream, READ_BYTES_MAX);
    bufferevent_setcb(link->stream, on_read, on_flushed, on_event, link);
    links->callbacks.up(links->callbacks.userdata, link->number, &link->remote);
    bufferevent_enable(link->stream, links->paused ? EV_WRITE : EV_READ | EV_WRITE);
}

/* ---- sending, closing ---- */

static void unref_packet(const void *data, size_t size, void *packet)
{
    (void)data, (void)size;
    packet_unref(packet);
}

/* Gives what has gathered to the stream: one write for all of it. */
static void flush(struct link *link)
{
    if (evbuffer_get_length(link->queue) > 0 &&
        bufferevent_write_buffer(link->stream, link->queue) < 0)
        lose_soon(link);
}

static void on_flush(evutil_socket_t fd, short what, void *userdata)
{
    struct links *links = userdata;

    (void)fd, (void)what;
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (link->open && !link->broken)
            flush(link);
    }
}

static int append(struct link *link, struct packet *packet)
{
    int result;

    if (packet->size > COPY_BYTES_MAX) {
        result = evbuffer_add_reference(link->queue, packet->data, packet->size, unref_packet,
                                        packet_ref(packet));
        if (result < 0)
            packet_unref(packet);
        return result;
    }
    if (evbuffer_get_length(link->queue) == 0)
        evbuffer_expand(link->queue, QUEUE_PIECE_BYTES);
    return evbuffer_add(link->queue, packet->data, packet->size);
}

void links_send(struct links *links, ring_link number, struct packet *packet)
{
    struct link *link = find(links, number);
    size_t waits;

    if (!link || !link->open || link->broken)
        return;
    waits = evbuffer_get_length(link->queue) +
            evbuffer_get_length(bufferevent_get_output(link->stream));
    if (waits + packet->size > LINK_QUEUE_BYTES_MAX || append(link, packet) < 0)
        lose_soon(link);
    else
        event_active(links->flush, EV_TIMEOUT, 0);
}

void links_hang_up(struct links *links, ring_link number)
{
    struct timeval timeout = {.tv_sec = FLUSH_TIMEOUT_SEC};
    struct link *link = find(links, number);

    if (!link)
        return;
    if (link->open && !link->broken)
        flush(link);
    if (!link->open || link->broken ||
        evbuffer_get_length(bufferevent_get_output(link->stream)) == 0) {
        link_free(link);
        return;
    }
    link->closing = true;
    bufferevent_set_timeouts(link->stream, NULL, &timeout);
    bufferevent_enable(link->stream, EV_READ | EV_WRITE);
}

void links_close_retired(struct links *links)
{
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (link->open && !link->closing && !keyring_find(keys_get_ring(links->keys), link->key_id))
            lose_soon(link);
    }
}

void links_pause(struct links *links, bool pause)
{
    if (links->paused == pause)
        return;
    links->paused = pause;
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (!link->open || link->broken || link->closing)
            continue;
        if (pause)
            bufferevent_disable(link->stream, EV_READ);
        else
            bufferevent_enable(link->stream, EV_READ);
    }
}
