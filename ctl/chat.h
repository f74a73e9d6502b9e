#pragma once

/* What the parts of "chat" share. A person types into a line (line-editor.h) while three
 * connections are watched: a tail, the messages on their way, and commands. What is printed takes
 * the line off the screen; the loop shows it again before it waits. */

#include "channel.h"
#include "common/message.h"
#include "context.h"
#include "line-editor.h"
#include "output.h"
#include "rooms.h"

/* Messages that are remembered as shown, so that none is shown twice where what was stored and what
 * comes meet: those of one screen. */
#define SHOWN_MAX 64

/* Messages of the room shown on entering it: some, and those not read up to a screenful. */
#define ENTER_MESSAGES 10
#define ENTER_CONTEXT 3
#define ENTER_MESSAGES_MAX 50

/* Messages of one history repair that are shown; of more there is a count above the line. */
#define LATE_MESSAGES_MAX 10

/* An own message that has not been seen in the tail yet. */
struct outgoing {
    struct outgoing *next;
    char id[ID_TEXT_MAX];
    char *text, *room;
    bool answered, late, shown;
    uint64_t members; /* that have it on disk, once answered */
};

struct chat {
    const struct context *context;
    struct line *line;
    char *room, *user, *node, *node_id;
    struct rooms rooms;
    struct json_object *names; /* of members and users, as keys */
    struct channel tail, sends, commands;
    bool online, caught_up, left;
    struct waiting waiting; /* while offline: what was said of the daemon */
    uint64_t missed;        /* messages since the connection came back */
    uint64_t late;          /* messages that history repair has brought since it was last at rest */
    uint64_t late_drawn;    /* when their count was last drawn, monotonic µs */
    int exit_code;
    struct outgoing *first, **last;
    struct json_object *held; /* an own message that waits for its answer */
    uint64_t held_since;      /* monotonic µs */
    bool fetching;            /* old messages are on their way; the tail waits for them */
    struct json_object *fetched;
    uint64_t unread; /* how many of the last of them are */
    struct message_printer printer;
    char shown[SHOWN_MAX][ID_TEXT_MAX];
    size_t shown_next;
};

/* ---- chat-show.c: printing ---- */

/* A quiet line. What comes from a peer is to be made visible() before. */
__attribute__((format(printf, 2, 3))) void chat_note(struct chat *chat, const char *format, ...);

/* Says while offline what is waited for, once. */
void chat_note_waiting(struct chat *chat);

/* A message; `state` is what is said of its delivery, or "". */
void chat_show_message(struct chat *chat, struct json_object *message, bool late,
                       const char *state);
void chat_show_event(struct chat *chat, struct json_object *event);

/* Who is here. */
void chat_show_members(struct chat *chat, struct json_object *reply, bool long_form);

void chat_list_words(struct chat *chat, size_t count, char *const *words);

/* Sets prompt and outgoing messages as they are now. */
void chat_update_line(struct chat *chat);

/* Whether somebody is spoken to: the text has one of the two names as a word. */
bool chat_is_mention(const char *text, const char *user, const char *node);

/* ---- chat-send.c: own messages ---- */

/* Takes the text over as a new message, and sends it when there is a connection. */
void chat_send(struct chat *chat, const char *text);

/* After a connection came back: sends again what has no answer. The id makes that safe. */
void chat_send_again(struct chat *chat);

/* A message from the tail: shown with its delivery state if it is an own one. false: it must wait
 * for its answer, the tail too. */
bool chat_take_own(struct chat *chat, struct json_object *reply);

/* The held message, if it has waited long enough or `at_once`. */
void chat_release_held(struct chat *chat, bool at_once);

void chat_free_outgoing(struct chat *chat);

/* ---- chat-command.c ---- */

/* A line that was typed: a command, or a message. */
void chat_take_line(struct chat *chat, const char *text);

void chat_complete(struct chat *chat, const char *text, void (*add)(void *list, const char *word),
                   void *list);

/* ---- chat.c ---- */

/* Shows the last messages of the room, and then what has come since. */
void chat_fetch(struct chat *chat, uint64_t lines);

/* The same on entering a room: as many as are unread, and some before. */
void chat_enter_room(struct chat *chat);

/* Shows a message unless it has just been shown. */
void chat_take_message(struct chat *chat, struct json_object *message, bool late,
                       const char *state);

/* Another's message from the tail; of many that come by history repair there is a count only. */
void chat_take_other(struct chat *chat, struct json_object *reply);

/* Calls on the channel for commands; says so where there is no connection. */
void chat_call(struct chat *chat, const char *method, struct json_object *parameters, bool more,
               channel_handler handler);

uint64_t chat_now(void); /* monotonic µs */
