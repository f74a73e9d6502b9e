/* Long texts in files beside the database: nobody who reads sees the difference, and retention
 * takes them along. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/history-internal.h"
#include "daemon/history-search.h"
#include "daemon/retention.h"
#include "texts-fixture.h"

#define IN_SEGMENTS "SELECT count(*) FROM message WHERE long < 0"

/* ---- reading and writing ---- */

static void test_every_reader_has_the_whole_text(void **state)
{
    struct fixture *fixture = *state;

    say_numbers(fixture, 1, 30);
    assert_int_equal(fixture_number(fixture, IN_SEGMENTS), 30);
    assert_true(fixture_number(fixture, SEGMENTS) > 10);
    assert_all_there(fixture, 1, 30);
    fixture_leave_alone(fixture, UNINDEXED);
    assert_all_there(fixture, 1, 30);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
}

static void test_a_restart_goes_on_in_the_last_segment(void **state)
{
    struct fixture *fixture = *state;

    say_number(fixture, 1);
    for (uint64_t n = 2; n <= 12; n++) {
        fixture_reopen(fixture);
        say_number(fixture, n);
    }
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
    assert_true(fixture_number(fixture, SEGMENTS) < 9);
    assert_all_there(fixture, 1, 12);
}

static void test_only_many_texts_at_once_go_to_a_segment(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key;
    struct message message;
    char text[5000];

    memset(text, 'x', sizeof(text));
    for (uint64_t n = 1; n <= 5; n++) {
        /* What comes behind a large commit is taken for the next of many. */
        if (n == 3) {
            say_number(fixture, n);
            continue;
        }
        key = key_number(n);
        message = message_of(&key);
        message.text = (struct bytes){text, sizeof(text)};
        fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    }
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM message WHERE long > 0"), 3);
    assert_int_equal(fixture_number(fixture, "SELECT -long >> 32 FROM message WHERE hlc = 4 << 16"),
                     1);
    /* And a short one is in its row. */
    key = key_number(6);
    say(fixture, &key);
    assert_int_equal(fixture_number(fixture, "SELECT long FROM message WHERE hlc = 6 << 16"), 0);
}

static void test_a_text_is_kept_once_a_row(void **state)
{
    static char text[TEXT_BYTES_LONGEST];
    struct fixture *fixture = *state;
    struct message message = message_number(1, text);

    say_number(fixture, 1);
    say_number(fixture, 1);
    assert_int_equal(fixture_number(fixture, "SELECT texts FROM segment"), 1);
    /* The same message under another key is another row. */
    message.key = key_number(9);
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    assert_int_equal(fixture_number(fixture, "SELECT twins FROM counts"), 1);
    assert_int_equal(fixture_number(fixture, "SELECT texts FROM segment"), 2);
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
}

