/* What a crash leaves of the files of long texts, and what is wrong with them: damage as any other.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/history-internal.h"
#include "daemon/store-check.h"
#include "texts-fixture.h"

static off_t size_of(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void write_at(const char *path, off_t at, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, size, at), size);
    close(fd);
}

static void make_file(struct fixture *fixture, const char *name)
{
    char path[96];

    snprintf(path, sizeof(path), "history.db-texts/%s", name);
    write_at(fixture_path(fixture, path), 0, "not empty", 9);
}

static bool is_there(struct fixture *fixture, const char *name)
{
    char path[96];
    struct stat status;

    snprintf(path, sizeof(path), "history.db-texts/%s", name);
    return stat(fixture_path(fixture, path), &status) == 0;
}

/* ---- what a crash leaves ---- */

static void test_what_a_crash_has_left_is_removed_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    char leftover[32], name[32];
    off_t size;
    char *path;

    say_numbers(fixture, 1, 3);
    fixture_close(fixture);
    path = segment_file(fixture, "history.db", (size_t)count_files(fixture) - 1);
    size = size_of(path);
    write_at(path, size + STORE_SEGMENT_BYTES, "what no commit has", 18);
    snprintf(leftover, sizeof(leftover), "%.8s%08x", strrchr(path, '/') + 1, 77);
    snprintf(name, sizeof(name), "%08x%08x", fixture_number(fixture, "SELECT ~series FROM state"),
             77);
    make_file(fixture, leftover);
    make_file(fixture, name);
    make_file(fixture, "README");
    fixture_open(fixture);
    assert_null(store_get_notice(fixture->store, &(unsigned){0}));
    assert_false(is_there(fixture, leftover));
    assert_true(is_there(fixture, name));
    assert_true(is_there(fixture, "README"));
    say_number(fixture, 4);
    assert_all_there(fixture, 1, 4);
    assert_int_equal(size_of(path),
                     fixture_number(fixture, "SELECT size FROM segment ORDER BY number DESC"));
    free(path);
}

/* ---- damage ---- */

