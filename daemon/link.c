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

void link_free(struct link *link)
{
    list_remove(&link->list);
    if (link->accepted)
        link->links->accepted--;
    dial_free(link->dial);
    stream_free(link->stream);
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
    stream_read(link->stream, false);
    if (!link->broken)
        link->broken = evtimer_new(link->links->base, on_broken, link);
    check(link->broken != NULL);
    event_active(link->broken, EV_TIMEOUT, 0);
}

/* ---- the stream's ---- */

static void on_frame(void *userdata, struct packet *packet)
{
    struct link *link = userdata;
    struct links *links = link->links;

    if (link->closing)
        packet_unref(packet);
    else
        links->callbacks.frame(links->callbacks.userdata, link->number, packet);
}

static void on_lost(void *userdata)
{
    lose(userdata);
}

static void on_sent(void *userdata)
{
    struct link *link = userdata;

    if (link->closing)
        link_free(link);
}

static const struct stream_callbacks stream_callbacks = {
    .frame = on_frame, .lost = on_lost, .sent = on_sent};

/* ---- opening ---- */

struct link *link_new(struct links *links, ring_link number)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->links = links;
    link->number = number;
    list_append(&links->list, &link->list);
    return link;
}

void link_open(struct link *link)
{
    struct links *links = link->links;
    SSL *ssl = stream_get_ssl(link->stream);

    link->open = true;
    if (ssl) {
        tls_is_authentic(ssl, &link->key_id);
        keys_note(links->keys, &link->remote, link->key_id);
    }
    stream_set_callbacks(link->stream, &stream_callbacks, link);
    links->callbacks.up(links->callbacks.userdata, link->number, &link->remote);
    if (!links->paused && stream_read(link->stream, true) < 0)
        lose_soon(link);
}

/* ---- sending, closing ---- */

void links_flush(struct links *links)
{
    list_for_each (at, &links->list) {
        struct link *link = list_entry(at, struct link, list);

        if (link->open && !link->broken && stream_flush(link->stream) < 0)
            lose_soon(link);
    }
    event_del(links->flush);
}

static void on_flush(evutil_socket_t fd, short what, void *userdata)
{
    (void)fd, (void)what;
    links_flush(userdata);
}

void links_send(struct links *links, ring_link number, struct packet *packet)
{
    struct link *link = find(links, number);

    if (!link || !link->open || link->broken)
        return;
    if (stream_queued(link->stream) + packet->size > LINK_QUEUE_BYTES_MAX ||
        stream_queue(link->stream, packet) < 0)
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
    if (!link->open || link->broken || stream_flush(link->stream) < 0 ||
        stream_queued(link->stream) == 0) {
        link_free(link);
        return;
    }
    link->closing = true;
    link->broken = evtimer_new(links->base, on_broken, link);
    check(link->broken != NULL);
    evtimer_add(link->broken, &timeout);
    stream_read(link->stream, true);
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
        if (stream_read(link->stream, !pause) < 0)
            lose_soon(link);
    }
}