static void test_the_files_are_for_their_owner_only(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char *path;

    say_number(fixture, 1);
    assert_int_equal(stat(fixture_path(fixture, "history.db-texts"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    path = segment_file(fixture, "history.db", 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    free(path);
}

/* ---- retention ---- */

static void test_retention_removes_the_segments_of_which_nothing_is_left(void **state)
{
    struct fixture *fixture = *state;
    uint64_t size;
    int segments;

    say_numbers(fixture, 1, 40);
    fixture_leave_alone(fixture, UNINDEXED);
    segments = fixture_number(fixture, SEGMENTS);
    size = store_size(fixture->store);
    fixture_set_horizon(fixture, 21 << 16);
    assert_all_there(fixture, 21, 40);
    assert_in_range(fixture_number(fixture, SEGMENTS), segments / 2 - 1, segments / 2 + 1);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
    assert_true(store_size(fixture->store) + 20 * STORE_TEXTS_GROUP_BYTES < size);
    /* The last one stays, and its number is not given again. */
    fixture_set_horizon(fixture, 41 << 16);
    assert_int_equal(fixture_number(fixture, SEGMENTS), 1);
    fixture_reopen(fixture);
    assert_int_equal(fixture_number(fixture, "SELECT number FROM segment"), segments);
    say_numbers(fixture, 41, 50);
    assert_all_there(fixture, 41, 50);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
}

/* What comes by repair lies anywhere in the history: beside new texts it would stay as long as they
 * do. */
static void test_what_comes_late_keeps_no_segment_from_retention(void **state)
{
    static char text[TEXT_BYTES_LONGEST];
    struct fixture *fixture = *state;

    for (uint64_t n = 1; n <= 64; n++) {
        struct message message = message_number(n, text);

        if (n % 4 == 1)
            say_number(fixture, 65 + n / 4);
        fixture_wait(fixture, STORED, submit_message(fixture, &message, true));
        deliver(fixture, &message.key, true);
    }
    assert_all_there(fixture, 1, 80);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_set_horizon(fixture, 66 << 16);
    assert_all_there(fixture, 66, 80);
    assert_in_range(fixture_number(fixture, "SELECT count(*) FROM segment WHERE live < texts"), 0,
                    1);
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
}

static uint64_t used_bytes(struct fixture *fixture)
{
    struct history_size size;

    assert_int_equal(history_get_size(fixture->history, &size), 0);
    return size.used_bytes;
}

static void test_a_text_that_is_gone_counts_no_more_while_its_segment_is_there(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before;

    say_numbers(fixture, 1, 2);
    fixture_leave_alone(fixture, UNINDEXED);
    before = used_bytes(fixture);
    fixture_set_horizon(fixture, 2 << 16);
    assert_int_equal(fixture_number(fixture, "SELECT live FROM segment"), 1);
    assert_true(used_bytes(fixture) + STORE_TEXTS_GROUP_BYTES / 2 < before);
}

/* The limit counts texts that are left, not the files they are in. */
static void test_a_limit_of_the_size_leaves_as_much_as_it_says(void **state)
{
    struct fixture *fixture = *state;
    struct retention small = {.bytes = 1024 * 1024};
    uint64_t horizon, left;

    say_numbers(fixture, 1, 60);
    fixture_leave_alone(fixture, UNINDEXED);
    assert_true(used_bytes(fixture) > 3 * small.bytes);
    while ((horizon = retention_horizon(fixture->history, &small, 1ULL << 50)) > 0)
        fixture_set_horizon(fixture, horizon);
    assert_in_range(used_bytes(fixture), small.bytes / 2, small.bytes);
    left = (uint64_t)history_count(fixture->history);
    assert_in_range(left, 8, 25);
    assert_all_there(fixture, 61 - left, 60);
    assert_true(store_size(fixture->store) < 8 * small.bytes);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
}

/* A transaction that began before sees rows whose texts are gone by now. */
static void test_a_reader_from_before_is_told_that_it_is_late(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_number(2);
    struct history_query query = {.until = UINT64_MAX};
    struct history_position position;
    struct history_search *search;
    struct history_page page;
    struct packet *packet;

    say_numbers(fixture, 1, 40);
    assert_int_equal(history_last(fixture->history, 40, &page, &position), 0);
    position = (struct history_position){0};
    history_page_done(&page);
    fixture_reopen(fixture);
    assert_int_equal(sqlite3_exec(fixture->history->database, "BEGIN; SELECT count(*) FROM message",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    fixture_set_horizon(fixture, 31 << 16);
    assert_int_equal(history_find_key(fixture->history, &key, &packet), -EEXIST);
    assert_int_equal(history_read(fixture->history, &key, 100, &page), 0);
    assert_false(page.end);
    assert_int_equal(page.count, 0);
    history_page_done(&page);
    assert_int_equal(history_read_after(fixture->history, &position, 100, &page), 0);
    assert_false(page.end);
    history_page_done(&page);
    assert_int_equal(history_last(fixture->history, 40, &page, &position), 0);
    assert_page_has(&page, assert_is_number, 41 - page.count, 40);
    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &(struct message_key){0}, false);
    assert_int_equal(history_search_read(search, 100, &page), 0);
    assert_false(page.end);
    history_page_done(&page);
    history_search_free(search);
    /* And the next transaction sees what is left. */
    sqlite3_exec(fixture->history->database, "COMMIT", NULL, NULL, NULL);
    assert_all_there(fixture, 31, 40);
}

/* ---- older versions ---- */

/* The database becomes one of the version before, which had all long texts in a table. */
static const char into_older[] = "DROP TABLE segment; ALTER TABLE state DROP COLUMN series;"
                                 "PRAGMA user_version = 4;";

static void test_long_texts_of_an_older_version_stay_where_they_are(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_number(1);
    struct message message = message_of(&key);
    struct packet *packet;
    char text[5000];

    memset(text, 'x', sizeof(text));
    message.text = (struct bytes){text, sizeof(text)};
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    deliver(fixture, &key, false);
    fixture_close(fixture);
    fixture_sql(fixture, into_older);
    fixture_open(fixture);
    assert_int_equal(fixture_number(fixture, "PRAGMA user_version"), 5);
    say_numbers(fixture, 2, 20);
    assert_int_equal(fixture_number(fixture, IN_SEGMENTS), 19);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM long_text"), 1);
    assert_int_equal(history_find_key(fixture->history, &key, &packet), 0);
    assert_int_equal(message_unpack(packet, &message), 0);
    assert_int_equal(message.text.size, sizeof(text));
    assert_memory_equal(message.text.data, text, sizeof(text));
    packet_unref(packet);
    /* Retention takes both kinds. */
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_set_horizon(fixture, 11 << 16);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM long_text"), 0);
    assert_all_there(fixture, 11, 20);
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_every_reader_has_the_whole_text),
        WITH_STORE(test_a_restart_goes_on_in_the_last_segment),
        WITH_STORE(test_only_many_texts_at_once_go_to_a_segment),
        WITH_STORE(test_a_text_is_kept_once_a_row),
        WITH_STORE(test_the_files_are_for_their_owner_only),
        WITH_STORE(test_retention_removes_the_segments_of_which_nothing_is_left),
        WITH_STORE(test_what_comes_late_keeps_no_segment_from_retention),
        WITH_STORE(test_a_text_that_is_gone_counts_no_more_while_its_segment_is_there),
        WITH_STORE(test_a_limit_of_the_size_leaves_as_much_as_it_says),
        WITH_STORE(test_a_reader_from_before_is_told_that_it_is_late),
        WITH_STORE(test_long_texts_of_an_older_version_stay_where_they_are),
    };

    return cmocka_run_group_tests_name("texts", tests, NULL, NULL);
}
