#include "rotation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/util.h"

/* What a member may take to store a key, all of them one after the other: many times what it takes.
 */
#define RELAY_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Links that rest on a key that was removed last this much longer: the order must come round first.
 */
#define RETIRE_USEC (2 * USEC_PER_SEC)

/* "use 18446744073709551615 " and a key's line. */
#define ORDER_MAX (KEY_LINE_MAX + 40)

struct rotation {
    struct engine *engine;
    struct keys *keys;
    struct journal *journal;
    struct engine_watcher watcher;
    struct event *answer; /* the result is to be told, or time is up */
    struct event *retire;
    bool busy, answered;
    int result;
    uint32_t then_use; /* the key that all accept by now, and that is to be used; 0: none */
    bool has_then_use;
    ring_ticket ticket; /* of the relay under way; 0: none */
    rotation_done done;
    void *userdata;
};

static void arm(struct event *event, uint64_t usec)
{
    struct timeval wait = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                           .tv_usec = (suseconds_t)(usec % USEC_PER_SEC)};

    event_add(event, &wait);
}

/* ---- the keyring here ---- */

/* The first key brings this node to the network. */
static int go_online(struct rotation *rotation, enum keys_mode before, char **ret_error)
{
    if (before != KEYS_MISSING || keys_get_mode(rotation->keys) != KEYS_PRESENT)
        return 0;
    return engine_connect(rotation->engine, ret_error) < 0 ? -EIO : 0;
}

static int store(struct rotation *rotation, const struct keyring *ring, char **ret_error)
{
    enum keys_mode before = keys_get_mode(rotation->keys);

    if (keys_store(rotation->keys, ring, ret_error) < 0)
        return -EIO;
    return go_online(rotation, before, ret_error);
}

static int store_accept(struct rotation *rotation, const struct ring_key *key, bool use,
                        uint64_t number, char **ret_error)
{
    struct keyring ring = *keys_get_ring(rotation->keys);
    const struct ring_key *used = keyring_used(&ring);
    bool known = keyring_find(&ring, key->id) != NULL;
    int result = keyring_add(&ring, key);

    if (result == 0 && use)
        result = keyring_use(&ring, key->id);
    ring.rotation = MAX(ring.rotation, number);
    if (result == 0 && !(known && (!use || (used && used->id == key->id))))
        result = store(rotation, &ring, ret_error);
    keyring_done(&ring);
    return result;
}

static int store_remove(struct rotation *rotation, uint32_t id, char **ret_error)
{
    struct keyring ring = *keys_get_ring(rotation->keys);
    int result = keyring_remove(&ring, id);

    if (result == 0)
        result = store(rotation, &ring, ret_error);
    if (result == 0)
        arm(rotation->retire, RETIRE_USEC);
    keyring_done(&ring);
    return result;
}

static void on_retire(evutil_socket_t fd, short what, void *userdata)
{
    struct rotation *rotation = userdata;

    (void)fd, (void)what;
    engine_close_retired(rotation->engine);
}

/* ---- orders ---- */

static bool is_alone(const struct rotation *rotation)
{
    return engine_get_view(rotation->engine)->count < 2;
}

static void finish(struct rotation *rotation, int result)
{
    rotation->answered = true;
    rotation->result = result;
    event_active(rotation->answer, EV_TIMEOUT, 0);
}

static void on_relayed_by_all(void *userdata, enum ring_reply reply, size_t members);

static void relay(struct rotation *rotation, const char *text)
{
    if (engine_relay(rotation->engine, text, on_relayed_by_all, rotation, &rotation->ticket) < 0)
        finish(rotation, -EAGAIN);
    else
        arm(rotation->answer, RELAY_TIMEOUT_USEC);
}

static void format_accept(const struct ring_key *key, char ret[ORDER_MAX])
{
    char line[KEY_LINE_MAX];

    key_format(key, line);
    snprintf(ret, ORDER_MAX, "accept %s", line);
    explicit_bzero(line, sizeof(line));
}

/* `verb`: "use", or "follow": only if the number is higher than what the receiver has. */
static void format_use(const struct rotation *rotation, const char *verb, char ret[ORDER_MAX])
{
    const struct keyring *ring = keys_get_ring(rotation->keys);
    char line[KEY_LINE_MAX];

    key_format(keyring_used(ring), line);
    snprintf(ret, ORDER_MAX, "%s %llu %s", verb, (unsigned long long)ring->rotation, line);
    explicit_bzero(line, sizeof(line));
}

