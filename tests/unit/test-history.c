/* What readers of the history and tails are shown. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/util.h"
#include "store-fixture.h"

/* Checks a page against hlcs (0 ends; a late one is negative), and drops it. */
static void assert_page(struct history_page *page, const int64_t *expected)
{
    size_t i = 0;

    for (; expected[i] != 0; i++) {
        assert_true(i < page->count);
        assert_int_equal(packet_key(page->items[i].packet).hlc, llabs(expected[i]));
        assert_int_equal(page->items[i].late, expected[i] < 0);
    }
    assert_int_equal(page->count, i);
    history_page_done(page);
}

#define ASSERT_PAGE(page, ...) assert_page(page, (const int64_t[]){__VA_ARGS__, 0})

static void assert_history(struct fixture *fixture, const int64_t *expected)
{
    struct message_key beginning = {0};
    struct history_page page;

    assert_int_equal(history_read(fixture->history, &beginning, 1000, &page), 0);
    assert_true(page.end);
    assert_page(&page, expected);
}

#define ASSERT_HISTORY(fixture, ...) assert_history(fixture, (const int64_t[]){__VA_ARGS__, 0})

/* Reads all that follows, and moves the position behind it. */
static void assert_tail(struct fixture *fixture, struct history_position *position,
                        const int64_t *expected)
{
    struct history_page page;

    assert_int_equal(history_read_after(fixture->history, position, 1000, &page), 0);
    assert_true(page.end);
    if (page.count > 0)
        *position = page.items[page.count - 1].position;
    assert_page(&page, expected);
}

#define ASSERT_TAIL(fixture, position, ...)                                                        \
    assert_tail(fixture, position, (const int64_t[]){__VA_ARGS__, 0})

static struct history_position tail_from_now(struct fixture *fixture)
{
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_last(fixture->history, 0, &page, &position), 0);
    assert_int_equal(page.count, 0);
    history_page_done(&page);
    return position;
}

static void say_at(struct fixture *fixture, uint64_t hlc)
{
    struct message_key key = key_of(hlc, hlc % 3, hlc);

    say(fixture, &key);
}

static void repair_at(struct fixture *fixture, uint64_t hlc)
{
    struct message_key key = key_of(hlc, hlc % 3, hlc);

    repair(fixture, &key);
}

/* ---- what is shown ---- */

static void test_an_empty_history_is_empty(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct ring_id id = {{1}};
    struct packet *packet;

    assert_history(fixture, (const int64_t[]){0});
    assert_tail(fixture, &position, (const int64_t[]){0});
    assert_int_equal(history_count(fixture->history), 0);
    assert_int_equal(history_find(fixture->history, &id, &packet), -ENOENT);
}

static void test_what_is_stored_and_not_delivered_is_not_shown(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct message_key key = key_of(5, 1, 1);

    fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
    assert_true(history_is_hidden(fixture->history, &key));
    assert_history(fixture, (const int64_t[]){0});
    assert_tail(fixture, &position, (const int64_t[]){0});
    assert_int_equal(history_count(fixture->history), 0);
    deliver(fixture, &key, false);
    assert_false(history_is_hidden(fixture->history, &key));
    ASSERT_HISTORY(fixture, 5);
    ASSERT_TAIL(fixture, &position, 5);
    assert_int_equal(history_count(fixture->history), 1);
}

static void test_equal_clocks_are_ordered_by_the_origins_id(void **state)
{
    struct fixture *fixture = *state;
    struct message_key beginning = {0}, key, last = {0};
    struct history_page page;

    for (unsigned origin = 1; origin <= 5; origin++) {
        key = key_of(7, origin, 1);
        submit_key(fixture, &key, false);
    }
    fixture_reopen(fixture);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(history_read(fixture->history, i ? &last : &beginning, 1, &page), 0);
        assert_int_equal(page.count, 1);
        key = packet_key(page.items[0].packet);
        assert_true(message_key_compare(&key, &last) > 0);
        last = page.items[0].position.key;
        history_page_done(&page);
    }
    assert_int_equal(history_last(fixture->history, 2, &page, &(struct history_position){0}), 0);
    key = packet_key(page.items[0].packet);
    assert_int_equal(key.origin.bytes[15], 2);
    history_page_done(&page);
}

