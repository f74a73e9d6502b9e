/* Streams: what is queued at one end comes out at the other in whole frames, in the clear and in
 * TLS, however the bytes are cut. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/byteorder.h"
#include "daemon/ring/wire.h"
#include "daemon/stream.h"
#include "daemon/tls.h"

/* No wait of a machine that works takes as long. */
#define PATIENCE_SEC 30

/* More than the sockets hold. */
#define FRAMES 300
#define BIGGEST 70000

struct pair {
    struct event_base *base;
    struct tls *tls[2];
    struct stream *end[2];
    bool open[2], lost[2], sent[2];
    size_t received; /* at end 1 */
};

struct side {
    struct pair *pair;
    size_t number;
};

/* The sizes differ, so that every place of a cut is met: below and above a record, a read. */
static size_t size_of(size_t number)
{
    return RING_FRAME_HEADER_BYTES + number * 7919 % (number % 10 == 0 ? BIGGEST : 900);
}

static struct packet *make_frame(size_t number)
{
    struct packet *packet = packet_new(size_of(number));

    assert_non_null(packet);
    memset(packet->data, (int)number, packet->size);
    put_le32(packet->data, (uint32_t)packet->size);
    packet->data[4] = FRAME_DATA;
    return packet;
}

static void on_open(void *userdata)
{
    struct side *side = userdata;

    side->pair->open[side->number] = true;
}

static void on_lost(void *userdata)
{
    struct side *side = userdata;

    side->pair->lost[side->number] = true;
    stream_read(side->pair->end[side->number], false);
}

static void on_sent(void *userdata)
{
    struct side *side = userdata;

    side->pair->sent[side->number] = true;
}

static void on_frame(void *userdata, struct packet *packet)
{
    struct side *side = userdata;
    struct packet *expected = make_frame(side->pair->received++);

    assert_int_equal(packet->size, expected->size);
    assert_memory_equal(packet->data, expected->data, expected->size);
    packet_unref(expected);
    packet_unref(packet);
}

static const struct stream_callbacks callbacks = {on_open, on_frame, on_lost, on_sent};

static void run_until(struct pair *pair, const bool *what, size_t received)
{
    struct timeval patience = {.tv_sec = PATIENCE_SEC};

    event_base_loopexit(pair->base, &patience);
    while (!*what && pair->received < received && !event_base_got_exit(pair->base))
        event_base_loop(pair->base, EVLOOP_ONCE);
    assert_true(*what || pair->received >= received);
}

static struct tls *make_tls(struct ring_id id)
{
    struct keyring keys = {.count = 1, .keys = {{.id = 7, .secret = {1}}}};
    struct tls_self self = {.id = id, .instance = id.bytes[0], .ring_name = "ringchat"};

    return tls_new(&self, &keys);
}

static struct pair *make_pair(bool in_tls, int ret_fds[2])
{
    static struct side sides[2];
    static const struct ring_id ids[2] = {{{1}}, {{2}}};
    struct pair *pair = calloc(1, sizeof(*pair));

    assert_non_null(pair);
    pair->base = event_base_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_fds), 0);
    for (size_t i = 0; i < 2; i++) {
        SSL *ssl = NULL;

        sides[i] = (struct side){.pair = pair, .number = i};
        if (in_tls) {
            pair->tls[i] = make_tls(ids[i]);
            ssl = i == 0 ? tls_dial(pair->tls[0], 7, &ids[1]) : tls_accept(pair->tls[1]);
            assert_non_null(ssl);
        }
        pair->end[i] = stream_new(pair->base, ret_fds[i], ssl, &callbacks, &sides[i]);
        assert_non_null(pair->end[i]);
        if (in_tls)
            assert_int_equal(stream_shake_hands(pair->end[i]), 0);
    }
    for (size_t i = 0; in_tls && i < 2; i++)
        run_until(pair, &pair->open[i], SIZE_MAX);
    return pair;
}

static void free_pair(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        stream_free(pair->end[i]);
        tls_free(pair->tls[i]);
    }
    event_base_free(pair->base);
    free(pair);
}

