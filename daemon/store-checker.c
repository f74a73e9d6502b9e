#include "store-checker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/check.h"
#include "store-check.h"
#include "store-schema.h"

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

/* Signals are the loop's. */
static int start(struct store_checker *checker)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&checker->thread, NULL, run, checker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    checker->running = result == 0;
    if (checker->running)
        pthread_setname_np(checker->thread, "check");
    return -result;
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
