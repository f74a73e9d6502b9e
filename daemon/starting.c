#include "starting.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/progress-bar.h"
#include "common/util.h"
#include "engine.h"
#include "paths.h"
#include "supervisor.h"

/* A start that takes less is told to systemd only, whose patience may be at its end. */
#define TELL_USEC (1 * USEC_PER_SEC)

/* How often systemd, a terminal and the file are told how far it is; and in the journal a line is
 * worth so many percent. */
#define SHOW_USEC (250 * USEC_PER_MSEC)
#define LINE_PERCENT 10

#define TEXT_MAX 64

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

/* Lines of one length replace each other as a whole. */
static void write_file(const struct starting *starting)
{
    char line[STARTING_LINE_BYTES + 1];

    snprintf(line, sizeof(line), STARTING_LINE_FORMAT,
             starting->work == STORE_UPGRADE ? STARTING_UPGRADE : STARTING_CHECK,
             starting->percent);
    /* Rather nothing than what was. */
    if (pwrite(starting->fd, line, strlen(line), 0) < 0 && ftruncate(starting->fd, 0) < 0)
        return;
}

/* "upgrading the history: 40 % done" */
static void describe(const struct starting *starting, char ret[TEXT_MAX])
{
    const char *what =
        starting->work == STORE_UPGRADE ? "upgrading the history" : "checking the history";

    if (starting->percent == STORE_PERCENT_UNKNOWN)
        snprintf(ret, TEXT_MAX, "%s", what);
    else
        snprintf(ret, TEXT_MAX, "%s: %d %% done", what, starting->percent);
}

static void show_bar(struct starting *starting, const char *text)
{
    if (starting->percent == STORE_PERCENT_UNKNOWN || isatty(STDERR_FILENO) != 1)
        return;
    fputs("\033[K", stderr);
    progress_bar_print(stderr, (uint64_t)starting->percent, 100);
    /* A line of the journal that comes meanwhile is written over it. */
    fprintf(stderr, "%s\r", text);
    fflush(stderr);
    starting->bar = true;
}

static void show(struct starting *starting, uint64_t now)
{
    char text[TEXT_MAX];

    starting->shown_at = now;
    describe(starting, text);
    if (starting->path)
        write_file(starting);
    supervisor_starting(text, (unsigned)((now - starting->begun) / USEC_PER_SEC));
    if (starting->told)
        show_bar(starting, text);
}

static void log_first(struct starting *starting, const char *socket_path, struct journal *journal)
{
    char text[TEXT_MAX];

    starting->told = true;
    starting->logged = starting->percent;
    describe(starting, text);
    journal_log(journal, LINE_STARTING, "%s; nobody is served until that is done", text);
    make_file(starting, socket_path);
    /* A bar takes the place of further lines at once. */
    starting->shown_at = 0;
}

static void log_further(struct starting *starting, struct journal *journal)
{
    char text[TEXT_MAX];

    if (starting->bar || starting->percent / LINE_PERCENT <= starting->logged / LINE_PERCENT)
        return;
    starting->logged = starting->percent;
    describe(starting, text);
    journal_log(journal, LINE_STARTING, "%s", text);
}

void starting_begin(struct starting *starting)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &starting->signals);
}

static bool is_stop_signalled(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

bool starting_working(struct starting *starting, const char *socket_path, struct journal *journal,
                      enum store_work work, int percent)
{
    uint64_t now = engine_monotonic();

    if (starting->begun == 0)
        starting->begun = now;
    if (work != starting->work)
        starting->shown_at = 0;
    starting->work = work;
    starting->percent = percent;
    if (starting->told)
        log_further(starting, journal);
    else if (now - starting->begun >= TELL_USEC)
        log_first(starting, socket_path, journal);
    if (starting->shown_at == 0 || now - starting->shown_at >= SHOW_USEC)
        show(starting, now);
    starting->stopped = is_stop_signalled();
    return !starting->stopped;
}

void starting_done(struct starting *starting)
{
    if (starting->bar)
        fputs("\033[K", stderr);
    /* What has come meanwhile comes to the loop, where there will be one. */
    pthread_sigmask(SIG_SETMASK, &starting->signals, NULL);
    if (!starting->path)
        return;
    unlink(starting->path);
    close(starting->fd);
    free(starting->path);
    starting->path = NULL;
}
