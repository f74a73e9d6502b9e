/* Send: from the call to the ring, and back when the message is on every disk. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/message.h"
#include "common/util.h"
#include "control-method.h"
#include "keys.h"

#define DEFAULT_ROOM "main"

struct send {
    struct call *call;
    struct ring_id id;
    bool id_given;
    char user[USER_BYTES_MAX + 1];
    bool user_known;
    uint64_t begun; /* monotonic µs */
    ring_ticket ticket;
    bool given, accepted, answered;
    enum ring_reply reply;
    size_t members;
};

static void on_reply(void *userdata, enum ring_reply reply, size_t members)
{
    struct send *send = userdata;

    if (reply == RING_ACCEPTED) {
        send->accepted = true;
        return;
    }
    send->answered = true;
    send->reply = reply;
    send->members = members;
    client_schedule(send->call->client);
}

void send_stop(struct call *call)
{
    struct send *send = call->data;

    if (send->given && !send->answered)
        engine_forget(call->client->control->engine, send->ticket);
    free(send);
}

static struct json_object *id_value(const struct send *send)
{
    char text[ID_TEXT_MAX];

    id_format(send->id.bytes, text);
    return json_object_new_string(text);
}

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){.data = text, .size = strlen(text)};
}

static struct bytes text_of(struct call *call)
{
    struct json_object *text = call_parameter(call, "text");

    return (struct bytes){.data = json_object_get_string(text),
                          .size = (size_t)json_object_get_string_len(text)};
}

/* ---- beginning ---- */

/* Checks what the types do not say. false: the call has been answered. */
static bool check_parameters(struct call *call, uint64_t *ret_timeout)
{
    const struct control *control = call->client->control;
    size_t room = strlen(call_string(call, "room", DEFAULT_ROOM)), size = text_of(call).size;

    if (size == 0) {
        call_invalid(call, "text");
        return false;
    }
    if (size > control->options.message_bytes_max) {
        call_error(
            call, ERROR_TEXT_TOO_LONG,
            OBJECT({"size", json_object_new_int64((int64_t)size)},
                   {"limit", json_object_new_int64((int64_t)control->options.message_bytes_max)}));
        return false;
    }
    if (room == 0 || room > ROOM_BYTES_MAX) {
        call_invalid(call, "room");
        return false;
    }
    if (call_number(call, "timeout_usec", SEND_TIMEOUT_USEC_DEFAULT, ret_timeout) < 0) {
        call_invalid(call, "timeout_usec");
        return false;
    }
    return true;
}

static void begin(struct call *call)
{
    const char *id = call_string(call, "id", NULL);
    struct send *send;
    uint64_t timeout;

    if (!check_parameters(call, &timeout))
        return;
    send = calloc(1, sizeof(*send));
    if (!send) {
        call_out_of_memory(call);
        return;
    }
    call->data = send;
    send->call = call;
    send->begun = engine_monotonic();
    send->id_given = id != NULL;
    if (!id)
        id_make(&call->client->control->ids, engine_wall(), send->id.bytes);
    else if (id_parse(id, send->id.bytes) < 0)
        call_invalid(call, "id");
    if (timeout && call_set_timer(call, timeout) < 0)
        call_out_of_memory(call);
}

/* ---- giving it to the ring ---- */

static struct message message_of(struct call *call)
{
    const struct send *send = call->data;

