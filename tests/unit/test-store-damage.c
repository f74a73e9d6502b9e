/* A database that is damaged, or of an older version, when it is opened. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

#include "common/util.h"
#include "daemon/history-search.h"
#include "daemon/store-checker.h"
#include "store-fixture.h"

/* ---- damage ---- */

static void write_at(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
    close(fd);
}

/* The name of the file that a damaged database became; NULL: there is none. */
static char *find_aside(struct fixture *fixture)
{
    glob_t found;
    char *path = NULL;

    if (glob(fixture_path(fixture, "history.db.damaged-*Z"), 0, NULL, &found) == 0)
        path = strdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static char *read_file(const char *path, size_t *ret_size)
{
    struct stat status;
    char *data;
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    data = malloc((size_t)status.st_size + 1);
    assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
    close(fd);
    *ret_size = (size_t)status.st_size;
    return data;
}

/* Opens a damaged database: it is kept beside, byte for byte, and the node begins anew. */
static void assert_is_set_aside(struct fixture *fixture)
{
    struct ring_id before = fixture->node;
    size_t size, kept_size;
    char *damaged = read_file(fixture_path(fixture, "history.db"), &size), *path, *kept;
    unsigned salvaged;

    fixture_open(fixture);
    assert_non_null(store_get_notice(fixture->store, &salvaged));
    assert_false(ring_id_equal(&before, &store_get_contents(fixture->store)->node));
    assert_int_equal(store_get_contents(fixture->store)->messages, 0);
    path = find_aside(fixture);
    assert_non_null(path);
    assert_non_null(strstr(store_get_notice(fixture->store, &salvaged), path));
    kept = read_file(path, &kept_size);
    assert_int_equal(kept_size, size);
    assert_memory_equal(kept, damaged, size);
    free(damaged);
    free(kept);
    free(path);
}

static void test_a_file_that_is_no_database_is_set_aside(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    write_at(fixture_path(fixture, "history.db"), 0, "this is no database, and never was one");
    assert_is_set_aside(fixture);
}

static void test_rows_that_make_no_sense_are_damage(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);

    submit_key(fixture, &key, false);
    fixture_close(fixture);
    fixture_sql(fixture, "UPDATE held SET last = first - 1");
    assert_is_set_aside(fixture);
}

static void test_a_last_batch_that_is_not_whole_is_damage(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);

    submit_key(fixture, &key, false);
    fixture_close(fixture);
    fixture_sql(fixture, "DELETE FROM held");
    assert_is_set_aside(fixture);
}

static void test_a_table_that_is_missing_is_damage(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    fixture_sql(fixture, "DROP TABLE landmark");
    assert_is_set_aside(fixture);
}

static void test_unsent_messages_of_a_damaged_database_are_not_lost(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);
    struct message message = message_of(&key);
    unsigned salvaged = 0;

    submit_outbox(fixture, &message);
    fixture_close(fixture);
    fixture_sql(fixture, "DROP TABLE landmark");
    assert_is_set_aside(fixture);
    store_get_notice(fixture->store, &salvaged);
    assert_int_equal(salvaged, 1);
    assert_int_equal(store_get_contents(fixture->store)->outbox_count, 1);
    fixture_reopen(fixture);
    assert_int_equal(store_get_contents(fixture->store)->outbox_count, 1);
    assert_null(store_get_notice(fixture->store, &salvaged));
}

/* Fills some pages, and spoils one that no start reads. */
static void spoil_a_page(struct fixture *fixture)
{
    char rubbish[256];
    off_t size;
    ring_ticket ticket = 0;
    struct stat status;

    for (uint64_t n = 1; n <= 3000; n++) {
        struct message_key key = key_of(n << 16, 1, n);

        ticket = submit_key(fixture, &key, false);
    }
    fixture_wait(fixture, STORED, ticket);
    fixture_close(fixture);
    assert_int_equal(stat(fixture_path(fixture, "history.db"), &status), 0);
    size = status.st_size;
    memset(rubbish, 'x', sizeof(rubbish) - 1);
    rubbish[sizeof(rubbish) - 1] = '\0';
    for (off_t page = 30; page < 40; page++)
        write_at(fixture_path(fixture, "history.db"), MIN(page * 4096, size - 4096), rubbish);
}

