#include "store-checker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "store-check.h"

/* How often a check that is watched is looked at, and nanoseconds. */
#define WATCH_INTERVAL_NSEC 20000000
#define NSEC_PER_SEC 1000000000

struct store_checker {
    sqlite3 *database;
    struct event *event;
    int wakeup; /* eventfd: the check is done, and `result` can be read */
    int result;
    pthread_t thread;
    bool running;
    void (*done)(void *userdata, int result);
    void *userdata;
};

/* Signals are the loop's. */
static int spawn(pthread_t *thread, void *(*function)(void *userdata), void *userdata)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(thread, NULL, function, userdata);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -result;
}

/* ---- watched ---- */

struct watched_check {
    sqlite3 *database;
    int result;
};

static void *run_watched(void *userdata)
{
    struct watched_check *watched = userdata;

    watched->result = store_check_all(watched->database);
    return NULL;
}

static bool has_ended(pthread_t thread)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WATCH_INTERVAL_NSEC;
    if (until.tv_nsec >= NSEC_PER_SEC) {
        until.tv_nsec -= NSEC_PER_SEC;
        until.tv_sec++;
    }
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

/* A check that waits for a disk which does not answer gets no processor time. */
static bool gets_on(pthread_t thread, struct timespec *spent)
{
    struct timespec now;
    clockid_t clock;
    bool more;

    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &now) < 0)
        return false;
    more = now.tv_sec != spent->tv_sec || now.tv_nsec != spent->tv_nsec;
    *spent = now;
    return more;
}

int store_checker_run(sqlite3 *database, struct store_progress *progress)
{
    struct watched_check watched = {.database = database};
    struct timespec spent = {0};
    bool stopped = false;
    pthread_t thread;

    if (!progress->working || spawn(&thread, run_watched, &watched) < 0)
        return store_check_all(database);
    while (!has_ended(thread)) {
        if (!stopped && gets_on(thread, &spent) && !store_progress_check(progress))
            stopped = true;
        /* Again and again: between two statements of the check it would stop none. */
        if (stopped)
            sqlite3_interrupt(database);
    }
    /* What half a check finds means nothing. */
    return stopped ? SQLITE_INTERRUPT : watched.result;
}

/* ---- beside everything else ---- */

static void *run(void *userdata)
{
    struct store_checker *checker = userdata;
    uint64_t one = 1;

    /* It has time: whatever else this host does goes first. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    checker->result = store_check_all(checker->database);
    check(write(checker->wakeup, &one, sizeof(one)) == sizeof(one));
    return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *userdata)
{
    struct store_checker *checker = userdata;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) == sizeof(count))
        checker->done(checker->userdata, checker->result);
}

static int start(struct store_checker *checker)
{
    int result = spawn(&checker->thread, run, checker);

    checker->running = result == 0;
    if (checker->running)
        pthread_setname_np(checker->thread, "check");
    return result;
}

int store_checker_new(struct event_base *base, const char *path,
                      void (*done)(void *userdata, int result), void *userdata,
                      struct store_checker **ret)
{
    struct store_checker *checker = calloc(1, sizeof(*checker));
    int result;

    if (!checker)
        return -ENOMEM;
    checker->done = done;
    checker->userdata = userdata;
    checker->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    result = checker->wakeup < 0 ? -errno : store_schema_open_reader(path, &checker->database);
    if (result == 0) {
        checker->event = event_new(base, checker->wakeup, EV_READ, on_done, checker);
        result = checker->event && event_add(checker->event, NULL) == 0 ? start(checker) : -ENOMEM;
    }
    if (result < 0) {
        store_checker_free(checker);
        return result;
    }
    *ret = checker;
    return 0;
}

void store_checker_free(struct store_checker *checker)
{
    if (!checker)
        return;
    if (checker->running) {
        sqlite3_interrupt(checker->database);
        pthread_join(checker->thread, NULL);
    }
    if (checker->event)
        event_free(checker->event);
    if (checker->wakeup >= 0)
        close(checker->wakeup);
    sqlite3_close(checker->database);
    free(checker);
}
