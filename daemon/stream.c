#include "stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"
#include "ring/ring.h"

/* Below this a frame is copied into the queue: cheaper than a reference, and it fills a segment. */
#define COPY_BYTES_MAX 1024

/* What fits a record of TLS; small frames gather in pieces of this size. */
#define RECORD_BYTES (16 * 1024)

/* Read in one call. */
#define READ_BYTES (64 * 1024)

/* A stream reads about this much before others get their turn. */
#define TURN_BYTES (256 * 1024)

struct stream {
    int fd;
    SSL *ssl;
    struct stream_callbacks callbacks;
    void *userdata;
    struct event *readable, *writable;
    bool open, reading;
    bool waits; /* the kernel had no room: writable is awaited */
    struct evbuffer *queue;
    /* the frame that is not whole yet */
    uint8_t header[RING_FRAME_HEADER_BYTES];
    size_t header_size;
    struct packet *partial;
    size_t partial_size;
};

static void on_ready(evutil_socket_t fd, short what, void *userdata);

struct stream *stream_new(struct event_base *base, int fd, SSL *ssl,
                          const struct stream_callbacks *callbacks, void *userdata)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->fd = -1;
    stream_set_callbacks(stream, callbacks, userdata);
    stream->queue = evbuffer_new();
    stream->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_ready, stream);
    stream->writable = event_new(base, fd, EV_WRITE, on_ready, stream);
    if (!stream->queue || !stream->readable || !stream->writable ||
        (ssl && SSL_set_fd(ssl, fd) <= 0)) {
        stream_free(stream);
        return NULL;
    }
    if (ssl) {
        if (SSL_is_server(ssl))
            SSL_set_accept_state(ssl);
        else
            SSL_set_connect_state(ssl);
        SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        /* Several records in one read. */
        SSL_set_read_ahead(ssl, 1);
        SSL_set_default_read_buffer_len(ssl, READ_BYTES);
    }
    stream->fd = fd;
    stream->ssl = ssl;
    stream->open = !ssl;
    return stream;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->ssl && SSL_is_init_finished(stream->ssl)) {
        SSL_set_shutdown(stream->ssl, SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(stream->ssl);
    }
    if (stream->readable)
        event_free(stream->readable);
    if (stream->writable)
        event_free(stream->writable);
    if (stream->queue)
        evbuffer_free(stream->queue);
    packet_unref(stream->partial);
    SSL_free(stream->ssl);
    ERR_clear_error();
    if (stream->fd >= 0)
        close(stream->fd);
    free(stream);
}

void stream_set_callbacks(struct stream *stream, const struct stream_callbacks *callbacks,
                          void *userdata)
{
    stream->callbacks = *callbacks;
    stream->userdata = userdata;
}

SSL *stream_get_ssl(const struct stream *stream)
{
    return stream->ssl;
}

size_t stream_queued(const struct stream *stream)
{
    return evbuffer_get_length(stream->queue);
}

/* ---- TLS ---- */

/* What SSL means by a result that is no success: -EAGAIN where the socket is to be waited for. */
static int ssl_errno(struct stream *stream, int result)
{
    int error = SSL_get_error(stream->ssl, result);

    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -EAGAIN : -ECONNRESET;
}

static void shake_hands(struct stream *stream)
{
    int result = SSL_do_handshake(stream->ssl);

    if (result > 0) {
        event_del(stream->readable);
        stream->open = true;
        /* Those who have proved themselves are few, and talk often. */
        SSL_clear_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS);
        stream->callbacks.open(stream->userdata);
        return;
    }
    if (SSL_want_write(stream->ssl))
        event_add(stream->writable, NULL);
    if (ssl_errno(stream, result) != -EAGAIN)
        stream->callbacks.lost(stream->userdata);
}

int stream_shake_hands(struct stream *stream)
{
    if (event_add(stream->readable, NULL) < 0)
        return -ENOMEM;
    event_active(stream->readable, EV_READ, 0);
    return 0;
}

/* ---- reading ---- */

/* Bytes read; 0: there are none now; a negative errno: there will be none. */
static ssize_t read_some(struct stream *stream, uint8_t *buffer, size_t size)
{
    size_t got;
    ssize_t result;

    if (stream->ssl) {
        int done = SSL_read_ex(stream->ssl, buffer, size, &got);

        if (done > 0)
            return (ssize_t)got;
        result = ssl_errno(stream, done);
    } else {
        result = recv(stream->fd, buffer, size, 0);
        if (result > 0)
            return result;
        result = result < 0 ? -errno : -ECONNRESET;
    }
    return result == -EAGAIN || result == -EINTR ? 0 : result;
}

/* The header is whole. */
static int begin_frame(struct stream *stream)
{
    int64_t size = ring_frame_size(stream->header);

    if (size < 0)
        return (int)size;
    stream->partial = packet_new((size_t)size);
    if (!stream->partial)
        return -ENOMEM;
    memcpy(stream->partial->data, stream->header, sizeof(stream->header));
    stream->partial_size = sizeof(stream->header);
    stream->header_size = 0;
    return 0;
}

