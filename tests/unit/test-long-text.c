/* Texts that are not in the rows of their messages: nobody who reads sees the difference. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/util.h"
#include "daemon/history-search.h"
#include "store-fixture.h"

#define LONG_TEXTS "SELECT count(*) FROM long_text"
#define PAGES_BEHIND_ROWS                                                                          \
    "SELECT count(*) FROM dbstat WHERE name = 'message' AND pagetype = 'overflow'"

/* A message of `size` bytes of text that nothing else has, found by "findable" and its number. */
static struct message long_message(const struct message_key *key, size_t size, char *text)
{
    struct message message = message_of(key);
    int head = snprintf(text, size, "findable %llu ", (unsigned long long)key->hlc >> 16);

    for (size_t i = (size_t)head; i < size; i++)
        text[i] = (char)('a' + (i * key->hlc >> 5) % 26);
    message.text = (struct bytes){text, size};
    return message;
}

static struct message_key key_number(uint64_t n)
{
    return key_of(n << 16, n % 2, n);
}

/* Every third text is a short one. */
static size_t size_number(uint64_t n)
{
    return n % 3 == 0 ? 40 : 1000 + n % 40 * 517;
}

static void say_long(struct fixture *fixture, uint64_t n, bool late)
{
    static char text[32 * 1024];
    struct message_key key = key_number(n);
    struct message message = long_message(&key, size_number(n), text);

    fixture_wait(fixture, STORED, submit_message(fixture, &message, late));
    deliver(fixture, &key, late);
}

static void assert_is_number(const struct packet *packet, uint64_t n)
{
    static char text[32 * 1024];
    struct message_key key = key_number(n);
    struct message expected = long_message(&key, size_number(n), text), found;

    assert_int_equal(message_unpack(packet, &found), 0);
    assert_int_equal(message_key_compare(&found.key, &key), 0);
    assert_int_equal(found.text.size, expected.text.size);
    assert_memory_equal(found.text.data, text, found.text.size);
}

/* By every way to read. */
static void assert_all_there(struct fixture *fixture, uint64_t first, uint64_t last)
{
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_read(fixture->history, &(struct message_key){0}, 1000, &page), 0);
    assert_page_has(&page, assert_is_number, first, last);
    assert_int_equal(history_last(fixture->history, last - first, &page, &position), 0);
    assert_page_has(&page, assert_is_number, first + 1, last);
    assert_found(fixture, "findable", assert_is_number, first, last);
    for (uint64_t n = first; n <= last; n++) {
        struct message_key key = key_number(n);
        struct message message = message_of(&key);
        struct packet *packet;
        char word[32];

        assert_int_equal(history_find(fixture->history, &message.id, &packet), 0);
        assert_is_number(packet, n);
        packet_unref(packet);
        assert_int_equal(history_find_key(fixture->history, &key, &packet), 0);
        assert_is_number(packet, n);
        packet_unref(packet);
        snprintf(word, sizeof(word), "%llu", (unsigned long long)n);
        assert_found(fixture, word, assert_is_number, n, n);
    }
}

static void test_every_reader_has_the_whole_text(void **state)
{
    struct fixture *fixture = *state;
    struct completion *fetched;

    for (uint64_t n = 1; n <= 30; n++)
        say_long(fixture, n, false);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 20);
    assert_all_there(fixture, 1, 30);
    fixture_leave_alone(fixture, UNINDEXED);
    assert_all_there(fixture, 1, 30);
    fetched = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 1, 30, SIZE_MAX));
    assert_int_equal(fetched->count, 15);
    for (size_t i = 0; i < 15; i++)
        assert_is_number(fetched->packets[i], 2 * i + 1);
    fixture_reopen(fixture);
    /* New ones get numbers of their own. */
    say_long(fixture, 31, false);
    say_long(fixture, 32, false);
    assert_all_there(fixture, 1, 32);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 22);
}

static void test_a_tail_has_the_whole_text_of_a_late_one(void **state)
{
    struct fixture *fixture = *state;
    struct history_position position;
    struct history_page page;

    say_long(fixture, 5, false);
    assert_int_equal(history_last(fixture->history, 0, &page, &position), 0);
    history_page_done(&page);
    say_long(fixture, 4, true);
    assert_int_equal(history_read_after(fixture->history, &position, 10, &page), 0);
    assert_true(page.items[0].late);
    assert_page_has(&page, assert_is_number, 4, 4);
}

static void test_a_text_is_kept_once_a_row(void **state)
{
    struct fixture *fixture = *state;
    struct message_key second = key_of(9 << 16, 1, 9);
    struct message message;
    char text[5000];

    say_long(fixture, 1, false);
    say_long(fixture, 1, false);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 1);
    /* The same message under another key is another row. */
    message = long_message(&second, sizeof(text), text);
    message.id = message_of(&(struct message_key){.hlc = 1 << 16, .seq = 1ULL << 32 | 1}).id;
    message.id.bytes[15] = 1;
    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    assert_int_equal(fixture_number(fixture, "SELECT twins FROM counts"), 1);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 2);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM message m JOIN long_text l"
                                             " ON l.number = m.long AND m.text = ''"),
                     2);
}

static void test_retention_takes_the_texts_along(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t n = 1; n <= 30; n++)
        say_long(fixture, n, false);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_set_horizon(fixture, 11 << 16);
    assert_all_there(fixture, 11, 30);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 13);
    assert_int_equal(
        fixture_number(fixture, "SELECT count(*) FROM words WHERE words MATCH 'findable'"), 20);
    fixture_set_horizon(fixture, 31 << 16);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 0);
}

