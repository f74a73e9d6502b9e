/* What a disk keeps when the power goes, at every moment, whatever it makes of what was not synced;
 * and what happens when it fails. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <sqlite3.h>
#include <unistd.h>

#include "common/util.h"
#include "daemon/history-search.h"
#include "fault-vfs.h"
#include "store-fixture.h"

/* Moments at which the power goes; by chance of the disk, each once. */
#define CUTS 520

/* Some texts are not in the rows of their messages, and some of these so long that they, and long
 * ones near them, are not in the database. */
#define LONG_TEXT_BYTES_MAX 6000
#define LONGEST_TEXT_BYTES_MAX (STORE_TEXTS_GROUP_BYTES + 8000)

#define TICKETS_MAX 4096
#define ORIGINS 3

/* What was asked of the store, by ticket, and after how many operations on the disk the store said
 * that it is done. */
struct promise {
    enum { PROMISE_NONE, PROMISE_MESSAGE, PROMISE_OUTBOX, PROMISE_STATE } type;
    struct message_key key;
    uint64_t run;
    size_t kept_at; /* 0: never */
    bool leaves_outbox;
    size_t size; /* of the message's text */
};

static struct promise promises[TICKETS_MAX];
static ring_ticket last_kept;
static struct {
    size_t at;
    uint64_t horizon;
} pruning; /* allowed from that operation on */

static uint64_t state;

static uint64_t number(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
}

/* ---- what is done to the store ---- */

/* Most talk in one room, some in others. */
static struct bytes room_of(const struct message_key *key)
{
    static const char names[][8] = {"main", "main", "main", "ops", "backup"};
    const char *name = names[key->hlc % ELEMENTS(names)];

    return (struct bytes){name, strlen(name)};
}

static void on_kept(ring_ticket ticket)
{
    for (; last_kept < ticket; last_kept++)
        promises[last_kept + 1].kept_at = fault_vfs_count();
}

static void promise(ring_ticket ticket, struct promise what)
{
    assert_true(ticket < TICKETS_MAX);
    promises[ticket] = what;
}

static struct message_key next_key(void)
{
    static uint64_t hlc, seqs[ORIGINS];
    unsigned origin = (unsigned)number(ORIGINS);

    hlc += 1 + number(3) * (1ULL << 20);
    return key_of(hlc, origin, ++seqs[origin]);
}

/* No two messages have the same. */
static void make_text(const struct message_key *key, char *text, size_t size)
{
    static const char findable[] = "findable ";

    for (size_t i = 0; i < size; i++)
        text[i] = i < 9 ? findable[i] : (char)('a' + (i * (key->seq * 7 + 1) + key->hlc) % 26);
}

static size_t some_size(void)
{
    switch (number(15)) {
    case 0:
    case 1:
        return 9 + number(LONG_TEXT_BYTES_MAX - 9);
    case 2:
        return STORE_TEXTS_GROUP_BYTES - 4000 + number(12000);
    }
    return 9 + number(591);
}

static void write_one(struct fixture *fixture)
{
    static char text[LONGEST_TEXT_BYTES_MAX];
    struct message_key key = next_key();
    struct message message = message_of(&key);

    message.text = (struct bytes){text, some_size()};
    make_text(&key, text, message.text.size);
    message.room = room_of(&key);
    if (number(6) == 0) {
        struct ring_state now = {.run = fixture->next_ticket + 1, .horizon = pruning.horizon};

        promise(submit_state(fixture, &now), (struct promise){PROMISE_STATE, .run = now.run});
    } else if (number(6) == 0) {
        promise(submit_outbox(fixture, &message), (struct promise){PROMISE_OUTBOX, key});
    } else {
        bool repaired = number(4) == 0;
        ring_ticket ticket = submit_message(fixture, &message, repaired);

        promise(ticket, (struct promise){PROMISE_MESSAGE, key, .size = message.text.size});
        if (number(3) == 0)
            fixture_wait(fixture, STORED, ticket);
    }
}

/* Of the first message from a ticket on. */
static uint64_t hlc_of_ticket(ring_ticket ticket)
{
    while (promises[ticket].type != PROMISE_MESSAGE)
        ticket++;
    return promises[ticket].key.hlc;
}

/* Some groups of writes, with time in between for what the store does by itself. */
static void write_much(struct fixture *fixture)
{
    for (unsigned i = 0; i < 560; i++) {
        write_one(fixture);
        if (i % 110 == 109) {
            fixture_wait(fixture, STORED, fixture->next_ticket);
            fixture_leave_alone(fixture, UNINDEXED);
        }
        if (i == 400) {
            struct ring_state now = {.run = fixture->next_ticket + 1};
            size_t before = fixture->pruned;

            pruning.at = fault_vfs_count();
            now.horizon = pruning.horizon = hlc_of_ticket(150);
            while (fixture->pruned == before) {
                promise(submit_state(fixture, &now),
                        (struct promise){PROMISE_STATE, .run = now.run});
                fixture_wait(fixture, PRUNED, 0);
            }
        }
    }
    fixture_wait(fixture, STORED, fixture->next_ticket);
}

