#include "control-client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"

/* ---- work ---- */

void client_schedule(struct client *client)
{
    event_active(client->work, EV_TIMEOUT, 0);
}

/* A stream writes as it goes: what was asked before it must have been answered and sent. */
static bool is_its_turn(const struct call *call)
{
    return !call->method->stream || call->client->calls.next == &call->list;
}

static void run_call(struct call *call)
{
    if (call->state == CALL_WAITING) {
        call->state = CALL_RUNNING;
        method_begin(call);
    }
    if (call->state == CALL_RUNNING && is_its_turn(call))
        call->method->run(call);
}

/* Runs the calls whose turn has come: the first, and behind sends that have their place in the
 * order further sends. */
static void run_calls(struct client *client)
{
    list_for_each (at, &client->calls) {
        struct call *call = list_entry(at, struct call, list);

        if (call->state == CALL_WAITING && quota_must_wait(call))
            return;
        if (call->state != CALL_ANSWERED)
            run_call(call);
        if (call->state != CALL_ANSWERED && !(call->method->pipelined && call->passed_on))
            return;
        if (client->gone)
            return;
    }
}

/* Sends the answers of the first calls. */
static bool send_answers(struct client *client)
{
    bool any = false;

    while (!list_empty(&client->calls)) {
        struct call *call = list_entry(client->calls.next, struct call, list);

        if (call->state != CALL_ANSWERED)
            break;
        if (call->reply)
            call_write_reply(call, steal_pointer(call->reply));
        call_free(call);
        any = true;
    }
    return any;
}

static void begin_linger(struct client *client)
{
    struct timeval wait = {.tv_sec = CLIENT_LINGER_USEC / USEC_PER_SEC,
                           .tv_usec = CLIENT_LINGER_USEC % USEC_PER_SEC};

    client->lingering = true;
    shutdown(bufferevent_getfd(client->stream), SHUT_WR);
    event_add(client->hangup_check, &wait);
}

/* Whether everything that was asked has been answered and sent. */
static bool is_idle(const struct client *client)
{
    return list_empty(&client->calls) &&
           evbuffer_get_length(bufferevent_get_output(client->stream)) == 0;
}

/* Writes at once what the socket takes; the loop is asked only for what it does not take. */
static void write_output(struct client *client)
{
    struct evbuffer *output = bufferevent_get_output(client->stream);
    bool was_full = evbuffer_get_length(output) >= CLIENT_OUTPUT_BYTES_MAX;

    if (evbuffer_get_length(output) > 0 && !client->writing) {
        evbuffer_unfreeze(output, 1);
        (void)evbuffer_write(output, bufferevent_getfd(client->stream));
        evbuffer_freeze(output, 1);
    }
    /* Nobody else tells those who waited for room. */
    if (was_full && evbuffer_get_length(output) == 0)
        client_schedule(client);
    /* An error is found again, and told, by the loop. */
    if (client->writing == (evbuffer_get_length(output) > 0))
        return;
    client->writing = !client->writing;
    if (client->writing)
        bufferevent_enable(client->stream, EV_WRITE);
    else
        bufferevent_disable(client->stream, EV_WRITE);
}

static void take_input(struct client *client);

static void on_work(evutil_socket_t fd, short what, void *userdata)
{
    struct client *client = userdata;

    (void)fd, (void)what;
    if (client->lingering)
        return;
    do {
        run_calls(client);
    } while (send_answers(client) && !client->gone);
    if (client->gone) {
        client_free(client);
        return;
    }
    write_output(client);
    take_input(client);
    if (!is_idle(client))
        return;
    if (client->closing)
        begin_linger(client);
    else if (client->input_ended || client->control->retired)
        client_free(client);
}

