/* The durable store, against what was handed to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/util.h"
#include "store-fixture.h"

static uint64_t random_below(uint64_t *state, uint64_t bound)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (*state >> 33) % bound;
}

/* Fetches all of a range; the keys, ascending. */
static size_t fetch_all(struct fixture *fixture, unsigned origin, uint64_t from, uint64_t to,
                        struct message_key *ret, size_t capacity)
{
    struct completion *completion =
        fixture_wait(fixture, FETCHED, submit_fetch(fixture, origin, from, to, SIZE_MAX));

    assert_true(completion->count <= capacity);
    for (size_t i = 0; i < completion->count; i++)
        ret[i] = packet_key(completion->packets[i]);
    return completion->count;
}

/* ---- what is kept ---- */

static void test_a_new_store_has_ids_and_holds_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct store_contents *contents = store_get_contents(fixture->store);
    struct ring_id node = contents->node, instance = contents->instance;

    assert_int_equal(node.bytes[6] >> 4, 4);
    assert_false(ring_id_equal(&node, &instance));
    assert_int_equal(contents->messages, 0);
    assert_int_equal(contents->held_count, 0);
    assert_int_equal(contents->state.run, 0);
    assert_int_equal(contents->top.hlc, 0);
    fixture_reopen(fixture);
    contents = store_get_contents(fixture->store);
    assert_true(ring_id_equal(&node, &contents->node));
    assert_true(ring_id_equal(&instance, &contents->instance));
}

static void test_a_message_comes_back_byte_for_byte(void **state)
{
    static const char text[] = "tab\t, newline\n, NUL\0, \xc3\xa9, \xff and a quote '";
    struct fixture *fixture = *state;
    struct message_key key = key_of(INT64_MAX, 3, INT64_MAX);
    struct message message = message_of(&key);
    struct packet *packet;
    struct completion *completion;

    message.text = (struct bytes){text, sizeof(text)};
    message.user = message.room = (struct bytes){NULL, 0};
    message.kind = MESSAGE_NOTICE;
    message.sent = UINT64_MAX - 5;
    packet = message_pack(&message);
    submit_message(fixture, &message, false);
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 3, INT64_MAX, UINT64_MAX, 1));
    assert_int_equal(completion->count, 1);
    assert_int_equal(completion->packets[0]->size, packet->size);
    assert_memory_equal(completion->packets[0]->data, packet->data, packet->size);
    packet_unref(packet);
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->top.hlc, INT64_MAX);
}

static void test_the_state_is_kept_bit_by_bit(void **state)
{
    struct fixture *fixture = *state;
    struct ring_state kept = {.run = 12345, .epoch = UINT64_MAX, .hlc_bound = 1ULL << 63 | 7};

    submit_state(fixture, &(struct ring_state){1, 2, 3});
    fixture_wait(fixture, STORED, submit_state(fixture, &kept));
    fixture_reopen(fixture);
    assert_memory_equal(&store_get_contents(fixture->store)->state, &kept, sizeof(kept));
}

static void test_closing_does_what_waits(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 1; i <= 500; i++) {
        struct message_key key = key_of(i, i % 3, i / 3 + 1);

        submit_key(fixture, &key, false);
    }
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->messages, 500);
    assert_int_equal(store_get_contents(fixture->store)->top.hlc, 500);
}

static void test_the_highest_key_is_found_among_equal_clocks_by_the_origins_id(void **state)
{
    struct fixture *fixture = *state;
    struct message_key top = key_of(10, 1, 1);

    for (unsigned origin = 3; origin >= 1; origin--) {
        struct message_key key = key_of(10, origin, 1);

        submit_key(fixture, &key, false);
    }
    fixture_reopen(fixture);
    assert_int_equal(message_key_compare(&store_get_contents(fixture->store)->top, &top), 0);
}

/* ---- order of completions ---- */

static void test_completions_come_in_the_order_of_the_requests(void **state)
{
    struct fixture *fixture = *state;
    ring_ticket last = 0, fetches = 0;

    for (unsigned i = 1; i <= 2000; i++) {
        struct message_key key = key_of(i, 1, i);

        submit_key(fixture, &key, false);
        if (i % 7 == 0)
            submit_fetch(fixture, 1, 1, i, 1);
    }
    fixture_wait(fixture, STORED, submit_state(fixture, &(struct ring_state){1, 1, 1}));
    for (size_t i = 0; i < fixture->count; i++) {
        assert_true(fixture->completions[i].ticket > last);
        last = fixture->completions[i].ticket;
        fetches += fixture->completions[i].type == FETCHED;
    }
    assert_int_equal(fetches, 2000 / 7);
    /* A fetch ends a group; everything between two of them was one. */
    assert_true(fixture->count <= 2 * fetches + 100);
}

