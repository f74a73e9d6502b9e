#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/util.h"
#include "store-aside.h"
#include "store-check.h"
#include "store-checker.h"
#include "store-load.h"
#include "store-schema.h"
#include "store-texts.h"
#include "store-thread.h"

/* The file whose lock keeps a second daemon away. Its lock ends with the process, however that
 * ends; readers need none. */
#define LOCK_FILE "lock"

struct store {
    char *path;
    int lock;
    struct store_contents contents;
    struct message_key delivered; /* the highest key delivered unmarked */
    struct store_thread *thread;
    bool checked;         /* the whole database was, when it was opened */
    char *aside, *notice; /* where a damaged one went, and what is to be said about it */
    unsigned salvaged;    /* messages of its outbox */
    struct store_checker *checker;
    struct store_callbacks callbacks;
    void *userdata;
};

/* ---- requests ---- */

int store_submit(struct store *store, const struct ring_output *output)
{
    struct store_job *job = calloc(1, sizeof(*job));
    struct message message;

    check(output->type == RING_STORE || output->type == RING_FETCH);
    if (!job)
        return -ENOMEM;
    job->type = output->type == RING_STORE ? STORE_JOB_WRITE : STORE_JOB_FETCH;
    job->output = *output;
    if (output->type == RING_STORE && output->store.write != RING_WRITE_STATE)
        packet_ref(output->store.packet);
    if (output->type == RING_STORE && output->store.write == RING_WRITE_STATE)
        job->output.store.packet = NULL;
    if (output->type == RING_STORE && output->store.write == RING_WRITE_MESSAGE) {
        check(message_unpack(output->store.packet, &message) == 0);
        job->late =
            output->store.repaired || message_key_compare(&message.key, &store->delivered) < 0;
    }
    store_thread_submit(store->thread, job);
    return 0;
}

void store_hold(struct store *store, bool hold)
{
    store_thread_hold(store->thread, hold);
}

void store_await(struct store *store, bool await)
{
    store_thread_await(store->thread, await);
}

void store_collect(struct store *store)
{
    store_thread_collect(store->thread);
}

void store_delivered(struct store *store, const struct message_key *key)
{
    if (message_key_compare(key, &store->delivered) > 0)
        store->delivered = *key;
}

int store_submit_late(struct store *store, const struct message_key *key)
{
    struct store_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    job->type = STORE_JOB_LATE;
    job->key = *key;
    store_thread_submit(store->thread, job);
    return 0;
}

int store_submit_rooms(struct store *store)
{
    struct store_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    job->type = STORE_JOB_ROOMS;
    store_thread_submit(store->thread, job);
    return 0;
}

const struct store_contents *store_get_contents(const struct store *store)
{
    return &store->contents;
}

static uint64_t file_size(const char *path, const char *suffix)
{
    _cleanup_free_ char *whole = NULL;
    struct stat status;

    if (asprintf(&whole, "%s%s", path, suffix) < 0) {
        whole = NULL;
        return 0;
    }
    return stat(whole, &status) == 0 ? (uint64_t)status.st_size : 0;
}

uint64_t store_size(const struct store *store)
{
    return file_size(store->path, "") + file_size(store->path, "-wal") +
           store_texts_size(store->path);
}

const char *store_get_notice(const struct store *store, unsigned *ret_salvaged)
{
    *ret_salvaged = store->salvaged;
    return store->notice;
}

bool store_is_gone(const struct store *store)
{
    return store_thread_is_gone(store->thread);
}

uint64_t store_twins(const struct store *store)
{
    return store_thread_twins(store->thread);
}

/* ---- the check in the background ---- */

static void on_checked(void *userdata, int result)
{
    struct store *store = userdata;
    _cleanup_free_ char *error = NULL;

    if (result == SQLITE_CORRUPT || result == SQLITE_NOTADB) {
        store_thread_set_damaged(store->thread);
        error = store_schema_error(NULL, result, store->path);
        store->callbacks.checked(store->userdata, error ? error : "the database is damaged");
    } else if (result == SQLITE_OK) {
        store->callbacks.checked(store->userdata, NULL);
    }
}

int store_check(struct store *store, struct event_base *base)
{
    if (store->checked || store->checker)
        return 0;
    return store_checker_new(base, store->path, on_checked, store, &store->checker);
}

/* ---- opening and closing ---- */

/* Says what is wrong, unless that has been said. */
static int fail(int error, char **ret_error, const char *path, const char *what)
{
    if (!*ret_error && asprintf(ret_error, "%s: %s; %s", path, strerror(-error), what) < 0)
        *ret_error = NULL;
    return error;
}

static int lock_directory(struct store *store, const char *directory, char **ret_error)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, LOCK_FILE) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock < 0)
        return fail(-errno, ret_error, path,
                    errno == EROFS ? "make the file system writable, then restart ringchatd"
                                   : "check that the state directory exists and belongs to "
                                     "ringchatd's user");
    if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return fail(-EBUSY, ret_error, path,
                    "another ringchatd uses this state directory: stop it, or give --state");
    return fail(-errno, ret_error, path, "keep the state directory on a local disk");
}

