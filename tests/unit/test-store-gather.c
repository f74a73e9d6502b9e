/* Gathered writes: as few as they should be, and what is in the files is what SQLite wrote, for
 * this handle, for others and after faults. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"
#include "daemon/store-gather.h"
#include "fault-vfs.h"

static uint64_t state;

static uint64_t number(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
}

/* ---- a database ---- */

struct scene {
    char directory[64], path[96];
    sqlite3 *writer, *reader;
};

static void run(sqlite3 *database, const char *text)
{
    char *error = NULL;

    if (sqlite3_exec(database, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
}

static int64_t value(sqlite3 *database, const char *text)
{
    sqlite3_stmt *statement = NULL;
    int64_t result;

    assert_int_equal(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    result = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int64_t sum(sqlite3 *database)
{
    return value(database,
                 "SELECT count(*) * 1000003 + total(number * (length(text) +"
                 " unicode(CAST(substr(text, 1 + number % 300, 1) AS TEXT)))) FROM thing");
}

static sqlite3 *open_plain(const char *path)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                  "PRAGMA wal_autocheckpoint = 0;"
                  "CREATE TABLE IF NOT EXISTS thing(number INTEGER PRIMARY KEY, text BLOB)");
    return database;
}

static void open_both(struct scene *scene)
{
    scene->writer = open_plain(scene->path);
    assert_int_equal(store_gather(scene->writer), SQLITE_OK);
    assert_int_equal(sqlite3_open_v2(scene->path, &scene->reader, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
}

static void close_both(struct scene *scene)
{
    sqlite3_close(scene->reader);
    sqlite3_close(scene->writer);
}

static int set_up(void **ret)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    assert_non_null(scene);
    strcpy(scene->directory, "/tmp/ringchat-gather-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    snprintf(scene->path, sizeof(scene->path), "%s/db", scene->directory);
    fault_vfs_reset();
    fault_vfs_install();
    open_both(scene);
    *ret = scene;
    return 0;
}

static int tear_down(void **arg)
{
    struct scene *scene = *arg;
    char path[128];

    close_both(scene);
    fault_vfs_remove();
    snprintf(path, sizeof(path), "%s", scene->path);
    unlink(path);
    rmdir(scene->directory);
    free(scene);
    return 0;
}

static void insert(sqlite3 *database, size_t count, size_t size)
{
    char text[160];

    snprintf(text, sizeof(text),
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %zu)"
             "INSERT INTO thing SELECT NULL, zeroblob(%zu) FROM n",
             count, size);
    run(database, text);
}

static void assert_whole(struct scene *scene, int64_t expected)
{
    assert_int_equal(sum(scene->reader), expected);
    assert_int_equal(value(scene->reader, "SELECT integrity_check = 'ok'"
                                          " FROM pragma_integrity_check"),
                     1);
}

/* ---- how many writes ---- */

static void test_a_commit_is_one_write_and_one_sync(void **arg)
{
    struct scene *scene = *arg;
    size_t before;

    insert(scene->writer, 1, 10);
    before = fault_vfs_count();
    insert(scene->writer, 20, 4000);
    assert_int_equal(fault_vfs_count() - before, 2);
    assert_int_equal(value(scene->reader, "SELECT count(*) FROM thing"), 21);
}

static void test_a_large_commit_is_few_writes(void **arg)
{
    struct scene *scene = *arg;
    size_t before = fault_vfs_count(), bytes = 1000000;

    insert(scene->writer, 1, bytes);
    assert_in_range(fault_vfs_count() - before, bytes / STORE_GATHER_BYTES + 1,
                    bytes / STORE_GATHER_BYTES + 4);
}

static void test_the_log_is_copied_in_few_writes(void **arg)
{
    struct scene *scene = *arg;
    size_t before;

    insert(scene->writer, 1000, 1000);
    before = fault_vfs_count();
    run(scene->writer, "PRAGMA wal_checkpoint(PASSIVE)");
    assert_in_range(fault_vfs_count() - before, 1000000 / STORE_GATHER_BYTES, 20);
    assert_int_equal(value(scene->reader, "SELECT count(*) FROM thing"), 1000);
}

/* ---- what is in the files ---- */

static void random_write(sqlite3 *database)
{
    char text[200];
    unsigned long long size = number(number(8) ? 900 : 150000), which = number(60);

    switch (number(4)) {
    case 0:
    case 1:
        snprintf(text, sizeof(text),
                 "INSERT OR REPLACE INTO thing VALUES(%llu,"
                 "CAST(printf('%%.*c', %llu, char(65 + %llu)) AS BLOB))",
                 which, size, which % 26);
        break;
    case 2:
        snprintf(text, sizeof(text), "DELETE FROM thing WHERE number BETWEEN %llu AND %llu", which,
                 which + number(3));
        break;
    default:
        snprintf(text, sizeof(text),
                 "UPDATE thing SET text = text || CAST('b%llu' AS BLOB)"
                 " WHERE number = %llu",
                 size, which);
    }
    run(database, text);
}

/* Commits, rollbacks, the log copied whole or in part, cut, or begun anew, readers in the middle of
 * something. After each commit others see the same as this handle. */
static void test_others_see_each_commit_whatever_is_done(void **arg)
{
    static const char *const copies[] = {
        "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)",
        "PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)"};
    struct scene *scene = *arg;
    sqlite3 *old;

    state = 7;
    assert_int_equal(sqlite3_open_v2(scene->path, &old, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    /* Pages leave the cache and are read again. */
    run(scene->writer, "PRAGMA cache_size = 10");
    for (unsigned i = 0; i < 400; i++) {
        int64_t before = sum(scene->reader), seen = -1;
        bool rolled_back = number(5) == 0;

        if (number(3) == 0) {
            run(old, "BEGIN");
            seen = sum(old);
        }
        run(scene->writer, "BEGIN");
        for (uint64_t k = 1 + number(4); k > 0; k--)
            random_write(scene->writer);
        run(scene->writer, rolled_back ? "ROLLBACK" : "COMMIT");
        assert_int_equal(sum(scene->reader), rolled_back ? before : sum(scene->writer));
        if (number(4) == 0)
            sqlite3_exec(scene->writer, copies[number(ELEMENTS(copies))], NULL, NULL, NULL);
        if (seen != -1) {
            assert_int_equal(sum(old), seen);
            run(old, "COMMIT");
        }
        assert_int_equal(sum(scene->reader), sum(scene->writer));
    }
    sqlite3_close(old);
    assert_whole(scene, sum(scene->writer));
    close_both(scene);
    open_both(scene);
    assert_whole(scene, sum(scene->writer));
}

/* SQLite does not sync the database then, and readers look in it at once. */
static void test_others_see_what_was_copied_of_a_part_of_the_log(void **arg)
{
    struct scene *scene = *arg;
    sqlite3 *fresh;

    insert(scene->writer, 300, 900);
    run(scene->reader, "BEGIN");
    sum(scene->reader);
    insert(scene->writer, 10, 900);
    run(scene->writer, "PRAGMA wal_checkpoint(PASSIVE)");
    assert_int_equal(sqlite3_open_v2(scene->path, &fresh, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sum(fresh), sum(scene->writer));
    sqlite3_close(fresh);
    run(scene->reader, "COMMIT");
}

/* ---- a disk that fails while the log is copied ---- */

/* `held_up` by a reader, so that only a part is copied. The disk works again before the next try,
 * or only after the database was closed. */
static void copy_and_fail(struct scene *scene, enum fault fault, size_t after, bool held_up,
                          bool close)
{
    int64_t expected;

    run(scene->writer, "DELETE FROM thing");
    insert(scene->writer, 400, 900);
    run(scene->reader, "BEGIN");
    if (held_up)
        sum(scene->reader);
    insert(scene->writer, 10, 900);
    expected = sum(scene->writer);
    fault_vfs_fail(fault, after);
    sqlite3_exec(scene->writer, "PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
    run(scene->reader, "COMMIT");
    if (close) {
        close_both(scene);
        fault_vfs_fail(FAULT_NONE, 0);
        open_both(scene);
    }
    fault_vfs_fail(FAULT_NONE, 0);
    run(scene->writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_whole(scene, expected);
    close_both(scene);
    open_both(scene);
    assert_whole(scene, expected);
}

static void test_a_failure_while_the_log_is_copied_loses_nothing(void **arg)
{
    static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC, FAULT_READ};

    for (unsigned i = 0; i < ELEMENTS(faults) * 12; i++) {
        for (unsigned how = 0; how < 4; how++)
            copy_and_fail(*arg, faults[i / 12], i % 12, how & 1, how & 2);
    }
}

static void test_a_commit_that_cannot_be_written_fails(void **arg)
{
    static const enum fault faults[] = {FAULT_WRITE, FAULT_FULL, FAULT_SYNC};
    struct scene *scene = *arg;

    insert(scene->writer, 10, 900);
    for (size_t i = 0; i < ELEMENTS(faults); i++) {
        int64_t expected = sum(scene->writer);

        fault_vfs_fail(faults[i], 0);
        assert_int_not_equal(
            sqlite3_exec(scene->writer, "INSERT INTO thing VALUES(NULL, 'lost')", NULL, NULL, NULL),
            SQLITE_OK);
        fault_vfs_fail(FAULT_NONE, 0);
        assert_int_equal(sum(scene->reader), expected);
        insert(scene->writer, 1, 900);
        assert_whole(scene, sum(scene->writer));
    }
}

/* ---- commits that are not synced ---- */

/* What a new process reads after the power went. */
static int64_t sum_after_cut(size_t cut, uint64_t seed, const char *directory)
{
    char path[128];
    sqlite3 *database;
    int64_t result;

    fault_vfs_cut(cut, seed, NULL, directory);
    snprintf(path, sizeof(path), "%s/db", directory);
    fault_vfs_remove();
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(value(database, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
    result = sum(database);
    sqlite3_close(database);
    unlink(path);
    fault_vfs_install();
    return result;
}

static int64_t fill(sqlite3 *database, char letter, const char *which)
{
    char text[120];

    snprintf(text, sizeof(text), "UPDATE thing SET text = printf('%%.*c', 900, '%c') WHERE %s",
             letter, which);
    run(database, text);
    return sum(database);
}

/* The log, all of which was copied, is begun anew by a lazy commit, and goes on with others. When
 * one of them is synced, all is on disk; before that, nothing that was there is lost, and nothing
 * else is there than a commit left. */
static void test_a_loss_of_power_undoes_lazy_commits_at_most(void **arg)
{
    char directory[] = "/tmp/ringchat-lazy-XXXXXX";
    struct scene *scene = *arg;
    size_t first, operations, syncs;
    int64_t sums[4];

    assert_non_null(mkdtemp(directory));
    insert(scene->writer, 60, 900);
    for (char letter = 'a'; letter < 'd'; letter++)
        sums[0] = fill(scene->writer, letter, "1");
    run(scene->writer, "PRAGMA wal_checkpoint(PASSIVE)");
    first = fault_vfs_count();
    store_gather_lazily(scene->writer, true);
    sums[1] = fill(scene->writer, 'e', "number < 9");
    syncs = fault_vfs_count_syncs("db-wal");
    sums[2] = fill(scene->writer, 'f', "number BETWEEN 20 AND 30");
    assert_int_equal(fault_vfs_count_syncs("db-wal"), syncs);
    assert_int_equal(sum(scene->reader), sums[2]);
    store_gather_lazily(scene->writer, false);
    sums[3] = fill(scene->writer, 'g', "number > 50");
    operations = fault_vfs_count();
    for (size_t cut = first; cut <= operations; cut++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            int64_t found = sum_after_cut(cut, seed, directory);
            size_t i = cut == operations ? 3 : 0;

            while (i < ELEMENTS(sums) && sums[i] != found)
                i++;
            if (i == ELEMENTS(sums))
                fail_msg("operation %zu of %zu, seed %d: what no commit left", cut - first,
                         operations - first, (int)seed);
        }
    }
    rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_commit_is_one_write_and_one_sync),
        TEST(test_a_large_commit_is_few_writes),
        TEST(test_the_log_is_copied_in_few_writes),
        TEST(test_others_see_each_commit_whatever_is_done),
        TEST(test_others_see_what_was_copied_of_a_part_of_the_log),
        TEST(test_a_failure_while_the_log_is_copied_loses_nothing),
        TEST(test_a_commit_that_cannot_be_written_fails),
        TEST(test_a_loss_of_power_undoes_lazy_commits_at_most),
    };

    return cmocka_run_group_tests_name("store-gather", tests, NULL, NULL);
}