static void test_damage_that_no_start_sees_is_found_in_the_background(void **state)
{
    struct fixture *fixture = *state;
    struct completion *checked;

    spoil_a_page(fixture);
    fixture_open(fixture);
    assert_int_equal(store_check(fixture->store, fixture->base), 0);
    checked = fixture_wait(fixture, CHECKED, 0);
    assert_non_null(checked->error);
    assert_non_null(strstr(checked->error, "it sets the file aside"));
    /* And the next start looks before it begins. */
    fixture_close(fixture);
    assert_is_set_aside(fixture);
}

static void test_a_sound_database_passes_the_check_in_the_background(void **state)
{
    struct fixture *fixture = *state;
    struct message_key key = key_of(1, 1, 1);

    fixture_wait(fixture, STORED, submit_key(fixture, &key, false));
    fixture_reopen(fixture);
    assert_int_equal(store_check(fixture->store, fixture->base), 0);
    assert_null(fixture_wait(fixture, CHECKED, 0)->error);
}

static bool count_work(void *userdata, enum store_work work, int percent)
{
    assert_true(work == STORE_CHECK && percent == STORE_PERCENT_UNKNOWN);
    ++*(size_t *)userdata;
    return true;
}

static void test_after_an_unclean_end_damage_is_found_before_the_start(void **state)
{
    struct fixture *fixture = *state;

    spoil_a_page(fixture);
    fixture_sql(fixture, "UPDATE session SET clean = 0");
    assert_is_set_aside(fixture);
}

/* So that systemd can be told to wait: also by the part of a check in which SQLite says nothing. */
static void test_a_long_check_after_an_unclean_end_says_that_it_gets_on(void **state)
{
    struct fixture *fixture = *state;
    struct store_progress progress = {.working = count_work, .userdata = &fixture->worked};
    sqlite3 *database;

    fixture_sql(fixture, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                         " WHERE i < 200000)"
                         "INSERT INTO message SELECT i, 1, i, 0, 0, randomblob(16), i, 0, 'u', 'n',"
                         "    'main', 'one of many', 0 FROM n");
    fixture_close(fixture);
    assert_int_equal(store_schema_open_reader(fixture_path(fixture, "history.db"), &database), 0);
    fixture->worked = 0;
    assert_int_equal(store_checker_run(database, &progress), SQLITE_OK);
    assert_true(fixture->worked > 0);
    sqlite3_close(database);
}

/* ---- older versions ---- */

/* A database as the first version made it, with three messages of one origin. */
static const char first_version[] =
    "CREATE TABLE identity(only INTEGER PRIMARY KEY CHECK (only = 1), node BLOB NOT NULL,"
    "    instance BLOB NOT NULL);"
    "CREATE TABLE state(only INTEGER PRIMARY KEY CHECK (only = 1), run INTEGER NOT NULL,"
    "    epoch INTEGER NOT NULL, hlc_bound INTEGER NOT NULL);"
    "CREATE TABLE counts(only INTEGER PRIMARY KEY CHECK (only = 1), twins INTEGER NOT NULL);"
    "CREATE TABLE origin(number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);"
    "CREATE TABLE message(hlc INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "    late INTEGER NOT NULL, twin INTEGER NOT NULL, id BLOB NOT NULL, sent INTEGER NOT NULL,"
    "    kind INTEGER NOT NULL, user TEXT NOT NULL, node TEXT NOT NULL, room TEXT NOT NULL,"
    "    text TEXT NOT NULL, PRIMARY KEY (hlc, origin, seq)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX message_id ON message(id) WHERE twin < 2;"
    "CREATE INDEX message_twin ON message(id) WHERE twin = 2;"
    "CREATE TABLE held(origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, first)) WITHOUT ROWID;"
    "CREATE TABLE landmark(origin INTEGER NOT NULL, seq INTEGER NOT NULL, hlc INTEGER NOT NULL,"
    "    PRIMARY KEY (origin, seq)) WITHOUT ROWID;"
    "CREATE TABLE outbox(number INTEGER PRIMARY KEY, id BLOB NOT NULL, packet BLOB NOT NULL);"
    "CREATE INDEX outbox_id ON outbox(id);"
    "CREATE TABLE late(number INTEGER PRIMARY KEY, hlc INTEGER NOT NULL, origin INTEGER NOT NULL,"
    "    seq INTEGER NOT NULL);"
    "INSERT INTO identity VALUES(1, zeroblob(16), zeroblob(16));"
    "INSERT INTO state VALUES(1, 7, 0, 0);"
    "INSERT INTO counts VALUES(1, 0);"
    "INSERT INTO origin VALUES(1, X'fe000000000000000000000000000001');"
    "INSERT INTO message VALUES(10, 1, 1, 0, 0, X'01000000000000000000000000000000', 5, 0, 'u',"
    "    'n', 'main', 'an older one');"
    "INSERT INTO message VALUES(20, 1, 2, 0, 0, X'02000000000000000000000000000000', 3600000001, 0,"
    "    'u', 'n', 'main', 'Older');"
    "INSERT INTO message VALUES(30, 1, 4, 0, 0, X'03000000000000000000000000000000', 3600000002, 0,"
    "    'u', 'n', 'ops', 'the newest of the older ones');"
    "INSERT INTO held VALUES(1, 1, 2);"
    "INSERT INTO held VALUES(1, 4, 4);"
    "INSERT INTO landmark VALUES(1, 1, 10);"
    "PRAGMA application_id = 1380536903;"
    "PRAGMA user_version = 1;"
    "PRAGMA journal_mode = WAL;";

