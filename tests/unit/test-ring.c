/* The core's edges: what a caller may not do, and is promised. The protocol itself is tested by
 * tests/sim. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring-fixture.h"

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

static int import(struct node *node, uint64_t seq, ring_ticket ticket)
{
    struct message message = {
        .key = {.hlc = 5, .origin = {{8}}, .seq = seq}, .room = {"main", 4}, .text = {"x", 1}};
    struct ring_input in = {.type = RING_COMMAND};

    in.command.command = RING_IMPORT;
    in.command.ticket = ticket;
    in.command.message = &message;
    return step(node, &in);
}

static void test_an_import_is_done_when_it_is_on_disk_and_told_if_it_never_is(void **unused)
{
    struct ring_input failed = {.type = RING_STORE_FAILED};
    struct node node;

    (void)unused;
    node_start(&node, false);
    assert_int_equal(stored(&node), 0);
    import(&node, 1ULL << 32 | 1, TICKET);
    assert_null(find_output(&node, RING_REPLY));
    import(&node, 1ULL << 32 | 1, TICKET + 1);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_BUSY);
    assert_int_equal(stored(&node), 0);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.ticket, TICKET);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.reply, RING_DONE);
    import(&node, 1ULL << 32 | 2, TICKET + 2);
    failed.store_failed.ticket = node.ring->last_ticket;
    assert_int_equal(step(&node, &failed), 0);
    assert_int_equal(find_output(&node, RING_REPLY)->reply.ticket, TICKET + 2);
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
        cmocka_unit_test(test_inputs_that_make_no_sense_change_nothing),
        cmocka_unit_test(test_a_ring_of_one_acknowledges_only_what_is_on_its_disk),
        cmocka_unit_test(test_one_id_with_another_text_is_refused_and_with_the_same_joins),
        cmocka_unit_test(test_a_failed_store_ends_all_promises),
        cmocka_unit_test(test_an_import_is_done_when_it_is_on_disk_and_told_if_it_never_is),
        cmocka_unit_test(test_a_full_queue_says_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
