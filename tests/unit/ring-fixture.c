#include "ring-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

int step(struct node *node, struct ring_input *in)
{
    int result;

    node->now += 10;
    in->now = node->now;
    in->wall = 1763900000000000ULL + node->now;
    ring_outbox_clear(&node->outbox);
    result = ring_step(node->ring, in, &node->outbox);
    assert_null(ring_broken_invariant(node->ring));
    return result;
}

void node_start(struct node *node, bool networked)
{
    struct ring_config config = config_of(networked);
    struct ring_input in = {.type = RING_START};

    *node = (struct node){.ring = ring_new(), .now = 1000};
    assert_non_null(node->ring);
    in.start.config = &config;
    assert_int_equal(step(node, &in), 0);
}

void node_stop(struct node *node)
{
    ring_outbox_done(&node->outbox);
    ring_free(node->ring);
}

const struct ring_output *find_output(const struct node *node, enum ring_output_type type)
{
    for (size_t i = 0; i < node->outbox.count; i++) {
        if (node->outbox.outputs[i].type == type)
            return &node->outbox.outputs[i];
    }
    return NULL;
}

int give_frame_on(struct node *node, ring_link link, struct packet *packet)
{
    struct ring_input in = {.type = RING_FRAME};
    int result;

    in.frame.link = link;
    in.frame.packet = packet;
    result = step(node, &in);
    packet_unref(packet);
    return result;
}

int give_frame(struct node *node, struct packet *packet)
{
    return give_frame_on(node, LINK, packet);
}

int stored(struct node *node)
{
    struct ring_input in = {.type = RING_STORED};

    in.stored.ticket = node->ring->last_ticket;
    return step(node, &in);
}

/* ---- a peer ---- */

const struct ring_id peer_id = {{9}};

struct packet *hello_of(const struct ring_id *id, const char *ring_name, uint8_t lowest,
                        uint8_t highest, uint32_t link_timeout)
{
    struct writer writer;

    writer_begin(&writer, FRAME_HELLO, 0);
    write_u8(&writer, lowest);
    write_u8(&writer, highest);
    write_id(&writer, id);
    write_u64(&writer, 99);
    write_u32(&writer, link_timeout);
    write_name(&writer, (struct bytes){ring_name, strlen(ring_name)});
    write_name(&writer, (struct bytes){"peer", 4});
    return writer_end(&writer);
}

struct packet *hello(const char *ring_name, uint8_t lowest, uint8_t highest, uint32_t link_timeout)
{
    return hello_of(&peer_id, ring_name, lowest, highest, link_timeout);
}

struct packet *peer_hello(const char *ring_name, uint8_t lowest, uint8_t highest)
{
    return hello(ring_name, lowest, highest, 1000);
}

void open_link(struct node *node, ring_link link)
{
    struct ring_input in = {.type = RING_LINK_UP};

    in.link_up.link = link;
    assert_int_equal(step(node, &in), 0);
}

void accept_link(struct node *node)
{
    open_link(node, LINK);
}