/* A sentence for what SQLite said, unless there is one. */
static int refuse(struct store *store, int code, char **ret_error)
{
    if (code != SQLITE_OK && !*ret_error)
        *ret_error = store_schema_error(NULL, code, store->path);
    return store_schema_errno(code);
}

/* From a thread of its own the handler of progress must not be called. */
static int check_all(sqlite3 *database, struct store_progress *progress)
{
    int code;

    store_progress_detach(database);
    code = store_checker_run(database, progress);
    store_progress_attach(progress, database);
    return code;
}

/* What can be looked at in no time, and after an end without a close everything. */
static int check_database(struct store *store, sqlite3 *database, struct store_progress *progress,
                          char **ret_error)
{
    bool closed = false;
    int code = store_check_was_closed(database, &closed);

    if (code == SQLITE_OK)
        code = store_texts_check(database);
    if (code == SQLITE_OK)
        code = store_check_last(database);
    if (code == SQLITE_OK && !closed)
        code = check_all(database, progress);
    if (code == SQLITE_OK)
        code = store_check_mark(database, false);
    store->checked = !closed;
    return refuse(store, code, ret_error);
}

static int try_open(struct store *store, struct store_writer **ret, char **ret_error)
{
    struct store_progress progress = {.working = store->callbacks.working,
                                      .userdata = store->userdata,
                                      /* Else what is salvaged for the new one would be lost. */
                                      .to_the_end = store->aside != NULL};
    sqlite3 *database = NULL;
    int result = store_schema_open(store->path, &progress, &database, ret_error);

    if (result < 0)
        return result;
    if (store->aside)
        store->salvaged = store_salvage_outbox(database, store->aside);
    result = check_database(store, database, &progress, ret_error);
    if (result == 0)
        result = store_load(database, &store->contents);
    store_progress_detach(database);
    if (result < 0)
        sqlite3_close(database);
    else
        result = store_writer_new(database, &store->contents, ret);
    if (result == -EUCLEAN)
        refuse(store, SQLITE_CORRUPT, ret_error);
    store->delivered = store->contents.top;
    return result;
}

static int note_aside(struct store *store, const char *why)
{
    int result = store_set_aside(store->path, &store->aside);

    if (result == 0 &&
        asprintf(&store->notice,
                 "%s: a new history begins, under a new id, and what other members have comes back "
                 "from them; the old file is kept as %s",
                 why, store->aside) < 0) {
        store->notice = NULL;
        result = -ENOMEM;
    }
    return result;
}

/* A damaged database makes room for a new one. */
static int open_database(struct store *store, const char *directory, struct store_writer **ret,
                         char **ret_error)
{
    _cleanup_free_ char *damage = NULL;
    int result = 0;

    if (asprintf(&store->path, "%s/%s", directory, STORE_FILE) < 0) {
        store->path = NULL;
        return -ENOMEM;
    }
    if (store_was_deleted(store->path))
        result = note_aside(store, "the database was deleted, what belongs to it was not");
    if (result == 0)
        result = try_open(store, ret, ret_error);
    if (result != -EUCLEAN)
        return result;
    damage = steal_pointer(*ret_error);
    store_contents_done(&store->contents);
    result = note_aside(store, damage ? damage : "the database is damaged");
    return result == 0 ? try_open(store, ret, ret_error) : result;
}

int store_open(const char *state_directory, struct event_base *base,
               const struct store_callbacks *callbacks, void *userdata, struct store **ret,
               char **ret_error)
{
    struct store *store = calloc(1, sizeof(*store));
    struct store_writer *writer = NULL;
    int result;

    *ret_error = NULL;
    if (!store)
        return -ENOMEM;
    store->lock = -1;
    store->callbacks = *callbacks;
    /* Nobody asks for its statistics, which cost a lock at each allocation. Refused where SQLite is
     * in use already, as in a test. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    store->userdata = userdata;
    result = lock_directory(store, state_directory, ret_error);
    if (result == 0)
        result = open_database(store, state_directory, &writer, ret_error);
    if (result == 0)
        result = store_thread_new(base, writer, store->path, callbacks, userdata, &store->thread);
    if (result < 0) {
        fail(result, ret_error, state_directory, "the history cannot be opened");
        store_close(store);
        return result;
    }
    *ret = store;
    return 0;
}

int store_renew_identity(const char *state_directory, struct ring_id *ret_node, char **ret_error)
{
    struct store store = {.lock = -1};
    sqlite3 *database = NULL;
    int result;

    *ret_error = NULL;
    result = lock_directory(&store, state_directory, ret_error);
    if (result == 0 && asprintf(&store.path, "%s/%s", state_directory, STORE_FILE) < 0) {
        store.path = NULL;
        result = -ENOMEM;
    }
    if (result == 0)
        result = store_schema_open(store.path, &(struct store_progress){0}, &database, ret_error);
    if (result == 0)
        result = store_schema_renew_identity(database, store.path, ret_node, ret_error);
    sqlite3_close(database);
    free(store.path);
    if (store.lock >= 0)
        close(store.lock);
    return result;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_checker_free(store->checker);
    store_thread_free(store->thread);
    store_contents_done(&store->contents);
    if (store->lock >= 0)
        close(store->lock);
    free(store->path);
    free(store->aside);
    free(store->notice);
    free(store);
}
