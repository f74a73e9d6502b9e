#pragma once

/* A TCP connection, inside TLS where it is given an SSL: whole frames come in, and what was queued
 * goes out as soon as it is flushed, in as few calls as it fits: the kernel is asked for room only
 * once it had none. Loop thread only. The process ignores SIGPIPE.
 * In TLS, small frames share a record of up to 16 KiB. */

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "ring/packet.h"

struct stream;

/* Called from the loop. Only `open`, `lost` and `sent` may free the stream. */
struct stream_callbacks {
    void (*open)(void *userdata);                         /* the handshake is done */
    void (*frame)(void *userdata, struct packet *packet); /* takes the reference */
    void (*lost)(void *userdata);                         /* ended, or a frame was not allowed */
    void (*sent)(void *userdata);                         /* nothing is queued any more */
};

/* Takes over `fd`, and `ssl` (NULL: in the clear, and open at once). NULL: out of memory; then they
 * still belong to the caller. */
struct stream *stream_new(struct event_base *base, int fd, SSL *ssl,
                          const struct stream_callbacks *callbacks, void *userdata);

/* Says goodbye, so that the other end knows that nothing was cut off, and closes. NULL is allowed.
 */
void stream_free(struct stream *stream);

/* Another owner. */
void stream_set_callbacks(struct stream *stream, const struct stream_callbacks *callbacks,
                          void *userdata);

/* Begins the handshake; `open` or `lost` follows. 0 or -ENOMEM. */
int stream_shake_hands(struct stream *stream);

/* NULL in the clear. */
SSL *stream_get_ssl(const struct stream *stream);

/* Reads frames from now on, or no more. 0 or -ENOMEM. */
int stream_read(struct stream *stream, bool on);

/* Keeps a frame for the next flush. 0 or -ENOMEM. */
int stream_queue(struct stream *stream, struct packet *packet);

/* Writes what is queued; what the kernel has no room for follows later, and `sent` then. 0, or a
 * negative errno: the connection is broken, and `lost` does not follow. */
int stream_flush(struct stream *stream);

/* Bytes that are queued. */
size_t stream_queued(const struct stream *stream);
