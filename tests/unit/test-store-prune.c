/* Retention in the store: what lies below the horizon goes, and everything that is noted about it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/byteorder.h"
#include "common/util.h"
#include "daemon/history-search.h"
#include "daemon/retention.h"
#include "store-fixture.h"

/* And until all that is left is indexed. */
static void set_horizon(struct fixture *fixture, uint64_t horizon)
{
    fixture_set_horizon(fixture, horizon);
    fixture_leave_alone(fixture, UNINDEXED);
}

/* Messages 1 … count of two origins in turn, each with the hlc of its number. */
static void say_many(struct fixture *fixture, unsigned count)
{
    ring_ticket ticket = 0;

    for (unsigned i = 1; i <= count; i++) {
        struct message_key key = key_of((uint64_t)i << 16, i % 2, (i + 1) / 2);

        ticket = submit_key(fixture, &key, false);
    }
    fixture_wait(fixture, STORED, ticket);
    for (unsigned i = 1; i <= count; i++) {
        struct message_key key = key_of((uint64_t)i << 16, i % 2, (i + 1) / 2);

        deliver(fixture, &key, false);
    }
}

static size_t count_found(struct fixture *fixture, const char *words)
{
    struct history_query query = {.until = UINT64_MAX, .words = words};
    struct history_search *search;
    struct history_page page;
    size_t count = 0;
    bool end = false;

    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &(struct message_key){0}, false);
    while (!end) {
        assert_int_equal(history_search_read(search, 100, &page), 0);
        count += page.count;
        end = page.end;
        history_page_done(&page);
    }
    history_search_free(search);
    return count;
}

static void test_what_is_below_the_horizon_goes_and_counts_as_had(void **state)
{
    struct fixture *fixture = *state;
    struct ring_interval before, after;

    say_many(fixture, 2000);
    fixture_leave_alone(fixture, UNINDEXED);
    set_horizon(fixture, 1501ULL << 16);
    assert_int_equal(history_count(fixture->history), 500);
    assert_int_equal(fixture->pruned, 1500);
    assert_int_equal(count_found(fixture, "how"), 500);
    assert_int_equal(count_found(fixture, NULL), 500);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM words WHERE words MATCH 'how'"),
                     500);
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->messages, 500);
    assert_int_equal(history_count(fixture->history), 500);
    assert_int_equal(held_of(fixture, 1)->count, 1);
    assert_int_equal(held_of(fixture, 1)->pruned_count, 1);
    before = held_of(fixture, 1)->intervals[0];
    after = held_of(fixture, 1)->pruned[0];
    assert_int_equal(before.from, after.from);
    assert_int_equal(before.to - before.from + 1, 1000);
    assert_int_equal(after.to - after.from + 1, 750);
    /* A fetch gives what is left, and nothing for what is gone. */
    assert_int_equal(
        fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 1, 2000, 1 << 20))->count, 250);
    assert_int_equal(
        fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 1, 750, 1 << 20))->count, 0);
}

static void test_what_is_not_indexed_yet_goes_too(void **state)
{
    struct fixture *fixture = *state;

    say_many(fixture, 1000);
    set_horizon(fixture, 901ULL << 16);
    assert_int_equal(count_found(fixture, "how"), 100);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM words WHERE words MATCH 'how'"),
                     100);
}

static void test_the_second_key_of_a_message_stays_when_the_first_goes(void **state)
{
    struct fixture *fixture = *state;
    struct message_key first = key_of(1 << 16, 1, 1), second = key_of(9 << 16, 2, 1);
    struct message message = message_of(&first), again = message_of(&first);

    again.key = second;
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    fixture_wait(fixture, STORED, submit_message(fixture, &again, false));
    deliver(fixture, &first, false);
    deliver(fixture, &second, false);
    assert_int_equal(history_count(fixture->history), 1);
    set_horizon(fixture, 5 << 16);
    assert_int_equal(history_count(fixture->history), 1);
    assert_int_equal(count_found(fixture, NULL), 1);
    assert_int_equal(fixture_number(fixture, "SELECT twin FROM message"), 1);
    assert_int_equal(fixture_number(fixture, "SELECT twins FROM counts"), 0);
    set_horizon(fixture, 10 << 16);
    assert_int_equal(history_count(fixture->history), 0);
}