static void queue_all(struct stream *stream)
{
    for (size_t i = 0; i < FRAMES; i++) {
        struct packet *packet = make_frame(i);

        assert_int_equal(stream_queue(stream, packet), 0);
        packet_unref(packet);
        /* Also a flush where the kernel has no room. */
        if (i % 7 == 0)
            assert_int_equal(stream_flush(stream), 0);
    }
    assert_int_equal(stream_flush(stream), 0);
}

static void all_frames_come_whole_and_in_order(void **state)
{
    for (int in_tls = 0; in_tls < 2; in_tls++) {
        int fds[2];
        struct pair *pair = make_pair(in_tls, fds);
        static const bool never;

        (void)state;
        assert_int_equal(stream_read(pair->end[1], true), 0);
        queue_all(pair->end[0]);
        assert_true(stream_queued(pair->end[0]) > 0);
        run_until(pair, &never, FRAMES);
        assert_true(pair->sent[0]);
        assert_int_equal(stream_queued(pair->end[0]), 0);
        free_pair(pair);
    }
}

static void a_stream_that_does_not_read_loses_nothing(void **state)
{
    for (int in_tls = 0; in_tls < 2; in_tls++) {
        int fds[2];
        struct pair *pair = make_pair(in_tls, fds);
        static const bool never;

        (void)state;
        assert_int_equal(stream_read(pair->end[1], true), 0);
        queue_all(pair->end[0]);
        run_until(pair, &never, FRAMES / 3);
        assert_int_equal(stream_read(pair->end[1], false), 0);
        for (size_t i = 0; i < 10; i++)
            event_base_loop(pair->base, EVLOOP_NONBLOCK);
        assert_true(pair->received < FRAMES);
        assert_int_equal(stream_read(pair->end[1], true), 0);
        run_until(pair, &never, FRAMES);
        free_pair(pair);
    }
}

static void a_frame_that_is_not_allowed_ends_the_stream(void **state)
{
    static const uint8_t too_short[RING_FRAME_HEADER_BYTES] = {1, 0, 0, 0, FRAME_DATA};
    int fds[2];
    struct pair *pair = make_pair(false, fds);

    (void)state;
    assert_int_equal(stream_read(pair->end[1], true), 0);
    assert_int_equal(write(fds[0], too_short, sizeof(too_short)), sizeof(too_short));
    run_until(pair, &pair->lost[1], SIZE_MAX);
    assert_int_equal(pair->received, 0);
    free_pair(pair);
}

static void the_end_of_the_other_is_told(void **state)
{
    for (int in_tls = 0; in_tls < 2; in_tls++) {
        int fds[2];
        struct pair *pair = make_pair(in_tls, fds);

        (void)state;
        assert_int_equal(stream_read(pair->end[1], true), 0);
        stream_free(pair->end[0]);
        pair->end[0] = NULL;
        run_until(pair, &pair->lost[1], SIZE_MAX);
        free_pair(pair);
    }
}

static void garbage_is_no_handshake(void **state)
{
    struct keyring keys = {.count = 1, .keys = {{.id = 7, .secret = {1}}}};
    struct tls_self self = {.id = {{1}}, .instance = 1, .ring_name = "ringchat"};
    struct pair pair = {.base = event_base_new(), .tls = {tls_new(&self, &keys)}};
    struct side side = {.pair = &pair};
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    pair.end[0] = stream_new(pair.base, fds[0], tls_accept(pair.tls[0]), &callbacks, &side);
    assert_non_null(pair.end[0]);
    assert_int_equal(stream_shake_hands(pair.end[0]), 0);
    assert_int_equal(write(fds[1], "GET / HTTP/1.0\r\n\r\n", 18), 18);
    run_until(&pair, &pair.lost[0], SIZE_MAX);
    assert_false(pair.open[0]);
    stream_free(pair.end[0]);
    tls_free(pair.tls[0]);
    close(fds[1]);
    event_base_free(pair.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_frames_come_whole_and_in_order),
        cmocka_unit_test(a_stream_that_does_not_read_loses_nothing),
        cmocka_unit_test(a_frame_that_is_not_allowed_ends_the_stream),
        cmocka_unit_test(the_end_of_the_other_is_told),
        cmocka_unit_test(garbage_is_no_handshake),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