/* Everybody accepts the key: now it may be used, here first. */
static void go_on_using(struct rotation *rotation)
{
    const struct keyring *ring = keys_get_ring(rotation->keys);
    const struct ring_key *key = keyring_find(ring, rotation->then_use);
    _cleanup_free_ char *error = NULL;
    char text[ORDER_MAX];
    int result = key ? store_accept(rotation, key, true, ring->rotation + 1, &error) : -EAGAIN;

    rotation->has_then_use = false;
    if (result < 0) {
        finish(rotation, -EAGAIN);
        return;
    }
    if (is_alone(rotation)) {
        finish(rotation, 0);
        return;
    }
    format_use(rotation, "use", text);
    relay(rotation, text);
    explicit_bzero(text, sizeof(text));
}

static void on_relayed_by_all(void *userdata, enum ring_reply reply, size_t members)
{
    struct rotation *rotation = userdata;

    (void)members;
    rotation->ticket = 0;
    event_del(rotation->answer);
    if (reply != RING_DONE)
        finish(rotation, -EAGAIN);
    else if (rotation->has_then_use)
        go_on_using(rotation);
    else
        finish(rotation, 0);
}

static void on_answer(evutil_socket_t fd, short what, void *userdata)
{
    struct rotation *rotation = userdata;
    rotation_done done = rotation->done;

    (void)fd, (void)what;
    if (rotation->ticket)
        engine_forget(rotation->engine, rotation->ticket);
    rotation->ticket = 0;
    rotation->busy = rotation->has_then_use = false;
    if (done)
        done(rotation->userdata, rotation->answered ? rotation->result : -ETIMEDOUT);
}

static void begin(struct rotation *rotation, rotation_done done, void *userdata)
{
    rotation->busy = true;
    rotation->answered = false;
    rotation->done = done;
    rotation->userdata = userdata;
}

int rotation_accept(struct rotation *rotation, const struct ring_key *key, rotation_done done,
                    void *userdata, char **ret_error)
{
    uint64_t number = keys_get_ring(rotation->keys)->rotation;
    char text[ORDER_MAX];
    int result;

    if (rotation->busy)
        return -EINPROGRESS;
    result =
        store_accept(rotation, key, is_alone(rotation), number + is_alone(rotation), ret_error);
    if (result < 0)
        return result;
    begin(rotation, done, userdata);
    if (is_alone(rotation)) {
        finish(rotation, 0);
        return 0;
    }
    format_accept(key, text);
    relay(rotation, text);
    explicit_bzero(text, sizeof(text));
    return 0;
}

int rotation_use(struct rotation *rotation, uint32_t id, rotation_done done, void *userdata,
                 char **ret_error)
{
    const struct ring_key *key = keyring_find(keys_get_ring(rotation->keys), id);
    int result;

    if (!key)
        return -ENOENT;
    if (is_alone(rotation)) {
        struct ring_key copy = *key;

        result = rotation_accept(rotation, &copy, done, userdata, ret_error);
        explicit_bzero(&copy, sizeof(copy));
        return result;
    }
    result = rotation_accept(rotation, key, done, userdata, ret_error);
    if (result == 0) {
        rotation->then_use = id;
        rotation->has_then_use = true;
    }
    return result;
}

int rotation_remove(struct rotation *rotation, uint32_t id, rotation_done done, void *userdata,
                    char **ret_error)
{
    char text[ORDER_MAX];
    int result;

    if (rotation->busy)
        return -EINPROGRESS;
    result = store_remove(rotation, id, ret_error);
    if (result < 0)
        return result;
    begin(rotation, done, userdata);
    if (is_alone(rotation)) {
        finish(rotation, 0);
        return 0;
    }
    snprintf(text, sizeof(text), "remove %08x", id);
    relay(rotation, text);
    return 0;
}

void rotation_forget(struct rotation *rotation, const void *userdata)
{
    if (rotation->userdata == userdata)
        rotation->done = NULL;
}

/* ---- orders of others ---- */

