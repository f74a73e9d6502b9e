/* What may go wrong with the store: when it is opened, when the disk refuses, when its process is
 * killed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/util.h"
#include "store-fixture.h"

/* ---- opening ---- */

static int try_open(struct fixture *fixture, char **ret_error)
{
    static const struct store_callbacks none;
    struct store *store;
    int result = store_open(fixture->directory, fixture->base, &none, NULL, &store, ret_error);

    if (result == 0)
        store_close(store);
    return result;
}

static void assert_open_is_refused(struct fixture *fixture, int expected, const char *says)
{
    char *error = NULL;
    int result = try_open(fixture, &error);

    assert_int_equal(result, expected);
    assert_non_null(error);
    if (!strstr(error, says))
        fail_msg("\"%s\" does not say \"%s\"", error, says);
    free(error);
}

static void test_a_second_daemon_is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_open_is_refused(fixture, -EBUSY, "another ringchatd uses this state directory");
}

static void test_the_files_are_for_their_owner_only(void **state)
{
    static const char *const files[] = {"history.db", "history.db-wal", "history.db-shm", "lock"};
    struct stat status;

    for (size_t i = 0; i < ELEMENTS(files); i++) {
        assert_int_equal(stat(fixture_path(*state, files[i]), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void test_a_newer_schema_is_refused_with_a_sentence(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    fixture_sql(fixture, "PRAGMA user_version = 99");
    assert_open_is_refused(fixture, -EPROTONOSUPPORT, "was written by a newer ringchatd");
    fixture_sql(fixture, "PRAGMA user_version = 5");
    fixture_open(fixture);
}

static void test_a_database_of_another_program_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    assert_int_equal(unlink(fixture_path(fixture, "history.db")), 0);
    fixture_sql(fixture, "CREATE TABLE accounts(name TEXT)");
    assert_open_is_refused(fixture, -EEXIST, "is a database of another program");
}

static void test_a_deleted_file_is_noticed_at_the_next_write(void **state)
{
    static const char *const files[] = {"history.db", "history.db-wal"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS(files); i++) {
        struct message_key key = key_of(i + 1, 1, i + 1);
        ring_ticket ticket;

        assert_false(store_is_gone(fixture->store));
        assert_int_equal(unlink(fixture_path(fixture, files[i])), 0);
        assert_true(store_is_gone(fixture->store));
        ticket = submit_key(fixture, &key, false);
        assert_non_null(strstr(fixture_wait(fixture, FAILED, ticket)->error, "deleted"));
        for (size_t k = 0; k < fixture->count; k++)
            assert_false(fixture->completions[k].type == STORED &&
                         fixture->completions[k].ticket >= ticket);
        fixture_reopen(fixture);
    }
}

static void test_a_missing_directory_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct fixture elsewhere = {.base = fixture->base};

    strcpy(elsewhere.directory, "/tmp/ringchat-store-there-is-none");
    assert_open_is_refused(&elsewhere, -ENOENT, "check that the state directory exists");
}

/* ---- failures ---- */

static void test_a_full_disk_is_reported_once_and_ends_everything(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);
    struct rlimit before, limit;
    struct completion *failed;
    size_t failures = 0;
    ring_ticket bad;

    fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
    /* A file-size limit is met as a disk that takes no more. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){.rlim_cur = 1, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    key = key_of(2, 1, 2);
    bad = submit_key(fixture, &key, false);
    failed = fixture_wait(fixture, FAILED, bad);
    assert_non_null(strstr(failed->error, "then restart ringchatd"));
    setrlimit(RLIMIT_FSIZE, &before);
    for (unsigned i = 3; i < 10; i++) {
        key = key_of(i, 1, i);
        submit_key(fixture, &key, false);
        submit_fetch(fixture, 1, 1, 9, SIZE_MAX);
    }
    fixture_reopen(fixture);
    for (size_t i = 0; i < fixture->count; i++) {
        failures += fixture->completions[i].type == FAILED;
        assert_true(fixture->completions[i].ticket <= bad);
    }
    assert_int_equal(failures, 1);
    assert_int_equal(store_get_contents(fixture->store)->messages, 1);
}

/* ---- kill -9 ---- */

struct report {
    struct fixture *fixture;
    int pipe;
};

static void report_stored(void *userdata, ring_ticket ticket)
{
    struct report *report = userdata;

    if (write(report->pipe, &ticket, sizeof(ticket)) != sizeof(ticket))
        _exit(1);
}

static void report_failed(void *userdata, ring_ticket ticket, const char *error)
{
    (void)userdata, (void)ticket, (void)error;
    _exit(2);
}

/* Ticket n writes: message n of origin n % 3; with an outbox row before it, and the run n. */
static void submit_numbered(struct store *store, ring_ticket ticket)
{
    struct message_key key = key_of(ticket, ticket % 3, ticket / 3 + 1);
    struct message message = message_of(&key);
    struct ring_output output = {.type = RING_STORE};

    output.store.ticket = ticket;
    output.store.repaired = ticket % 5 == 0;
    output.store.state.run = ticket;
    output.store.write = ticket % 10 == 0   ? RING_WRITE_STATE
                         : ticket % 10 == 1 ? RING_WRITE_OUTBOX
                                            : RING_WRITE_MESSAGE;
    output.store.packet = output.store.write == RING_WRITE_STATE ? NULL : message_pack(&message);
    if (store_submit(store, &output) < 0)
        _exit(3);
    packet_unref(output.store.packet);
}

/* Never returns: writes until it is killed. */
static void write_for_ever(const char *directory, int pipe)
{
    static const struct store_callbacks callbacks = {.stored = report_stored,
                                                     .failed = report_failed};
    struct report report = {.pipe = pipe};
    struct event_base *base = event_base_new();
    struct store *store;
    char *error;

    if (store_open(directory, base, &callbacks, &report, &store, &error) < 0)
        _exit(4);
    for (ring_ticket ticket = store_get_contents(store)->state.run + 1;;) {
        for (unsigned i = 0; i < 40; i++)
            submit_numbered(store, ticket++);
        event_base_loop(base, EVLOOP_ONCE);
    }
}

static ring_ticket run_and_kill(const char *directory, unsigned reports)
{
    ring_ticket last = 0, ticket;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_for_ever(directory, ends[1]);
    }
    close(ends[1]);
    for (unsigned i = 0; i < reports; i++) {
        assert_int_equal(read(ends[0], &ticket, sizeof(ticket)), sizeof(ticket));
        last = MAX(last, ticket);
    }
    kill(child, SIGKILL);
    while (read(ends[0], &ticket, sizeof(ticket)) == sizeof(ticket))
        last = MAX(last, ticket);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static bool is_held(struct fixture *fixture, const struct message_key *key, unsigned origin)
{
    const struct ring_held *held = held_of(fixture, origin);

    for (size_t i = 0; held && i < held->count; i++) {
        if (held->intervals[i].from <= key->seq && key->seq <= held->intervals[i].to)
            return true;
    }
    return false;
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

static void assert_written(struct fixture *fixture, ring_ticket ticket)
{
    struct message_key key = key_of(ticket, ticket % 3, ticket / 3 + 1);

    if (ticket % 10 == 0)
        assert_true(store_get_contents(fixture->store)->state.run >= ticket);
    else if (ticket % 10 == 1)
        assert_true(is_in_outbox(fixture, &key));
    else
        assert_true(is_held(fixture, &key, ticket % 3));
    if (ticket % 10 > 1 && ticket % 97 == 0)
        assert_int_equal(
            fixture_wait(fixture, FETCHED, submit_fetch(fixture, ticket % 3, key.seq, key.seq, 1))
                ->count,
            1);
}

static void test_what_was_reported_stored_survives_kill_9(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned round = 0; round < 8; round++) {
        ring_ticket last;

        fixture_close(fixture);
        last = run_and_kill(fixture->directory, 1 + 3 * round);
        fixture_open(fixture);
        assert_true(last > 0);
        for (ring_ticket ticket = 1; ticket <= last; ticket++)
            assert_written(fixture, ticket);
    }
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_second_daemon_is_refused),
        WITH_STORE(test_the_files_are_for_their_owner_only),
        WITH_STORE(test_a_newer_schema_is_refused_with_a_sentence),
        WITH_STORE(test_a_database_of_another_program_is_refused),
        WITH_STORE(test_a_deleted_file_is_noticed_at_the_next_write),
        WITH_STORE(test_a_missing_directory_is_named),
        WITH_STORE(test_a_full_disk_is_reported_once_and_ends_everything),
        WITH_STORE(test_what_was_reported_stored_survives_kill_9),
    };

    return cmocka_run_group_tests_name("store-failure", tests, NULL, NULL);
}
