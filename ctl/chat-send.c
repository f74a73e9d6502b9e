/* chat: own messages from the key to every disk. A message is in the list of those on their way
 * from the moment it was typed until the tail shows it; an answer says how many disks have it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chat.h"
#include "common/util.h"

/* An answer comes with the message itself: this is much longer than both ever differ. */
#define HELD_USEC (1 * USEC_PER_SEC)

static void new_id(char ret[ID_TEXT_MAX])
{
    struct id_source ids = {0};
    struct timespec now;
    uint8_t id[16];

    clock_gettime(CLOCK_REALTIME, &now);
    id_make(&ids, (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000, id);
    id_format(id, ret);
}

static void free_message(struct outgoing *message)
{
    free(message->text);
    free(message->room);
    free(message);
}

static struct outgoing *find(struct chat *chat, const char *id)
{
    for (struct outgoing *message = chat->first; message; message = message->next) {
        if (strcmp(message->id, id) == 0)
            return message;
    }
    return NULL;
}

static void forget(struct chat *chat, struct outgoing *message)
{
    struct outgoing **place = &chat->first;

    while (*place != message)
        place = &(*place)->next;
    *place = message->next;
    if (!*place)
        chat->last = place;
    free_message(message);
    chat_update_line(chat);
}

void chat_free_outgoing(struct chat *chat)
{
    struct outgoing *next;

    for (struct outgoing *message = chat->first; message; message = next) {
        next = message->next;
        free_message(message);
    }
    json_object_put(chat->held);
}

static void take_error(struct chat *chat, struct outgoing *message,
                       const struct varlink_reply *reply)
{
    _cleanup_free_ char *sentence = NULL, *text = NULL;

    /* It is in the outbox of this host's disk, and comes with the tail one day. */
    if (strcmp(reply->error, VARLINK_INTERFACE ".TimedOut") == 0 &&
        field_flag(reply->parameters, "stored")) {
        message->late = true;
        chat_update_line(chat);
        return;
    }
    if (message->shown) {
        forget(chat, message);
        return;
    }
    sentence = error_sentence(reply->error, reply->parameters);
    text = visible(message->text);
    chat_note(chat, "not sent: %s", sentence ? sentence : reply->error);
    chat_note(chat, "it was: %s", text);
    forget(chat, message);
}

static void on_answer(void *userdata, void *context, const struct varlink_reply *reply)
{
    struct outgoing *message = context;
    struct chat *chat = userdata;

    message->answered = true;
    if (reply->error) {
        take_error(chat, message, reply);
        return;
    }
    message->members = field_number(reply->parameters, "members");
    if (message->shown)
        forget(chat, message);
    else
        chat_release_held(chat, true);
}

static void send_message(struct chat *chat, struct outgoing *message)
{
    struct json_object *parameters = json_object_new_object();

    json_object_object_add(parameters, "text", json_object_new_string(message->text));
    json_object_object_add(parameters, "room", json_object_new_string(message->room));
    json_object_object_add(parameters, "id", json_object_new_string(message->id));
    /* A failure shows when the connection is read. */
    channel_call(&chat->sends, VARLINK_INTERFACE ".Send", parameters, false, on_answer, message);
}

void chat_send(struct chat *chat, const char *text)
{
    struct outgoing *message = calloc(1, sizeof(*message));

    if (!message)
        return;
    new_id(message->id);
    message->text = strdup(text);
    message->room = strdup(chat->room);
    if (!message->text || !message->room) {
        free_message(message);
        return;
    }
    *chat->last = message;
    chat->last = &message->next;
    if (chat->online)
        send_message(chat, message);
    chat_update_line(chat);
}

void chat_send_again(struct chat *chat)
{
    for (struct outgoing *message = chat->first; message; message = message->next) {
        if (!message->answered)
            send_message(chat, message);
    }
}

static void show_own(struct chat *chat, struct outgoing *message, struct json_object *reply)
{
    char state[64] = "";

    if (message->late)
        snprintf(state, sizeof(state), "delivered late");
    else if (message->answered)
        snprintf(state, sizeof(state), "delivered to %llu", (unsigned long long)message->members);
    message->shown = true;
    chat_take_message(chat, field(reply, "message"), field_flag(reply, "late"), state);
    /* One without an answer stays in the list for it. */
    if (message->answered)
        forget(chat, message);
    else
        chat_update_line(chat);
}

bool chat_take_own(struct chat *chat, struct json_object *reply)
{
    struct outgoing *message = find(chat, field_text(field(reply, "message"), "id"));

    if (!message) {
        chat_take_other(chat, reply);
        return true;
    }
    if (message->answered || !chat->online) {
        show_own(chat, message, reply);
        return true;
    }
    chat->held = json_object_get(reply);
    chat->held_since = chat_now();
    return false;
}

void chat_release_held(struct chat *chat, bool at_once)
{
    struct json_object *held = chat->held;
    struct outgoing *message;

    if (!held || (!at_once && chat_now() < chat->held_since + HELD_USEC))
        return;
    message = find(chat, field_text(field(held, "message"), "id"));
    /* Called for the answer of another one. */
    if (message && at_once && chat->online && !message->answered)
        return;
    chat->held = NULL;
    if (message)
        show_own(chat, message, held);
    json_object_put(held);
}