static void test_the_last_ones_and_what_follows_them_are_everything_once(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position;
    struct history_page page;

    for (unsigned hlc = 10; hlc <= 50; hlc += 10)
        say_at(fixture, hlc);
    assert_int_equal(history_last(fixture->history, 3, &page, &position), 0);
    ASSERT_PAGE(&page, 30, 40, 50);
    say_at(fixture, 60);
    ASSERT_TAIL(fixture, &position, 60);
}

static void test_a_key_beyond_any_shows_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct message_key beyond = {.hlc = UINT64_MAX, .seq = UINT64_MAX};
    struct history_page page;

    say_at(fixture, 10);
    assert_int_equal(history_read(fixture->history, &beyond, 10, &page), 0);
    assert_int_equal(page.count, 0);
    history_page_done(&page);
}

/* ---- late deliveries ---- */

static void test_a_late_message_has_its_place_in_the_history_and_comes_last_in_a_tail(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture), old = position;

    say_at(fixture, 10);
    say_at(fixture, 30);
    ASSERT_TAIL(fixture, &position, 10, 30);
    repair_at(fixture, 20);
    repair_at(fixture, 5);
    repair_at(fixture, 99);
    ASSERT_HISTORY(fixture, 5, 10, 20, 30, 99);
    ASSERT_TAIL(fixture, &position, -20, -5, -99);
    say_at(fixture, 40);
    ASSERT_TAIL(fixture, &position, 40);
    ASSERT_TAIL(fixture, &old, -20, -5, -99, 10, 30, 40);
}

static void test_a_late_one_noted_after_its_delivery_is_shown_once_and_late(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct message_key key = key_of(20, 2, 20);

    /* Stored when nothing above it was delivered; so only the delivery says that it is late. */
    fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
    say_at(fixture, 30);
    ASSERT_TAIL(fixture, &position, 30);
    deliver(fixture, &key, true);
    fixture_wait(fixture, STORED, 0);
    ASSERT_TAIL(fixture, &position, -20);
    assert_tail(fixture, &position, (const int64_t[]){0});
    /* Told again, as of a repaired one. */
    assert_int_equal(store_submit_late(fixture->store, &key), 0);
    fixture_reopen(fixture);
    assert_tail(fixture, &position, (const int64_t[]){0});
}

static void test_a_late_one_is_no_unmarked_one_before_its_note_is_on_disk(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct message_key key = key_of(20, 2, 20);

    fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
    say_at(fixture, 30);
    /* No note is on its way. */
    deliver_untold(fixture, &key, true);
    ASSERT_TAIL(fixture, &position, 30);
    ASSERT_HISTORY(fixture, 20, 30);
}

/* Its write is committed, its delivery is still to come: no tail may pass over its number. */
static void test_a_late_one_not_delivered_yet_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position;
    struct message_key key;

    say_at(fixture, 30);
    key = key_of(10, 1, 10);
    fixture_wait(fixture, STORED, submit_key(fixture, &key, true));
    position = tail_from_now(fixture);
    repair_at(fixture, 20);
    assert_tail(fixture, &position, (const int64_t[]){0});
    deliver(fixture, &key, true);
    ASSERT_TAIL(fixture, &position, -10, -20);
}

/* It came below what was delivered, and the process ended before its delivery. */
static void test_a_crash_before_a_late_delivery_hides_it_from_no_tail(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct message_key key = key_of(20, 2, 20);

    say_at(fixture, 30);
    ASSERT_TAIL(fixture, &position, 30);
    submit_key(fixture, &key, false);
    fixture_reopen(fixture);
    ASSERT_TAIL(fixture, &position, -20);
    /* And so after the restart itself, when nothing has been delivered since. */
    key = key_of(25, 1, 25);
    submit_key(fixture, &key, false);
    fixture_reopen(fixture);
    ASSERT_TAIL(fixture, &position, -25);
}

