#include "store-check.h"

#include <stdint.h>
#include <string.h>

#include "store-schema.h"

int store_check_names(sqlite3 *database, sqlite3 *expected)
{
    static const char all[] = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
    static const char one[] = "SELECT 1 FROM sqlite_schema WHERE name = ?1";
    sqlite3_stmt *names = NULL, *find = NULL;
    int result = sqlite3_prepare_v2(expected, all, -1, &names, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_prepare_v2(database, one, -1, &find, NULL);
    while (result == SQLITE_OK && (result = sqlite3_step(names)) == SQLITE_ROW) {
        sqlite3_bind_value(find, 1, sqlite3_column_value(names, 0));
        result = sqlite3_step(find);
        sqlite3_reset(find);
        result = result == SQLITE_ROW ? SQLITE_OK : result == SQLITE_DONE ? SQLITE_CORRUPT : result;
    }
    sqlite3_finalize(names);
    sqlite3_finalize(find);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_check_last(sqlite3 *database)
{
    static const char text[] =
        "SELECT count(*) FROM (SELECT * FROM message ORDER BY hlc DESC LIMIT 100) m"
        " WHERE NOT EXISTS (SELECT 1 FROM held WHERE origin = m.origin AND m.seq BETWEEN first AND"
        "                   last)"
        " OR NOT EXISTS (SELECT 1 FROM origin WHERE number = m.origin)"
        " OR NOT EXISTS (SELECT 1 FROM message s WHERE s.id = m.id AND s.twin < 2)"
        " OR length(m.id) <> 16"
        " OR " STORE_TEXT " IS NULL";
    int64_t wrong = 0;
    int result = store_read_number(database, text, &wrong);

    return result == SQLITE_OK && wrong > 0 ? SQLITE_CORRUPT : result;
}

/* Every text that is not in its row is where the row says. Where retention removes some meanwhile,
 * what is left is looked at in a new transaction. */
static int check_long_texts(sqlite3 *database)
{
    sqlite3_stmt *rows = NULL;
    sqlite3_int64 hlc = 0;
    int result = sqlite3_prepare_v2(database,
                                    "SELECT m.hlc, " STORE_TEXT " IS NULL FROM message m"
                                    " WHERE m.long <> 0 AND m.hlc >= ?1 ORDER BY m.hlc",
                                    -1, &rows, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_bind_int64(rows, 1, hlc);
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(rows);
        if (result == SQLITE_ROW) {
            hlc = sqlite3_column_int64(rows, 0);
            result = sqlite3_column_int(rows, 1) ? SQLITE_CORRUPT : SQLITE_ROW;
        } else if (result == SQLITE_NOTFOUND) {
            sqlite3_reset(rows);
            result = sqlite3_bind_int64(rows, 1, hlc);
        }
    }
    sqlite3_finalize(rows);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int store_check_all(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    const char *found;
    int result = sqlite3_prepare_v2(database, "PRAGMA quick_check(1)", -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        found = (const char *)sqlite3_column_text(statement, 0);
        result = found && strcmp(found, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return result == SQLITE_OK ? check_long_texts(database) : result;
}

int store_check_was_closed(sqlite3 *database, bool *ret)
{
    int64_t closed = 0;
    int result = store_read_number(database, "SELECT clean FROM session", &closed);

    if (result == SQLITE_OK)
        *ret = closed != 0;
    return result;
}

int store_check_mark(sqlite3 *database, bool closed)
{
    return sqlite3_exec(database,
                        closed ? "UPDATE session SET clean = 1" : "UPDATE session SET clean = 0",
                        NULL, NULL, NULL);
}