void client_say_goodbye(struct client *client)
{
    struct evbuffer *output = bufferevent_get_output(client->stream);

    list_for_each_safe (at, &client->calls) {
        struct call *call = list_entry(at, struct call, list);

        if (call->state != CALL_ANSWERED)
            run_call(call);
        /* A client that reads slowly loses an answer that does not fit its socket, as with any
         * stop. */
        if (call->state != CALL_ANSWERED)
            call_drop(call);
    }
    send_answers(client);
    evbuffer_unfreeze(output, 1);
    while (evbuffer_get_length(output) > 0 &&
           evbuffer_write(output, bufferevent_getfd(client->stream)) > 0)
        ;
    client_free(client);
}

/* ---- input ---- */

static void refuse_input(struct client *client, const char *reason)
{
    struct call *call = call_new(client, 0);

    client->closing = true;
    bufferevent_disable(client->stream, EV_READ);
    if (!call) {
        client->gone = true;
        return;
    }
    call_error(call, ERROR_BAD_REQUEST, OBJECT({"reason", json_object_new_string(reason)}));
}

/* The object is taken over. */
static void take_object(struct client *client, struct json_object *object, size_t bytes)
{
    struct call *call = call_new(client, bytes);
    const char *reason;

    if (!call) {
        json_object_put(object);
        client->gone = true;
        return;
    }
    if (varlink_call_parse(object, &call->message, &reason) < 0) {
        call_free(call);
        json_object_put(object);
        refuse_input(client, reason);
    }
    client_schedule(client);
}

/* A client that does not read its answers is not read from. */
static bool may_take_more(const struct client *client)
{
    return !client->closing && !client->gone && !client->control->retired &&
           client->call_count < CLIENT_CALLS_MAX && client->call_bytes < CLIENT_CALL_BYTES_MAX &&
           evbuffer_get_length(bufferevent_get_output(client->stream)) < CLIENT_OUTPUT_BYTES_MAX;
}

/* One contiguous piece of input. false: nothing more can be taken now. */
static bool take_piece(struct client *client, struct evbuffer *input)
{
    size_t size = evbuffer_get_contiguous_space(input), used = 0;
    const char *data = (const char *)evbuffer_pullup(input, (ev_ssize_t)size);
    struct json_object *object = NULL;
    int result = json_stream_feed(client->input, data, size, &used, &object);

    if (result == -EBADMSG) {
        refuse_input(client, json_stream_error(client->input));
        return false;
    }
    if (result < 0) {
        client->gone = true;
        client_schedule(client);
        return false;
    }
    evbuffer_drain(input, result == 0 ? size : used);
    if (result == 1)
        take_object(client, object, used);
    return true;
}

/* The client sends no more: an object that lacked only its end counts. */
static void take_end(struct client *client)
{
    struct json_object *object = NULL;
    int result;

    if (!client->input)
        return;
    result = json_stream_end(client->input, &object);
    if (result == 1)
        take_object(client, object, 0);
    else if (result == -EBADMSG)
        refuse_input(client, json_stream_error(client->input));
    client_schedule(client);
}

static void take_input(struct client *client)
{
    struct evbuffer *input = bufferevent_get_input(client->stream);

    while (may_take_more(client) && evbuffer_get_length(input) > 0) {
        if (!take_piece(client, input))
            return;
    }
    if (client->input_ended && !client->end_taken && evbuffer_get_length(input) == 0 &&
        !client->closing) {
        client->end_taken = true;
        take_end(client);
    }
    if (!client->input_ended && !client->closing) {
        if (may_take_more(client))
            bufferevent_enable(client->stream, EV_READ);
        else
            bufferevent_disable(client->stream, EV_READ);
    }
}

/* ---- events ---- */

static void on_read(struct bufferevent *stream, void *userdata)
{
    struct client *client = userdata;

    if (client->lingering || client->closing) {
        evbuffer_drain(bufferevent_get_input(stream),
                       evbuffer_get_length(bufferevent_get_input(stream)));
        return;
    }
    client_schedule(client);
}

static void on_write(struct bufferevent *stream, void *userdata)
{
    (void)stream;
    client_schedule(userdata);
}

static void arm_hangup_check(struct client *client)
{
    struct timeval wait = {.tv_sec = CLIENT_HANGUP_CHECK_USEC / USEC_PER_SEC,
                           .tv_usec = CLIENT_HANGUP_CHECK_USEC % USEC_PER_SEC};

    event_add(client->hangup_check, &wait);
}

