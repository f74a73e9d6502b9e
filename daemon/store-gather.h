#pragma once

/* SQLite appends to its log page by page, by two writes each, and copies the log into the database
 * page by page. Gathered, a commit's pages are few writes before its sync, and the log is read and
 * the database written in larger pieces. */

#include <sqlite3.h>
#include <stdbool.h>

/* From now on for the files of this handle, which must have its log open (journal_mode = WAL) and
 * sync each commit (synchronous = FULL): what is gathered is written before the sync, so that no
 * other handle sees a commit without its pages. Nothing else may write the database while the
 * handle is open. What a failed write had stays, and whatever needs it written tries that first, or
 * fails. Ends with the handle. SQLITE_OK, or SQLite's error: then what can be gathered is. */
int store_gather(sqlite3 *database);

/* While so, a commit of this handle is not synced, and a loss of power may undo it, as a whole; the
 * next one that is synced, or copying the log, makes it last. The handle is store_gather()'s. */
void store_gather_lazily(sqlite3 *database, bool lazily);
