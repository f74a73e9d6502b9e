#include "store-thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/check.h"
#include "common/util.h"

static uint64_t monotonic_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

struct store_thread {
    struct store_writer *writer; /* the thread's */
    const char *path;
    struct store_callbacks callbacks;
    void *userdata;
    struct event *event;
    int wakeup;       /* eventfd: something is done */
    bool has_steps;   /* the thread's: there may be something for store_writer_step() */
    uint64_t stepped; /* the thread's: when it did one, monotonic µs */
    bool quiet;       /* the thread's: nothing was asked of it since */
    bool hurried;     /* the thread's: it has other work, but it is time for a step */
    pthread_t thread;
    bool running;
    bool held; /* the loop's: store_thread_hold() */

    /* Posted for a thread that sleeps; a condition would take two calls of the kernel more. */
    sem_t work;
    pthread_mutex_t mutex;
    /* under the mutex */
    bool stopping, damaged;
    bool sleeping;  /* the thread waits for work, or is about to */
    bool unawaited; /* writes that are done wake nobody */
    struct store_jobs waiting, done;
};

/* ---- in the thread ---- */

static bool is_plain_write(const struct store_job *job)
{
    return job->type == STORE_JOB_WRITE && !job->failed;
}

static void give_back(struct store_thread *thread, struct store_job *job)
{
    uint64_t one = 1;
    bool wake = !is_plain_write(job);

    pthread_mutex_lock(&thread->mutex);
    wake = wake || !thread->unawaited;
    store_jobs_append(&thread->done, job);
    pthread_mutex_unlock(&thread->mutex);
    /* The counter's limit is 2^64. */
    if (wake)
        check(write(thread->wakeup, &one, sizeof(one)) == sizeof(one));
}

/* The writes that are not committed yet. */
struct group {
    struct store_job *job;   /* the last one, which will tell of all */
    ring_ticket first, last; /* 0: only late notes */
};

static void give_back_failed(struct store_thread *thread, struct store_job *job, ring_ticket ticket,
                             int result)
{
    job->failed = true;
    job->ticket = ticket;
    job->error = store_writer_error(thread->writer, result, thread->path);
    give_back(thread, job);
}

static bool commit(struct store_thread *thread, struct group *group)
{
    struct store_job *job = steal_pointer(group->job);
    int result;

    if (!job)
        return true;
    result = store_writer_commit(thread->writer);
    if (result == SQLITE_OK && store_writer_is_gone(thread->writer))
        result = SQLITE_READONLY_DBMOVED;
    if (result != SQLITE_OK) {
        give_back_failed(thread, job, group->first, result);
        return false;
    }
    thread->has_steps = true;
    job->ticket = group->last;
    group->first = group->last = 0;
    give_back(thread, job);
    return true;
}

static bool fetch(struct store_thread *thread, struct store_job *job)
{
    int result = store_writer_fetch(thread->writer, &job->output, &job->packets, &job->count);

    if (result != SQLITE_OK) {
        give_back_failed(thread, job, 0, result);
        return false;
    }
    job->ticket = job->output.fetch.ticket;
    give_back(thread, job);
    return true;
}

static bool write_rooms(struct store_thread *thread, struct store_job *job)
{
    int result = store_writer_write_rooms(thread->writer);

    if (result != SQLITE_OK)
        give_back_failed(thread, job, 0, result);
    else
        give_back(thread, job);
    return result == SQLITE_OK;
}

static int write_job(struct store_thread *thread, const struct store_job *job, struct group *group)
{
    if (job->type == STORE_JOB_LATE)
        return store_writer_note_late(thread->writer, &job->key);
    group->last = job->output.store.ticket;
    if (group->first == 0)
        group->first = group->last;
    return store_writer_apply(thread->writer, &job->output, job->late);
}

/* Takes the job. False: nothing more may be tried. */
static bool do_job(struct store_thread *thread, struct store_job *job, struct group *group)
{
    int result;

    if (job->type == STORE_JOB_FETCH || job->type == STORE_JOB_ROOMS) {
        if (commit(thread, group))
            return job->type == STORE_JOB_FETCH ? fetch(thread, job) : write_rooms(thread, job);
        store_job_free(job);
        return false;
    }
    result = write_job(thread, job, group);
    store_job_free(group->job);
    group->job = job;
    if (result == SQLITE_OK)
        return true;
    give_back_failed(thread, steal_pointer(group->job), group->first, result);
    return false;
}

