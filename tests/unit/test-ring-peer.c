/* The core's edges: what a peer may not do. The protocol itself is tested by tests/sim. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring-fixture.h"

#define NEWER (RING_WIRE_VERSION + 1)

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

static void test_a_peer_that_waits_no_time_for_pings_is_hung_up_on(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    accept_link(&node);
    assert_int_equal(give_frame(&node, hello("ringchat", 1, RING_WIRE_VERSION, 0)), -EBADMSG);
    node_stop(&node);
}

/* ---- a peer that takes part in a formation, and then does what none does ---- */

#define PEER_TAG 1234
#define DIALLED 2

static struct ring_member peer_member(void)
{
    return (struct ring_member){
        .id = peer_id, .instance = 99, .name = "peer", .version = RING_WIRE_VERSION};
}

static struct packet *peer_token(const struct node *node, uint64_t epoch)
{
    const struct ring_view *view = ring_get_view(node->ring);
    struct ring_member peer = peer_member();
    struct candidate candidates[] = {candidate_of(&peer), candidate_of(&view->members[0])};
    struct ring_formation_id base = view->formation;
    struct entry entry = {.member = peer, .seq = 1ULL << 32, .heartbeat_interval = 500000};
    struct token token = {.id = {.epoch = epoch, .initiator = peer_id, .tag = PEER_TAG + epoch},
                          .bases_count = 1,
                          .bases = &base,
                          .candidates_count = 2,
                          .candidates = candidates,
                          .entries_count = 1,
                          .entries = &entry};

    return token_write(&token);
}

static void greet(struct node *node, ring_link link)
{
    open_link(node, link);
    assert_int_equal(give_frame_on(node, link, peer_hello("ringchat", 1, RING_WIRE_VERSION)), 0);
}

static struct packet *frame_of(enum frame_type type, uint64_t tag)
{
    struct writer writer;

    writer_begin(&writer, type, tag);
    return writer_end(&writer);
}

/* A ring of the peer and the node, of epoch 100, whose INSTALL has come. */
static int install_led_by(struct node *node, const struct ring_id *leader, uint64_t own_unsettled)
{
    struct ring_id self = {{1}};
    struct ring_member members[] = {peer_member(), *ring_get_view(node->ring)->members};
    uint64_t cuts[] = {1ULL << 32, node->ring->seq};
    struct range range = {self, {1ULL << 32 | 1, own_unsettled, 0}};
    struct install install = {.leader = *leader,
                              .heartbeat_interval = 500000,
                              .heartbeat_timeout = 2000000,
                              .count = 2,
                              .members = members,
                              .cuts = cuts,
                              .unsettled = {.count = 1, .list = &range}};

    greet(node, LINK);
    assert_int_equal(give_frame(node, peer_token(node, 100)), 0);
    assert_int_equal(find_output(node, RING_DIAL)->dial.link, DIALLED);
    greet(node, DIALLED);
    assert_int_equal(give_frame_on(node, DIALLED, frame_of(FRAME_GATHER_ACK, PEER_TAG + 100)), 0);
    return give_frame(node, install_write(&install, PEER_TAG + 100));
}

static int install(struct node *node, uint64_t own_unsettled)
{
    return install_led_by(node, &peer_id, own_unsettled);
}

static struct packet *message_frame(enum frame_type type, uint64_t tag, uint64_t seq)
{
    struct message message = {
        .key = {.hlc = 5, .origin = {{1}}, .seq = seq}, .room = {"main", 4}, .text = {"x", 1}};
    struct packet *packet = message_pack(&message), *frame = frame_retag(packet, type, tag);

    packet_unref(packet);
    return frame;
}

/* The ring of the peer and the node goes live. */
static void start_view(struct node *node, const struct ring_id *leader)
{
    assert_int_equal(install_led_by(node, leader, 1ULL << 32 | 1), 0);
    assert_int_equal(give_frame(node, message_frame(FRAME_FILL, PEER_TAG + 100, 1ULL << 32 | 1)),
                     0);
    assert_int_equal(give_frame(node, frame_of(FRAME_SYNC, PEER_TAG + 100)), 0);
    assert_int_equal(stored(node), 0);
    assert_int_equal(give_frame(node, frame_of(FRAME_START, PEER_TAG + 100)), 0);
    assert_int_equal(ring_get_view(node->ring)->count, 2);
}

static void test_a_token_over_a_link_in_use_is_refused(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    greet(&node, LINK);
    assert_int_equal(give_frame(&node, peer_token(&node, 100)), 0);
    assert_int_equal(give_frame(&node, peer_token(&node, 101)), -EBADMSG);
    node_stop(&node);
}