static void test_two_keys_of_a_message_go_together(void **state)
{
    struct fixture *fixture = *state;
    struct message_key keys[] = {key_of(1 << 16, 1, 1), key_of(2 << 16, 2, 1),
                                 key_of(9 << 16, 2, 2)};
    struct message message = message_of(&keys[0]);

    for (size_t i = 0; i < 2; i++) {
        message.key = keys[i];
        fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
        deliver(fixture, &keys[i], false);
    }
    say(fixture, &keys[2]);
    set_horizon(fixture, 5 << 16);
    assert_int_equal(history_count(fixture->history), 1);
    assert_int_equal(fixture_number(fixture, "SELECT twins FROM counts"), 0);
}

static void test_a_cursor_and_late_numbers_outlive_what_they_were_of(void **state)
{
    struct fixture *fixture = *state;
    struct message_key late = key_of(3 << 16, 1, 1), later = key_of(4 << 16, 1, 2);
    struct message_key live = key_of(9 << 16, 2, 1), last = key_of(5 << 16, 1, 3);
    struct history_position position;
    struct history_page page;

    say(fixture, &live);
    repair(fixture, &late);
    fixture_wait(fixture, STORED, submit_state(fixture, &(struct ring_state){0}));
    assert_int_equal(history_last(fixture->history, 10, &page, &position), 0);
    assert_int_equal(page.count, 2);
    history_page_done(&page);
    set_horizon(fixture, 4 << 16);
    fixture_reopen(fixture);
    repair(fixture, &later);
    repair(fixture, &last);
    assert_int_equal(history_read_after(fixture->history, &position, 10, &page), 0);
    assert_int_equal(page.count, 2);
    assert_true(page.items[0].late && page.items[1].late);
    history_page_done(&page);
    assert_int_equal(fixture_number(fixture, "SELECT count(DISTINCT number) FROM late"), 3);
}

static void test_a_tail_whose_cursor_is_below_the_horizon_goes_on_with_the_oldest_left(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = {.key = key_of(10 << 16, 0, 5)};
    struct history_page page;

    say_many(fixture, 400);
    set_horizon(fixture, 301ULL << 16);
    assert_int_equal(history_read_after(fixture->history, &position, 32, &page), 0);
    assert_int_equal(packet_key(page.items[0].packet).hlc, 301ULL << 16);
    history_page_done(&page);
}

static void test_a_tail_shows_nothing_of_what_is_removed_and_was_delivered_just_before(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_last(fixture->history, 0, &page, &position), 0);
    history_page_done(&page);
    say_many(fixture, 200);
    assert_int_equal(history_read_after(fixture->history, &position, 32, &page), 0);
    assert_int_equal(packet_key(page.items[0].packet).hlc, 1ULL << 16);
    position = page.items[9].position;
    history_page_done(&page);
    assert_int_equal(history_tail_reads(fixture->history), 0);
    set_horizon(fixture, 151ULL << 16);
    assert_int_equal(history_read_after(fixture->history, &position, 32, &page), 0);
    assert_int_equal(packet_key(page.items[0].packet).hlc, 151ULL << 16);
    history_page_done(&page);
}

/* Whether a tail that has seen everything is shown a message from memory. */
static void assert_memory_is_used(struct fixture *fixture, const struct message_key *key)
{
    uint64_t reads = history_tail_reads(fixture->history);
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_last(fixture->history, 0, &page, &position), 0);
    history_page_done(&page);
    say(fixture, key);
    assert_int_equal(history_read_after(fixture->history, &position, 32, &page), 0);
    assert_int_equal(page.count, 1);
    assert_int_equal(history_tail_reads(fixture->history), reads);
    history_page_done(&page);
}