/* A piece of what can wait; or `between` two groups the log is copied. False: nothing more may be
 * tried. */
static bool step(struct store_thread *thread, bool between)
{
    struct store_job *job = calloc(1, sizeof(*job));
    int result;

    if (!job)
        return true;
    job->type = STORE_JOB_STEP;
    if (between) {
        result = store_writer_copy_log(thread->writer);
    } else {
        result =
            store_writer_step(thread->writer, thread->hurried, &job->pruned, &thread->has_steps);
        thread->stepped = monotonic_usec();
    }
    if (result != SQLITE_OK)
        give_back_failed(thread, job, 0, result);
    else if (job->pruned.messages > 0)
        give_back(thread, job);
    else
        store_job_free(job);
    return result == SQLITE_OK;
}

static bool has_work(const struct store_thread *thread)
{
    return thread->waiting.first || thread->stopping;
}

/* Waits until there is something to do, or until that time (0: for ever). The mutex is held, and
 * let go meanwhile. */
static void wait_for_work(struct store_thread *thread, uint64_t until)
{
    struct timespec time = {.tv_sec = (time_t)(until / USEC_PER_SEC),
                            .tv_nsec = (long)(until % USEC_PER_SEC * 1000)};
    int result = 0;

    while (!has_work(thread) && (result == 0 || errno == EINTR)) {
        thread->sleeping = true;
        pthread_mutex_unlock(&thread->mutex);
        result =
            until ? sem_clockwait(&thread->work, CLOCK_MONOTONIC, &time) : sem_wait(&thread->work);
        pthread_mutex_lock(&thread->mutex);
    }
    thread->sleeping = false;
}

/* The mutex is held. */
static bool must_be_woken(struct store_thread *thread)
{
    bool sleeping = thread->sleeping && has_work(thread);

    if (sleeping)
        thread->sleeping = false;
    return sleeping;
}

/* Whether something comes within a moment. */
static bool is_busy(struct store_thread *thread)
{
    wait_for_work(thread, monotonic_usec() + STORE_QUIET_USEC);
    return has_work(thread);
}

/* All that waits; NULL: the store is being closed. False: it is time for a step. */
static bool take_work(struct store_thread *thread, struct store_job **ret)
{
    bool quiet = false;

    pthread_mutex_lock(&thread->mutex);
    thread->hurried = monotonic_usec() - thread->stepped > STORE_STEP_USEC;
    if (thread->has_steps && !thread->stopping)
        quiet = thread->hurried || (thread->quiet && !thread->waiting.first) || !is_busy(thread);
    if (!quiet)
        wait_for_work(thread, 0);
    *ret = quiet ? NULL : store_jobs_take(&thread->waiting);
    thread->quiet = quiet && !thread->hurried;
    pthread_mutex_unlock(&thread->mutex);
    return !quiet;
}

/* Nothing is tried after a failure: what was promised since cannot be kept. */
static void drop_work(struct store_thread *thread)
{
    struct store_job *work;

    thread->has_steps = false;
    while (take_work(thread, &work) && work)
        store_jobs_free(work);
}

static bool do_jobs(struct store_thread *thread, struct store_job *work)
{
    struct group group = {0};
    bool sound = true;

    while (sound && work) {
        struct store_job *next = work->next;

        sound = do_job(thread, work, &group);
        work = next;
    }
    sound = sound && commit(thread, &group);
    store_jobs_free(work);
    return sound;
}

static void *run(void *userdata)
{
    struct store_thread *thread = userdata;
    struct store_job *work;
    bool sound = true, stopping = false;

    while (sound && !stopping) {
        if (!take_work(thread, &work))
            sound = step(thread, false);
        else if (work)
            sound = do_jobs(thread, work) &&
                    (!store_writer_has_long_log(thread->writer) || step(thread, true));
        else
            stopping = true;
    }
    if (!sound)
        drop_work(thread);
    else if (!thread->damaged)
        store_writer_close(thread->writer);
    return NULL;
}

/* ---- in the loop ---- */