/* Another member's key is newer than this node's. */
static bool is_newer(const struct rotation *rotation, uint64_t number, const struct ring_key *key)
{
    const struct keyring *ring = keys_get_ring(rotation->keys);
    const struct ring_key *used = keyring_used(ring);

    return number > ring->rotation || (number == ring->rotation && used && key->id > used->id);
}

static int obey_use(struct rotation *rotation, const char *verb, char *rest, char **ret_error)
{
    char *end;
    uint64_t number = strtoull(rest, &end, 10);
    struct ring_key key;
    int result;

    if (end == rest || key_parse(end, &key) < 0)
        return -EBADMSG;
    result =
        store_accept(rotation, &key, strcmp(verb, "use") == 0 || is_newer(rotation, number, &key),
                     number, ret_error);
    explicit_bzero(&key, sizeof(key));
    return result;
}

static int obey(struct rotation *rotation, char *text, char **ret_error)
{
    char *rest = text, *verb = strsep(&rest, " ");
    struct ring_key key;
    uint32_t id;
    int result;

    if (!rest)
        return -EBADMSG;
    if (strcmp(verb, "use") == 0 || strcmp(verb, "follow") == 0)
        return obey_use(rotation, verb, rest, ret_error);
    if (strcmp(verb, "accept") == 0) {
        result = key_parse(rest, &key);
        if (result == 0)
            result = store_accept(rotation, &key, false, 0, ret_error);
        explicit_bzero(&key, sizeof(key));
        return result;
    }
    if (strcmp(verb, "remove") != 0 || key_parse_id(rest, &id) < 0)
        return -EBADMSG;
    result = store_remove(rotation, id, ret_error);
    return result == -ENOENT ? 0 : result;
}

/* What this node cannot do it does not pass on: the origin learns by the clock that not all have
 * done it, and this node's log tells why. */
static void on_relayed(void *userdata, ring_ticket ticket, const struct packet *packet)
{
    struct rotation *rotation = userdata;
    _cleanup_free_ char *text = strndup((const char *)packet->data, packet->size), *error = NULL;
    int result = text ? obey(rotation, text, &error) : -ENOMEM;

    if (text)
        explicit_bzero(text, strlen(text));
    if (result < 0)
        journal_log(rotation->journal, LINE_KEYS_NOT_FOLLOWED,
                    "a change of the ring's keys cannot be followed: %s",
                    error ? error : strerror(-result));
    else
        engine_pass_on(rotation->engine, ticket);
}

/* ---- who was away ---- */

/* A neighbour came in by an older key: all are told which one is in use now. */
static void on_event(void *userdata, const struct ring_event *event)
{
    struct rotation *rotation = userdata;
    char text[ORDER_MAX];

    if (event->type != RING_EVENT_VIEW || is_alone(rotation) || rotation->busy ||
        !keyring_used(keys_get_ring(rotation->keys)) || !keys_take_behind(rotation->keys))
        return;
    begin(rotation, NULL, NULL);
    format_use(rotation, "follow", text);
    relay(rotation, text);
    explicit_bzero(text, sizeof(text));
}

/* ---- starting and ending ---- */

struct rotation *rotation_new(struct event_base *base, struct engine *engine, struct keys *keys,
                              struct journal *journal)
{
    struct rotation *rotation = calloc(1, sizeof(*rotation));

    if (!rotation)
        return NULL;
    rotation->engine = engine;
    rotation->keys = keys;
    rotation->journal = journal;
    rotation->answer = evtimer_new(base, on_answer, rotation);
    rotation->retire = evtimer_new(base, on_retire, rotation);
    rotation->watcher = (struct engine_watcher){.event = on_event, .userdata = rotation};
    engine_add_watcher(engine, &rotation->watcher);
    engine_set_relayed(engine, on_relayed, rotation);
    if (!rotation->answer || !rotation->retire) {
        rotation_free(rotation);
        return NULL;
    }
    return rotation;
}

void rotation_free(struct rotation *rotation)
{
    if (!rotation)
        return;
    engine_remove_watcher(rotation->engine, &rotation->watcher);
    if (rotation->answer)
        event_free(rotation->answer);
    if (rotation->retire)
        event_free(rotation->retire);
    free(rotation);
}