/* A client that had half-closed its connection may be gone wholly without a write telling it. */
static void on_hangup_check(evutil_socket_t fd, short what, void *userdata)
{
    struct client *client = userdata;
    struct pollfd poller = {.fd = bufferevent_getfd(client->stream)};

    (void)fd, (void)what;
    if (client->lingering || (poll(&poller, 1, 0) > 0 && poller.revents & (POLLHUP | POLLERR))) {
        client_free(client);
        return;
    }
    arm_hangup_check(client);
}

static void on_event(struct bufferevent *stream, short what, void *userdata)
{
    struct client *client = userdata;

    (void)stream;
    if (what & BEV_EVENT_ERROR || client->lingering) {
        client_free(client);
        return;
    }
    if (what & BEV_EVENT_EOF) {
        client->input_ended = true;
        arm_hangup_check(client);
        client_schedule(client);
    }
}

/* ---- connections ---- */

void client_free(struct client *client)
{
    while (!list_empty(&client->calls))
        call_free(list_entry(client->calls.next, struct call, list));
    list_remove(&client->list);
    client->control->client_count--;
    if (client->work)
        event_free(client->work);
    if (client->hangup_check)
        event_free(client->hangup_check);
    if (client->stream)
        bufferevent_free(client->stream);
    json_stream_free(client->input);
    user_disconnected(client->user);
    free(client);
}

static void find_rights(struct client *client, int fd)
{
    const struct control *control = client->control;
    socklen_t size = sizeof(client->peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &size) < 0)
        client->peer = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
    client->is_admin =
        client->peer.uid == 0 || client->peer.uid == geteuid() ||
        (control->has_admin_group && peer_in_group(fd, client->peer.gid, control->admin_group));
}

static void refuse_client(struct client *client)
{
    struct call *call = call_new(client, 0);

    client->closing = true;
    if (call && user_is_over(client->user))
        quota_refuse(call, QUOTA_CONNECTIONS);
    else if (call)
        call_error(call, ERROR_TOO_MANY_CLIENTS,
                   OBJECT({"limit", json_object_new_int(CLIENTS_MAX)}));
}

int client_new(struct control *control, int fd)
{
    struct client *client = calloc(1, sizeof(*client));

    if (!client) {
        close(fd);
        return -ENOMEM;
    }
    client->control = control;
    list_init(&client->calls);
    list_append(&control->clients, &client->list);
    control->client_count++;
    find_rights(client, fd);
    client->user = user_connected(control, client->peer.uid);
    client->input = json_stream_new(JSON_CALL_BYTES_MAX);
    client->work = evtimer_new(control->base, on_work, client);
    client->hangup_check = evtimer_new(control->base, on_hangup_check, client);
    client->stream = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!client->user || !client->input || !client->work || !client->hangup_check ||
        !client->stream) {
        if (!client->stream)
            close(fd);
        client_free(client);
        return -ENOMEM;
    }
    bufferevent_setcb(client->stream, on_read, on_write, on_event, client);
    bufferevent_setwatermark(client->stream, EV_READ, 0, CLIENT_INPUT_BYTES_MAX);
    bufferevent_setwatermark(client->stream, EV_WRITE, CLIENT_OUTPUT_BYTES_MAX / 2, 0);
    bufferevent_disable(client->stream, EV_WRITE);
    bufferevent_enable(client->stream, EV_READ);
    if (control->client_count > CLIENTS_MAX || user_is_over(client->user))
        refuse_client(client);
    return 0;
}

void control_schedule(struct control *control, unsigned watch)
{
    list_for_each (at, &control->clients) {
        struct client *client = list_entry(at, struct client, list);

        list_for_each (of_call, &client->calls) {
            const struct call *call = list_entry(of_call, struct call, list);

            if (call->state == CALL_RUNNING && call->method && call->method->watch & watch) {
                client_schedule(client);
                break;
            }
        }
    }
}
