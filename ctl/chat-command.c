/* chat: the commands, those with a slash and the original words; one table for what is done, help
 * and completion. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chat.h"
#include "common/bounds.h"
#include "common/time-format.h"
#include "common/util.h"
#include "ring-picture.h"
#include "verbs.h"

/* Lines of /history without a number: about a screenful. */
#define HISTORY_LINES 20

/* Lines of /room: some screenfuls. */
#define LIST_ROOMS_MAX 100

enum words { WORDS_NONE, WORDS_NODE, WORDS_ROOM, WORDS_NUMBER };

struct command {
    const char *name, *original; /* "/list", "@LIST"; NULL: it has none */
    const char *argument;        /* as help shows it */
    enum words words;            /* what completion offers for it */
    const char *help;
    void (*run)(struct chat *chat, const char *argument);
};

/* Shows an error reply. Whether it is one. */
static bool is_error(struct chat *chat, const struct varlink_reply *reply)
{
    _cleanup_free_ char *sentence = NULL;

    if (!reply->error)
        return false;
    sentence = error_sentence(reply->error, reply->parameters);
    chat_note(chat, "%s", sentence ? sentence : reply->error);
    return true;
}

/* ---- the ring ---- */

static void on_members(void *userdata, void *context, const struct varlink_reply *reply)
{
    (void)context;
    if (!is_error(userdata, reply))
        chat_show_members(userdata, reply->parameters, true);
}

static void run_members(struct chat *chat, const char *argument)
{
    (void)argument;
    chat_call(chat, VARLINK_INTERFACE ".Members", NULL, false, on_members);
}

static void run_list(struct chat *chat, const char *argument)
{
    struct json_object *parameters = json_object_new_object();

    (void)argument;
    json_object_object_add(parameters, "refresh", json_object_new_boolean(true));
    chat_call(chat, VARLINK_INTERFACE ".Members", parameters, false, on_members);
}

static void on_ring(void *userdata, void *context, const struct varlink_reply *reply)
{
    struct chat *chat = userdata;

    (void)context;
    if (is_error(chat, reply))
        return;
    line_hide(chat->line);
    ring_draw(chat->context, reply->parameters, line_columns());
    fflush(stdout);
}

static void run_ring(struct chat *chat, const char *argument)
{
    (void)argument;
    chat_call(chat, VARLINK_INTERFACE ".Members", NULL, false, on_ring);
}

static void on_elected(void *userdata, void *context, const struct varlink_reply *reply)
{
    _cleanup_free_ char *leader = NULL;

    (void)context;
    if (is_error(userdata, reply))
        return;
    leader = visible(field_text(reply->parameters, "leader_name"));
    chat_note(userdata, "%s leads, epoch %llu", leader,
              (unsigned long long)field_number(reply->parameters, "epoch"));
}

static void run_elect(struct chat *chat, const char *argument)
{
    struct json_object *parameters = json_object_new_object();

    if (*argument)
        json_object_object_add(parameters, "node", json_object_new_string(argument));
    chat_call(chat, VARLINK_INTERFACE ".Elect", parameters, false, on_elected);
}

static void on_left(void *userdata, void *context, const struct varlink_reply *reply)
{
    (void)context;
    /* That it has left comes as an event. */
    is_error(userdata, reply);
}

static void run_leave(struct chat *chat, const char *argument)
{
    (void)argument;
    chat_call(chat, VARLINK_INTERFACE ".Leave", NULL, false, on_left);
}

static void on_joined(void *userdata, void *context, const struct varlink_reply *reply)
{
    (void)context;
    if (!is_error(userdata, reply))
        chat_note(userdata,
                  "this host is back in the ring, or a ring of its own until others come");
}

static void run_join(struct chat *chat, const char *argument)
{
    (void)argument;
    chat_call(chat, VARLINK_INTERFACE ".Join", NULL, false, on_joined);
}

static void on_goodbye(void *userdata, void *context, const struct varlink_reply *reply)
{
    struct chat *chat = userdata;

    (void)context;
    if (reply->error && strcmp(reply->error, VARLINK_INTERFACE ".PermissionDenied") == 0)
        chat_note(chat, "the host stays in the ring: only administrators may let it leave");
    else if (!is_error(chat, reply))
        chat_note(chat, "this host has left the ring; come back with: ringchatctl join");
    line_end(chat->line);
}