static void assert_texts_are_set_aside(struct fixture *fixture)
{
    static char text[TEXT_BYTES_LONGEST];
    struct message message = message_number(20, text), found;
    struct packet *packet;
    glob_t aside;
    sqlite3_stmt *rows;
    sqlite3 *old;
    bool whole = false;

    fixture_open(fixture);
    assert_non_null(store_get_notice(fixture->store, &(unsigned){0}));
    assert_int_equal(store_get_contents(fixture->store)->messages, 0);
    say_number(fixture, 50);
    assert_all_there(fixture, 50, 50);
    /* Its texts can still be read where it lies now. */
    assert_int_equal(glob(fixture_path(fixture, "history.db.damaged-*Z"), 0, NULL, &aside), 0);
    assert_int_equal(store_schema_open_reader(aside.gl_pathv[0], &old), 0);
    assert_int_equal(sqlite3_prepare_v2(old,
                                        "SELECT " STORE_ROW_COLUMNS " FROM message m JOIN origin o"
                                        " ON o.number = m.origin WHERE m.hlc = 20 << 16",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    assert_int_equal(store_row_packet(rows, &packet), 0);
    assert_int_equal(message_unpack(packet, &found), 0);
    whole =
        found.text.size == message.text.size && memcmp(found.text.data, text, found.text.size) == 0;
    assert_true(whole);
    packet_unref(packet);
    sqlite3_finalize(rows);
    sqlite3_close(old);
    globfree(&aside);
}

/* Behind the newest hundred, which each start looks at. */
static void say_many_short(struct fixture *fixture, uint64_t first, uint64_t count)
{
    ring_ticket ticket = 0;

    for (uint64_t n = first; n < first + count; n++) {
        struct message_key key = key_number(n);

        ticket = submit_key(fixture, &key, false);
    }
    fixture_wait(fixture, STORED, ticket);
}

static void test_a_start_finds_that_a_segment_is_missing(void **state)
{
    struct fixture *fixture = *state;
    char *path;

    say_numbers(fixture, 1, 20);
    say_many_short(fixture, 21, 150);
    fixture_close(fixture);
    path = segment_file(fixture, "history.db", 2);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_texts_are_set_aside(fixture);
}

static void test_a_start_finds_that_a_segment_is_too_short(void **state)
{
    struct fixture *fixture = *state;
    char *path;

    say_numbers(fixture, 1, 20);
    say_many_short(fixture, 21, 150);
    fixture_close(fixture);
    path = segment_file(fixture, "history.db", 1);
    assert_int_equal(truncate(path, size_of(path) - 1), 0);
    free(path);
    assert_texts_are_set_aside(fixture);
}

static void test_a_start_finds_that_a_new_text_is_another(void **state)
{
    struct fixture *fixture = *state;
    char *path;

    say_numbers(fixture, 1, 20);
    fixture_close(fixture);
    path = segment_file(fixture, "history.db", 1);
    write_at(path, 5000, "?", 1);
    free(path);
    assert_texts_are_set_aside(fixture);
}

static void test_a_database_that_was_deleted_leaves_its_texts_to_no_other(void **state)
{
    struct fixture *fixture = *state;
    unsigned salvaged;

    say_numbers(fixture, 1, 5);
    fixture_close(fixture);
    assert_int_equal(unlink(fixture_path(fixture, "history.db")), 0);
    fixture_open(fixture);
    assert_non_null(strstr(store_get_notice(fixture->store, &salvaged), "was deleted"));
    say_number(fixture, 6);
    assert_all_there(fixture, 6, 6);
    assert_int_equal(count_files(fixture), 1);
}

static void test_an_old_text_that_is_wrong_is_damage_to_its_readers_and_to_the_check(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_number(2), before = key_number(1);
    struct history_page page;
    struct packet *packet;
    char *path;

    say_numbers(fixture, 1, 20);
    say_many_short(fixture, 21, 150);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_close(fixture);
    path = segment_file(fixture, "history.db", 0);
    write_at(path, size_of(path) - 20000, "?", 1);
    fixture_open(fixture);
    assert_null(store_get_notice(fixture->store, &(unsigned){0}));
    assert_int_equal(history_find_key(fixture->history, &key, &packet), -EUCLEAN);
    assert_int_equal(history_read(fixture->history, &before, 1, &page), -EUCLEAN);
    assert_int_equal(history_find_key(fixture->history, &before, &packet), 0);
    assert_is_number(packet, 1);
    packet_unref(packet);
    assert_int_equal(store_check(fixture->store, fixture->base), 0);
    assert_non_null(fixture_wait(fixture, CHECKED, 0)->error);
    fixture_close(fixture);
    free(path);
    assert_texts_are_set_aside(fixture);
}

/* Once, when the check has looked at the first text. */
static int remove_some(unsigned type, void *userdata, void *statement, void *unused)
{
    struct fixture *fixture = userdata;
    const char *text = sqlite3_sql(statement);

    (void)type, (void)unused;
    if (text && strstr(text, "stored_text") && fixture->pruned == 0)
        fixture_set_horizon(fixture, 50 << 16);
    return 0;
}

static void test_a_sound_history_passes_the_check_while_retention_removes_some(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *database;

    say_numbers(fixture, 1, 60);
    assert_int_equal(store_schema_open_reader(fixture_path(fixture, "history.db"), &database), 0);
    sqlite3_trace_v2(database, SQLITE_TRACE_ROW, remove_some, fixture);
    assert_int_equal(store_check_all(database), SQLITE_OK);
    assert_int_equal(fixture->pruned, 49);
    sqlite3_close(database);
    assert_all_there(fixture, 50, 60);
}

/* One text in place of another is neither. */
static void test_a_text_of_another_message_is_not_taken_for_it(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_number(1);
    struct packet *packet;

    say_numbers(fixture, 1, 2);
    fixture_leave_alone(fixture, UNINDEXED);
    fixture_sql(fixture, "UPDATE message SET long = (SELECT long FROM message WHERE hlc = 2 << 16)"
                         " WHERE hlc = 1 << 16");
    assert_int_equal(history_find_key(fixture->history, &key, &packet), -EUCLEAN);
    fixture_sql(fixture, "UPDATE message SET long = -1 WHERE hlc = 1 << 16");
    assert_int_equal(history_find_key(fixture->history, &key, &packet), -EUCLEAN);
}

/* As those of another owner, which root can read. */
static void test_texts_that_cannot_be_reached_are_not_damaged(void **state)
{
    struct fixture *fixture = *state;
    char path[96], away[96];

    say_numbers(fixture, 1, 5);
    say_many_short(fixture, 6, 150);
    fixture_close(fixture);
    snprintf(path, sizeof(path), "%s", fixture_path(fixture, "history.db-texts"));
    snprintf(away, sizeof(away), "%s", fixture_path(fixture, "away"));
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink("history.db-texts", path), 0);
    assert_int_equal(fixture_try_open(fixture), -EACCES);
    fixture_close(fixture);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(away, path), 0);
    fixture_open(fixture);
    assert_null(store_get_notice(fixture->store, &(unsigned){0}));
    assert_int_equal(store_get_contents(fixture->store)->messages, 155);
}

