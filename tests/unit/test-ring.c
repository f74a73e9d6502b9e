/* The core's edges: what a peer or a caller may not do. The protocol itself is tested by tests/sim.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ring/ring-internal.h"

#define LINK 1
#define TICKET 7

struct node {
    struct ring *ring;
    struct ring_outbox outbox;
    uint64_t now;
};

static struct ring_config config_of(bool networked)
{
    return (struct ring_config){
        .id = {{1}},
        .instance = 11,
        .name = {"host", 4},
        .ring = {"ringchat", 8},
        .addresses = {.count = 1, .list = {{.family = 4, .ip = {127, 0, 0, 1}, .port = 7263}}},
        .heartbeat_interval = 500000,
        .heartbeat_timeout = 2000000,
        .link_timeout = 1000000,
        .entropy = 5,
        .networked = networked,
    };
}

static int step(struct node *node, struct ring_input *in)
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

static void node_start(struct node *node, bool networked)
{
    struct ring_config config = config_of(networked);
    struct ring_input in = {.type = RING_START};

    *node = (struct node){.ring = ring_new(), .now = 1000};
    assert_non_null(node->ring);
    in.start.config = &config;
    assert_int_equal(step(node, &in), 0);
}

static void node_stop(struct node *node)
{
    ring_outbox_done(&node->outbox);
    ring_free(node->ring);
}

static const struct ring_output *find_output(const struct node *node, enum ring_output_type type)
{
    for (size_t i = 0; i < node->outbox.count; i++) {
        if (node->outbox.outputs[i].type == type)
            return &node->outbox.outputs[i];
    }
    return NULL;
}

static int give_frame(struct node *node, struct packet *packet)
{
    struct ring_input in = {.type = RING_FRAME};
    int result;

    in.frame.link = LINK;
    in.frame.packet = packet;
    result = step(node, &in);
    packet_unref(packet);
    return result;
}

static int stored(struct node *node)
{
    struct ring_input in = {.type = RING_STORED};

    in.stored.ticket = node->ring->last_ticket;
    return step(node, &in);
}

/* ---- a peer ---- */

#define NEWER (RING_WIRE_VERSION + 1)

static struct packet *peer_hello(const char *ring_name, uint8_t lowest, uint8_t highest)
{
    struct ring_id id = {{9}};
    struct writer writer;

    writer_begin(&writer, FRAME_HELLO, 0);
    write_u8(&writer, lowest);
    write_u8(&writer, highest);
    write_id(&writer, &id);
    write_u64(&writer, 99);
    write_u32(&writer, 1000);
    write_name(&writer, (struct bytes){ring_name, strlen(ring_name)});
    write_name(&writer, (struct bytes){"peer", 4});
    return writer_end(&writer);
}

static void accept_link(struct node *node)
{
    struct ring_input in = {.type = RING_LINK_UP};

    in.link_up.link = LINK;
    assert_int_equal(step(node, &in), 0);
}

static void test_a_frame_before_the_hello_closes_the_link(void **unused)
{
    struct writer writer;
    struct node node;

    (void)unused;
    node_start(&node, true);
    accept_link(&node);
    writer_begin(&writer, FRAME_PING, 0);
    assert_int_equal(give_frame(&node, writer_end(&writer)), -EBADMSG);
    assert_non_null(find_output(&node, RING_HANGUP));
    node_stop(&node);
}

static void test_a_peer_of_another_ring_name_or_version_is_hung_up_on(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    accept_link(&node);
    assert_int_equal(give_frame(&node, peer_hello("other", 1, RING_WIRE_VERSION)), -EBADMSG);
    assert_non_null(find_output(&node, RING_HANGUP));
    node_stop(&node);

    node_start(&node, true);
    accept_link(&node);
    assert_int_equal(give_frame(&node, peer_hello("ringchat", NEWER, NEWER)), -EBADMSG);
    assert_int_equal(find_output(&node, RING_EVENT)->event.type, RING_EVENT_OTHER_VERSION);
    assert_int_equal(find_output(&node, RING_EVENT)->event.number, NEWER);
    node_stop(&node);

    node_start(&node, true);
    accept_link(&node);
    assert_int_equal(give_frame(&node, peer_hello("ringchat", 0, RING_WIRE_VERSION_MIN - 1)),
                     -EBADMSG);
    assert_int_equal(find_output(&node, RING_EVENT)->event.type, RING_EVENT_OTHER_VERSION);
    node_stop(&node);
}

static void test_a_newer_peer_that_knows_this_version_too_is_welcome(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    accept_link(&node);
    assert_int_equal(give_frame(&node, peer_hello("ringchat", RING_WIRE_VERSION, NEWER)), 0);
    assert_null(find_output(&node, RING_HANGUP));
    assert_int_equal(ring_get_view(node.ring)->version, RING_WIRE_VERSION);
    node_stop(&node);
}

static uint64_t random_state = 42;

static uint8_t random_byte(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint8_t)(random_state >> 40);
}

static struct packet *random_frame(uint8_t type, size_t size)
{
    struct writer writer;

    writer_begin(&writer, (enum frame_type)type, 0);
    for (size_t i = 0; i < size; i++)
        write_u8(&writer, random_byte() & random_byte());
    return writer_end(&writer);
}

