/* What a tail is shown from memory, and when it reads the database. That both have the same is
 * test-tail.c's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/history-internal.h"
#include "store-fixture.h"

/* A tail that shows all there is. How often it read the database for that. */
static uint64_t reads_of(struct fixture *fixture, struct history_position *position,
                         size_t expected)
{
    uint64_t reads = history_tail_reads(fixture->history);
    bool end = false;
    size_t count = 0;

    while (!end) {
        struct history_page page;

        assert_int_equal(history_read_after(fixture->history, position, 32, &page), 0);
        count += page.count;
        if (page.count > 0)
            *position = page.items[page.count - 1].position;
        end = page.end;
        history_page_done(&page);
    }
    assert_int_equal(count, expected);
    return history_tail_reads(fixture->history) - reads;
}

static struct history_position position_now(struct fixture *fixture)
{
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_last(fixture->history, 0, &page, &position), 0);
    history_page_done(&page);
    return position;
}

static void say_many(struct fixture *fixture, uint64_t from, uint64_t to)
{
    for (uint64_t hlc = from; hlc <= to; hlc++) {
        const struct message_key key = key_of(hlc, 1, hlc);

        say(fixture, &key);
    }
}

static void test_a_tail_that_has_seen_everything_reads_no_database(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = position_now(fixture), behind = position;

    for (uint64_t hlc = 100; hlc < 110; hlc++) {
        say_many(fixture, hlc, hlc);
        assert_int_equal(reads_of(fixture, &position, 1), 0);
        assert_int_equal(reads_of(fixture, &position, 0), 0);
    }
    say_many(fixture, 110, 110 + 32);
    assert_int_equal(reads_of(fixture, &position, 33), 0);
    assert_int_equal(reads_of(fixture, &behind, 43), 0);
    assert_memory_equal(&position, &behind, sizeof(position));
    behind = position_now(fixture);
    assert_memory_equal(&position, &behind, sizeof(position));
}

static void test_a_late_message_is_read_from_the_database_and_what_follows_is_not(void **state)
{
    struct fixture *fixture = *state;
    const struct message_key late = key_of(50, 2, 1), live = key_of(120, 1, 120);
    const struct message_key noted = key_of(110, 2, 2);
    struct history_position position = position_now(fixture);

    say_many(fixture, 100, 101);
    repair(fixture, &late);
    assert_int_equal(reads_of(fixture, &position, 3), 1);
    say_many(fixture, 102, 103);
    assert_int_equal(reads_of(fixture, &position, 2), 0);
    /* The note comes after the delivery: until then nobody knows its number. */
    fixture_wait(fixture, STORED, submit_key(fixture, &live, false));
    deliver_untold(fixture, &live, false);
    fixture_wait(fixture, STORED, submit_key(fixture, &noted, false));
    deliver_untold(fixture, &noted, true);
    assert_int_equal(reads_of(fixture, &position, 1), 1);
    say_many(fixture, 121, 121);
    assert_int_equal(reads_of(fixture, &position, 1), 1);
    assert_int_equal(store_submit_late(fixture->store, &noted), 0);
    fixture_wait(fixture, STORED, submit_state(fixture, &(struct ring_state){1, 1, 1}));
    assert_int_equal(reads_of(fixture, &position, 1), 1);
    say_many(fixture, 122, 122);
    assert_int_equal(reads_of(fixture, &position, 1), 0);
}

static void test_a_second_key_of_a_message_is_looked_for_in_the_database(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = position_now(fixture);
    const struct message_key first = key_of(100, 1, 100), again = key_of(102, 2, 1);
    struct message message = message_of(&first);

    say_many(fixture, 100, 101);
    assert_int_equal(reads_of(fixture, &position, 2), 0);
    message.key = again;
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    deliver(fixture, &again, false);
    assert_int_equal(reads_of(fixture, &position, 0), 1);
    say_many(fixture, 103, 103);
    assert_int_equal(reads_of(fixture, &position, 1), 1);
    say_many(fixture, 104, 104);
    assert_int_equal(reads_of(fixture, &position, 1), 0);
}

static void test_what_came_late_is_not_shown_again_by_a_tail_that_is_behind(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = position_now(fixture);
    const struct message_key first = key_of(101, 1, 101), again = key_of(50, 2, 1);
    struct message message = message_of(&first);
    struct history_page page;

    say_many(fixture, 100, 102);
    message.key = again;
    fixture_wait(fixture, STORED, submit_message(fixture, &message, true));
    deliver(fixture, &again, true);
    assert_int_equal(history_read_after(fixture->history, &position, 1, &page), 0);
    assert_true(page.count == 1 && page.items[0].late);
    position = page.items[0].position;
    history_page_done(&page);
    assert_int_equal(reads_of(fixture, &position, 2), 1);
}

static void test_only_so_much_is_kept_in_memory(void **state)
{
    struct fixture *fixture = *state;
    const struct history_recent *recent = &fixture->history->recent;
    struct history_position position = position_now(fixture), behind = position;
    static char text[TEXT_BYTES_MAX];
    struct message_key key = key_of(1000, 1, 1000);
    struct message message = message_of(&key);

    say_many(fixture, 100, 100 + TAIL_RECENT_MESSAGES);
    assert_int_equal(recent->count, TAIL_RECENT_MESSAGES);
    /* The database is read until the reader has come to what is kept. */
    assert_int_equal(reads_of(fixture, &position, TAIL_RECENT_MESSAGES + 1), 1);
    assert_int_equal(reads_of(fixture, &behind, TAIL_RECENT_MESSAGES + 1), 1);
    memset(text, 'a', sizeof(text));
    message.text = (struct bytes){text, sizeof(text)};
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    deliver(fixture, &key, false);
    assert_int_equal(recent->count, 1);
    assert_int_equal(reads_of(fixture, &position, 1), 0);
    say_many(fixture, 1001, 1001);
    assert_int_equal(recent->count, 1);
    assert_true(recent->bytes < 1000);
    assert_int_equal(reads_of(fixture, &position, 1), 0);
    assert_int_equal(reads_of(fixture, &behind, 2), 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_tail_that_has_seen_everything_reads_no_database),
        WITH_STORE(test_a_late_message_is_read_from_the_database_and_what_follows_is_not),
        WITH_STORE(test_a_second_key_of_a_message_is_looked_for_in_the_database),
        WITH_STORE(test_what_came_late_is_not_shown_again_by_a_tail_that_is_behind),
        WITH_STORE(test_only_so_much_is_kept_in_memory),
    };

    return cmocka_run_group_tests_name("tail-memory", tests, NULL, NULL);
}
