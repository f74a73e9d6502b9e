#include "admission.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "common/check.h"
#include "common/list.h"
#include "common/util.h"

struct stranger_link {
    struct list list;
    struct admission *admission;
    struct ring_address remote;
    int fd;                 /* until the handshake begins, then the stream's */
    struct event *first;    /* the first byte */
    struct event *deadline; /* for all of it */
    struct stream *stream;  /* during the handshake */
};

struct admission {
    struct event_base *base;
    struct keys *keys;
    admission_admit admit;
    void *userdata;
    struct list list; /* the oldest first */
    size_t count;
};

struct admission *admission_new(struct event_base *base, struct keys *keys, admission_admit admit,
                                void *userdata)
{
    struct admission *admission = calloc(1, sizeof(*admission));

    if (!admission)
        return NULL;
    *admission =
        (struct admission){.base = base, .keys = keys, .admit = admit, .userdata = userdata};
    list_init(&admission->list);
    return admission;
}

static void stranger_free(struct stranger_link *stranger)
{
    list_remove(&stranger->list);
    stranger->admission->count--;
    if (stranger->first)
        event_free(stranger->first);
    if (stranger->deadline)
        event_free(stranger->deadline);
    if (stranger->stream)
        stream_free(stranger->stream);
    else if (stranger->fd >= 0)
        close(stranger->fd);
    free(stranger);
}

void admission_free(struct admission *admission)
{
    if (!admission)
        return;
    list_for_each_safe (at, &admission->list)
        stranger_free(list_entry(at, struct stranger_link, list));
    free(admission);
}

static void refuse(struct stranger_link *stranger)
{
    keys_stranger(stranger->admission->keys, STRANGER_LINK, &stranger->remote, 0);
    stranger_free(stranger);
}

/* ---- the handshake ---- */

static void admit(struct stranger_link *stranger)
{
    struct admission *admission = stranger->admission;
    struct stream *stream = stranger->stream;
    struct ring_address remote = stranger->remote;

    stranger->stream = NULL;
    stranger->fd = -1;
    stranger_free(stranger);
    admission->admit(admission->userdata, stream, &remote);
}

static void on_open(void *userdata)
{
    struct stranger_link *stranger = userdata;
    uint32_t key_id;

    if (tls_is_authentic(stream_get_ssl(stranger->stream), &key_id))
        admit(stranger);
    else
        refuse(stranger);
}

static void on_lost(void *userdata)
{
    refuse(userdata);
}

static void begin_handshake(struct stranger_link *stranger)
{
    static const struct stream_callbacks callbacks = {.open = on_open, .lost = on_lost};
    struct admission *admission = stranger->admission;
    SSL *ssl = tls_accept(keys_get_tls(admission->keys));

    if (ssl)
        stranger->stream = stream_new(admission->base, stranger->fd, ssl, &callbacks, stranger);
    if (!stranger->stream)
        SSL_free(ssl);
    if (!stranger->stream || stream_shake_hands(stranger->stream) < 0)
        stranger_free(stranger);
}

static void on_deadline(evutil_socket_t fd, short what, void *userdata)
{
    (void)fd, (void)what;
    refuse(userdata);
}

static void on_first(evutil_socket_t fd, short what, void *userdata)
{
    struct stranger_link *stranger = userdata;
    char byte;

    (void)what;
    /* Who connects and goes, as a port scan does, proves nothing and costs nothing. */
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        stranger_free(stranger);
        return;
    }
    begin_handshake(stranger);
}

/* ---- limits ---- */

/* IPv6 gives each host a network of its own to take addresses from. */
static bool is_same_origin(const struct ring_address *a, const struct ring_address *b)
{
    struct ring_address first = *a, second = *b;

    for (size_t i = 8; a->family == 6 && i < sizeof(first.ip); i++)
        first.ip[i] = second.ip[i] = 0;
    return address_same_host(&first, &second);
}

/* Lets the oldest go when there are too many of them. */
static void make_room(struct admission *admission, const struct ring_address *remote)
{
    struct stranger_link *oldest = NULL;
    size_t same = 0;

    list_for_each (at, &admission->list) {
        struct stranger_link *stranger = list_entry(at, struct stranger_link, list);

        if (is_same_origin(&stranger->remote, remote) && same++ == 0)
            oldest = stranger;
    }
    if (same >= HANDSHAKES_PER_ADDRESS_MAX)
        refuse(oldest);
    else if (admission->count >= HANDSHAKES_MAX)
        refuse(list_entry(admission->list.next, struct stranger_link, list));
}

static bool watch(struct stranger_link *stranger)
{
    struct timeval deadline = {.tv_sec = HANDSHAKE_TIMEOUT_USEC / USEC_PER_SEC,
                               .tv_usec = HANDSHAKE_TIMEOUT_USEC % USEC_PER_SEC};
    struct event_base *base = stranger->admission->base;

    stranger->first = event_new(base, stranger->fd, EV_READ, on_first, stranger);
    stranger->deadline = evtimer_new(base, on_deadline, stranger);
    return stranger->first && stranger->deadline && event_add(stranger->first, NULL) == 0 &&
           event_add(stranger->deadline, &deadline) == 0;
}

void admission_begin(struct admission *admission, int fd, const struct ring_address *remote)
{
    struct stranger_link *stranger;

    make_room(admission, remote);
    stranger = calloc(1, sizeof(*stranger));
    if (!stranger) {
        close(fd);
        return;
    }
    *stranger = (struct stranger_link){.admission = admission, .remote = *remote, .fd = fd};
    list_append(&admission->list, &stranger->list);
    admission->count++;
    if (!watch(stranger))
        stranger_free(stranger);
}
