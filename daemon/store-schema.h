#pragma once

/* The database's schema: what SQLite is told when it is opened, and whether this build knows it. */

#include <sqlite3.h>

/* The file in the state directory. */
#define STORE_FILE "history.db"

/* Raised with every change of the schema; kept in the database as user_version. */
#define STORE_SCHEMA_VERSION 1

/* Opens the database for writing, makes the schema where there is none, and checks its version.
 * 0, or a negative errno with a sentence in `ret_error` (to be freed). */
int store_schema_open(const char *path, sqlite3 **ret, char **ret_error);

/* Opens it for reading only. 0 or a negative errno. */
int store_schema_open_reader(const char *path, sqlite3 **ret);

/* A sentence for a failed call on `database`: what went wrong, and what to do. NULL: no memory. */
char *store_schema_error(sqlite3 *database, const char *path);

/* The negative errno that fits SQLite's result code. */
int store_schema_errno(int result);
