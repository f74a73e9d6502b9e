/* Interval sets, against a plain bitmap. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ring/interval.h"

#define LARGEST 64

static const struct ring_interval everything = {1, LARGEST};

static unsigned random_below(uint64_t *state, unsigned bound)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33) % bound;
}

static void assert_same(const struct intervals *set, const bool *bitmap)
{
    for (uint64_t seq = 1; seq <= LARGEST; seq++)
        assert_int_equal(intervals_contain(set, seq), bitmap[seq]);
    for (size_t i = 1; i < set->count; i++)
        assert_true(set->list[i - 1].to + 1 < set->list[i].from);
}

static void add_random(uint64_t *state, struct intervals *set, bool *bitmap)
{
    uint64_t from = 1 + random_below(state, LARGEST), to = from + random_below(state, 6);

    to = to > LARGEST ? LARGEST : to;
    assert_int_equal(intervals_add(set, from, to), 0);
    memset(bitmap + from, true, to - from + 1);
}

static void test_what_is_added_in_any_order_is_held_and_never_touches(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct intervals set = {0};
        bool bitmap[LARGEST + 1] = {false};
        uint64_t state = seed;

        for (unsigned i = 0; i < 20; i++) {
            add_random(&state, &set, bitmap);
            assert_same(&set, bitmap);
        }
        intervals_done(&set);
    }
}

static void test_what_is_removed_is_gone_and_the_rest_stays(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct intervals set = {0};
        bool bitmap[LARGEST + 1] = {false};
        uint64_t state = seed;

        for (unsigned i = 0; i < 20; i++) {
            uint64_t from = 1 + random_below(&state, LARGEST), to = from + random_below(&state, 9);

            add_random(&state, &set, bitmap);
            to = to > LARGEST ? LARGEST : to;
            assert_int_equal(intervals_remove(&set, from, to), 0);
            memset(bitmap + from, false, to - from + 1);
            assert_same(&set, bitmap);
        }
        intervals_done(&set);
    }
}

static void test_sums_add_up_and_are_unknown_where_a_part_is(void **unused)
{
    struct intervals set = {0};

    (void)unused;
    assert_int_equal(intervals_add_sum(&set, 5, 5, 100), 0);
    assert_int_equal(intervals_add_sum(&set, 7, 8, 30), 0);
    assert_int_equal(intervals_add_sum(&set, 6, 6, 9), 0);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.list[0].sum, 139);
    assert_int_equal(intervals_add(&set, 9, 9), 0);
    assert_int_equal(set.list[0].sum, 0);
    assert_int_equal(intervals_add_sum(&set, 20, 21, 7), 0);
    assert_int_equal(intervals_remove(&set, 20, 20), 0);
    assert_int_equal(set.list[1].sum, 0);
    intervals_done(&set);
}

static void test_the_lowest_gap_is_the_first_that_is_not_held(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct intervals set = {0};
        bool bitmap[LARGEST + 2] = {false};
        uint64_t state = seed, from = 1, to;
        struct ring_interval gap;

        for (unsigned i = 0; i < 8; i++)
            add_random(&state, &set, bitmap);
        while (from <= LARGEST && bitmap[from])
            from++;
        for (to = from; to < LARGEST && !bitmap[to + 1]; to++)
            ;
        assert_int_equal(intervals_lowest_gap(&set, &everything, &gap), from <= LARGEST);
        if (from <= LARGEST) {
            assert_int_equal(gap.from, from);
            assert_int_equal(gap.to, to);
        }
        intervals_done(&set);
    }
}

static void test_what_the_other_lacks_is_counted(void **unused)
{
    struct intervals set = {0}, without = {0};

    (void)unused;
    assert_int_equal(intervals_count_missing(&set, &without), 0);
    assert_int_equal(intervals_add(&set, 10, 20), 0);
    assert_int_equal(intervals_add(&set, 30, 40), 0);
    assert_int_equal(intervals_count_missing(&set, &without), 22);
    assert_int_equal(intervals_count_missing(&without, &set), 0);
    assert_int_equal(intervals_add(&without, 1, 10), 0);
    assert_int_equal(intervals_add(&without, 15, 16), 0);
    assert_int_equal(intervals_count_missing(&set, &without), 19);
    assert_int_equal(intervals_add(&without, 20, 31), 0);
    assert_int_equal(intervals_count_missing(&set, &without), 16);
    assert_int_equal(intervals_add(&without, 40, 100), 0);
    assert_int_equal(intervals_count_missing(&set, &without), 15);
    assert_int_equal(intervals_add(&without, 1, 100), 0);
    assert_int_equal(intervals_count_missing(&set, &without), 0);
    intervals_done(&set);
    intervals_done(&without);
}

static void test_the_highest_missing_is_the_last_that_the_other_lacks(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct intervals set = {0}, other = {0};
        bool bitmap[LARGEST + 1] = {false}, without[LARGEST + 1] = {false};
        uint64_t state = seed, to = LARGEST, from;
        struct ring_interval missing;

        for (unsigned i = 0; i < 8; i++) {
            add_random(&state, &set, bitmap);
            add_random(&state, &other, without);
        }
        while (to > 0 && !(bitmap[to] && !without[to]))
            to--;
        for (from = to; from > 1 && bitmap[from - 1] && !without[from - 1]; from--)
            ;
        assert_int_equal(intervals_highest_missing(&set, &other, &everything, &missing), to > 0);
        if (to > 0) {
            assert_int_equal(missing.from, from);
            assert_int_equal(missing.to, to);
        }
        intervals_done(&set);
        intervals_done(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_added_in_any_order_is_held_and_never_touches),
        cmocka_unit_test(test_what_is_removed_is_gone_and_the_rest_stays),
        cmocka_unit_test(test_sums_add_up_and_are_unknown_where_a_part_is),
        cmocka_unit_test(test_the_lowest_gap_is_the_first_that_is_not_held),
        cmocka_unit_test(test_what_the_other_lacks_is_counted),
        cmocka_unit_test(test_the_highest_missing_is_the_last_that_the_other_lacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