static void
test_a_late_message_that_is_removed_before_its_number_is_known_holds_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct message_key early = key_of(3 << 16, 1, 1), other = key_of(4 << 16, 1, 2);
    struct message_key live = key_of(9 << 16, 2, 1), first = key_of(4 << 16, 1, 3);
    struct message_key next = key_of(10 << 16, 2, 2), last = key_of(11 << 16, 2, 3);
    struct message_key highest = key_of(4 << 16, 1, 4);

    say(fixture, &live);
    /* Removed before it is delivered. */
    fixture_wait(fixture, STORED, submit_key(fixture, &early, true));
    set_horizon(fixture, 4 << 16);
    deliver(fixture, &early, true);
    assert_memory_is_used(fixture, &next);
    /* Removed while another one with a smaller number is still to be delivered. The highest number
     * is kept. */
    fixture_wait(fixture, STORED, submit_key(fixture, &first, true));
    fixture_wait(fixture, STORED, submit_key(fixture, &other, true));
    fixture_wait(fixture, STORED, submit_key(fixture, &highest, true));
    deliver(fixture, &other, true);
    deliver(fixture, &highest, true);
    set_horizon(fixture, 5 << 16);
    deliver(fixture, &first, true);
    assert_memory_is_used(fixture, &last);
}

static void test_the_horizon_follows_age_and_size(void **state)
{
    struct fixture *fixture = *state;
    struct retention none = {0}, hour = {.usec = 3600 * USEC_PER_SEC};
    struct retention small = {.bytes = 200 * 1024}, large = {.bytes = 1 << 30};
    uint64_t horizon;

    say_many(fixture, 4000);
    assert_int_equal(retention_horizon(fixture->history, &none, 1ULL << 50), 0);
    assert_int_equal(retention_horizon(fixture->history, &large, 1ULL << 50), 0);
    assert_true(retention_horizon(fixture->history, &hour, 7200 * USEC_PER_SEC) == 3600ULL * 1000
                                                                                       << 16);
    assert_int_equal(retention_horizon(fixture->history, &hour, 60 * USEC_PER_SEC), 0);
    /* By size it rises until the database is small enough, and not while it is being pruned. */
    fixture_leave_alone(fixture, UNINDEXED);
    while ((horizon = retention_horizon(fixture->history, &small, 1ULL << 50)) > 0) {
        struct history_size size;

        fixture_wait(fixture, STORED,
                     submit_state(fixture, &(struct ring_state){.horizon = horizon}));
        if (history_get_size(fixture->history, &size) == 0 && size.is_pruning)
            assert_int_equal(retention_horizon(fixture->history, &small, 1ULL << 50), 0);
        fixture_leave_alone(fixture, ANYTHING_BELOW);
    }
    assert_in_range(history_count(fixture->history), 100, 2000);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_what_is_below_the_horizon_goes_and_counts_as_had),
        WITH_STORE(test_what_is_not_indexed_yet_goes_too),
        WITH_STORE(test_the_second_key_of_a_message_stays_when_the_first_goes),
        WITH_STORE(test_two_keys_of_a_message_go_together),
        WITH_STORE(test_a_cursor_and_late_numbers_outlive_what_they_were_of),
        WITH_STORE(test_a_tail_whose_cursor_is_below_the_horizon_goes_on_with_the_oldest_left),
        WITH_STORE(test_a_tail_shows_nothing_of_what_is_removed_and_was_delivered_just_before),
        WITH_STORE(test_a_late_message_that_is_removed_before_its_number_is_known_holds_nobody),
        WITH_STORE(test_the_horizon_follows_age_and_size),
    };

    return cmocka_run_group_tests_name("store-prune", tests, NULL, NULL);
}