/* FIM: the host leaves if the caller may let it, and chat ends. */
static void run_goodbye(struct chat *chat, const char *argument)
{
    (void)argument;
    if (chat->online)
        chat_call(chat, VARLINK_INTERFACE ".Leave", NULL, false, on_goodbye);
    else
        line_end(chat->line);
}

/* ---- rooms ---- */

static bool is_first_shown(const struct chat *chat, const struct room *room)
{
    return room->unread > 0 || strcmp(room->name, chat->room) == 0;
}

/* Shows the rooms that are, or are not, shown first; how many lines are left. */
static size_t list_some_rooms(struct chat *chat, bool first, size_t lines)
{
    for (size_t i = 0; i < chat->rooms.count && lines > 0; i++) {
        const struct room *room = &chat->rooms.list[i];
        _cleanup_free_ char *name = NULL;

        if (is_first_shown(chat, room) != first)
            continue;
        name = visible(room->name);
        chat_note(chat, "%s%s: %llu unread", name,
                  strcmp(room->name, chat->room) == 0 ? " (you are here)" : "",
                  (unsigned long long)room->unread);
        lines--;
    }
    return lines;
}

static void list_rooms(struct chat *chat)
{
    size_t lines = list_some_rooms(chat, true, LIST_ROOMS_MAX);

    list_some_rooms(chat, false, lines);
    if (chat->rooms.count > LIST_ROOMS_MAX)
        chat_note(chat, "and %zu more; all are shown by: ringchatctl rooms",
                  chat->rooms.count - LIST_ROOMS_MAX);
}

static void run_room(struct chat *chat, const char *argument)
{
    struct room *room;

    if (!*argument) {
        list_rooms(chat);
        return;
    }
    if (strlen(argument) > ROOM_BYTES_MAX) {
        chat_note(chat, "the name of a room has at most %d bytes", ROOM_BYTES_MAX);
        return;
    }
    room = rooms_get(&chat->rooms, argument);
    if (!room || strcmp(chat->room, argument) == 0)
        return;
    free(chat->room);
    chat->room = strdup(argument);
    chat_note(chat, "room %s", argument);
    chat_enter_room(chat);
}

static void run_history(struct chat *chat, const char *argument)
{
    int64_t lines = *argument ? parse_count(argument, 1) : HISTORY_LINES;

    if (lines < 0) {
        chat_note(chat, "/history takes a number of messages, not \"%s\"", argument);
        return;
    }
    /* Asked for, so shown although they have been. */
    memset(chat->shown, 0, sizeof(chat->shown));
    chat_fetch(chat, (uint64_t)lines);
}

/* ---- chat itself ---- */

static void run_help(struct chat *chat, const char *argument);

static void run_quit(struct chat *chat, const char *argument)
{
    (void)argument;
    line_end(chat->line);
}

static const struct command commands[] = {
    {"/members", "@MEMBERS", "", WORDS_NONE, "who is in the ring, in its order", run_members},
    {"/list", "@LIST", "", WORDS_NONE, "the same, asked of the ring anew", run_list},
    {"/ring", NULL, "", WORDS_NONE, "the ring as a picture", run_ring},
    {"/elect", "@LIDER", "[NODE]", WORDS_NODE, "make NODE, or this host, the leader", run_elect},
    {"/room", NULL, "[ROOM]", WORDS_ROOM, "go to a room; without ROOM: all, and what is unread",
     run_room},
    {"/history", NULL, "[N]", WORDS_NUMBER, "the last N messages of this room", run_history},
    {"/leave", NULL, "", WORDS_NONE, "this host leaves the ring, its daemon stays", run_leave},
    {"/join", NULL, "", WORDS_NONE, "come back after /leave", run_join},
    {"/help", "@HELP", "", WORDS_NONE, "show this", run_help},
    {"/quit", NULL, "", WORDS_NONE, "end chat (so does ^D); the host stays in the ring", run_quit},
    {"/fim", "FIM", "", WORDS_NONE, "this host leaves the ring if you may do that; end chat",
     run_goodbye},
};

