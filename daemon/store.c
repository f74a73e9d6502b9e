#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/check.h"
#include "common/util.h"
#include "store-load.h"
#include "store-schema.h"
#include "store-write.h"

/* The file whose lock keeps a second daemon away. */
#define LOCK_FILE "lock"

enum request_type {
    REQUEST_WRITE,
    REQUEST_FETCH,
    REQUEST_LATE,
};

/* Something for the thread to do. */
struct request {
    struct request *next;
    enum request_type type;
    struct ring_output output; /* its packet is referenced */
    struct message_key key;
    uint64_t queued_at; /* monotonic µs */
};

/* Something for the loop to be told. */
struct completion {
    struct completion *next;
    ring_ticket ticket;
    bool fetched, failed;
    char *error;
    size_t count;
    struct packet **packets;
};

struct store {
    char *path;
    int lock;
    struct store_contents contents;
    struct store_writer *writer; /* the thread's */
    struct store_callbacks callbacks;
    void *userdata;
    struct event *event;
    int wakeup; /* eventfd: completions wait */

    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    bool stopping;
    struct request *first, **last;
    struct completion *done, **done_last;
    uint64_t oldest; /* when the oldest unfinished request was queued; 0: none */
};

static uint64_t monotonic_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

static void request_free(struct request *request)
{
    if (request->type == REQUEST_WRITE)
        packet_unref(request->output.store.packet);
    free(request);
}

static void completion_free(struct completion *completion)
{
    for (size_t i = 0; i < completion->count; i++)
        packet_unref(completion->packets[i]);
    free(completion->packets);
    free(completion->error);
    free(completion);
}

/* ---- the thread ---- */

static void complete(struct store *store, struct completion *completion)
{
    uint64_t one = 1;

    pthread_mutex_lock(&store->mutex);
    *store->done_last = completion;
    store->done_last = &completion->next;
    pthread_mutex_unlock(&store->mutex);
    /* Cannot fail: the counter is far below its limit. */
    check(write(store->wakeup, &one, sizeof(one)) == sizeof(one));
}

static struct completion *completion_new(ring_ticket ticket)
{
    struct completion *completion = calloc(1, sizeof(*completion));

    /* Without memory for a completion no promise can be kept or broken properly. */
    check(completion != NULL);
    completion->ticket = ticket;
    return completion;
}

static void complete_failed(struct store *store, ring_ticket ticket)
{
    struct completion *completion = completion_new(ticket);

    completion->failed = true;
    completion->error = store_schema_error(store_writer_database(store->writer), store->path);
    complete(store, completion);
}

/* The state of one pass over what waits. */
struct pass {
    ring_ticket first, last; /* writes not yet committed; 0: none */
    bool late;               /* late notes are not yet committed */
};

static bool commit(struct store *store, struct pass *pass)
{
    int result = store_writer_commit(store->writer);

    if (result != SQLITE_OK) {
        complete_failed(store, pass->first);
        return false;
    }
    if (pass->last || pass->late)
        complete(store, completion_new(pass->last));
    *pass = (struct pass){0};
    return true;
}

static bool do_fetch(struct store *store, const struct ring_output *output)
{
    struct completion *completion = completion_new(output->fetch.ticket);
    int result =
        store_writer_fetch(store->writer, output, &completion->packets, &completion->count);

    if (result != SQLITE_OK) {
        completion_free(completion);
        complete_failed(store, 0);
        return false;
    }
    completion->fetched = true;
    complete(store, completion);
    return true;
}

static bool do_request(struct store *store, struct request *request, struct pass *pass)
{
    const struct ring_output *output = &request->output;
    int result = SQLITE_OK;

    switch (request->type) {
    case REQUEST_FETCH:
        return commit(store, pass) && do_fetch(store, output);
    case REQUEST_LATE:
        pass->late = true;
        result = store_writer_note_late(store->writer, &request->key);
        break;
    case REQUEST_WRITE:
        if (pass->first == 0)
            pass->first = output->store.ticket;
        pass->last = output->store.ticket;
        result = store_writer_apply(store->writer, output->store.write, output->store.packet,
                                    &output->store.state, output->store.from_outbox,
                                    output->store.repaired);
        break;
    }
    if (result == SQLITE_OK)
        return true;
    complete_failed(store, pass->first);
    return false;
}

/* Takes all that waits; NULL: the store is being closed. */
static struct request *take_work(struct store *store)
{
    struct request *work;

    pthread_mutex_lock(&store->mutex);
    store->oldest = store->first ? store->first->queued_at : 0;
    while (!store->first && !store->stopping)
        pthread_cond_wait(&store->work, &store->mutex);
    work = store->first;
    store->first = NULL;
    store->last = &store->first;
    pthread_mutex_unlock(&store->mutex);
    return work;
}

static void *store_thread(void *userdata)
{
    struct store *store = userdata;
    struct request *work;
    bool sound = true;

    while ((work = take_work(store)) != NULL) {
        struct pass pass = {0};

        while (work) {
            struct request *next = work->next;

            /* After a failure nothing more is tried: the promise cannot be kept. */
            sound = sound && do_request(store, work, &pass);
            request_free(work);
            work = next;
        }
        sound = sound && commit(store, &pass);
    }
    return NULL;
}

/* ---- the loop ---- */

