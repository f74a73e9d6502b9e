#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/check.h"
#include "common/util.h"
#include "store-load.h"
#include "store-schema.h"
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
    return file_size(store->path, "") + file_size(store->path, "-wal");
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
                    "check that the state directory exists and belongs to ringchatd's user");
    if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return fail(-EBUSY, ret_error, path,
                    "another ringchatd uses this state directory: stop it, or give --state");
    return fail(-errno, ret_error, path, "keep the state directory on a local disk");
}

static int open_database(struct store *store, const char *directory, struct store_writer **ret,
                         char **ret_error)
{
    sqlite3 *database = NULL;
    int result;

    if (asprintf(&store->path, "%s/%s", directory, STORE_FILE) < 0) {
        store->path = NULL;
        return -ENOMEM;
    }
    result = store_schema_open(store->path, &database, ret_error);
    if (result < 0)
        return result;
    result = store_load(database, &store->contents);
    if (result < 0)
        sqlite3_close(database);
    else
        result = store_writer_new(database, &store->contents, ret);
    if (result == -EUCLEAN && !*ret_error)
        *ret_error = store_schema_error(NULL, SQLITE_CORRUPT, store->path);
    store->delivered = store->contents.top;
    return result;
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
        result = store_schema_open(store.path, &database, ret_error);
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
    store_thread_free(store->thread);
    store_contents_done(&store->contents);
    if (store->lock >= 0)
        close(store->lock);
    free(store->path);
    free(store);
}
