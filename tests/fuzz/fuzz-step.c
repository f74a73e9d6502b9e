/* What the network may send to the core: datagrams, and frames on several links, in any order.
 *
 * The input is a list of records: what to do (one byte), how long the rest is (one byte), the rest:
 * a type and what follows the header of a frame or datagram. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/ring/ring-internal.h"
#include "tests/unit/ring-config.h"

#define LINKS 3
#define RECORDS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct node {
    struct ring *ring;
    struct ring_outbox outbox;
    uint64_t now;
    bool up[LINKS];
};

static void step(struct node *node, struct ring_input *in)
{
    in->now = node->now;
    in->wall = 1763900000000000ULL + node->now;
    ring_outbox_clear(&node->outbox);
    ring_step(node->ring, in, &node->outbox);
    if (ring_broken_invariant(node->ring))
        abort();
}

/* Every write is on disk at once, and nothing can be dialled. */
static void answer(struct node *node)
{
    struct ring_input in = {.type = RING_STORED};
    ring_link dialled = 0;

    for (size_t i = 0; i < node->outbox.count; i++) {
        const struct ring_output *output = &node->outbox.outputs[i];

        if (output->type == RING_DIAL)
            dialled = output->dial.link;
        for (size_t k = 0; output->type == RING_HANGUP && k < LINKS; k++) {
            if (output->hangup.link == 2 * k + 1)
                node->up[k] = false;
        }
    }
    in.stored.ticket = node->ring->last_ticket;
    step(node, &in);
    if (dialled) {
        in = (struct ring_input){.type = RING_DIAL_FAILED};
        in.dial_failed.link = dialled;
        step(node, &in);
    }
}

static void start(struct node *node)
{
    struct ring_config config = config_of(true);
    struct ring_input in = {.type = RING_START};

    in.start.config = &config;
    step(node, &in);
    answer(node);
}

static struct packet *make_frame(const uint8_t *rest, size_t size, uint64_t tag)
{
    struct writer writer;

    writer_begin(&writer, rest[0], tag);
    write_raw(&writer, rest + 1, size - 1);
    return writer_end(&writer);
}

static void frame_in(struct node *node, size_t k, const uint8_t *rest, size_t size, uint64_t tag)
{
    struct packet *packet = make_frame(rest, size, tag);
    struct ring_input in = {.type = RING_FRAME};

    if (!node->up[k]) {
        struct ring_input up = {.type = RING_LINK_UP};

        up.link_up.link = 2 * k + 1;
        step(node, &up);
        node->up[k] = true;
    }
    in.frame.link = 2 * k + 1;
    in.frame.packet = packet;
    step(node, &in);
    packet_unref(packet);
}

static void datagram_in(struct node *node, const uint8_t *rest, size_t size)
{
    struct packet *packet = make_frame(rest, size, 0);
    struct ring_input in = {.type = RING_DATAGRAM};

    in.datagram.from = (struct ring_address){.family = 4, .ip = {127, 0, 0, 1}, .port = 7264};
    in.datagram.data = packet->data;
    in.datagram.size = packet->size;
    step(node, &in);
    packet_unref(packet);
}

static void time_goes_by(struct node *node, uint64_t usec)
{
    struct ring_input in = {.type = RING_TIMER};

    node->now += usec;
    step(node, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node node = {.ring = ring_new(), .now = 1000};
    size_t at = 0;

    start(&node);
    for (size_t i = 0; i < RECORDS_MAX && size - at > 2; i++) {
        size_t rest = MIN((size_t)data[at + 1], size - at - 2);
        unsigned what = data[at];

        if (what % 8 == 0 || rest == 0)
            time_goes_by(&node, (uint64_t)(what / 8) * 50000);
        else if (what % 8 < 3)
            datagram_in(&node, data + at + 2, rest);
        else
            frame_in(&node, what / 8 % LINKS, data + at + 2, rest,
                     what % 8 < 6 ? node.ring->view.formation.tag : 0);
        answer(&node);
        at += 2 + rest;
    }
    ring_outbox_done(&node.outbox);
    ring_free(node.ring);
    return 0;
}
