/* Opening links: dialled with one key after the other, or let in by the door. */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "address.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "link-internal.h"

/* Accepted connections at once: two for each member while views change, and probes. */
#define LINKS_ACCEPTED_MAX (4 * MEMBERS_MAX)

static void set_no_delay(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* ---- dialling ---- */

static void dial_ended(struct link *link, bool refused)
{
    struct links *links = link->links;
    ring_link number = link->number;

    link_free(link);
    links->callbacks.dial_failed(links->callbacks.userdata, number, refused);
}

static bool was_tried(const struct link *link, uint32_t key_id)
{
    for (size_t i = 0; i < link->tried_count; i++) {
        if (link->tried[i] == key_id)
            return true;
    }
    return false;
}

/* The key to dial with: what fits that address, then each of the others. */
static bool choose_key(struct link *link, uint32_t *ret)
{
    const struct keyring *ring = keys_get_ring(link->links->keys);

    *ret = keys_for(link->links->keys, &link->remote);
    for (size_t i = 0; i < ring->count && was_tried(link, *ret); i++)
        *ret = ring->keys[i].id;
    if (was_tried(link, *ret) || link->tried_count == KEYS_MAX)
        return false;
    link->tried[link->tried_count++] = *ret;
    return true;
}

static void on_dialled(void *userdata, int fd, const struct ring_address *remote, bool refused);

/* The other end does not take this key: one that it may have got less lately is tried on a new
 * connection. */
static void on_refused(void *userdata)
{
    struct link *link = userdata;
    const struct keyring *ring = keys_get_ring(link->links->keys);

    stream_free(steal_pointer(link->stream));
    if (link->tried_count < ring->count)
        link->dial = dial_new(link->links->base, &link->remote, 1, on_dialled, link);
    if (!link->dial)
        dial_ended(link, false);
}

static void on_open(void *userdata)
{
    struct link *link = userdata;
    uint32_t key_id;

    if (tls_is_authentic(stream_get_ssl(link->stream), &key_id))
        link_open(link);
    else
        on_refused(link);
}

static const struct stream_callbacks handshake_callbacks = {.open = on_open, .lost = on_refused};

/* Takes the socket over. */
static bool begin_handshake(struct link *link, int fd)
{
    uint32_t key_id;
    SSL *ssl;

    if (!choose_key(link, &key_id)) {
        close(fd);
        return false;
    }
    ssl = tls_dial(keys_get_tls(link->links->keys), key_id, &link->target);
    if (ssl)
        link->stream = stream_new(link->links->base, fd, ssl, &handshake_callbacks, link);
    if (link->stream)
        return stream_shake_hands(link->stream) == 0;
    SSL_free(ssl);
    close(fd);
    return false;
}

static bool begin_clear(struct link *link, int fd)
{
    link->stream = stream_new(link->links->base, fd, NULL, &handshake_callbacks, link);
    if (!link->stream) {
        close(fd);
        return false;
    }
    link_open(link);
    return true;
}

static void on_dialled(void *userdata, int fd, const struct ring_address *remote, bool refused)
{
    struct link *link = userdata;
    bool begun = false;

    link->dial = NULL;
    if (fd >= 0) {
        set_no_delay(fd);
        link->remote = *remote;
        begun = keys_get_tls(link->links->keys) ? begin_handshake(link, fd) : begin_clear(link, fd);
    }
    if (!begun)
        dial_ended(link, fd < 0 && refused);
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

void links_dial(struct links *links, ring_link number, const struct ring_id *target,
                const struct ring_addresses *addresses, const struct interfaces *interfaces,
                const struct ring_addresses *self)
{
    struct ring_address sorted[ADDRESSES_MAX * 2];
    size_t count = sort_addresses(addresses, interfaces, self, sorted, ELEMENTS(sorted));
    struct link *link = link_new(links, number);

    check(link != NULL);
    link->target = *target;
    link->dial = dial_new(links->base, sorted, count, on_dialled, link);
    check(link->dial != NULL);
}

/* ---- accepting ---- */

/* The next accepted link; NULL: there are too many, or no memory. */
static struct link *accepted_new(struct links *links, const struct ring_address *remote)
{
    struct link *link =
        links->accepted < LINKS_ACCEPTED_MAX ? link_new(links, links->last_accepted + 2) : NULL;

    if (!link)
        return NULL;
    links->last_accepted += 2;
    link->accepted = true;
    link->remote = *remote;
    links->accepted++;
    return link;
}

void links_on_admitted(void *userdata, struct stream *stream, const struct ring_address *remote)
{
    struct link *link = accepted_new(userdata, remote);

    if (!link) {
        stream_free(stream);
        return;
    }
    link->stream = stream;
    link_open(link);
}

void links_accept(struct links *links, int fd, const struct ring_address *remote)
{
    struct link *link;

    set_no_delay(fd);
    if (keys_get_tls(links->keys)) {
        admission_begin(links->admission, fd, remote);
        return;
    }
    link = accepted_new(links, remote);
    if (!link)
        close(fd);
    else if (!begin_clear(link, fd))
        link_free(link);
}
