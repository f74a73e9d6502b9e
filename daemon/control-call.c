/* One call: its parameters, its answers, its time-out. */

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/util.h"
#include "control-client.h"
#include "control-method.h"

/* Text up to this is copied for each reader: cheaper than a reference. */
#define COPY_BYTES_MAX 1024

void call_free(struct call *call)
{
    if (call->method && call->method->stop && call->data)
        call->method->stop(call);
    quota_give_back(call);
    list_remove(&call->list);
    call->client->call_count--;
    call->client->call_bytes -= call->bytes;
    if (call->timer)
        event_free(call->timer);
    json_object_put(call->reply);
    varlink_call_done(&call->message);
    free(call);
}

struct call *call_new(struct client *client, size_t bytes)
{
    struct call *call = calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->client = client;
    call->bytes = bytes;
    call->in_lines = json_stream_in_lines(client->input);
    list_append(&client->calls, &call->list);
    client->call_count++;
    client->call_bytes += bytes;
    return call;
}

struct json_object *object_new(size_t count, const struct json_pair *pairs)
{
    struct json_object *object = json_object_new_object();
    bool whole = object != NULL;

    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].value || !object ||
            json_object_object_add(object, pairs[i].key, pairs[i].value) < 0) {
            json_object_put(pairs[i].value);
            whole = false;
        }
    }
    if (!whole) {
        json_object_put(object);
        return NULL;
    }
    return object;
}

struct json_object *call_parameter(const struct call *call, const char *name)
{
    struct json_object *value = NULL;

    if (call->message.parameters)
        json_object_object_get_ex(call->message.parameters, name, &value);
    return value;
}

const char *call_string(const struct call *call, const char *name, const char *missing)
{
    struct json_object *value = call_parameter(call, name);

    return value ? json_object_get_string(value) : missing;
}

bool call_flag(const struct call *call, const char *name)
{
    return json_object_get_boolean(call_parameter(call, name));
}

int call_number(const struct call *call, const char *name, uint64_t missing, uint64_t *ret)
{
    struct json_object *value = call_parameter(call, name);

    *ret = missing;
    if (!value)
        return 0;
    if (json_object_get_int64(value) < 0)
        return -EINVAL;
    *ret = (uint64_t)json_object_get_int64(value);
    return 0;
}

/* Writes a reply; the object is taken over. */
void call_write_reply(struct call *call, struct json_object *reply)
{
    struct evbuffer *output = bufferevent_get_output(call->client->stream);
    const char *text;
    size_t size;

    /* A oneway call is never answered. */
    if (!call->message.oneway) {
        text = reply ? varlink_text(reply, &size) : NULL;
        if (!text || evbuffer_add(output, text, size) < 0 ||
            evbuffer_add(output, call->in_lines ? "\n" : "", 1) < 0)
            call_out_of_memory(call);
    }
    json_object_put(reply);
}

static void unref_text(const void *data, size_t size, void *text)
{
    (void)data, (void)size;
    packet_unref(text);
}

static int add_text(struct evbuffer *output, struct packet *text)
{
    int result;

    if (text->size <= COPY_BYTES_MAX)
        return evbuffer_add(output, text->data, text->size);
    result = evbuffer_add_reference(output, text->data, text->size, unref_text, packet_ref(text));
    if (result < 0)
        packet_unref(text);
    return result;
}

void call_write_text(struct call *call, struct packet *text)
{
    struct evbuffer *output = bufferevent_get_output(call->client->stream);

    if (!text || add_text(output, text) < 0 ||
        evbuffer_add(output, call->in_lines ? "\n" : "", 1) < 0)
        call_out_of_memory(call);
}

static void answer(struct call *call, struct json_object *reply)
{
    if (!reply)
        call_out_of_memory(call);
    call->reply = reply;
    call->state = CALL_ANSWERED;
    client_schedule(call->client);
}

void call_reply(struct call *call, struct json_object *parameters, bool continues)
{
    struct json_object *reply =
        varlink_reply_new(parameters ? parameters : json_object_new_object(), continues);

    if (!continues) {
        answer(call, reply);
        return;
    }
    check(call->client->calls.next == &call->list);
    call_write_reply(call, reply);
}

void call_error(struct call *call, enum error error, struct json_object *parameters)
{
    answer(call, varlink_error_new(error_name(error), parameters));
}

void call_invalid(struct call *call, const char *parameter)
{
    call_error(call, ERROR_INVALID_PARAMETER,
               OBJECT({"parameter", json_object_new_string(parameter)}));
}

void call_drop(struct call *call)
{
    call->state = CALL_ANSWERED;
    client_schedule(call->client);
}

bool call_has_room(const struct call *call)
{
    return evbuffer_get_length(bufferevent_get_output(call->client->stream)) <
           CLIENT_OUTPUT_BYTES_MAX;
}

static void on_call_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct call *call = userdata;

    (void)fd, (void)what;
    call->timed_out = true;
    client_schedule(call->client);
}

int call_set_timer(struct call *call, uint64_t usec)
{
    struct timeval wait = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                           .tv_usec = (suseconds_t)(usec % USEC_PER_SEC)};

    if (!call->timer)
        call->timer = evtimer_new(call->client->control->base, on_call_timer, call);
    return call->timer && event_add(call->timer, &wait) == 0 ? 0 : -ENOMEM;
}

void call_out_of_memory(struct call *call)
{
    call->client->gone = true;
    client_schedule(call->client);
}

void call_unreadable(struct call *call, int error)
{
    if (error == -ENOMEM) {
        call_out_of_memory(call);
        return;
    }
    engine_log_unreadable(call->client->control->engine, error);
    call_error(call, ERROR_STORE_BROKEN, NULL);
}
