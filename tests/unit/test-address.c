/* Addresses as text, and which ones a node tells others. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/address.h"
#include "daemon/interfaces.h"

static void test_an_address_is_read_and_written_the_same(void **unused)
{
    static const char *const texts[] = {"10.0.0.1:7263", "127.0.0.1:1", "[::1]:65535",
                                        "[2001:db8::5]:7263"};
    char text[ADDRESS_TEXT_MAX];

    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct ring_address address;

        assert_int_equal(address_parse(texts[i], &address), 0);
        address_format(&address, text);
        assert_string_equal(text, texts[i]);
    }
}

static void test_an_address_may_have_no_port(void **unused)
{
    struct ring_address address;

    (void)unused;
    assert_int_equal(address_parse("10.1.2.3", &address), 0);
    assert_int_equal(address.family, 4);
    assert_int_equal(address.port, 0);
    assert_int_equal(address_parse("fe80::1", &address), 0);
    assert_int_equal(address.family, 6);
    assert_true(address_is_link_local(&address));
}

static void test_what_is_no_address_is_refused(void **unused)
{
    static const char *const texts[] = {"",          "host",      "10.0.0.1:0", "10.0.0.1:65536",
                                        "10.0.0.1:", "[::1",      "[::1]7263",  "10.0.0.1:72x",
                                        "1.2.3",     "10.0.0.256"};

    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct ring_address address = {.port = 99};

        assert_int_equal(address_parse(texts[i], &address), -EINVAL);
        assert_int_equal(address.port, 99);
    }
}

static void test_a_socket_address_comes_back_as_it_was(void **unused)
{
    static const char *const texts[] = {"10.0.0.1:7263", "[2001:db8::5]:7263"};

    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        struct ring_address address, back;
        struct sockaddr_storage storage;

        assert_int_equal(address_parse(texts[i], &address), 0);
        assert_true(address_to_socket(&address, &storage) > 0);
        assert_int_equal(address_from_socket((struct sockaddr *)&storage, &back), 0);
        assert_memory_equal(&address, &back, sizeof(address));
    }
}

static struct interfaces two_interfaces(void)
{
    struct interfaces interfaces = {.count = 2};

    interfaces.list[0] = (struct interface){.name = "eth0", .index = 2, .count = 2};
    address_parse("10.0.0.1", &interfaces.list[0].addresses[0]);
    interfaces.list[0].prefixes[0] = 20;
    address_parse("fe80::1", &interfaces.list[0].addresses[1]);
    interfaces.list[0].prefixes[1] = 64;
    interfaces.list[1] = (struct interface){.name = "eth1", .index = 3, .count = 1};
    address_parse("2001:db8::1", &interfaces.list[1].addresses[0]);
    interfaces.list[1].prefixes[0] = 64;
    return interfaces;
}

static void test_a_node_tells_its_addresses_ipv4_first_and_no_link_local_ones(void **unused)
{
    struct interfaces interfaces = two_interfaces();
    struct ring_address any = {0};
    struct ring_addresses told;

    (void)unused;
    interfaces_addresses(&interfaces, &any, 7263, &told);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.list[0].family, 4);
    assert_int_equal(told.list[0].port, 7263);
    assert_int_equal(told.list[1].ip[0], 0x20);
}

static void test_a_node_that_listens_at_one_address_tells_only_that(void **unused)
{
    struct interfaces interfaces = two_interfaces();
    struct ring_addresses told;
    struct ring_address listen;

    (void)unused;
    address_parse("127.0.0.1", &listen);
    interfaces_addresses(&interfaces, &listen, 7264, &told);
    assert_int_equal(told.count, 1);
    assert_true(address_is_loopback(&told.list[0]));
    assert_int_equal(told.list[0].port, 7264);
}

static void test_an_address_is_near_if_it_is_in_a_network_of_an_interface(void **unused)
{
    struct interfaces interfaces = two_interfaces();
    struct ring_address address;

    (void)unused;
    address_parse("10.0.15.255", &address);
    assert_true(interfaces_reach(&interfaces, &address));
    address_parse("10.0.16.0", &address);
    assert_false(interfaces_reach(&interfaces, &address));
}

static void test_interfaces_that_do_not_exist_are_an_error(void **unused)
{
    struct ring_address any = {0};
    struct interfaces interfaces;

    (void)unused;
    assert_int_equal(interfaces_find("nosuch0 nosuch1", &any, &interfaces), -ENODEV);
    assert_int_equal(interfaces_find("lo", &any, &interfaces), 0);
    assert_true(interfaces_are_loopback(&interfaces));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_read_and_written_the_same),
        cmocka_unit_test(test_an_address_may_have_no_port),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_a_socket_address_comes_back_as_it_was),
        cmocka_unit_test(test_a_node_tells_its_addresses_ipv4_first_and_no_link_local_ones),
        cmocka_unit_test(test_a_node_that_listens_at_one_address_tells_only_that),
        cmocka_unit_test(test_an_address_is_near_if_it_is_in_a_network_of_an_interface),
        cmocka_unit_test(test_interfaces_that_do_not_exist_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