/* Fills the log of fault-vfs. */
static void record(uint64_t seed)
{
    struct fixture *fixture;
    size_t before;
    void *made;

    state = seed;
    memset(promises, 0, sizeof(promises));
    memset(&pruning, 0, sizeof(pruning));
    pruning.at = SIZE_MAX;
    last_kept = 0;
    fault_vfs_reset();
    fault_vfs_install();
    fixture_set_up(&made);
    fixture = made;
    fixture->kept = on_kept;
    before = fault_vfs_count_syncs("history.db");
    write_much(fixture);
    /* The log was copied, and begun anew. */
    assert_true(fault_vfs_count_syncs("history.db") >= before + 2);
    fixture->kept = NULL;
    fault_vfs_remove();
    fixture_tear_down(&made);
}

/* ---- what must be left ---- */

/* With its whole text (size 0: whatever it has). */
static bool has_message(struct fixture *fixture, const struct message_key *key, size_t size)
{
    _cleanup_(packet_unrefp) struct packet *packet = NULL;
    static char text[LONGEST_TEXT_BYTES_MAX];
    struct message message;

    if (history_find_key(fixture->history, key, &packet) < 0)
        return false;
    assert_int_equal(message_unpack(packet, &message), 0);
    make_text(key, text, size);
    return size == 0 || (message.text.size == size && memcmp(message.text.data, text, size) == 0);
}

static bool is_in_outbox(struct fixture *fixture, const struct message_key *key)
{
    const struct store_contents *contents = store_get_contents(fixture->store);

    for (size_t i = 0; i < contents->outbox_count; i++) {
        struct message_key there = packet_key(contents->outbox[i]);

        if (message_key_compare(&there, key) == 0)
            return true;
    }
    return false;
}

/* How many promises are broken of those that were given before the cut. */
static unsigned count_broken(struct fixture *fixture, size_t cut)
{
    const struct store_contents *contents = store_get_contents(fixture->store);
    unsigned broken = 0;

    for (ring_ticket ticket = 1; ticket < TICKETS_MAX; ticket++) {
        const struct promise *one = &promises[ticket];

        if (one->kept_at == 0 || one->kept_at > cut)
            continue;
        if (one->type == PROMISE_STATE)
            broken += contents->state.run < one->run;
        if (one->type == PROMISE_OUTBOX)
            broken += !is_in_outbox(fixture, &one->key);
        if (one->type == PROMISE_MESSAGE && (cut <= pruning.at || one->key.hlc >= pruning.horizon))
            broken += !has_message(fixture, &one->key, one->size);
    }
    return broken;
}

static size_t count_found(struct fixture *fixture)
{
    struct history_query query = {.until = UINT64_MAX, .words = "findable"};
    struct history_search *search;
    size_t found = 0;
    bool end = false;

    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &(struct message_key){0}, false);
    while (!end) {
        struct history_page page;

        assert_int_equal(history_search_read(search, 1000, &page), 0);
        found += page.count;
        end = page.end;
        history_page_done(&page);
    }
    history_search_free(search);
    return found;
}

static size_t count_files(struct fixture *fixture, const char *pattern)
{
    glob_t found;
    size_t count = glob(fixture_path(fixture, pattern), 0, NULL, &found) == 0 ? found.gl_pathc : 0;

    globfree(&found);
    return count;
}

/* Intervals, index, texts and rows are of one moment. */
static void assert_agrees(struct fixture *fixture)
{
    unsigned salvaged;

    if (store_get_notice(fixture->store, &salvaged))
        fail_msg("%s", store_get_notice(fixture->store, &salvaged));
    assert_int_equal(fixture_number(fixture, "SELECT (SELECT count(*) FROM message)"
                                             " - (SELECT total(last - first + 1) FROM held)"
                                             " + (SELECT total(last - first + 1) FROM pruned)"),
                     0);
    assert_int_equal(fixture_number(fixture,
                                    "SELECT (SELECT count(*) FROM long_text) - count(l.number)"
                                    " FROM message m LEFT JOIN long_text l"
                                    " ON l.number = m.long WHERE m.long > 0"),
                     0);
    assert_int_equal(fixture_number(fixture, "SELECT (SELECT count(*) FROM message WHERE long > 0)"
                                             " - (SELECT count(*) FROM long_text)"),
                     0);
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
    /* The sums of rooms were not all written. */
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    /* The store goes on with what it was about to remove. */
    fixture_leave_alone(fixture, ANYTHING_BELOW);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    assert_int_equal(fixture_number(fixture, WRONG_SEGMENTS), 0);
    assert_int_equal(count_found(fixture), fixture_number(fixture, "SELECT count(*) FROM message"));
}

