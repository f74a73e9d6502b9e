#include "control-user.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/util.h"
#include "engine.h"

/* The buffer that getpwuid_r(3) is given at most. */
#define LOOKUP_BUFFER_BYTES (64 * 1024)

/* How long an end waits for a lookup under way. */
#define STOP_WAIT_SEC 1

struct cached_name {
    uid_t uid;
    bool used, asked, known;
    uint64_t at; /* when it was asked for, or found; monotonic µs */
    char name[USER_BYTES_MAX + 1];
};

/* What the thread and the loop share; the last of the two frees it. */
struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    unsigned references;
    bool stopping;
    int wakeup; /* eventfd */
    user_lookup lookup;
    struct cached_name names[USER_CACHE_MAX];
};

struct user_names {
    struct shared *shared;
    pthread_t thread;
    bool running;
    struct event *event, *timer;
    void (*found)(void *userdata);
    void *userdata;
};

int user_lookup_system(uid_t uid, char ret[USER_BYTES_MAX + 1])
{
    _cleanup_free_ char *buffer = malloc(LOOKUP_BUFFER_BYTES);
    struct passwd entry, *found = NULL;
    int result;

    if (!buffer)
        return -ENOMEM;
    result = getpwuid_r(uid, &entry, buffer, LOOKUP_BUFFER_BYTES, &found);
    if (result != 0)
        return -result;
    if (!found || strlen(found->pw_name) > USER_BYTES_MAX)
        return -ENOENT;
    strcpy(ret, found->pw_name);
    return 0;
}

static void shared_unref(struct shared *shared)
{
    bool last;

    pthread_mutex_lock(&shared->mutex);
    last = --shared->references == 0;
    pthread_mutex_unlock(&shared->mutex);
    if (!last)
        return;
    pthread_mutex_destroy(&shared->mutex);
    pthread_cond_destroy(&shared->work);
    close(shared->wakeup);
    free(shared);
}

/* ---- the thread ---- */

static struct cached_name *find_asked(struct shared *shared)
{
    for (size_t i = 0; i < USER_CACHE_MAX; i++) {
        if (shared->names[i].used && shared->names[i].asked)
            return &shared->names[i];
    }
    return NULL;
}

static struct cached_name *find_name(struct shared *shared, uid_t uid)
{
    for (size_t i = 0; i < USER_CACHE_MAX; i++) {
        if (shared->names[i].used && shared->names[i].uid == uid)
            return &shared->names[i];
    }
    return NULL;
}

/* Looks one up without the mutex, which is held before and after. */
static void look_up(struct shared *shared, struct cached_name *cached)
{
    char name[USER_BYTES_MAX + 1];
    uid_t uid = cached->uid;
    uint64_t one = 1;
    int result;

    pthread_mutex_unlock(&shared->mutex);
    result = shared->lookup(uid, name);
    if (result < 0)
        snprintf(name, sizeof(name), "%lu", (unsigned long)uid);
    pthread_mutex_lock(&shared->mutex);
    cached = find_name(shared, uid);
    if (!cached)
        return;
    cached->asked = false;
    cached->known = true;
    cached->at = engine_monotonic();
    strcpy(cached->name, name);
    if (write(shared->wakeup, &one, sizeof(one)) < 0)
        abort();
}

static void *lookup_thread(void *userdata)
{
    struct shared *shared = userdata;
    struct cached_name *asked;

    pthread_mutex_lock(&shared->mutex);
    while (!shared->stopping) {
        asked = find_asked(shared);
        if (asked)
            look_up(shared, asked);
        else
            pthread_cond_wait(&shared->work, &shared->mutex);
    }
    pthread_mutex_unlock(&shared->mutex);
    shared_unref(shared);
    return NULL;
}

/* ---- the loop ---- */

static void on_wakeup(evutil_socket_t fd, short what, void *userdata)
{
    struct user_names *names = userdata;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) > 0)
        names->found(names->userdata);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct user_names *names = userdata;

    (void)fd, (void)what;
    names->found(names->userdata);
}

/* A free place, or the one that was used longest ago. */
static struct cached_name *make_place(struct shared *shared)
{
    struct cached_name *oldest = &shared->names[0];

