/* The ring's keys: KeyList, KeyShow, KeyGenerate, KeyAdd, KeyUse, KeyRemove. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "control-method.h"
#include "keys.h"
#include "rotation.h"

/* A change that is under way. */
struct change {
    struct call *call;
    uint32_t id;
    bool answered;
    int result;
};

static struct json_object *key_id_value(uint32_t id)
{
    char text[KEY_ID_TEXT_MAX];

    key_format_id(id, text);
    return json_object_new_string(text);
}

static void answer_no_such_key(struct call *call, const char *id)
{
    call_error(call, ERROR_NO_SUCH_KEY, OBJECT({"id", json_object_new_string(id)}));
}

/* false: there are no keys here, by configuration, and the call has been answered. */
static bool check_mode(struct call *call)
{
    const struct control *control = call->client->control;

    if (control->options.rotation && keys_get_mode(control->options.keys) != KEYS_CLEAR)
        return true;
    call_error(call, ERROR_IN_THE_CLEAR, NULL);
    return false;
}

/* The key that the call names; NULL: it has been answered. */
static const struct ring_key *named_key(struct call *call)
{
    const struct keyring *ring = keys_get_ring(call->client->control->options.keys);
    const char *text = call_string(call, "id", NULL);
    const struct ring_key *key;
    uint32_t id;

    if (!text) {
        key = keyring_used(ring);
        if (!key)
            call_error(call, ERROR_NO_KEY, NULL);
        return key;
    }
    key = key_parse_id(text, &id) == 0 ? keyring_find(ring, id) : NULL;
    if (!key)
        answer_no_such_key(call, text);
    return key;
}

/* ---- looking ---- */

void key_list_run(struct call *call)
{
    struct keys *keys = call->client->control->options.keys;
    const struct keyring *ring;
    struct json_object *list;

    if (!check_mode(call))
        return;
    ring = keys_get_ring(keys);
    list = json_object_new_array();
    for (size_t i = 0; list && i < ring->count; i++)
        json_object_array_add(list, OBJECT({"id", key_id_value(ring->keys[i].id)},
                                           {"used", json_object_new_boolean(i == ring->used)}));
    call_reply(call, OBJECT({"keys", list}, {"path", json_object_new_string(keys_get_path(keys))}),
               false);
}

void key_show_run(struct call *call)
{
    const struct ring_key *key;
    char line[KEY_LINE_MAX];

    if (!check_mode(call))
        return;
    key = named_key(call);
    if (!key)
        return;
    key_format(key, line);
    call_reply(call, OBJECT({"id", key_id_value(key->id)}, {"key", json_object_new_string(line)}),
               false);
    explicit_bzero(line, sizeof(line));
}

/* ---- changing ---- */

static void on_changed(void *userdata, int result)
{
    struct change *change = userdata;

    change->answered = true;
    change->result = result;
    client_schedule(change->call->client);
}

void key_stop(struct call *call)
{
    rotation_forget(call->client->control->options.rotation, call->data);
    free(call->data);
}

static void answer_failure(struct call *call, uint32_t id, int result, const char *error)
{
    char text[KEY_ID_TEXT_MAX];

    key_format_id(id, text);
    switch (result) {
    case -ENOENT:
        answer_no_such_key(call, text);
        return;
    case -EBUSY:
        call_error(call, ERROR_KEY_IN_USE, OBJECT({"id", json_object_new_string(text)}));
        return;
    case -EEXIST:
        call_error(call, ERROR_BAD_KEY,
                   OBJECT({"reason", json_object_new_string("another key has this id")}));
        return;
    case -ENOSPC:
        call_error(call, ERROR_TOO_MANY_KEYS, OBJECT({"limit", json_object_new_int(KEYS_MAX)}));
        return;
    case -EIO:
        call_error(call, ERROR_KEY_FILE,
                   OBJECT({"reason", json_object_new_string(error ? error : "out of memory")}));
        return;
    case -ETIMEDOUT:
        call_error(call, ERROR_KEY_NOT_STORED, NULL);
        return;
    case -EINPROGRESS:
        call_error(call, ERROR_BUSY, NULL);
        return;
    case -EAGAIN:
        call_error(call, ERROR_ABANDONED, NULL);
        return;
    }
    call_out_of_memory(call);
}

static void answer_changed(struct call *call)
{
    const struct control *control = call->client->control;
    const struct change *change = call->data;
    const struct ring_key *used = keyring_used(keys_get_ring(control->options.keys));

    if (change->result < 0) {
        answer_failure(call, change->id, change->result, NULL);
        return;
    }
    call_reply(call,
               OBJECT({"id", key_id_value(change->id)},
                      {"used", json_object_new_boolean(used && used->id == change->id)},
                      {"members",
                       json_object_new_int64((int64_t)engine_get_view(control->engine)->count)}),
               false);
}

enum order { ORDER_ACCEPT, ORDER_USE, ORDER_REMOVE };

static int give_order(struct call *call, enum order order, const struct ring_key *key,
                      char **ret_error)
{
    struct rotation *rotation = call->client->control->options.rotation;

    switch (order) {
    case ORDER_ACCEPT:
        return rotation_accept(rotation, key, on_changed, call->data, ret_error);
    case ORDER_USE:
        return rotation_use(rotation, key->id, on_changed, call->data, ret_error);
    case ORDER_REMOVE:
        return rotation_remove(rotation, key->id, on_changed, call->data, ret_error);
    }
    return -EINVAL;
}

static void begin(struct call *call, enum order order, const struct ring_key *key)
{
    struct change *change = calloc(1, sizeof(*change));
    _cleanup_free_ char *error = NULL;
    uint32_t id = key->id;
    int result;

    if (!change) {
        call_out_of_memory(call);
        return;
    }
    *change = (struct change){.call = call, .id = id};
    call->data = change;
    result = give_order(call, order, key, &error);
    if (result < 0)
        answer_failure(call, id, result, error);
}

/* Whether the change has begun before: then it is answered when it is done. */
static bool goes_on(struct call *call)
{
    const struct change *change = call->data;

    if (!change)
        return false;
    if (change->answered)
        answer_changed(call);
    else if (call->client->control->goodbye)
        call_drop(call);
    return true;
}

void key_generate_run(struct call *call)
{
    struct ring_key key;

    if (goes_on(call) || !check_mode(call))
        return;
    key_generate(&key);
    begin(call, ORDER_ACCEPT, &key);
    explicit_bzero(&key, sizeof(key));
}

void key_add_run(struct call *call)
{
    struct ring_key key;
    int result;

    if (goes_on(call) || !check_mode(call))
        return;
    result = key_parse(call_string(call, "key", ""), &key);
    if (result < 0) {
        call_error(call, ERROR_BAD_KEY,
                   OBJECT({"reason",
                           json_object_new_string(result == -EBADMSG
                                                      ? "the line is cut or mistyped; copy it whole"
                                                      : "it begins with rck1_ and is one line of "
                                                        "ringchatctl key show")}));
        return;
    }
    begin(call, ORDER_ACCEPT, &key);
    explicit_bzero(&key, sizeof(key));
}

static void change_named(struct call *call, enum order order)
{
    const struct ring_key *key;

    if (goes_on(call) || !check_mode(call))
        return;
    key = named_key(call);
    if (key)
        begin(call, order, key);
}

void key_use_run(struct call *call)
{
    change_named(call, ORDER_USE);
}

void key_remove_run(struct call *call)
{
    change_named(call, ORDER_REMOVE);
}
