/* Import: messages from a backup. They are compared with what is stored, given to the ring as if a
 * member had sent them by repair, and answered when they are on disk. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"

enum import_state {
    IMPORT_WAITING, /* to be given to the ring, perhaps again */
    IMPORT_GIVEN,
    IMPORT_NEW,
    IMPORT_KNOWN,
    IMPORT_REFUSED,
};

struct import;

struct import_item {
    struct import *import;
    struct chat_message chat; /* its strings are the call's */
    enum import_state state;
    const char *reason; /* of a refusal: a constant */
    ring_ticket ticket;
};

struct import {
    struct call *call;
    size_t count, open; /* open: neither new, known nor refused yet */
    unsigned retries;
    struct import_item *items;
};

void import_stop(struct call *call)
{
    struct import *import = call->data;

    for (size_t i = 0; i < import->count; i++) {
        if (import->items[i].state == IMPORT_GIVEN)
            engine_forget(call->client->control->engine, import->items[i].ticket);
    }
    free(import->items);
    free(import);
}

static void settle(struct import_item *item, enum import_state state, const char *reason)
{
    item->state = state;
    item->reason = reason;
    item->import->open--;
}

/* ---- comparing ---- */

static struct bytes bytes_of(struct span span)
{
    return (struct bytes){.data = span.data, .size = span.size};
}

static struct message message_of(const struct import_item *item)
{
    const struct chat_message *chat = &item->chat;
    struct message message = {
        .key = {.hlc = chat->hlc, .seq = chat->seq},
        .sent = chat->sent,
        .kind = chat->notice ? MESSAGE_NOTICE : MESSAGE_CHAT,
        .user = bytes_of(chat->user),
        .node = bytes_of(chat->node),
        .room = bytes_of(chat->room),
        .text = bytes_of(chat->text),
    };

    memcpy(message.id.bytes, chat->id, sizeof(chat->id));
    memcpy(message.key.origin.bytes, chat->origin, sizeof(chat->origin));
    return message;
}

/* Why no node could have sent this; NULL: one could. */
static const char *find_fault(const struct message *message)
{
    if (message->key.hlc == 0 || message->key.hlc > IMPORT_HLC_MAX)
        return "its clock cannot be";
    if (message->key.seq >> 32 == 0 || (uint32_t)message->key.seq == 0 ||
        message->key.seq >> 32 > IMPORT_RUN_MAX)
        return "its seq cannot be";
    if (message->user.size > USER_BYTES_MAX || message->node.size > NAME_BYTES_MAX ||
        message->room.size == 0 || message->room.size > ROOM_BYTES_MAX)
        return "its user, node or room is too long";
    if (message->text.size == 0 || message->text.size > TEXT_BYTES_MAX)
        return "its text is empty or too long";
    return NULL;
}

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* What a retry of a send may not change. */
static bool is_same_message(const struct message *a, const struct message *b)
{
    return ring_id_equal(&a->id, &b->id) && bytes_equal(a->user, b->user) &&
           bytes_equal(a->room, b->room) && bytes_equal(a->text, b->text);
}

/* And with one key everything is the same. */
static bool is_same_in_all(const struct message *a, const struct message *b)
{
    return is_same_message(a, b) && a->sent == b->sent && a->kind == b->kind &&
           bytes_equal(a->node, b->node);
}

static const char other_key[] = "its key is held with other content";
static const char other_id[] = "its id is held with other content";

/* By its key. False: nothing is known. */
static bool compare_by_key(struct history *history, struct import_item *item,
                           const struct message *message)
{
    _cleanup_(packet_unrefp) struct packet *packet = NULL;
    struct message stored;
    int result = history_find_key(history, &message->key, &packet);

    if (result == -ENOENT)
        return false;
    if (result == -EEXIST && history_is_below_horizon(history, message->key.hlc)) {
        settle(item, IMPORT_KNOWN, NULL);
        return true;
    }
    if (result < 0) {
        settle(item, IMPORT_REFUSED, result == -EEXIST ? other_key : "the disk of this host fails");
        return true;
    }
    check(message_unpack(packet, &stored) == 0);
    if (is_same_in_all(&stored, message))
        settle(item, IMPORT_KNOWN, NULL);
    else
        settle(item, IMPORT_REFUSED, other_key);
    return true;
}

/* By its id, under which it may have another key: then it was sent twice, and is shown once. */
static bool compare_by_id(struct history *history, struct import_item *item,
                          const struct message *message)
{
    _cleanup_(packet_unrefp) struct packet *packet = NULL;
    struct message stored;

    if (history_find(history, &message->id, &packet) < 0)
        return false;
    check(message_unpack(packet, &stored) == 0);
    if (is_same_message(&stored, message))
        return false;
    settle(item, IMPORT_REFUSED, other_id);
    return true;
}

