/* The log: when it is copied into the database, and how long it becomes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "fault-vfs.h"
#include "store-fixture.h"

/* In the log: a page of SQLite's and what is before it. */
#define FRAME_BYTES ((size_t)4120)

/* What the commit of one message writes at least: its row, its id, and what is held; and at most,
 * with what the store does by itself. */
#define COMMIT_FRAMES 3
#define COMMIT_FRAMES_MAX 200

static size_t log_size(struct fixture *fixture)
{
    struct stat status;

    assert_int_equal(stat(fixture_path(fixture, "history.db-wal"), &status), 0);
    return (size_t)status.st_size;
}

static ring_ticket submit_one(struct fixture *fixture)
{
    uint64_t number = fixture->next_ticket + 1;
    struct message_key key = key_of(number, 1, number);

    return submit_key(fixture, &key, false);
}

static ring_ticket acknowledged;

static void on_kept(ring_ticket ticket)
{
    acknowledged = ticket;
}

/* The error, once the store has failed; NULL: it has stored all up to the ticket. */
static const char *await_outcome(struct fixture *fixture, ring_ticket ticket)
{
    struct timeval second = {.tv_sec = 1};

    while (acknowledged < ticket) {
        const struct completion *last = &fixture->completions[MAX(fixture->count, 1) - 1];

        if (fixture->count > 0 && last->type == FAILED)
            return last->error;
        event_base_loopexit(fixture->base, &second);
        event_base_loop(fixture->base, EVLOOP_ONCE);
    }
    return NULL;
}

/* At least so many bytes, a commit for each message. How long the log was at most. */
static size_t write_bytes(struct fixture *fixture, size_t bytes)
{
    size_t longest = 0;

    for (size_t written = 0; written < bytes; written += COMMIT_FRAMES * FRAME_BYTES) {
        assert_null(await_outcome(fixture, submit_one(fixture)));
        longest = MAX(longest, log_size(fixture));
    }
    return longest;
}

static void test_the_log_stays_short_in_a_flood(void **state)
{
    size_t longest = write_bytes(*state, 3 * STORE_LOG_FRAMES_MAX * FRAME_BYTES);

    assert_in_range(longest, STORE_LOG_FRAMES_MIN * FRAME_BYTES,
                    (STORE_LOG_FRAMES_MAX + COMMIT_FRAMES_MAX) * FRAME_BYTES);
}

static sqlite3 *begin_to_read(struct fixture *fixture)
{
    sqlite3 *reader;

    assert_int_equal(
        sqlite3_open_v2(fixture_path(fixture, "history.db"), &reader, SQLITE_OPEN_READONLY, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM message", NULL, NULL, NULL),
                     SQLITE_OK);
    return reader;
}

static int take_count(void *userdata, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    *(long *)userdata = strtol(values[0], NULL, 10);
    return 0;
}

static long count_seen(sqlite3 *reader)
{
    long count = -1;

    assert_int_equal(sqlite3_exec(reader, "SELECT count(*) FROM message", take_count, &count, NULL),
                     SQLITE_OK);
    return count;
}

/* Nothing else can be: what the reader sees is in it. But not for ever. */
static void test_a_log_that_a_reader_made_long_is_cut_again(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader;
    size_t most = STORE_LOG_BYTES_MAX;

    assert_null(await_outcome(fixture, submit_one(fixture)));
    reader = begin_to_read(fixture);
    write_bytes(fixture, most);
    assert_true(log_size(fixture) > most);
    assert_int_equal(count_seen(reader), 1);
    sqlite3_close(reader);
    write_bytes(fixture, 2 * STORE_LOG_FRAMES_MAX * FRAME_BYTES);
    assert_true(write_bytes(fixture, most) <= most);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM message"), fixture->next_ticket);
    /* A store that is closed leaves none. */
    fixture_close(fixture);
    assert_int_equal(access(fixture_path(fixture, "history.db-wal"), F_OK), -1);
    fixture_open(fixture);
}

/* What one transaction changes is more than may stay in memory until it is committed: it goes to
 * the log before, and is read from there again. */
static void test_a_large_transaction_takes_little_memory(void **state)
{
    struct fixture *fixture = *state;
    const size_t messages = 2 * STORE_CACHE_KIB_MAX;
    char text[STORE_ROW_BYTES_MAX - 32];
    const size_t most = (STORE_CACHE_KIB_MAX + STORE_CACHE_KIB) * (size_t)1024;

    memset(text, 'a', sizeof(text));
    assert_null(await_outcome(fixture, submit_one(fixture)));
    fixture_leave_alone(fixture, UNINDEXED);
    sqlite3_memory_highwater(true);
    store_hold(fixture->store, true);
    for (size_t i = 0; i < messages; i++) {
        struct message_key key = key_of(fixture->next_ticket + 1, 1, fixture->next_ticket + 1);
        struct message message = message_of(&key);

        message.text = (struct bytes){text, sizeof(text)};
        submit_message(fixture, &message, false);
    }
    store_hold(fixture->store, false);
    assert_null(await_outcome(fixture, fixture->next_ticket));
    assert_true(log_size(fixture) > most);
    assert_in_range(sqlite3_memory_highwater(false), 1, most);
    assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM pragma_integrity_check"
                                             " WHERE integrity_check <> 'ok'"),
                     0);
    assert_int_equal(
        fixture_number(fixture, "SELECT count(*) FROM message WHERE length(text) > 800"), messages);
}