static void test_a_tail_goes_on_between_the_last_ones_with_late_ones_among_them(void **state)
{
    struct fixture *fixture = *state;
    struct history_position end, middle;
    struct history_page page;

    say_at(fixture, 10);
    say_at(fixture, 40);
    repair_at(fixture, 30);
    repair_at(fixture, 20);
    repair_at(fixture, 90);
    assert_int_equal(history_last(fixture->history, 4, &page, &end), 0);
    middle = page.items[0].position;
    assert_memory_equal(&page.items[3].position, &end, sizeof(end));
    ASSERT_PAGE(&page, 20, 30, 40, 90);
    repair_at(fixture, 25);
    say_at(fixture, 100);
    assert_int_equal(history_read_after(fixture->history, &middle, 1, &page), 0);
    middle = page.items[0].position;
    ASSERT_PAGE(&page, 30);
    ASSERT_TAIL(fixture, &middle, 40, 90, -25, 100);
    ASSERT_TAIL(fixture, &end, -25, 100);
}

static void test_a_long_run_of_late_ones_is_passed_over_in_parts(void **state)
{
    struct fixture *fixture = *state;
    struct history_position beginning = {0};
    struct history_page page;
    unsigned calls = 0;
    bool end;

    for (unsigned hlc = 1; hlc <= 3 * READ_SKIP_ROWS_MAX; hlc++) {
        struct message_key key = key_of(hlc, 1, hlc);

        submit_key(fixture, &key, true);
    }
    fixture_reopen(fixture);
    say_at(fixture, 1000000);
    beginning.late = 3 * READ_SKIP_ROWS_MAX;
    do {
        assert_int_equal(history_read_after(fixture->history, &beginning, 10, &page), 0);
        end = page.end;
        calls++;
        if (!end)
            assert_int_equal(page.count, 0);
        else
            ASSERT_PAGE(&page, 1000000);
        history_page_done(&page);
    } while (!end);
    assert_int_equal(calls, 4);
    /* The next tail need not. */
    ASSERT_TAIL(fixture, &beginning, 1000000);
}

/* ---- one id under two keys ---- */

static struct message second_of(const struct message_key *first, const struct message_key *second)
{
    struct message message = message_of(first);

    message.key = *second;
    return message;
}

static void say_again(struct fixture *fixture, uint64_t first_hlc, uint64_t hlc, bool late)
{
    struct message_key first = key_of(first_hlc, first_hlc % 3, first_hlc);
    struct message_key key = key_of(hlc, hlc % 3, hlc);
    struct message message = second_of(&first, &key);

    fixture_wait(fixture, STORED, submit_message(fixture, &message, late));
    deliver(fixture, &key, late);
}

static void test_a_message_under_two_keys_is_shown_once_at_the_smaller(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = tail_from_now(fixture);
    struct history_position beginning = {0};

    say_at(fixture, 10);
    say_at(fixture, 20);
    say_again(fixture, 10, 30, false);
    ASSERT_HISTORY(fixture, 10, 20);
    assert_int_equal(history_count(fixture->history), 2);
    ASSERT_TAIL(fixture, &position, 10, 20);
    /* A smaller key comes by repair: the history moves it, a tail has shown it. */
    say_again(fixture, 20, 5, true);
    ASSERT_HISTORY(fixture, 5, 10);
    assert_tail(fixture, &position, (const int64_t[]){0});
    ASSERT_TAIL(fixture, &beginning, -5, 10);
    fixture_reopen(fixture);
    ASSERT_HISTORY(fixture, 5, 10);
    assert_int_equal(history_count(fixture->history), 2);
}

static void test_a_tail_that_saw_the_second_key_first_does_not_show_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position;
    struct message_key a = key_of(10, 1, 10), b = key_of(20, 2, 20);
    struct message message = second_of(&a, &b);
    struct history_page page;

    /* Stored first, delivered last. */
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    fixture_wait(fixture, STORED, submit_key(fixture, &a, true));
    deliver(fixture, &a, true);
    assert_int_equal(history_last(fixture->history, 9, &page, &position), 0);
    ASSERT_PAGE(&page, 10);
    deliver(fixture, &b, false);
    assert_tail(fixture, &position, (const int64_t[]){0});
    ASSERT_HISTORY(fixture, 10);
}