/* With the messages of the same call that came before it: those are not stored yet. */
static bool compare_within(const struct import *import, struct import_item *item)
{
    for (const struct import_item *other = import->items; other < item; other++) {
        bool id = memcmp(other->chat.id, item->chat.id, sizeof(item->chat.id)) == 0;
        bool key = other->chat.seq == item->chat.seq &&
                   memcmp(other->chat.origin, item->chat.origin, sizeof(item->chat.origin)) == 0;
        struct message a = message_of(other), b = message_of(item);

        if (other->state == IMPORT_REFUSED || (!id && !key))
            continue;
        if (key && message_key_compare(&a.key, &b.key) == 0 && is_same_in_all(&a, &b))
            settle(item, IMPORT_KNOWN, NULL);
        else if (key || !is_same_message(&a, &b))
            settle(item, IMPORT_REFUSED, key ? other_key : other_id);
        else
            continue;
        return true;
    }
    return false;
}

static void look_at(struct call *call, struct import *import, struct import_item *item)
{
    struct history *history = engine_get_history(call->client->control->engine);
    struct message message = message_of(item);
    const char *fault = find_fault(&message);

    if (fault)
        settle(item, IMPORT_REFUSED, fault);
    else if (!compare_within(import, item) && !compare_by_key(history, item, &message))
        compare_by_id(history, item, &message);
}

/* ---- beginning ---- */

static void begin(struct call *call)
{
    struct json_object *messages = call_parameter(call, "messages");
    size_t count = json_object_array_length(messages);
    struct import *import;

    if (count > IMPORT_MESSAGES_MAX) {
        call_invalid(call, "messages");
        return;
    }
    import = calloc(1, sizeof(*import));
    if (import)
        import->items = calloc(MAX(count, 1), sizeof(*import->items));
    if (!import || !import->items) {
        free(import);
        call_out_of_memory(call);
        return;
    }
    call->data = import;
    import->call = call;
    for (size_t i = 0; i < count; i++) {
        struct import_item *item = &import->items[i];

        if (message_from_json(json_object_array_get_idx(messages, i), &item->chat) < 0) {
            call_invalid(call, "messages");
            return;
        }
        item->import = import;
        import->count++;
        import->open++;
        look_at(call, import, item);
    }
}

/* ---- giving them to the ring ---- */

static void on_reply(void *userdata, enum ring_reply reply, size_t members)
{
    struct import_item *item = userdata;

    switch (reply) {
    case RING_ACCEPTED:
        return;
    case RING_DONE:
        settle(item, members > 0 ? IMPORT_NEW : IMPORT_KNOWN, NULL);
        break;
    case RING_BUSY:
        item->state = IMPORT_WAITING;
        break;
    case RING_NOT_IN_RING:
    case RING_BAD_NODE:
    case RING_ID_CONFLICT:
    case RING_STORE_BROKEN:
    case RING_ABANDONED:
        settle(item, IMPORT_REFUSED, "the disk of this host fails");
        break;
    }
    client_schedule(item->import->call->client);
}

static void give(struct call *call, struct import *import)
{
    for (size_t i = 0; i < import->count; i++) {
        struct import_item *item = &import->items[i];
        struct message message;

        if (item->state != IMPORT_WAITING)
            continue;
        message = message_of(item);
        item->state = IMPORT_GIVEN;
        if (engine_command(call->client->control->engine, RING_IMPORT, &message, NULL, on_reply,
                           item, &item->ticket) < 0) {
            item->state = IMPORT_WAITING;
            call_out_of_memory(call);
            return;
        }
    }
}

/* Whether all that are open wait: the ring was busy. */
static bool all_wait(const struct import *import)
{
    for (size_t i = 0; i < import->count; i++) {
        if (import->items[i].state == IMPORT_GIVEN)
            return false;
    }
    return import->open > 0;
}

static void give_up(struct import *import)
{
    for (size_t i = 0; i < import->count; i++) {
        if (import->items[i].state == IMPORT_WAITING)
            settle(&import->items[i], IMPORT_REFUSED,
                   "the ring could not take it in time; try again");
    }
}

/* ---- answering ---- */

static struct json_object *refusals(const struct import *import)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < import->count; i++) {
        if (import->items[i].state == IMPORT_REFUSED)
            json_object_array_add(
                array, OBJECT({"index", json_object_new_int64((int64_t)i)},
                              {"reason", json_object_new_string(import->items[i].reason)}));
    }
    return array;
}

static void answer(struct call *call, const struct import *import)
{
    int64_t imported = 0, known = 0;

    for (size_t i = 0; i < import->count; i++) {
        imported +=
            import->items[i].state == IMPORT_NEW || import->items[i].state == IMPORT_WAITING;
        known += import->items[i].state == IMPORT_KNOWN;
    }
    call_reply(call,
               OBJECT({"imported", json_object_new_int64(imported)},
                      {"known", json_object_new_int64(known)}, {"refused", refusals(import)}),
               false);
}

void import_run(struct call *call)
{
    struct import *import;

    if (call->client->control->goodbye) {
        call_drop(call);
        return;
    }
    if (!call->data)
        begin(call);
    import = call->data;
    if (!import || call->state == CALL_ANSWERED || call->client->gone)
        return;
    if (import->open > 0 && !call_flag(call, "check") && (!call->timer || call->timed_out)) {
        call->timed_out = false;
        give(call, import);
        if (import->retries++ == IMPORT_RETRIES_MAX)
            give_up(import);
        else if (call_set_timer(call, IMPORT_RETRY_USEC) < 0)
            call_out_of_memory(call);
    }
    if (import->open == 0 || (call_flag(call, "check") && all_wait(import)))
        answer(call, import);
}
