#include "store-sample.h"

#include "store-schema.h"

/* Enough that what a statement costs once is little beside what it costs for each row; and with
 * texts of the usual size less than a MiB. */
#define ROWS "1000"

static int attach(sqlite3 *sample, const char *path)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(sample, "ATTACH ?1 AS whole", -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* Rows that the schema itself has made stay. */
static int copy_rows(sqlite3 *sample, const char *table)
{
    char *text = sqlite3_mprintf(
        "INSERT OR IGNORE INTO main.\"%w\" SELECT * FROM whole.\"%w\" LIMIT " ROWS, table, table);
    int result = text ? sqlite3_exec(sample, text, NULL, NULL, NULL) : SQLITE_NOMEM;

    sqlite3_free(text);
    return result;
}

/* The tables of a virtual one are its own business. */
static int copy_tables(sqlite3 *sample)
{
    static const char text[] = "SELECT name FROM pragma_table_list WHERE schema = 'main'"
                               " AND type = 'table' AND name NOT LIKE 'sqlite_%'";
    sqlite3_stmt *names = NULL;
    int result = sqlite3_prepare_v2(sample, text, -1, &names, NULL);

    while (result == SQLITE_OK && (result = sqlite3_step(names)) == SQLITE_ROW)
        result = copy_rows(sample, (const char *)sqlite3_column_text(names, 0));
    sqlite3_finalize(names);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_sample_fill(sqlite3 *sample, const char *path, double *ret_share)
{
    int64_t all = 0, taken = 0;
    int result = attach(sample, path);

    if (result == SQLITE_OK)
        result = copy_tables(sample);
    if (result == SQLITE_OK)
        result = store_read_number(
            sample, "SELECT coalesce(sum(last - first + 1), 0) FROM whole.held", &all);
    if (result == SQLITE_OK)
        result = store_read_number(sample, "SELECT count(*) FROM main.message", &taken);
    if (result == SQLITE_OK)
        result = sqlite3_exec(sample, "DETACH whole", NULL, NULL, NULL);
    if (result == SQLITE_OK)
        *ret_share = taken > 0 && all > taken ? (double)all / (double)taken : 1;
    return result;
}

static int count_step(void *userdata)
{
    ++*(uint64_t *)userdata;
    return 0;
}

int store_sample_run(sqlite3 *sample, const char *statements, uint64_t *ret_steps)
{
    uint64_t steps = 0;
    int result;

    sqlite3_progress_handler(sample, 1, count_step, &steps);
    result = sqlite3_exec(sample, statements, NULL, NULL, NULL);
    sqlite3_progress_handler(sample, 0, NULL, NULL);
    if (result == SQLITE_OK)
        *ret_steps = steps;
    return result;
}
