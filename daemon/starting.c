#include "starting.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"
#include "engine.h"
#include "paths.h"

/* A start that takes less is told to nobody. */
#define TELL_USEC (1 * USEC_PER_SEC)

/* A comfort only: where it cannot be made there is none. */
static void make_file(struct starting *starting, const char *socket_path)
{
    _cleanup_free_ char *socket = NULL, *error = NULL;
    char *path;

    if (paths_socket(socket_path, &socket, &error) < 0 ||
        asprintf(&path, "%s" STARTING_SUFFIX, socket) < 0)
        return;
    starting->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    /* Whoever may not write it may still look whether it is locked. */
    if (starting->fd < 0 || fchmod(starting->fd, 0644) < 0 ||
        flock(starting->fd, LOCK_EX | LOCK_NB) < 0) {
        if (starting->fd >= 0)
            close(starting->fd);
        free(path);
        return;
    }
    starting->path = path;
}

void starting_working(struct starting *starting, const char *socket_path, struct journal *journal)
{
    uint64_t now = engine_monotonic();

    if (starting->begun == 0)
        starting->begun = now;
    if (starting->told || now - starting->begun < TELL_USEC)
        return;
    starting->told = true;
    journal_log(journal, LINE_STARTING,
                "upgrading or checking the history; nobody is served until that is done");
    make_file(starting, socket_path);
}

unsigned starting_seconds(const struct starting *starting)
{
    return (unsigned)((engine_monotonic() - starting->begun) / USEC_PER_SEC);
}

void starting_done(struct starting *starting)
{
    if (!starting->path)
        return;
    unlink(starting->path);
    close(starting->fd);
    free(starting->path);
    starting->path = NULL;
}