static void test_a_fetch_sees_all_earlier_writes_and_no_later_one(void **state)
{
    struct fixture *fixture = *state;
    ring_ticket tickets[100];

    for (unsigned i = 1; i <= 100; i++) {
        struct message_key key = key_of(i, 1, i);

        submit_key(fixture, &key, false);
        tickets[i - 1] = submit_fetch(fixture, 1, 1, 1000, SIZE_MAX);
    }
    for (unsigned i = 1; i <= 100; i++)
        assert_int_equal(fixture_wait(fixture, FETCHED, tickets[i - 1])->count, i);
}

static void test_a_write_waits_for_the_lock_of_another_handle(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);
    sqlite3 *other;
    ring_ticket ticket;

    assert_int_equal(sqlite3_open(fixture_path(fixture, "history.db"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ticket = submit_key(fixture, &key, false);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    fixture_wait(fixture, STORED, ticket);
    assert_true(store_size(fixture->store) > 4096);
}

static void test_a_write_that_is_not_awaited_wakes_nobody_and_is_told_in_its_order(void **state)
{
    struct fixture *fixture = *state;
    ring_ticket tickets[3];

    store_await(fixture->store, false);
    for (unsigned i = 0; i < ELEMENTS(tickets); i++) {
        struct message_key key = key_of(i + 1, 1, i + 1);
        unsigned turns = 0;

        tickets[i] = submit_key(fixture, &key, false);
        while (fixture_number(fixture, "SELECT count(*) FROM message") <= (int)i || turns++ < 10)
            event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        assert_int_equal(fixture->count, i);
        while (i == 0 && fixture->count == 0)
            store_collect(fixture->store);
        if (i == 1) {
            store_await(fixture->store, true);
            fixture_wait(fixture, STORED, tickets[i]);
            store_await(fixture->store, false);
        }
        /* A read is always told, and what was done before it first. */
        if (i == 2)
            fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 1, 1, 1));
        assert_true(fixture->count > i);
        assert_int_equal(fixture->completions[i].type, STORED);
        assert_int_equal(fixture->completions[i].ticket, tickets[i]);
    }
}

/* The message's leaf, that of the ids, and that of what is held: on two processors the bytes of a
 * commit are in the way of everybody's acknowledgement. */
static void test_a_lone_message_costs_three_pages_of_the_log(void **state)
{
    struct fixture *fixture = *state;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 1; i <= 40; i++) {
        struct message_key key = key_of(1000 + i, 1, i);
        uint64_t before = store_size(fixture->store);

        fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
        least = MIN(least, store_size(fixture->store) - before);
    }
    /* What is done in quiet moments may come between some of them. */
    assert_int_equal(least, 3 * (4096 + 24));
}

/* ---- what is held ---- */

static void shuffle(unsigned *list, size_t count, uint64_t *random)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below(random, i);
        unsigned swap = list[i - 1];

        list[i - 1] = list[other];
        list[other] = swap;
    }
}

static void assert_held_is(struct fixture *fixture, unsigned origin, const bool *bitmap,
                           size_t size)
{
    const struct ring_held *held = held_of(fixture, origin);
    size_t interval = 0;

    for (size_t n = 1; n < size; n++) {
        uint64_t seq = 1ULL << 32 | n;

        if (!bitmap[n])
            continue;
        assert_non_null(held);
        assert_true(interval < held->count);
        if (!bitmap[n - 1])
            assert_int_equal(held->intervals[interval].from, seq);
        if (n + 1 == size || !bitmap[n + 1])
            assert_int_equal(held->intervals[interval++].to, seq);
    }
    assert_int_equal(interval, held ? held->count : 0);
}

