/* What SQLite's result codes mean, and what to do. */

#include <errno.h>
#include <stdio.h>

#include "store-schema.h"

int store_schema_errno(int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return -EACCES;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_INTERRUPT:
        return -ECANCELED;
    case SQLITE_NOTFOUND:
        return -ESTALE;
    }
    return -EIO;
}

static const char *cure(int result)
{
    if (result == SQLITE_READONLY_DBMOVED)
        return "somebody deleted or replaced the file of the running daemon; restart ringchatd: "
               "the "
               "history comes back from the other members";
    switch (result & 0xff) {
    case SQLITE_FULL:
        return "make room on the disk, then restart ringchatd";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "check that the file system is writable and that the state directory and its files "
               "belong to ringchatd's user, then restart it";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "restart ringchatd: it sets the file aside (and keeps it), and the history comes "
               "back "
               "from the other members";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program has it locked; end that, then restart ringchatd";
    case SQLITE_NOMEM:
        return "free some memory, then restart ringchatd";
    case SQLITE_INTERRUPT:
        return "it is as it was before";
    }
    return "check the disk and the kernel's log (journalctl -k), then restart ringchatd";
}

char *store_schema_error(sqlite3 *database, int result, const char *path)
{
    const char *what = sqlite3_errstr(result);
    char *text = NULL;

    /* The handle may know more than the code says, unless it has done something else since. */
    if (database && (sqlite3_errcode(database) & 0xff) == (result & 0xff))
        what = sqlite3_errmsg(database);
    if (asprintf(&text, "%s: %s; %s", path, what, cure(result)) < 0)
        return NULL;
    return text;
}
