/* What is noted of members that went, of strangers, and of multicast. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"
#include "common/bounds.h"
#include "common/util.h"
#include "hearing.h"
#include "recent.h"

#define HOUR (3600 * USEC_PER_SEC)

static struct ring_event event(enum ring_event_type type, uint8_t id, const char *name)
{
    struct ring_event made = {.type = type, .peer.bytes = {id}};

    strcpy(made.peer_name, name);
    return made;
}

static struct ring_address address(const char *text)
{
    struct ring_address made;

    assert_int_equal(address_parse(text, &made), 0);
    return made;
}

static void failures_of_a_member_are_counted_for_an_hour(void **state)
{
    struct ring_event failed = event(RING_EVENT_FAILED, 1, "alpha");
    struct ring_event left = event(RING_EVENT_LEFT, 1, "alpha");
    struct ring_event other = event(RING_EVENT_FAILED, 2, "beta");
    struct recent recent = {0};

    (void)state;
    recent_take(&recent, &failed, HOUR);
    recent_take(&recent, &left, HOUR + 1);
    recent_take(&recent, &other, HOUR + 2);
    recent_take(&recent, &failed, HOUR + 3);
    assert_int_equal(recent_failures(&recent, &failed.peer), 2);
    recent_expire(&recent, 2 * HOUR + 2);
    assert_int_equal(recent.gone_count, 2);
    assert_string_equal(recent.gone[0].name, "beta");
    assert_int_equal(recent_failures(&recent, &failed.peer), 1);
    /* A clock that was set back keeps nothing for ever. */
    recent_expire(&recent, 2);
    assert_int_equal(recent.gone_count, 1);
    recent_expire(&recent, 9 * HOUR);
    assert_int_equal(recent.gone_count, 0);
}

static void the_newest_are_kept_when_many_go(void **state)
{
    struct recent recent = {0};

    (void)state;
    for (unsigned i = 0; i < 3 * RECENT_GONE_MAX; i++) {
        struct ring_event failed = event(RING_EVENT_FAILED, (uint8_t)i, "many");

        recent_take(&recent, &failed, HOUR + i);
    }
    assert_int_equal(recent.gone_count, RECENT_GONE_MAX);
    assert_int_equal(recent.gone[0].time, HOUR + 2 * RECENT_GONE_MAX);
}

static void another_ring_is_one_stranger_whatever_its_addresses(void **state)
{
    struct ring_event ring = event(RING_EVENT_OTHER_RING, 0, "others");
    struct ring_event version = event(RING_EVENT_OTHER_VERSION, 0, "");
    struct recent recent = {0};

    (void)state;
    ring.address = address("10.0.0.1:7263");
    recent_take(&recent, &ring, HOUR);
    ring.address = address("[fe80::1]:7263");
    recent_take(&recent, &ring, HOUR + 1);
    assert_int_equal(recent.strangers_count, 1);
    version.address = address("10.0.0.9:7263");
    version.number = 7;
    recent_take(&recent, &version, HOUR);
    assert_int_equal(recent.strangers_count, 2);
    assert_int_equal(recent.strangers[1].version, 7);
    assert_string_equal(recent.strangers[1].ring, "");
}

static void own_datagrams_and_those_of_others_are_told_apart_by_interface(void **state)
{
    struct interfaces interfaces = {.count = 2};
    struct ring_address own = address("10.0.0.1:7263"), other = address("10.0.0.2:7263");
    struct ring_address neighbour = address("10.0.0.1:7264"), far = address("10.0.1.2:7263");
    const struct hearing_interface *row;
    struct hearing hearing = {0};

    (void)state;
    interfaces.list[0] = (struct interface){
        .name = "eth0", .index = 3, .count = 1, .addresses = {own}, .prefixes = {24}};
    interfaces.list[1] = (struct interface){.name = "eth1",
                                            .index = 4,
                                            .count = 1,
                                            .addresses = {address("10.0.1.1:7263")},
                                            .prefixes = {24}};
    hearing_sent(&hearing, 3, 0, 10);
    hearing_received(&hearing, &interfaces, &own, 7263, 11);
    row = hearing_find(&hearing, 3);
    assert_int_equal(row->sent, 10);
    assert_int_equal(row->echoed, 11);
    assert_int_equal(row->datagrams, 0);
    hearing_received(&hearing, &interfaces, &other, 7263, 12);
    hearing_received(&hearing, &interfaces, &neighbour, 7263, 13);
    assert_int_equal(row->heard, 13);
    assert_int_equal(row->datagrams, 2);
    assert_null(hearing_find(&hearing, 4));
    hearing_received(&hearing, &interfaces, &far, 7263, 14);
    assert_int_equal(hearing_find(&hearing, 4)->heard, 14);
    hearing_sent(&hearing, 3, 101, 15);
    assert_int_equal(row->error, 101);
    assert_int_equal(row->sent, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_of_a_member_are_counted_for_an_hour),
        cmocka_unit_test(the_newest_are_kept_when_many_go),
        cmocka_unit_test(another_ring_is_one_stranger_whatever_its_addresses),
        cmocka_unit_test(own_datagrams_and_those_of_others_are_told_apart_by_interface),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