static size_t fill(uint8_t *to, size_t *have, size_t want, const uint8_t *from, size_t size)
{
    size_t part = MIN(size, want - *have);

    memcpy(to + *have, from, part);
    *have += part;
    return part;
}

/* Frames from bytes as they come. 0 or a negative errno. */
static int take(struct stream *stream, const uint8_t *data, size_t size)
{
    size_t at = 0;
    int result = 0;

    while (at < size && result == 0) {
        if (stream->partial) {
            at += fill(stream->partial->data, &stream->partial_size, stream->partial->size,
                       data + at, size - at);
        } else {
            at += fill(stream->header, &stream->header_size, sizeof(stream->header), data + at,
                       size - at);
            if (stream->header_size == sizeof(stream->header))
                result = begin_frame(stream);
        }
        if (stream->partial && stream->partial_size == stream->partial->size)
            stream->callbacks.frame(stream->userdata, steal_pointer(stream->partial));
    }
    return result;
}

/* Whether another read may bring something without waiting for the kernel to say so. */
static bool may_have_more(const struct stream *stream, size_t got)
{
    return stream->ssl ? SSL_has_pending(stream->ssl) : got == READ_BYTES;
}

static void read_frames(struct stream *stream)
{
    uint8_t buffer[READ_BYTES];
    size_t turn = 0;
    ssize_t got;
    int result = 0;

    do {
        got = read_some(stream, buffer, sizeof(buffer));
        if (got > 0) {
            turn += (size_t)got;
            result = take(stream, buffer, (size_t)got);
        }
    } while (got > 0 && result == 0 && stream->reading && turn < TURN_BYTES &&
             may_have_more(stream, (size_t)got));
    if (got < 0 || result < 0)
        stream->callbacks.lost(stream->userdata);
    else if (turn >= TURN_BYTES && stream->reading)
        event_active(stream->readable, EV_READ, 0);
}

int stream_read(struct stream *stream, bool on)
{
    stream->reading = on;
    if (!on)
        return event_del(stream->readable);
    if (event_add(stream->readable, NULL) < 0)
        return -ENOMEM;
    /* What SSL has read already will not make the socket readable. */
    if (stream->ssl && SSL_has_pending(stream->ssl))
        event_active(stream->readable, EV_READ, 0);
    return 0;
}

/* ---- writing ---- */

static void unref_packet(const void *data, size_t size, void *packet)
{
    (void)data, (void)size;
    packet_unref(packet);
}

int stream_queue(struct stream *stream, struct packet *packet)
{
    int result;

    if (packet->size > COPY_BYTES_MAX) {
        result = evbuffer_add_reference(stream->queue, packet->data, packet->size, unref_packet,
                                        packet_ref(packet));
        if (result < 0)
            packet_unref(packet);
    } else {
        if (evbuffer_get_length(stream->queue) == 0)
            evbuffer_expand(stream->queue, RECORD_BYTES);
        result = evbuffer_add(stream->queue, packet->data, packet->size);
    }
    return result < 0 ? -ENOMEM : 0;
}

static int write_record(struct stream *stream)
{
    size_t size = MIN(evbuffer_get_length(stream->queue), (size_t)RECORD_BYTES), written;
    const unsigned char *data = evbuffer_pullup(stream->queue, (ev_ssize_t)size);
    int done;

    if (!data)
        return -ENOMEM;
    done = SSL_write_ex(stream->ssl, data, size, &written);
    if (done <= 0)
        return ssl_errno(stream, done);
    evbuffer_drain(stream->queue, written);
    return 0;
}

static int write_some(struct stream *stream)
{
    if (stream->ssl)
        return write_record(stream);
    return evbuffer_write(stream->queue, stream->fd) < 0 ? -errno : 0;
}

int stream_flush(struct stream *stream)
{
    int result = 0;

    if (stream->waits)
        return 0;
    while (result == 0 && evbuffer_get_length(stream->queue) > 0)
        result = write_some(stream);
    if (result == -EAGAIN || result == -EINTR)
        result = event_add(stream->writable, NULL) < 0 ? -ENOMEM : (stream->waits = true, 0);
    return result;
}

static void write_on(struct stream *stream)
{
    stream->waits = false;
    if (stream_flush(stream) < 0)
        stream->callbacks.lost(stream->userdata);
    else if (evbuffer_get_length(stream->queue) == 0)
        stream->callbacks.sent(stream->userdata);
}

static void on_ready(evutil_socket_t fd, short what, void *userdata)
{
    struct stream *stream = userdata;

    (void)fd;
    if (!stream->open)
        shake_hands(stream);
    else if (what & EV_WRITE)
        write_on(stream);
    else if (stream->reading)
        read_frames(stream);
}