/* Writes in any order, in any grouping, with restarts between. */
static void test_intervals_are_what_is_held_in_whatever_order_holes_fill(void **state)
{
    enum { SIZE = 60 };
    struct fixture *fixture = *state;
    bool bitmap[4][SIZE] = {{false}};
    unsigned order[3 * (SIZE - 1)];
    uint64_t random = 7;

    for (unsigned i = 0; i < ELEMENTS(order); i++)
        order[i] = i;
    shuffle(order, ELEMENTS(order), &random);
    for (unsigned i = 0; i < ELEMENTS(order); i++) {
        unsigned origin = 1 + order[i] % 3, n = 1 + order[i] / 3;
        struct message_key key = key_of((uint64_t)n << 20, origin, n);

        submit_key(fixture, &key, random_below(&random, 2));
        bitmap[origin][n] = true;
        if (random_below(&random, 5) == 0) {
            fixture_reopen(fixture);
            for (origin = 1; origin <= 3; origin++)
                assert_held_is(fixture, origin, bitmap[origin], SIZE);
        }
    }
    fixture_reopen(fixture);
    assert_int_equal(held_of(fixture, 1)->count, 1);
    assert_int_equal(store_get_contents(fixture->store)->messages, ELEMENTS(order));
}

static void test_runs_of_one_origin_are_intervals_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    struct message_key a = key_of(1, 1, 5ULL << 32 | 1), b = key_of(2, 1, 6ULL << 32 | 1);

    submit_key(fixture, &a, false);
    submit_key(fixture, &b, false);
    fixture_reopen(fixture);
    assert_int_equal(held_of(fixture, 1)->count, 2);
}

static void test_a_message_stored_twice_is_stored_once(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1), other = key_of(9, 1, 1), keys[4];

    submit_key(fixture, &key, false);
    submit_key(fixture, &key, true);
    fixture_reopen(fixture);
    submit_key(fixture, &key, true);
    /* The same seq under another hlc. */
    submit_key(fixture, &other, false);
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->messages, 1);
    assert_int_equal(history_count(fixture->history), 1);
    assert_int_equal(fetch_all(fixture, 1, 1, 9, keys, ELEMENTS(keys)), 1);
    assert_int_equal(keys[0].hlc, 1);
}

/* ---- fetches ---- */

static void test_a_fetch_gives_the_highest_that_fit_ascending(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);
    struct message message = message_of(&key);
    struct packet *packet = message_pack(&message);
    size_t size = packet->size;
    struct completion *completion;

    packet_unref(packet);
    for (unsigned i = 1; i <= 20; i++) {
        key = key_of((uint64_t)i << 24, 1, i);
        submit_key(fixture, &key, false);
    }
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 3, 12, 4 * size + 1));
    assert_int_equal(completion->count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal((uint32_t)packet_key(completion->packets[i]).seq, 9 + i);
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 3, 12, 4 * size));
    assert_int_equal(completion->count, 4);
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 3, 12, 0));
    assert_int_equal(completion->count, 1);
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 1, 21, 90, SIZE_MAX));
    assert_int_equal(completion->count, 0);
    completion = fixture_wait(fixture, FETCHED, submit_fetch(fixture, 2, 1, 90, SIZE_MAX));
    assert_int_equal(completion->count, 0);
}

/* Some clocks run on at once, some stand still for long, some even fall: whatever is held is
 * found. `hlc[origin][n]`, 0: not stored. */
static void store_randomly(struct fixture *fixture, uint64_t *random, uint64_t hlc[4][200])
{
    unsigned order[3 * 199];
    uint64_t clock[4] = {0, 1ULL << 40, 1ULL << 40, 1ULL << 40}, times[4][200];

    for (unsigned n = 1; n < 200; n++) {
        for (unsigned origin = 1; origin < 4; origin++) {
            bool falls = origin == 3 && random_below(random, 4) == 0;

            clock[origin] += 1 + (random_below(random, 16) ? 0 : random_below(random, 1ULL << 25));
            times[origin][n] = clock[origin] * 4 + origin - (falls ? 1ULL << 30 : 0);
        }
    }
    for (unsigned i = 0; i < ELEMENTS(order); i++)
        order[i] = i;
    shuffle(order, ELEMENTS(order), random);
    for (unsigned i = 0; i < ELEMENTS(order) * 2 / 3; i++) {
        unsigned origin = 1 + order[i] % 3, n = 1 + order[i] / 3;
        struct message_key key = key_of(times[origin][n], origin, n);

        hlc[origin][n] = key.hlc;
        submit_key(fixture, &key, false);
        if (random_below(random, 100) == 0)
            fixture_reopen(fixture);
    }
}

