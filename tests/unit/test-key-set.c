/* Sets of keys, against a plain bitmap. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/key-set.h"

#define KEYS 200

static unsigned random_below(uint64_t *state, unsigned bound)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33) % bound;
}

static struct message_key key_number(unsigned number)
{
    return (struct message_key){
        .hlc = number / 4, .origin.bytes[0] = (uint8_t)(number / 2 % 2), .seq = number % 2};
}

static void assert_same(const struct key_set *set, const bool *bitmap)
{
    size_t count = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        struct message_key key = key_number(i);

        assert_int_equal(key_set_contains(set, &key), bitmap[i]);
        count += bitmap[i];
    }
    assert_int_equal(set->count, count);
}

static void test_what_is_added_and_not_removed_is_in_the_set(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct key_set set = {0};
        bool bitmap[KEYS] = {false};
        uint64_t state = seed;

        for (unsigned i = 0; i < 300; i++) {
            unsigned number = random_below(&state, KEYS);
            struct message_key key = key_number(number);

            bitmap[number] = random_below(&state, 3) > 0;
            if (bitmap[number])
                assert_int_equal(key_set_add(&set, &key), 0);
            else
                key_set_remove(&set, &key);
            assert_same(&set, bitmap);
        }
        key_set_done(&set);
    }
}

static void test_what_passes_through_takes_no_more_room_than_what_is_under_way(void **unused)
{
    struct key_set set = {0};

    (void)unused;
    for (unsigned i = 0; i < 100000; i++) {
        struct message_key key = {.hlc = i}, old = {.hlc = i - 50};

        assert_int_equal(key_set_add(&set, &key), 0);
        if (i >= 50)
            key_set_remove(&set, &old);
    }
    assert_int_equal(set.count, 50);
    assert_true(set.allocated <= 256);
    key_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_added_and_not_removed_is_in_the_set),
        cmocka_unit_test(test_what_passes_through_takes_no_more_room_than_what_is_under_way),
    };

    return cmocka_run_group_tests_name("key-set", tests, NULL, NULL);
}
