#pragma once

/* A small part of a database, in memory, on which is tried what an upgrade of all of it costs. */

#include <sqlite3.h>
#include <stdint.h>

/* Fills `sample`, which has the tables of the database at `path` and nothing in them, with the
 * first rows of each of its tables. SQLITE_OK, and in `ret_share` how many times more messages the
 * database has; or SQLite's error. */
int store_sample_fill(sqlite3 *sample, const char *path, double *ret_share);

/* Runs statements on it and counts the steps of SQLite's machine that they take. */
int store_sample_run(sqlite3 *sample, const char *statements, uint64_t *ret_steps);