static void test_a_fetch_finds_all_that_is_held_whatever_the_clocks_did(void **state)
{
    struct fixture *fixture = *state;
    uint64_t hlc[4][200] = {{0}}, random = 3;
    struct message_key keys[200];

    store_randomly(fixture, &random, hlc);
    for (unsigned i = 0; i < 300; i++) {
        unsigned origin = 1 + (unsigned)random_below(&random, 3);
        uint64_t from = 1 + random_below(&random, 199), to = from + random_below(&random, 60);
        size_t count = fetch_all(fixture, origin, from, to, keys, ELEMENTS(keys)), next = 0;

        for (uint64_t n = from; n <= to && n < 200; n++) {
            if (hlc[origin][n] == 0)
                continue;
            assert_true(next < count);
            assert_int_equal((uint32_t)keys[next].seq, n);
            assert_int_equal(keys[next++].hlc, hlc[origin][n]);
        }
        assert_int_equal(next, count);
    }
}

static void test_a_quiet_origin_has_more_landmarks_than_a_busy_one(void **state)
{
    struct fixture *fixture = *state;
    uint64_t msec = 1 << 16;

    for (unsigned i = 1; i <= 300; i++) {
        struct message_key quiet = key_of(i * 1000 * msec, 1, i), busy = key_of(i * msec, 2, i);

        submit_key(fixture, &quiet, false);
        submit_key(fixture, &busy, false);
    }
    fixture_reopen(fixture);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM landmark JOIN origin"
                                             " ON number = origin AND substr(id, 16) = x'01'"),
                     300);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM landmark JOIN origin"
                                             " ON number = origin AND substr(id, 16) = x'02'"),
                     3);
}

/* ---- the outbox ---- */

static void test_the_outbox_keeps_its_order_and_a_keyed_message_leaves_it(void **state)
{
    struct fixture *fixture = *state;
    const struct store_contents *contents;
    struct ring_output output = {.type = RING_STORE};
    struct message message;

    for (unsigned i = 1; i <= 5; i++) {
        struct message_key key = key_of(100 - i, 1, i);

        message = message_of(&key);
        submit_outbox(fixture, &message);
    }
    fixture_reopen(fixture);
    contents = store_get_contents(fixture->store);
    assert_int_equal(contents->outbox_count, 5);
    for (unsigned i = 1; i <= 5; i++)
        assert_int_equal((uint32_t)packet_key(contents->outbox[i - 1]).seq, i);
    assert_int_equal(contents->messages, 0);

    assert_int_equal(message_unpack(contents->outbox[1], &message), 0);
    message.key = key_of(500, 1, 1);
    output.store.write = RING_WRITE_MESSAGE;
    output.store.ticket = ++fixture->next_ticket;
    output.store.from_outbox = true;
    output.store.packet = message_pack(&message);
    assert_int_equal(store_submit(fixture->store, &output), 0);
    packet_unref(output.store.packet);
    fixture_reopen(fixture);
    contents = store_get_contents(fixture->store);
    assert_int_equal(contents->messages, 1);
    assert_int_equal(contents->outbox_count, 4);
    assert_int_equal((uint32_t)packet_key(contents->outbox[0]).seq, 1);
    assert_int_equal((uint32_t)packet_key(contents->outbox[1]).seq, 3);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_new_store_has_ids_and_holds_nothing),
        WITH_STORE(test_a_message_comes_back_byte_for_byte),
        WITH_STORE(test_the_state_is_kept_bit_by_bit),
        WITH_STORE(test_closing_does_what_waits),
        WITH_STORE(test_the_highest_key_is_found_among_equal_clocks_by_the_origins_id),
        WITH_STORE(test_completions_come_in_the_order_of_the_requests),
        WITH_STORE(test_a_fetch_sees_all_earlier_writes_and_no_later_one),
        WITH_STORE(test_a_write_waits_for_the_lock_of_another_handle),
        WITH_STORE(test_a_write_that_is_not_awaited_wakes_nobody_and_is_told_in_its_order),
        WITH_STORE(test_a_lone_message_costs_three_pages_of_the_log),
        WITH_STORE(test_intervals_are_what_is_held_in_whatever_order_holes_fill),
        WITH_STORE(test_runs_of_one_origin_are_intervals_of_their_own),
        WITH_STORE(test_a_message_stored_twice_is_stored_once),
        WITH_STORE(test_a_fetch_gives_the_highest_that_fit_ascending),
        WITH_STORE(test_a_fetch_finds_all_that_is_held_whatever_the_clocks_did),
        WITH_STORE(test_a_quiet_origin_has_more_landmarks_than_a_busy_one),
        WITH_STORE(test_the_outbox_keeps_its_order_and_a_keyed_message_leaves_it),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
