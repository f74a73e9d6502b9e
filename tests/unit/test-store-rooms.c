/* The table of rooms: what the messages say, whatever happens to them and to the process. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "common/util.h"
#include "store-fixture.h"

static struct bytes text(const char *name)
{
    return (struct bytes){name, strlen(name)};
}

static ring_ticket submit_to(struct fixture *fixture, struct bytes room,
                             const struct message_key *key, bool repaired)
{
    struct message message = message_of(key);

    message.room = room;
    return submit_message(fixture, &message, repaired);
}

static void assert_right(struct fixture *fixture)
{
    count_rooms(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
}

static int messages_of(struct fixture *fixture, const char *room)
{
    char query[128];

    snprintf(query, sizeof(query), "SELECT total(messages) FROM room WHERE name = '%s'", room);
    return fixture_number(fixture, query);
}

/* Messages 1 … count, each with the hlc of its number, in so many rooms in turn. */
static void say_in_rooms(struct fixture *fixture, unsigned count, unsigned rooms)
{
    ring_ticket ticket = 0;

    for (unsigned i = 1; i <= count; i++) {
        struct message_key key = key_of((uint64_t)i << 16, i % 3, (i + 2) / 3);
        char name[32];

        snprintf(name, sizeof(name), "room %u", i % rooms);
        ticket = submit_to(fixture, text(name), &key, i % 5 == 0);
    }
    fixture_wait(fixture, STORED, ticket);
}

/* What a process leaves that was killed now: its files as they are. */
static void kill_and_reopen(struct fixture *fixture)
{
    static const char *const files[] = {"history.db", "history.db-wal"};
    char command[512];

    for (size_t i = 0; i < ELEMENTS(files); i++) {
        snprintf(command, sizeof(command), "cp %s/%s %s/kept-%s", fixture->directory, files[i],
                 fixture->directory, files[i]);
        assert_int_equal(system(command), 0);
    }
    fixture_close(fixture);
    snprintf(command, sizeof(command),
             "cd %s && rm -f history.db* && mv kept-history.db history.db &&"
             " mv kept-history.db-wal history.db-wal",
             fixture->directory);
    assert_int_equal(system(command), 0);
    fixture_open(fixture);
}