static void test_an_id_is_found_under_its_smallest_key_delivered_or_not(void **state)
{
    struct fixture *fixture = *state;
    struct message_key a = key_of(10, 1, 10), b = key_of(5, 2, 20), found;
    struct message message = second_of(&a, &b);
    struct packet *packet;

    fixture_wait(fixture, STORED, submit_key(fixture, &a, false));
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    assert_int_equal(history_find(fixture->history, &message.id, &packet), 0);
    found = packet_key(packet);
    assert_int_equal(message_key_compare(&found, &b), 0);
    packet_unref(packet);
}

/* ---- cursors ---- */

static void test_a_cursor_comes_back_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = {.key = key_of(INT64_MAX, 3, INT64_MAX), .late = INT64_MAX};
    struct history_position back;
    char text[HISTORY_CURSOR_TEXT_MAX];

    for (unsigned i = 0; i < 2; i++) {
        history_cursor_format(fixture->history, &position, text);
        fixture_reopen(fixture);
        assert_int_equal(history_cursor_parse(fixture->history, text, &back), 0);
        assert_memory_equal(&position, &back, sizeof(back));
        position.from = key_of(1, 1, 1);
        position.upto = key_of(2, 2, 2);
    }
}

static void test_what_is_no_cursor_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = {.key = key_of(1, 1, 1), .from = key_of(1, 1, 1)};
    struct history_position back;
    char text[HISTORY_CURSOR_TEXT_MAX], changed[HISTORY_CURSOR_TEXT_MAX + 1];

    position.upto = key_of(9, 9, 9);
    history_cursor_format(fixture->history, &position, text);
    for (size_t i = 0; i < strlen(text); i++) {
        memcpy(changed, text, i);
        changed[i] = '\0';
        /* Up to the end of its first key it is a shorter cursor. */
        if (i != 37 + 17 + 64)
            assert_int_equal(history_cursor_parse(fixture->history, changed, &back), -EINVAL);
        strcpy(changed, text);
        changed[i] = 'X';
        assert_int_equal(history_cursor_parse(fixture->history, changed, &back), -EINVAL);
    }
    snprintf(changed, sizeof(changed), "%s0", text);
    assert_int_equal(history_cursor_parse(fixture->history, changed, &back), -EINVAL);
}

static void test_a_cursor_of_another_store_is_stale(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position = {.key = key_of(1, 1, 1)}, back;
    char text[HISTORY_CURSOR_TEXT_MAX];

    history_cursor_format(fixture->history, &position, text);
    fixture_close(fixture);
    assert_int_equal(unlink(fixture_path(fixture, "history.db")), 0);
    fixture_open(fixture);
    assert_int_equal(history_cursor_parse(fixture->history, text, &back), -ESTALE);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_an_empty_history_is_empty),
        WITH_STORE(test_what_is_stored_and_not_delivered_is_not_shown),
        WITH_STORE(test_equal_clocks_are_ordered_by_the_origins_id),
        WITH_STORE(test_the_last_ones_and_what_follows_them_are_everything_once),
        WITH_STORE(test_a_key_beyond_any_shows_nothing),
        WITH_STORE(test_a_late_message_has_its_place_in_the_history_and_comes_last_in_a_tail),
        WITH_STORE(test_a_late_one_noted_after_its_delivery_is_shown_once_and_late),
        WITH_STORE(test_a_late_one_is_no_unmarked_one_before_its_note_is_on_disk),
        WITH_STORE(test_a_late_one_not_delivered_yet_is_waited_for),
        WITH_STORE(test_a_crash_before_a_late_delivery_hides_it_from_no_tail),
        WITH_STORE(test_a_tail_goes_on_between_the_last_ones_with_late_ones_among_them),
        WITH_STORE(test_a_long_run_of_late_ones_is_passed_over_in_parts),
        WITH_STORE(test_a_message_under_two_keys_is_shown_once_at_the_smaller),
        WITH_STORE(test_a_tail_that_saw_the_second_key_first_does_not_show_the_first),
        WITH_STORE(test_an_id_is_found_under_its_smallest_key_delivered_or_not),
        WITH_STORE(test_a_cursor_comes_back_as_it_was),
        WITH_STORE(test_what_is_no_cursor_is_refused),
        WITH_STORE(test_a_cursor_of_another_store_is_stale),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
