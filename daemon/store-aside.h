#pragma once

/* A damaged database is set aside, and one of an older schema copied: none is ever deleted. */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "store-progress.h"

/* Renames the database at `path`, its log and its texts to PATH.damaged-TIME, in `ret` (to be
 * freed). 0 or a negative errno. */
int store_set_aside(const char *path, char **ret);

/* Whether the database at `path` is gone, and its log or its texts are there: they belong to no
 * other. */
bool store_was_deleted(const char *path);

/* What was done to the names of files beside `path` is on disk. 0 or a negative errno. */
int store_sync_directory_of(const char *path);

/* Takes what can be read of the outbox of the database at `path` into `database`: messages that
 * nobody else has. How many those are. */
unsigned store_salvage_outbox(sqlite3 *database, const char *path);

/* Copies the database at `path`, of the schema `version`, to PATH.version-N, in case the next
 * schema is not liked. SQLITE_OK or SQLite's error. */
int store_back_up(sqlite3 *database, const char *path, size_t version,
                  struct store_progress *progress);