    return (struct message){
        .id = send->id,
        .sent = engine_wall(),
        .kind = strcmp(call_string(call, "kind", "chat"), "notice") == 0 ? MESSAGE_NOTICE
                                                                         : MESSAGE_CHAT,
        .user = bytes_of(send->user),
        .room = bytes_of(call_string(call, "room", DEFAULT_ROOM)),
        .text = text_of(call),
    };
}

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* Whether this id is stored here already: then the send has been done before, and is answered. */
static bool answer_known(struct call *call, const struct message *message)
{
    struct control *control = call->client->control;
    struct send *send = call->data;
    _cleanup_(packet_unrefp) struct packet *packet = NULL;
    struct message stored;

    if (!send->id_given ||
        history_find(engine_get_history(control->engine), &send->id, &packet) < 0)
        return false;
    check(message_unpack(packet, &stored) == 0);
    if (!bytes_equal(stored.user, message->user) || !bytes_equal(stored.room, message->room) ||
        !bytes_equal(stored.text, message->text)) {
        call_error(call, ERROR_ID_CONFLICT, OBJECT({"id", id_value(send)}));
        return true;
    }
    /* On its way still: the core knows it, and joins this send to it. */
    if (history_is_hidden(engine_get_history(control->engine), &stored.key))
        return false;
    send->answered = true;
    send->reply = RING_DONE;
    send->members = engine_get_view(control->engine)->count;
    return false;
}

static void give(struct call *call)
{
    struct control *control = call->client->control;
    struct send *send = call->data;
    struct message message;
    int result;

    if (!send->user_known)
        send->user_known = user_names_get(control->names, call->client->peer.uid, send->user);
    if (!send->user_known)
        return;
    message = message_of(call);
    if (answer_known(call, &message) || send->answered)
        return;
    result = engine_command(control->engine, RING_SEND_MESSAGE, &message, NULL, on_reply, send,
                            &send->ticket);
    if (result == -ENOMEM)
        call_out_of_memory(call);
    if (result < 0)
        return;
    send->given = call->passed_on = true;
}

/* ---- answering ---- */

/* It is stored, and goes nowhere: without a key there is nobody. */
static void add_warning(const struct call *call, struct json_object *reply)
{
    const struct keys *keys = call->client->control->options.keys;

    if (reply && keys && keys_get_mode(keys) == KEYS_MISSING)
        json_object_object_add(reply, "warning",
                               json_object_new_string("stored here only: this host has no ring "
                                                      "key; see: ringchatctl status"));
}

static void answer_done(struct call *call)
{
    const struct send *send = call->data;
    uint64_t elapsed = engine_monotonic() - send->begun;
    struct json_object *reply =
        OBJECT({"id", id_value(send)}, {"members", json_object_new_int64((int64_t)send->members)},
               {"elapsed_usec", json_object_new_int64((int64_t)elapsed)});

    add_warning(call, reply);
    call_reply(call, reply, false);
}

static void answer(struct call *call)
{
    const struct send *send = call->data;

    switch (send->reply) {
    case RING_ACCEPTED:
    case RING_DONE:
        answer_done(call);
        return;
    case RING_NOT_IN_RING:
        call_error(call, ERROR_NOT_IN_RING, NULL);
        return;
    case RING_BUSY:
    case RING_BAD_NODE:
        call_error(call, ERROR_BUSY, NULL);
        return;
    case RING_ID_CONFLICT:
        call_error(call, ERROR_ID_CONFLICT, OBJECT({"id", id_value(send)}));
        return;
    case RING_STORE_BROKEN:
        call_error(call, ERROR_STORE_BROKEN, NULL);
        return;
    case RING_ABANDONED:
        call_error(call, ERROR_ABANDONED, NULL);
        return;
    }
    check_unreachable();
}

static void answer_timed_out(struct call *call)
{
    const struct send *send = call->data;

    call_error(call, ERROR_TIMED_OUT,
               OBJECT({"id", id_value(send)}, {"stored", json_object_new_boolean(send->accepted)}));
}

void send_run(struct call *call)
{
    const struct control *control = call->client->control;
    const struct send *send;

    if (!call->data)
        begin(call);
    send = call->data;
    if (call->state == CALL_ANSWERED || !send)
        return;
    if (!send->given && !send->answered && !control->goodbye && !control->retired)
        give(call);
    if (call->state == CALL_ANSWERED)
        return;
    if (send->answered)
        answer(call);
    else if (control->goodbye && control->retired && !send->given)
        call_drop(call); /* the client asks the next daemon */
    else if (call->timed_out || control->goodbye)
        answer_timed_out(call);
}