static void tell(struct store_thread *thread, const struct store_job *job)
{
    if (job->failed)
        thread->callbacks.failed(thread->userdata, job->ticket,
                                 job->error ? job->error : "the store failed for lack of memory");
    else if (job->type == STORE_JOB_STEP)
        thread->callbacks.pruned(thread->userdata, &job->pruned);
    else if (job->type == STORE_JOB_FETCH)
        thread->callbacks.fetched(thread->userdata, job->ticket, job->count, job->packets);
    else if (job->type == STORE_JOB_ROOMS)
        thread->callbacks.counted(thread->userdata);
    else
        thread->callbacks.stored(thread->userdata, job->ticket);
}

void store_thread_collect(struct store_thread *thread)
{
    struct store_job *done;

    pthread_mutex_lock(&thread->mutex);
    done = store_jobs_take(&thread->done);
    pthread_mutex_unlock(&thread->mutex);
    for (const struct store_job *job = done; job; job = job->next)
        tell(thread, job);
    store_jobs_free(done);
}

static void on_wakeup(evutil_socket_t fd, short what, void *userdata)
{
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) > 0)
        store_thread_collect(userdata);
}

void store_thread_await(struct store_thread *thread, bool await)
{
    bool any;

    pthread_mutex_lock(&thread->mutex);
    any = thread->done.first && await && thread->unawaited;
    thread->unawaited = !await;
    pthread_mutex_unlock(&thread->mutex);
    if (any)
        store_thread_collect(thread);
}

/* It is told without the mutex, or it would wake only to wait for that. */
void store_thread_submit(struct store_thread *thread, struct store_job *job)
{
    bool wake;

    pthread_mutex_lock(&thread->mutex);
    store_jobs_append(&thread->waiting, job);
    wake = !thread->held && must_be_woken(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (wake)
        sem_post(&thread->work);
}

void store_thread_hold(struct store_thread *thread, bool hold)
{
    bool wake;

    thread->held = hold;
    pthread_mutex_lock(&thread->mutex);
    wake = !hold && must_be_woken(thread);
    pthread_mutex_unlock(&thread->mutex);
    if (wake)
        sem_post(&thread->work);
}

bool store_thread_is_gone(const struct store_thread *thread)
{
    return store_writer_is_gone(thread->writer);
}

uint64_t store_thread_twins(const struct store_thread *thread)
{
    return store_writer_twins(thread->writer);
}

void store_thread_set_damaged(struct store_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    thread->damaged = true;
    pthread_mutex_unlock(&thread->mutex);
}

/* ---- starting and ending ---- */

/* Signals are the loop's. */
static int start(struct store_thread *thread)
{
    sigset_t all, before;
    int result;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&thread->thread, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    thread->running = result == 0;
    if (thread->running)
        pthread_setname_np(thread->thread, "store");
    return -result;
}

int store_thread_new(struct event_base *base, struct store_writer *writer, const char *path,
                     const struct store_callbacks *callbacks, void *userdata,
                     struct store_thread **ret)
{
    struct store_thread *thread = calloc(1, sizeof(*thread));
    int result;

    if (!thread) {
        store_writer_free(writer);
        return -ENOMEM;
    }
    thread->writer = writer;
    thread->path = path;
    thread->callbacks = *callbacks;
    thread->userdata = userdata;
    store_jobs_init(&thread->waiting);
    store_jobs_init(&thread->done);
    pthread_mutex_init(&thread->mutex, NULL);
    sem_init(&thread->work, 0, 0);
    thread->has_steps = true;
    thread->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    result = thread->wakeup < 0 ? -errno : 0;
    if (result == 0) {
        thread->event = event_new(base, thread->wakeup, EV_READ | EV_PERSIST, on_wakeup, thread);
        result = thread->event && event_add(thread->event, NULL) == 0 ? start(thread) : -ENOMEM;
    }
    if (result < 0) {
        store_thread_free(thread);
        return result;
    }
    *ret = thread;
    return 0;
}

void store_thread_free(struct store_thread *thread)
{
    if (!thread)
        return;
    if (thread->running) {
        pthread_mutex_lock(&thread->mutex);
        thread->stopping = true;
        pthread_mutex_unlock(&thread->mutex);
        sem_post(&thread->work);
        pthread_join(thread->thread, NULL);
    }
    if (thread->event)
        event_free(thread->event);
    if (thread->wakeup >= 0)
        close(thread->wakeup);
    store_jobs_free(store_jobs_take(&thread->done));
    store_writer_free(thread->writer);
    pthread_mutex_destroy(&thread->mutex);
    sem_destroy(&thread->work);
    free(thread);
}