/* ---- failures ---- */

static unsigned synced;

/* In place of the C library's; SQLite calls another. */
int fsync(int fd)
{
    synced++;
    return fdatasync(fd);
}

static void test_a_directory_of_a_process_that_was_killed_is_synced_before_it_is_used(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture_path(fixture, "history.db-texts"), 0700), 0);
    synced = 0;
    say_number(fixture, 1);
    assert_int_equal(synced, 1);
}

static void assert_ends(struct fixture *fixture, ring_ticket ticket, const char *says)
{
    assert_non_null(strstr(fixture_wait(fixture, FAILED, ticket)->error, says));
    for (size_t i = 0; i < fixture->count; i++)
        assert_false(fixture->completions[i].type == STORED &&
                     fixture->completions[i].ticket >= ticket);
}

static void assert_deletion_is_noticed(struct fixture *fixture)
{
    static char text[TEXT_BYTES_LONGEST];
    struct message message = message_number(2, text);
    char *path = segment_file(fixture, "history.db", 0);

    assert_int_equal(unlink(path), 0);
    free(path);
    assert_ends(fixture, submit_message(fixture, &message, false), "deleted or replaced");
}

static void test_a_deleted_segment_is_noticed_at_the_next_write_to_it(void **state)
{
    say_number(*state, 1);
    assert_deletion_is_noticed(*state);
}

static void test_a_segment_that_was_deleted_before_the_first_write_is_noticed(void **state)
{
    say_number(*state, 1);
    fixture_reopen(*state);
    assert_deletion_is_noticed(*state);
}

static void test_a_full_disk_ends_everything_and_a_restart_goes_on(void **state)
{
    static char text[TEXT_BYTES_LONGEST];
    struct fixture *fixture = *state;
    struct rlimit before, limit;
    struct message message;

    say_numbers(fixture, 1, 8);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    message = message_number(9, text);
    assert_ends(fixture, submit_message(fixture, &message, false), "then restart ringchatd");
    fixture_close(fixture);
    setrlimit(RLIMIT_FSIZE, &before);
    fixture_open(fixture);
    say_numbers(fixture, 9, 12);
    assert_all_there(fixture, 1, 12);
    assert_int_equal(count_files(fixture), fixture_number(fixture, SEGMENTS));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_what_a_crash_has_left_is_removed_and_nothing_else),
        WITH_STORE(test_a_start_finds_that_a_segment_is_missing),
        WITH_STORE(test_a_start_finds_that_a_segment_is_too_short),
        WITH_STORE(test_a_start_finds_that_a_new_text_is_another),
        WITH_STORE(test_a_database_that_was_deleted_leaves_its_texts_to_no_other),
        WITH_STORE(test_an_old_text_that_is_wrong_is_damage_to_its_readers_and_to_the_check),
        WITH_STORE(test_a_sound_history_passes_the_check_while_retention_removes_some),
        WITH_STORE(test_a_text_of_another_message_is_not_taken_for_it),
        WITH_STORE(test_texts_that_cannot_be_reached_are_not_damaged),
        WITH_STORE(test_a_directory_of_a_process_that_was_killed_is_synced_before_it_is_used),
        WITH_STORE(test_a_segment_that_was_deleted_before_the_first_write_is_noticed),
        WITH_STORE(test_a_deleted_segment_is_noticed_at_the_next_write_to_it),
        WITH_STORE(test_a_full_disk_ends_everything_and_a_restart_goes_on),
    };

    return cmocka_run_group_tests_name("texts-damage", tests, NULL, NULL);
}