static void run_help(struct chat *chat, const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < ELEMENTS(commands); i++) {
        const struct command *command = &commands[i];

        chat_note(chat, "%s%s%s%s%s: %s", command->name, *command->argument ? " " : "",
                  command->argument, command->original ? ", " : "",
                  command->original ? command->original : "", command->help);
    }
    chat_note(chat, "what begins with two slashes is a message that begins with one; a paste of "
                    "several lines is one message; tab completes");
}

static const struct command *find_command(const char *word, size_t size)
{
    for (size_t i = 0; i < ELEMENTS(commands); i++) {
        const struct command *command = &commands[i];

        if ((strlen(command->name) == size && strncmp(command->name, word, size) == 0) ||
            (command->original && strlen(command->original) == size &&
             strncmp(command->original, word, size) == 0))
            return command;
    }
    return NULL;
}

static void take_command(struct chat *chat, const char *text, bool must_be)
{
    size_t size = strcspn(text, " ");
    const struct command *command = find_command(text, size);
    const char *argument = text + size + strspn(text + size, " ");
    _cleanup_free_ char *trimmed = strdup(argument);

    for (size_t end = trimmed ? strlen(trimmed) : 0; end > 0 && trimmed[end - 1] == ' '; end--)
        trimmed[end - 1] = '\0';
    if (command && trimmed && (!*trimmed || *command->argument))
        command->run(chat, trimmed);
    else if (command && must_be)
        chat_note(chat, "%s takes nothing", command->name);
    else if (must_be)
        chat_note(chat,
                  "there is no command %.*s; see /help, or write //... for a message that "
                  "begins with a slash",
                  (int)size, text);
    else
        chat_send(chat, text);
}

void chat_take_line(struct chat *chat, const char *text)
{
    bool original = *text == '@' || strcmp(text, "FIM") == 0;

    if (text[strspn(text, " \t\n")] == '\0')
        return;
    if (strncmp(text, "//", 2) == 0)
        chat_send(chat, text + 1);
    else if (*text == '/' && !strchr(text, '\n'))
        take_command(chat, text, true);
    else if (original && find_command(text, strcspn(text, " ")))
        take_command(chat, text, false);
    else
        chat_send(chat, text);
}

/* ---- completion ---- */

typedef void (*add_word)(void *list, const char *word);

static bool begins(const char *text, const char *begin)
{
    return strncasecmp(text, begin, strlen(begin)) == 0;
}

static void complete_commands(const char *word, add_word add, void *list)
{
    for (size_t i = 0; i < ELEMENTS(commands); i++) {
        if (begins(commands[i].name, word))
            add(list, commands[i].name);
        if (commands[i].original && strncmp(commands[i].original, word, strlen(word)) == 0)
            add(list, commands[i].original);
    }
}

/* Names as they are written to speak to somebody: with "@" where it was typed, with a colon at the
 * beginning of a message. */
static void complete_names(struct chat *chat, const char *word, const char *after, add_word add,
                           void *list)
{
    const char *at = *word == '@' ? "@" : "";

    json_object_object_foreach (chat->names, name, value) {
        _cleanup_free_ char *shown = visible(name), *whole = NULL;

        (void)value;
        if (!begins(shown, word + strlen(at)) || asprintf(&whole, "%s%s%s", at, shown, after) < 0)
            whole = NULL;
        if (whole)
            add(list, whole);
    }
}

/* A name that would have to be made visible cannot be typed, and is not offered. */
static void complete_rooms(struct chat *chat, const char *word, add_word add, void *list)
{
    for (size_t i = 0; i < chat->rooms.count; i++) {
        const char *name = chat->rooms.list[i].name;
        _cleanup_free_ char *shown = visible(name);

        if (begins(name, word) && strcmp(shown, name) == 0)
            add(list, name);
    }
}

void chat_complete(struct chat *chat, const char *text, add_word add, void *list)
{
    const char *blank = strrchr(text, ' '), *word = blank ? blank + 1 : text;
    const struct command *command = blank ? find_command(text, strcspn(text, " ")) : NULL;

    if (!blank && *text && strchr("/@F", *text))
        complete_commands(word, add, list);
    if (command && command->words == WORDS_ROOM)
        complete_rooms(chat, word, add, list);
    else if (command && command->words == WORDS_NODE)
        complete_names(chat, word, "", add, list);
    else if (!command && *word && *word != '/')
        complete_names(chat, word, blank || *word == '@' ? "" : ":", add, list);
}