static void test_an_older_database_is_copied_and_brought_up_to_date(void **state)
{
    struct fixture *fixture = *state;
    struct history_query query = {.until = UINT64_MAX, .words = "older"};
    struct history_search *search;
    struct history_page page;
    struct ring_interval before;
    struct stat status;

    fixture_close(fixture);
    assert_int_equal(unlink(fixture_path(fixture, "history.db")), 0);
    fixture_sql(fixture, first_version);
    fixture_open(fixture);
    assert_int_equal(stat(fixture_path(fixture, "history.db.version-1"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(fixture_number(fixture, "PRAGMA user_version"), 5);
    assert_int_equal(store_get_contents(fixture->store)->state.run, 7);
    assert_int_equal(store_get_contents(fixture->store)->messages, 3);
    /* The sums are those that the messages would have got. */
    before = held_of(fixture, 1)->intervals[0];
    assert_int_equal(held_of(fixture, 1)->count, 2);
    assert_int_equal(before.to, 2);
    assert_true(before.sum ==
                ring_id_hash(&(struct ring_id){{1}}) + ring_id_hash(&(struct ring_id){{2}}));
    assert_true(held_of(fixture, 1)->intervals[1].sum == ring_id_hash(&(struct ring_id){{3}}));
    /* All messages are counted, and not again. */
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    assert_int_equal(fixture_number(fixture, "SELECT messages FROM room WHERE name = 'main'"), 2);
    fixture_reopen(fixture);
    assert_int_equal(fixture_number(fixture, WRONG_ROOMS), 0);
    /* Everything is found, by words and by times. */
    query.since = 3600000000 + 1;
    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &(struct message_key){0}, false);
    assert_int_equal(history_search_read(search, 10, &page), 0);
    assert_int_equal(page.count, 2);
    history_page_done(&page);
    history_search_free(search);
}

/* A database of the first version with so many messages more. */
static void make_an_older_one(struct fixture *fixture, unsigned messages)
{
    char text[512];

    fixture_close(fixture);
    assert_int_equal(unlink(fixture_path(fixture, "history.db")), 0);
    fixture_sql(fixture, first_version);
    if (messages > 0) {
        snprintf(text, sizeof(text),
                 "WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                 "INSERT INTO message SELECT 10 * i, 1, i, 0, 0, randomblob(16), 1000000 * i, 0,"
                 "    'u', 'n', 'main', 'one of many' FROM n;"
                 "UPDATE held SET last = %u WHERE first = 4;",
                 messages + 4, messages + 4);
        fixture_sql(fixture, text);
    }
}

static void open_an_older_one(struct fixture *fixture, unsigned messages)
{
    make_an_older_one(fixture, messages);
    fixture->worked = 0;
    fixture_open(fixture);
    assert_int_equal(store_get_contents(fixture->store)->messages, messages + 3);
}

/* So that systemd can be told to wait. */
static void test_the_upgrade_of_a_large_database_says_that_it_gets_on(void **state)
{
    struct fixture *fixture = *state;

    open_an_older_one(fixture, 0);
    assert_int_equal(fixture->worked, 0);
    open_an_older_one(fixture, 20000);
    assert_true(fixture->worked > 0);
}

/* It is said each time that as much work is done. So when it has been said half as often as in the
 * end, half of the work is done, whatever was estimated before it. */
static void test_an_upgrade_says_how_far_it_is(void **state)
{
    struct fixture *fixture = *state;
    size_t count = 0;

    open_an_older_one(fixture, 200000);
    while (count < fixture->worked && fixture->percents[count] != STORE_PERCENT_UNKNOWN)
        count++;
    assert_true(count > 50);
    assert_in_range(fixture->percents[0], 0, 10);
    for (size_t i = 1; i < count; i++)
        assert_true(fixture->percents[i] >= fixture->percents[i - 1]);
    for (size_t i = 1; i < 4; i++)
        assert_in_range(fixture->percents[count * i / 4], 25 * i - 8, 25 * i + 8);
    assert_in_range(fixture->percents[count - 2], 90, 99);
    assert_int_equal(fixture->percents[count - 1], 100);
}

static void open_and_stop(struct fixture *fixture, size_t at)
{
    fixture->worked = 0;
    fixture->stop_at = at;
    assert_int_equal(fixture_try_open(fixture), -ECANCELED);
    assert_int_equal(fixture->worked, at);
    fixture->stop_at = 0;
}

/* While it is copied, and in the middle of the steps; SQLite counts for the database as a whole. */
static void test_an_upgrade_that_is_stopped_leaves_the_database_as_it_was(void **state)
{
    struct fixture *fixture = *state;

    make_an_older_one(fixture, 200000);
    for (size_t at = 1; at < 60; at += 19) {
        open_and_stop(fixture, at);
        assert_int_equal(fixture_number(fixture, "PRAGMA user_version"), 1);
    }
    fixture_open(fixture);
    assert_int_equal(fixture_number(fixture, "PRAGMA user_version"), 5);
    assert_int_equal(store_get_contents(fixture->store)->messages, 200003);
    assert_null(store_get_notice(fixture->store, &(unsigned){0}));
}

static void test_a_check_that_is_stopped_finds_nothing_and_is_made_at_the_next_start(void **state)
{
    struct fixture *fixture = *state;

    fixture_sql(fixture, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                         " WHERE i < 200000)"
                         "INSERT INTO message SELECT i, 1, i, 0, 0, randomblob(16), i, 0, 'u', 'n',"
                         "    'main', 'one of many', 0 FROM n;"
                         "INSERT INTO origin VALUES(1, randomblob(16));"
                         "INSERT INTO held VALUES(1, 1, 200000, 0)");
    fixture_close(fixture);
    for (size_t i = 1; i <= 2; i++) {
        fixture_sql(fixture, "UPDATE session SET clean = 0");
        open_and_stop(fixture, i);
        assert_int_equal(fixture_number(fixture, "SELECT clean FROM session"), 0);
    }
    fixture->worked = 0;
    fixture_open(fixture);
    assert_true(fixture->worked > 0);
    assert_int_equal(store_get_contents(fixture->store)->messages, 200000);
    assert_null(store_get_notice(fixture->store, &(unsigned){0}));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_file_that_is_no_database_is_set_aside),
        WITH_STORE(test_rows_that_make_no_sense_are_damage),
        WITH_STORE(test_a_last_batch_that_is_not_whole_is_damage),
        WITH_STORE(test_a_table_that_is_missing_is_damage),
        WITH_STORE(test_unsent_messages_of_a_damaged_database_are_not_lost),
        WITH_STORE(test_damage_that_no_start_sees_is_found_in_the_background),
        WITH_STORE(test_a_sound_database_passes_the_check_in_the_background),
        WITH_STORE(test_after_an_unclean_end_damage_is_found_before_the_start),
        WITH_STORE(test_a_long_check_after_an_unclean_end_says_that_it_gets_on),
        WITH_STORE(test_an_older_database_is_copied_and_brought_up_to_date),
        WITH_STORE(test_the_upgrade_of_a_large_database_says_that_it_gets_on),
        WITH_STORE(test_an_upgrade_says_how_far_it_is),
        WITH_STORE(test_an_upgrade_that_is_stopped_leaves_the_database_as_it_was),
        WITH_STORE(test_a_check_that_is_stopped_finds_nothing_and_is_made_at_the_next_start),
    };

    return cmocka_run_group_tests_name("store-damage", tests, NULL, NULL);
}