static void tell(struct store *store, const struct completion *completion)
{
    if (completion->failed)
        store->callbacks.failed(store->userdata, completion->ticket,
                                completion->error ? completion->error : "out of memory");
    else if (completion->fetched)
        store->callbacks.fetched(store->userdata, completion->ticket, completion->count,
                                 completion->packets);
    else
        store->callbacks.stored(store->userdata, completion->ticket);
}

static void on_wakeup(evutil_socket_t fd, short what, void *userdata)
{
    struct store *store = userdata;
    struct completion *done;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0)
        return;
    pthread_mutex_lock(&store->mutex);
    done = store->done;
    store->done = NULL;
    store->done_last = &store->done;
    pthread_mutex_unlock(&store->mutex);
    while (done) {
        struct completion *next = done->next;

        tell(store, done);
        completion_free(done);
        done = next;
    }
}

static int submit(struct store *store, struct request *request)
{
    if (!request)
        return -ENOMEM;
    request->queued_at = monotonic_usec();
    pthread_mutex_lock(&store->mutex);
    if (store->oldest == 0)
        store->oldest = request->queued_at;
    *store->last = request;
    store->last = &request->next;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

int store_submit(struct store *store, const struct ring_output *output)
{
    struct request *request = calloc(1, sizeof(*request));

    if (!request)
        return -ENOMEM;
    request->type = output->type == RING_STORE ? REQUEST_WRITE : REQUEST_FETCH;
    request->output = *output;
    if (output->type == RING_STORE && output->store.packet)
        packet_ref(output->store.packet);
    return submit(store, request);
}

int store_submit_late(struct store *store, const struct message_key *key)
{
    struct request *request = calloc(1, sizeof(*request));

    if (!request)
        return -ENOMEM;
    request->type = REQUEST_LATE;
    request->key = *key;
    return submit(store, request);
}

uint64_t store_oldest_wait(struct store *store)
{
    uint64_t oldest;

    pthread_mutex_lock(&store->mutex);
    oldest = store->oldest;
    pthread_mutex_unlock(&store->mutex);
    return oldest ? monotonic_usec() - oldest : 0;
}

const struct store_contents *store_get_contents(const struct store *store)
{
    return &store->contents;
}

uint64_t store_size(const struct store *store)
{
    struct stat status;

    return stat(store->path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* ---- opening and closing ---- */

static int fail(int error, char **ret_error, const char *path, const char *what)
{
    if (!*ret_error && asprintf(ret_error, "%s: %s: %s", path, what, strerror(-error)) < 0)
        *ret_error = NULL;
    return error;
}

static int lock_directory(struct store *store, const char *directory, char **ret_error)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, LOCK_FILE) < 0)
        return -ENOMEM;
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock < 0)
        return fail(-errno, ret_error, path,
                    "cannot be opened; check that the state directory exists and is writable");
    if (flock(store->lock, LOCK_EX | LOCK_NB) < 0)
        return fail(-EBUSY, ret_error, path,
                    "another ringchatd uses this state directory; stop it, or give --state");
    return 0;
}

static int open_database(struct store *store, const char *directory, char **ret_error)
{
    sqlite3 *database = NULL;
    int result;

    if (asprintf(&store->path, "%s/%s", directory, STORE_FILE) < 0)
        return -ENOMEM;
    result = store_schema_open(store->path, &database, ret_error);
    if (result < 0)
        return result;
    result = store_load(database, &store->contents);
    if (result < 0) {
        *ret_error = store_schema_error(database, store->path);
        sqlite3_close(database);
        return result;
    }
    return store_writer_new(database, &store->contents, &store->writer);
}

static int start_thread(struct store *store, struct event_base *base)
{
    int result;

    store->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (store->wakeup < 0)
        return -errno;
    store->event = event_new(base, store->wakeup, EV_READ | EV_PERSIST, on_wakeup, store);
    if (!store->event || event_add(store->event, NULL) < 0)
        return -ENOMEM;
    result = pthread_create(&store->thread, NULL, store_thread, store);
    store->running = result == 0;
    return -result;
}

int store_open(const char *state_directory, struct event_base *base,
               const struct store_callbacks *callbacks, void *userdata, struct store **ret,
               char **ret_error)
{
    struct store *store = calloc(1, sizeof(*store));
    int result;

    *ret_error = NULL;
    if (!store)
        return -ENOMEM;
    store->callbacks = *callbacks;
    store->userdata = userdata;
    store->lock = store->wakeup = -1;
    store->last = &store->first;
    store->done_last = &store->done;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->work, NULL);
    result = lock_directory(store, state_directory, ret_error);
    if (result == 0)
        result = open_database(store, state_directory, ret_error);
    if (result == 0)
        result = start_thread(store, base);
    if (result < 0) {
        fail(result, ret_error, state_directory, "the history cannot be opened");
        store_close(store);
        return result;
    }
    *ret = store;
    return 0;
}

static void stop_thread(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->running)
        stop_thread(store);
    while (store->done) {
        struct completion *next = store->done->next;

        completion_free(store->done);
        store->done = next;
    }
    if (store->event)
        event_free(store->event);
    store_writer_free(store->writer);
    store_contents_done(&store->contents);
    if (store->wakeup >= 0)
        close(store->wakeup);
    if (store->lock >= 0)
        close(store->lock);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->work);
    free(store->path);
    free(store);
}