static void test_rooms_have_what_was_written_to_them(void **state)
{
    struct fixture *fixture = *state;
    struct message_key live = key_of(9 << 16, 1, 1), late = key_of(3 << 16, 2, 1);

    assert_right(fixture);
    fixture_wait(fixture, STORED, submit_to(fixture, text("ops"), &live, false));
    assert_right(fixture);
    fixture_wait(fixture, STORED, submit_to(fixture, text("main"), &late, true));
    /* What is stored already counts no more. */
    fixture_wait(fixture, STORED, submit_to(fixture, text("ops"), &live, false));
    assert_right(fixture);
    assert_int_equal(messages_of(fixture, "ops"), 1);
    fixture_reopen(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    assert_int_equal(messages_of(fixture, "main"), 1);
}

static void test_the_store_writes_many_by_itself_and_few_at_the_end(void **state)
{
    struct fixture *fixture = *state;

    say_in_rooms(fixture, STORE_ROOMS_MESSAGES, 7);
    fixture_leave_alone(fixture, WRONG_ROOMS);
    fixture_wait(fixture, STORED,
                 submit_to(fixture, text("few"), &(struct message_key){1, origin_of(5), 1}, false));
    fixture_leave_alone(fixture, UNINDEXED);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 1);
    fixture_close(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    fixture_open(fixture);
}

static void test_more_rooms_than_are_kept_in_memory(void **state)
{
    struct fixture *fixture = *state;

    say_in_rooms(fixture, 3 * STORE_ROOMS_MAX, STORE_ROOMS_MAX + 40);
    kill_and_reopen(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM room"), STORE_ROOMS_MAX + 40);
    fixture_set_horizon(fixture, 700ULL << 16);
    assert_right(fixture);
}

static void test_a_message_with_several_keys_counts_once(void **state)
{
    struct fixture *fixture = *state;
    struct message_key keys[] = {key_of(5 << 16, 1, 1), key_of(9 << 16, 2, 1),
                                 key_of(2 << 16, 0, 1)};
    struct message message = message_of(&keys[0]);

    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        message.key = keys[i];
        message.sent += 1;
        fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    }
    assert_right(fixture);
    assert_int_equal(messages_of(fixture, "main"), 1);
    kill_and_reopen(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    /* One that is not counted goes, then the one that is: the last one stands for it. */
    fixture_set_horizon(fixture, 3 << 16);
    assert_right(fixture);
    fixture_set_horizon(fixture, 7 << 16);
    assert_right(fixture);
    assert_int_equal(messages_of(fixture, "main"), 1);
    assert_int_equal(fixture_number(fixture, "SELECT sent - 5 * 65536000 FROM room"), 2);
    fixture_set_horizon(fixture, 10 << 16);
    assert_right(fixture);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM room"), 0);
}

static void test_a_room_goes_with_its_last_message(void **state)
{
    struct fixture *fixture = *state;
    struct message_key old = key_of(1, 5, 1), later = key_of(700ULL << 16, 5, 2);

    fixture_wait(fixture, STORED, submit_to(fixture, text("old"), &old, false));
    say_in_rooms(fixture, 600, 4);
    fixture_set_horizon(fixture, 500ULL << 16);
    assert_right(fixture);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM room"), 4);
    assert_int_equal(fixture_number(fixture, "SELECT sum(messages) FROM room"), 101);
    fixture_set_horizon(fixture, 601ULL << 16);
    assert_right(fixture);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM room"), 0);
    fixture_wait(fixture, STORED, submit_to(fixture, text("old"), &later, false));
    assert_right(fixture);
    assert_int_equal(messages_of(fixture, "old"), 1);
}

/* The process is killed at some moment after each group; what it had not counted the next one
 * does. */
static void test_a_killed_process_loses_no_count(void **state)
{
    struct fixture *fixture = *state;
    unsigned done = 1;

    for (unsigned round = 1; round <= 12; round++) {
        ring_ticket ticket = 0;

        for (unsigned i = 0; i < 40 * round; i++, done++) {
            struct message_key key = key_of((uint64_t)done << 8, done % 3, (done + 2) / 3);

            ticket = submit_to(fixture, text(done % 7 ? "main" : "ops"), &key, done % 4 == 0);
        }
        fixture_wait(fixture, STORED, ticket);
        kill_and_reopen(fixture);
        assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    }
    assert_int_equal(fixture_number(fixture, "SELECT sum(messages) FROM room"), done - 1);
}

/* The check above can fail, and so could the catching up. */
static void test_what_is_not_noted_as_counted_is_counted(void **state)
{
    struct fixture *fixture = *state;

    say_in_rooms(fixture, 2000, 30);
    fixture_close(fixture);
    fixture_sql(fixture, "DELETE FROM room; DELETE FROM counted");
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 30);
    fixture_open(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM counted"), 3);
}

static void test_rooms_are_read_by_name_whatever_that_is(void **state)
{
    static const struct bytes names[] = {{"", 0},      {"\0", 1},    {"\0\0", 2},
                                         {"a", 1},     {"a\0b", 3},  {"aa", 2},
                                         {"b\x1b", 2}, {"b\xc3", 2}, {"\xf0\x9f\x98\x80", 4},
                                         {"\xff", 1}};
    struct fixture *fixture = *state;
    struct history_room rooms[ELEMENTS(names)];
    char longest[ROOM_BYTES_MAX];
    struct bytes from = {"", 0}, last = {longest, sizeof(longest)};

    memset(longest, 0xff, sizeof(longest));
    for (unsigned i = 0; i < ELEMENTS(names); i++) {
        struct message_key key = key_of((uint64_t)(i + 1) << 16, 1, ELEMENTS(names) - i);

        fixture_wait(fixture, STORED, submit_to(fixture, names[i], &key, false));
    }
    fixture_wait(fixture, STORED,
                 submit_to(fixture, last, &(struct message_key){99 << 16, origin_of(2), 1}, false));
    assert_right(fixture);
    for (size_t at = 0; at < ELEMENTS(names); at += 5) {
        assert_int_equal(history_read_rooms(fixture->history, from, 6, rooms), 6);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(rooms[i].name_size, names[at + i].size);
            assert_memory_equal(rooms[i].name, names[at + i].data, names[at + i].size);
            assert_int_equal(rooms[i].messages, 1);
            assert_int_equal(rooms[i].last, (at + i + 1) * 65536000);
        }
        from = (struct bytes){rooms[5].name, rooms[5].name_size};
    }
    assert_int_equal(history_read_rooms(fixture->history, last, 6, rooms), 1);
    assert_memory_equal(rooms[0].name, longest, sizeof(longest));
}

static void test_a_room_whose_name_is_too_long_is_damage(void **state)
{
    struct fixture *fixture = *state;
    struct history_room room;

    say_in_rooms(fixture, 3, 1);
    count_rooms(fixture);
    fixture_sql(fixture, "UPDATE room SET name = printf('%.65c', 'x')");
    assert_true(history_read_rooms(fixture->history, text(""), 1, &room) < 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_rooms_have_what_was_written_to_them),
        WITH_STORE(test_the_store_writes_many_by_itself_and_few_at_the_end),
        WITH_STORE(test_more_rooms_than_are_kept_in_memory),
        WITH_STORE(test_a_message_with_several_keys_counts_once),
        WITH_STORE(test_a_room_goes_with_its_last_message),
        WITH_STORE(test_a_killed_process_loses_no_count),
        WITH_STORE(test_what_is_not_noted_as_counted_is_counted),
        WITH_STORE(test_rooms_are_read_by_name_whatever_that_is),
        WITH_STORE(test_a_room_whose_name_is_too_long_is_damage),
    };

    return cmocka_run_group_tests_name("store-rooms", tests, NULL, NULL);
}