/* The database takes no more, while its log still would: all that is in the log is acknowledged,
 * also what made it long enough to be copied; and then nothing. */
static void test_messages_do_not_wait_until_the_log_is_copied(void **state)
{
    struct fixture *fixture = *state;
    const char *error = NULL;

    fault_vfs_fail_in("history.db", FAULT_WRITE, 0);
    while (!error && acknowledged < STORE_LOG_FRAMES_MAX)
        error = await_outcome(fixture, submit_one(fixture));
    assert_non_null(error);
    assert_non_null(strstr(error, "restart ringchatd"));
    assert_true(acknowledged * COMMIT_FRAMES_MAX >= STORE_LOG_FRAMES_MIN);
    fault_vfs_fail(FAULT_NONE, 0);
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->messages, acknowledged);
}

/* So many messages, each acknowledged before the next. */
static void write_messages(struct fixture *fixture, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_null(await_outcome(fixture, submit_one(fixture)));
}

/* What could not be synced is never written, be it synced later: it is in the kernel's memory only,
 * where a restart finds it. The power goes some time after that. */
static void test_a_sync_that_failed_is_not_believed_to_have_been_made_up_for(void **state)
{
    struct fixture *fixture = *state, *after;
    void *made;

    write_messages(fixture, 5);
    fault_vfs_fail(FAULT_SYNC, 0);
    assert_non_null(await_outcome(fixture, submit_one(fixture)));
    fixture_close(fixture);
    fault_vfs_fail(FAULT_NONE, 0);
    fixture_open(fixture);
    free(fixture->completions[--fixture->count].error);
    acknowledged = fixture->next_ticket;
    write_messages(fixture, 10);
    fault_vfs_remove();
    fixture_set_up(&made);
    after = made;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fixture_close(after);
        fault_vfs_cut(fault_vfs_count(), seed, NULL, after->directory);
        fixture_open(after);
        assert_null(store_get_notice(after->store, &(unsigned){0}));
        /* What was not acknowledged may be there too. */
        assert_in_range(store_get_contents(after->store)->messages, 15, 16);
    }
    fixture_tear_down(&made);
    fault_vfs_install();
}

static int set_up(void **state)
{
    struct fixture *fixture;
    int result = fixture_set_up(state);

    fixture = *state;
    fixture->kept = on_kept;
    acknowledged = 0;
    return result;
}

/* SQLite counts its memory, which the store does not ask for. */
static int set_up_counting(void **state)
{
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1);
    sqlite3_initialize();
    return set_up(state);
}

static int tear_down_counting(void **state)
{
    int result = fixture_tear_down(state);

    sqlite3_shutdown();
    return result;
}

/* The disk is a layer of its own. */
static int set_up_faulty(void **state)
{
    fault_vfs_reset();
    fault_vfs_install();
    return set_up(state);
}

static int tear_down_faulty(void **state)
{
    int result = fixture_tear_down(state);

    fault_vfs_remove();
    fault_vfs_reset();
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_log_stays_short_in_a_flood, set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(test_a_log_that_a_reader_made_long_is_cut_again, set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_transaction_takes_little_memory,
                                        set_up_counting, tear_down_counting),
        cmocka_unit_test_setup_teardown(test_messages_do_not_wait_until_the_log_is_copied,
                                        set_up_faulty, tear_down_faulty),
        cmocka_unit_test_setup_teardown(
            test_a_sync_that_failed_is_not_believed_to_have_been_made_up_for, set_up_faulty,
            tear_down_faulty),
    };

    return cmocka_run_group_tests_name("store-log", tests, NULL, NULL);
}