/* What the bound says: SQLite has to look at no other page to compare a row. */
static void test_no_row_goes_on_in_another_page(void **state)
{
    static char text[STORE_ROW_BYTES_MAX + 1], names[USER_BYTES_MAX];
    struct fixture *fixture = *state;
    ring_ticket ticket = 0;

    memset(names, 'n', sizeof(names));
    for (unsigned i = 1; i <= 200; i++) {
        struct message_key key = key_of(INT64_MAX - i, i % 2, INT64_MAX - i);
        struct message message = long_message(&key, sizeof(text), text);

        message.sent = UINT64_MAX;
        message.user = (struct bytes){names, USER_BYTES_MAX};
        message.node = (struct bytes){names, NAME_BYTES_MAX};
        message.room = (struct bytes){names, ROOM_BYTES_MAX};
        message.text.size =
            STORE_ROW_BYTES_MAX - USER_BYTES_MAX - NAME_BYTES_MAX - ROOM_BYTES_MAX + i / 199;
        ticket = submit_message(fixture, &message, true);
    }
    fixture_wait(fixture, STORED, ticket);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 2);
    assert_int_equal(fixture_number(fixture, PAGES_BEHIND_ROWS), 0);
}

/* ---- damage ---- */

static void assert_is_set_aside(struct fixture *fixture)
{
    unsigned salvaged = 0;

    fixture_open(fixture);
    assert_non_null(store_get_notice(fixture->store, &salvaged));
    assert_int_equal(salvaged, 1);
    assert_int_equal(store_get_contents(fixture->store)->messages, 0);
}

static void write_and_lose_a_text(struct fixture *fixture, uint64_t count, const char *lose)
{
    struct message_key key = key_of(1, 1, 1000);
    struct message message = message_of(&key);

    for (uint64_t n = 1; n <= count; n++)
        say_long(fixture, n, false);
    submit_outbox(fixture, &message);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_close(fixture);
    fixture_sql(fixture, lose);
}

static void test_a_start_finds_that_a_new_text_is_missing(void **state)
{
    struct fixture *fixture = *state;

    write_and_lose_a_text(fixture, 10, "DELETE FROM long_text WHERE number = 5");
    assert_is_set_aside(fixture);
}

static void test_an_old_text_that_is_missing_is_damage_to_its_readers_and_to_the_check(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_number(2), before = key_number(1);
    struct message message = message_of(&key);
    struct history_query query = {.until = UINT64_MAX, .words = "findable"};
    struct history_search *search;
    struct history_page page;
    struct packet *packet;

    write_and_lose_a_text(fixture, 150, "DELETE FROM long_text WHERE number = 2");
    fixture_open(fixture);
    assert_int_equal(history_find(fixture->history, &message.id, &packet), -EUCLEAN);
    assert_int_equal(history_read(fixture->history, &before, 1, &page), -EUCLEAN);
    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &key, false);
    assert_int_equal(history_search_read(search, 1, &page), -EUCLEAN);
    history_search_free(search);
    /* All others can still be read. */
    assert_int_equal(history_read(fixture->history, &key, 1000, &page), 0);
    assert_page_has(&page, assert_is_number, 3, 150);
    assert_int_equal(store_check(fixture->store, fixture->base), 0);
    assert_non_null(fixture_wait(fixture, CHECKED, 0)->error);
    fixture_close(fixture);
    assert_is_set_aside(fixture);
}

/* ---- older versions ---- */

/* The database becomes one of the version before, which had all texts in their rows. */
static const char into_older[] =
    "UPDATE message SET text = (SELECT text FROM long_text WHERE number = long) WHERE long > 0;"
    "DROP TABLE long_text; DROP TABLE room; DROP TABLE counted; DROP TABLE segment;"
    "ALTER TABLE state DROP COLUMN series;"
    "ALTER TABLE message DROP COLUMN long;"
    "PRAGMA user_version = 2;";

static void test_texts_in_the_rows_of_an_older_version_stay_there(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t n = 1; n <= 20; n++)
        say_long(fixture, n, false);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_close(fixture);
    fixture_sql(fixture, into_older);
    assert_true(fixture_number(fixture, PAGES_BEHIND_ROWS) > 0);
    fixture_open(fixture);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 0);
    for (uint64_t n = 21; n <= 40; n++)
        say_long(fixture, n, false);
    assert_all_there(fixture, 1, 40);
    fixture_leave_alone(fixture, UNINDEXED);
    assert_all_there(fixture, 1, 40);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 13);
    fixture_set_horizon(fixture, 11 << 16);
    assert_all_there(fixture, 11, 40);
    fixture_set_horizon(fixture, 31 << 16);
    assert_all_there(fixture, 31, 40);
    assert_int_equal(fixture_number(fixture, LONG_TEXTS), 7);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_every_reader_has_the_whole_text),
        WITH_STORE(test_a_tail_has_the_whole_text_of_a_late_one),
        WITH_STORE(test_a_text_is_kept_once_a_row),
        WITH_STORE(test_retention_takes_the_texts_along),
        WITH_STORE(test_no_row_goes_on_in_another_page),
        WITH_STORE(test_a_start_finds_that_a_new_text_is_missing),
        WITH_STORE(test_an_old_text_that_is_missing_is_damage_to_its_readers_and_to_the_check),
        WITH_STORE(test_texts_in_the_rows_of_an_older_version_stay_there),
    };

    return cmocka_run_group_tests_name("long-text", tests, NULL, NULL);
}