static void remove_all(struct fixture *fixture, const char *pattern)
{
    glob_t found;

    if (glob(fixture_path(fixture, pattern), 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        remove(found.gl_pathv[i]);
    globfree(&found);
}

static void remove_files(struct fixture *fixture)
{
    remove_all(fixture, "history*/*");
    remove_all(fixture, "history*");
}

/* The disk as it is after the power went, opened by a new process: how many promises are broken. */
static unsigned look_after_cut(struct fixture *after, size_t cut, const char *lying)
{
    unsigned broken, salvaged;

    remove_files(after);
    fault_vfs_cut(cut, cut, lying, after->directory);
    fixture_open(after);
    broken = count_broken(after, cut);
    if (!lying)
        assert_agrees(after);
    else if (store_get_notice(after->store, &salvaged))
        broken++;
    fixture_close(after);
    if (!lying)
        assert_int_equal(fixture_number(after, "SELECT count(*) FROM segment"),
                         count_files(after, "history.db-texts/*"));
    return broken;
}

static void test_a_loss_of_power_breaks_no_promise(void **unused)
{
    struct fixture *after;
    size_t operations;
    void *made;

    (void)unused;
    record(3);
    operations = fault_vfs_count();
    assert_true(operations > CUTS);
    fixture_set_up(&made);
    after = made;
    fixture_close(after);
    for (size_t i = 1; i <= CUTS; i++) {
        size_t cut = operations * i / CUTS;
        unsigned broken = look_after_cut(after, cut, NULL);

        if (broken > 0)
            fail_msg("%u promises are broken after operation %zu of %zu", broken, cut, operations);
    }
    print_message("%u losses of power at %zu operations, %llu promises\n", CUTS, operations,
                  (unsigned long long)last_kept);
    fixture_open(after);
    fixture_tear_down(&made);
}

static void assert_notices(const char *lying)
{
    struct fixture *after;
    unsigned broken = 0;
    void *made;

    fixture_set_up(&made);
    after = made;
    fixture_close(after);
    for (size_t i = 1; i <= 20; i++)
        broken += look_after_cut(after, fault_vfs_count() * i / 20, lying);
    assert_true(broken > 0);
    fixture_open(after);
    fixture_tear_down(&made);
}

/* The check can fail: it notices a disk that only says that it syncs, be it only the database, into
 * which the log was copied before it was begun anew. */
static void test_a_disk_that_lies_is_noticed(void **unused)
{
    (void)unused;
    record(5);
    assert_notices("*");
    assert_notices("history.db");
    assert_notices("history.db-wal");
}

/* ---- a disk that fails ---- */

/* Waits until the ticket is done: NULL, or the store has failed. */
static struct completion *await_outcome(struct fixture *fixture, ring_ticket ticket)
{
    struct timeval second = {.tv_sec = 1};

    while (last_kept < ticket) {
        for (size_t i = 0; i < fixture->count; i++) {
            if (fixture->completions[i].type == FAILED)
                return &fixture->completions[i];
        }
        event_base_loopexit(fixture->base, &second);
        event_base_loop(fixture->base, EVLOOP_ONCE);
    }
    return NULL;
}

static ring_ticket write_message(struct fixture *fixture)
{
    static char text[LONGEST_TEXT_BYTES_MAX];
    struct message_key key = next_key();
    struct message message = message_of(&key);
    ring_ticket ticket;

    /* Every other one goes to a segment. */
    message.text = (struct bytes){text, fixture->next_ticket % 2 ? sizeof(text) : 100};
    make_text(&key, text, message.text.size);
    ticket = submit_message(fixture, &message, false);
    promise(ticket, (struct promise){PROMISE_MESSAGE, key, .size = message.text.size});
    return ticket;
}

static void fail_after(enum fault fault, size_t after)
{
    struct completion *failed;
    struct fixture *fixture;
    ring_ticket kept;
    void *state_;

    memset(promises, 0, sizeof(promises));
    memset(&pruning, 0, sizeof(pruning));
    last_kept = 0;
    fault_vfs_reset();
    fault_vfs_install();
    fixture_set_up(&state_);
    fixture = state_;
    fixture->kept = on_kept;
    fault_vfs_fail(fault, after);
    while (!(failed = await_outcome(fixture, write_message(fixture))))
        ;
    assert_non_null(failed->error);
    assert_non_null(strstr(failed->error, "restart ringchatd"));
    /* Nothing is promised any more, whatever the disk does now. */
    fault_vfs_fail(FAULT_NONE, 0);
    kept = last_kept;
    for (unsigned i = 0; i < 3; i++)
        write_message(fixture);
    fixture->kept = NULL;
    fixture_close(fixture);
    assert_int_equal(last_kept, kept);
    fault_vfs_remove();
    /* And what was promised is kept. */
    fixture_open(fixture);
    assert_int_equal(count_broken(fixture, SIZE_MAX), 0);
    fixture_tear_down(&state_);
}

static void test_a_disk_that_fails_breaks_no_promise_and_ends_all(void **unused)
{
    static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC};

    (void)unused;
    state = 11;
    for (size_t i = 0; i < ELEMENTS(faults); i++) {
        for (size_t after = 0; after < 40; after += 1 + number(3))
            fail_after(faults[i], after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loss_of_power_breaks_no_promise),
        cmocka_unit_test(test_a_disk_that_lies_is_noticed),
        cmocka_unit_test(test_a_disk_that_fails_breaks_no_promise_and_ends_all),
    };

    return cmocka_run_group_tests_name("power-loss", tests, NULL, NULL);
}