    for (size_t i = 0; i < USER_CACHE_MAX; i++) {
        if (!shared->names[i].used)
            return &shared->names[i];
        if (!shared->names[i].asked && (oldest->asked || shared->names[i].at < oldest->at))
            oldest = &shared->names[i];
    }
    return oldest;
}

static void ask(struct user_names *names, uid_t uid)
{
    struct timeval wait = {.tv_sec = USER_LOOKUP_USEC / USEC_PER_SEC,
                           .tv_usec = USER_LOOKUP_USEC % USEC_PER_SEC};
    struct cached_name *cached = make_place(names->shared);

    *cached =
        (struct cached_name){.uid = uid, .used = true, .asked = true, .at = engine_monotonic()};
    pthread_cond_signal(&names->shared->work);
    event_add(names->timer, &wait);
}

bool user_names_get(struct user_names *names, uid_t uid, char ret[USER_BYTES_MAX + 1])
{
    struct shared *shared = names->shared;
    uint64_t now = engine_monotonic();
    struct cached_name *cached;
    bool done = true;

    pthread_mutex_lock(&shared->mutex);
    cached = find_name(shared, uid);
    if (!cached || (cached->known && now - cached->at > USER_CACHE_USEC)) {
        if (cached)
            cached->used = false;
        ask(names, uid);
        done = false;
    } else if (cached->known) {
        strcpy(ret, cached->name);
    } else if (now - cached->at >= USER_LOOKUP_USEC) {
        snprintf(ret, USER_BYTES_MAX + 1, "%lu", (unsigned long)uid);
    } else {
        done = false;
    }
    pthread_mutex_unlock(&shared->mutex);
    return done;
}

static struct shared *shared_new(user_lookup lookup)
{
    struct shared *shared = calloc(1, sizeof(*shared));

    if (!shared)
        return NULL;
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_cond_init(&shared->work, NULL);
    shared->references = 1;
    shared->lookup = lookup;
    shared->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (shared->wakeup < 0) {
        shared_unref(shared);
        return NULL;
    }
    return shared;
}

static int start_thread(struct user_names *names)
{
    int result;

    names->shared->references++;
    result = pthread_create(&names->thread, NULL, lookup_thread, names->shared);
    if (result != 0)
        names->shared->references--;
    names->running = result == 0;
    return -result;
}

/* A lookup that hangs is left to itself. */
static void stop_thread(struct user_names *names)
{
    struct timespec until;

    pthread_mutex_lock(&names->shared->mutex);
    names->shared->stopping = true;
    pthread_cond_signal(&names->shared->work);
    pthread_mutex_unlock(&names->shared->mutex);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_WAIT_SEC;
    if (pthread_timedjoin_np(names->thread, NULL, &until) != 0)
        pthread_detach(names->thread);
}

int user_names_new(struct event_base *base, user_lookup lookup, void (*found)(void *userdata),
                   void *userdata, struct user_names **ret)
{
    struct user_names *names = calloc(1, sizeof(*names));

    if (!names)
        return -ENOMEM;
    names->found = found;
    names->userdata = userdata;
    names->shared = shared_new(lookup);
    names->timer = evtimer_new(base, on_timer, names);
    if (names->shared)
        names->event =
            event_new(base, names->shared->wakeup, EV_READ | EV_PERSIST, on_wakeup, names);
    if (!names->shared || !names->timer || !names->event || event_add(names->event, NULL) < 0 ||
        start_thread(names) < 0) {
        user_names_free(names);
        return -ENOMEM;
    }
    *ret = names;
    return 0;
}

void user_names_free(struct user_names *names)
{
    if (!names)
        return;
    if (names->event)
        event_free(names->event);
    if (names->timer)
        event_free(names->timer);
    if (names->running)
        stop_thread(names);
    if (names->shared)
        shared_unref(names->shared);
    free(names);
}

bool peer_in_group(int fd, gid_t primary, gid_t group)
{
    _cleanup_free_ gid_t *groups = NULL;
    socklen_t size = 0;

    if (primary == group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE ||
        size > USER_GROUPS_MAX * sizeof(gid_t))
        return false;
    groups = malloc(size);
    if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(gid_t); i++) {
        if (groups[i] == group)
            return true;
    }
    return false;
}