static void test_what_was_not_asked_for_does_not_fill(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    assert_int_equal(install(&node, 1ULL << 32 | 2), 0);
    assert_int_equal(give_frame(&node, message_frame(FRAME_FILL, PEER_TAG + 100, 0)), -EBADMSG);
    node_stop(&node);

    node_start(&node, true);
    assert_int_equal(install(&node, node.ring->seq + 1), -EBADMSG);
    node_stop(&node);
}

static void test_repair_does_not_bring_what_is_still_to_be_sent(void **unused)
{
    struct packet *frame;
    struct node node;

    (void)unused;
    node_start(&node, true);
    start_view(&node, &peer_id);
    frame = message_frame(FRAME_REPAIR, PEER_TAG + 100, node.ring->seq + 1);
    frame_set_version(frame, RING_WIRE_VERSION);
    assert_int_equal(give_frame(&node, frame), -EBADMSG);
    node_stop(&node);
}

/* Of a ring of so many: the peer, under that instance, and others. */
static struct packet *merge_frame(uint64_t instance, unsigned members)
{
    struct ring_member member = peer_member();
    struct writer writer;

    writer_begin(&writer, FRAME_MERGE, 0);
    write_formation_id(&writer, &(struct ring_formation_id){.epoch = 3, .tag = PEER_TAG});
    write_u64(&writer, 3);
    write_u32(&writer, members);
    for (unsigned i = 0; i < members; i++) {
        struct candidate candidate = candidate_of(&member);

        candidate.id.bytes[1] = (uint8_t)i;
        candidate.instance = instance;
        candidate_write(&writer, &candidate);
    }
    return writer_end(&writer);
}

static void test_a_merge_that_does_not_fit_is_refused(void **unused)
{
    struct node node;

    (void)unused;
    node_start(&node, true);
    greet(&node, LINK);
    assert_int_equal(give_frame(&node, merge_frame(99, MEMBERS_MAX)), 0);
    assert_int_equal(frame_type(find_output(&node, RING_SEND)->send.packet->data),
                     FRAME_MERGE_REFUSE);
    assert_null(node.ring->merges);
    node_stop(&node);
}

static void test_a_merge_whose_room_was_taken_while_it_was_in_doubt_is_refused(void **unused)
{
    struct ring_input refused = {.type = RING_DIAL_FAILED};
    const struct ring_id one = {{7}}, other = {{8}};
    struct node node;

    (void)unused;
    node_start(&node, true);
    start_view(&node, &(struct ring_id){{1}});
    open_link(&node, LINK + 2);
    assert_int_equal(
        give_frame_on(&node, LINK + 2, hello_of(&one, "ringchat", 1, RING_WIRE_VERSION, 1000)), 0);
    /* It has the peer under another instance, which is asked whether it is alive. */
    assert_int_equal(give_frame_on(&node, LINK + 2, merge_frame(100, MEMBERS_MAX - 1)), 0);
    refused.dial_failed.link = find_output(&node, RING_DIAL)->dial.link;
    assert_null(node.ring->merges);

    open_link(&node, LINK + 4);
    assert_int_equal(
        give_frame_on(&node, LINK + 4, hello_of(&other, "ringchat", 1, RING_WIRE_VERSION, 1000)),
        0);
    assert_int_equal(give_frame_on(&node, LINK + 4, merge_frame(99, 2)), 0);
    assert_non_null(node.ring->merges);

    assert_int_equal(step(&node, &refused), 0);
    assert_int_equal(find_output(&node, RING_SEND)->send.link, LINK + 2);
    assert_int_equal(frame_type(find_output(&node, RING_SEND)->send.packet->data),
                     FRAME_MERGE_REFUSE);
    assert_true(ring_id_equal(&node.ring->merges->leader, &other));
    assert_null(node.ring->merges->next);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_before_the_hello_closes_the_link),
        cmocka_unit_test(test_a_peer_of_another_ring_name_or_version_is_hung_up_on),
        cmocka_unit_test(test_a_newer_peer_that_knows_this_version_too_is_welcome),
        cmocka_unit_test(
            test_random_frames_of_every_type_are_taken_or_refused_and_the_node_goes_on),
        cmocka_unit_test(test_a_peer_that_waits_no_time_for_pings_is_hung_up_on),
        cmocka_unit_test(test_a_token_over_a_link_in_use_is_refused),
        cmocka_unit_test(test_what_was_not_asked_for_does_not_fill),
        cmocka_unit_test(test_repair_does_not_bring_what_is_still_to_be_sent),
        cmocka_unit_test(test_a_merge_that_does_not_fit_is_refused),
        cmocka_unit_test(test_a_merge_whose_room_was_taken_while_it_was_in_doubt_is_refused),
        cmocka_unit_test(test_random_datagrams_are_counted_and_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