static void
test_random_frames_of_every_type_are_taken_or_refused_and_the_node_goes_on(void **unused)
{
    struct ring_input down = {.type = RING_LINK_DOWN};
    struct node node;

    (void)unused;
    node_start(&node, true);
    down.link_down.link = LINK;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t type = (uint8_t)(i % 72);

        if (!link_find(node.ring, LINK)) {
            accept_link(&node);
            assert_int_equal(give_frame(&node, peer_hello("ringchat", 1, RING_WIRE_VERSION)), 0);
        }
        give_frame(&node, random_frame(type, random_byte()));
    }
    step(&node, &down);
    assert_int_equal(ring_get_view(node.ring)->count, 1);
    node_stop(&node);
}

static void test_random_datagrams_are_counted_and_ignored(void **unused)
{
    struct ring_input in = {.type = RING_DATAGRAM};
    struct ring_status status;
    struct node node;

    (void)unused;
    node_start(&node, true);
    for (unsigned i = 0; i < 5000; i++) {
        _cleanup_(packet_unrefp) struct packet *packet =
            random_frame((uint8_t)(60 + i % 12), random_byte());

        in.datagram.data = packet->data;
        in.datagram.size = packet->size - (packet->size > 20 ? random_byte() % 20 : 0);
        step(&node, &in);
    }
    ring_get_status(node.ring, &status);
    assert_int_equal(status.refused_datagrams, 5000);
    node_stop(&node);
}

/* ---- the caller ---- */

static int send_text(struct node *node, const char *text, uint8_t id, ring_ticket ticket)
{
    struct message message = {
        .id = {{id}}, .user = {"alice", 5}, .room = {"main", 4}, .text = {text, strlen(text)}};
    struct ring_input in = {.type = RING_COMMAND};

    in.command.command = RING_SEND_MESSAGE;
    in.command.ticket = ticket;
    in.command.message = &message;
    return step(node, &in);
}

static void test_inputs_that_make_no_sense_change_nothing(void **unused)
{
    struct ring_config config = config_of(true);
    struct ring_input start = {.type = RING_START}, down = {.type = RING_LINK_DOWN};
    struct node node;

    (void)unused;
    node_start(&node, true);
    start.start.config = &config;
    assert_int_equal(step(&node, &start), -EINVAL);
    down.link_down.link = 77;
    assert_int_equal(step(&node, &down), -EINVAL);
    assert_int_equal(node.outbox.count, 0);
    node_stop(&node);
}

static void test_a_ring_of_one_acknowledges_only_what_is_on_its_disk(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, false);
    assert_int_equal(stored(&node), 0);
    assert_int_equal(send_text(&node, "hi", 1, TICKET), 0);
    assert_null(find_output(&node, RING_REPLY));
    assert_null(find_output(&node, RING_DELIVER));
    assert_non_null(find_output(&node, RING_STORE));
    assert_int_equal(stored(&node), 0);
    assert_non_null(find_output(&node, RING_DELIVER));
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_ACCEPTED);
    node_stop(&node);
}

static void test_one_id_with_another_text_is_refused_and_with_the_same_joins(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, false);
    assert_int_equal(stored(&node), 0);
    send_text(&node, "hi", 1, TICKET);
    send_text(&node, "ho", 1, TICKET + 1);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_ID_CONFLICT);
    send_text(&node, "hi", 1, TICKET + 2);
    assert_null(find_output(&node, RING_STORE));
    assert_int_equal(stored(&node), 0);
    assert_int_equal(node.ring->counters.delivered_messages, 1);
    node_stop(&node);
}

static void test_a_failed_store_ends_all_promises(void **unused)
{
    struct ring_input failed = {.type = RING_STORE_FAILED};
    struct node node;

    (void)unused;
    node_start(&node, false);
    assert_int_equal(stored(&node), 0);
    send_text(&node, "hi", 1, TICKET);
    failed.store_failed.ticket = node.ring->last_ticket;
    assert_int_equal(step(&node, &failed), 0);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_STORE_BROKEN);
    send_text(&node, "ho", 2, TICKET + 1);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_STORE_BROKEN);
    node_stop(&node);
}

static void test_a_full_queue_says_busy(void **unused)
{
    struct node node;
    unsigned accepted = 0;

    (void)unused;
    node_start(&node, false);
    /* The run is not on disk yet, so everything waits in the queue. */
    for (uint64_t i = 0; i <= QUEUE_MESSAGES_MAX; i++) {
        struct message message = {.text = {"x", 1}};
        struct ring_input in = {.type = RING_COMMAND};

        memcpy(message.id.bytes, &i, sizeof(i));
        in.command.command = RING_SEND_MESSAGE;
        in.command.ticket = i + 1;
        in.command.message = &message;
        assert_int_equal(step(&node, &in), 0);
        accepted += !find_output(&node, RING_REPLY);
    }
    assert_int_equal(accepted, QUEUE_MESSAGES_MAX);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_BUSY);
    node_stop(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_before_the_hello_closes_the_link),
        cmocka_unit_test(test_a_peer_of_another_ring_name_or_version_is_hung_up_on),
        cmocka_unit_test(test_a_newer_peer_that_knows_this_version_too_is_welcome),
        cmocka_unit_test(
            test_random_frames_of_every_type_are_taken_or_refused_and_the_node_goes_on),
        cmocka_unit_test(test_random_datagrams_are_counted_and_ignored),
        cmocka_unit_test(test_inputs_that_make_no_sense_change_nothing),
        cmocka_unit_test(test_a_ring_of_one_acknowledges_only_what_is_on_its_disk),
        cmocka_unit_test(test_one_id_with_another_text_is_refused_and_with_the_same_joins),
        cmocka_unit_test(test_a_failed_store_ends_all_promises),
        cmocka_unit_test(test_a_full_queue_says_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
