/* ringchatctl chat: the loop, the connections, and what is shown on entering. */

#include "chat.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"
#include "state-file.h"
#include "verbs.h"

/* How soon a daemon that went away is looked for again. */
#define RECONNECT_MSEC 200

/* How often a message that waits for its answer is looked at. */
#define HELD_MSEC 100

/* How often the count of what history repair brings is drawn. */
#define LATE_DRAW_USEC (200 * USEC_PER_MSEC)

uint64_t chat_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

void chat_call(struct chat *chat, const char *method, struct json_object *parameters, bool more,
               channel_handler handler)
{
    if (!chat->online)
        chat_note(chat, "ringchatd is not running; start it with: systemctl start ringchatd");
    channel_call(&chat->commands, method, parameters, more, handler, NULL);
}

static void learn_name(struct chat *chat, const char *name)
{
    if (*name && !field(chat->names, name))
        json_object_object_add(chat->names, name, json_object_new_boolean(true));
}

static void learn_members(struct chat *chat, struct json_object *reply)
{
    struct json_object *members = field(reply, "members");

    for (size_t i = 0; i < json_object_array_length(members); i++)
        learn_name(chat, field_text(json_object_array_get_idx(members, i), "name"));
    names_learn(&chat->printer.names, reply);
}

/* ---- messages ---- */

static bool was_shown(const struct chat *chat, const char *id)
{
    for (size_t i = 0; i < SHOWN_MAX; i++) {
        if (strcmp(chat->shown[i], id) == 0)
            return true;
    }
    return false;
}

void chat_take_message(struct chat *chat, struct json_object *message, bool late, const char *state)
{
    const char *id = field_text(message, "id");
    struct room *room = rooms_get(&chat->rooms, field_text(message, "room"));
    bool here = strcmp(field_text(message, "room"), chat->room) == 0;

    if (was_shown(chat, id))
        return;
    learn_name(chat, field_text(message, "user"));
    if (here || *state || chat_is_mention(field_text(message, "text"), chat->user, chat->node)) {
        snprintf(chat->shown[chat->shown_next], ID_TEXT_MAX, "%s", id);
        chat->shown_next = (chat->shown_next + 1) % SHOWN_MAX;
        chat_show_message(chat, message, late, state);
    }
    if (!here && room) {
        room->unread++;
        chat_update_line(chat);
    }
}

void chat_take_other(struct chat *chat, struct json_object *reply)
{
    bool late = field_flag(reply, "late");

    chat->late += late;
    if (!late || chat->late <= LATE_MESSAGES_MAX) {
        chat_take_message(chat, field(reply, "message"), late, "");
        return;
    }
    if (chat_now() < chat->late_drawn + LATE_DRAW_USEC)
        return;
    chat->late_drawn = chat_now();
    chat_update_line(chat);
}

static void take_end_of_missed(struct chat *chat)
{
    if (!chat->caught_up && chat->missed > 0)
        chat_note(chat, "so far what was missed: %llu message%s", (unsigned long long)chat->missed,
                  chat->missed == 1 ? "" : "s");
    chat->caught_up = true;
}

static void follow(struct chat *chat);

/* The history that the cursor is of is gone: the last messages, and on from there. */
static void follow_anew(struct chat *chat)
{
    chat_note(chat, "the history of this host was rebuilt; these are its last messages");
    free(chat->rooms.cursor);
    chat->rooms.cursor = NULL;
    follow(chat);
}

static void end_with_error(struct chat *chat, const struct varlink_reply *reply)
{
    _cleanup_free_ char *sentence = error_sentence(reply->error, reply->parameters);

    chat_note(chat, "%s", sentence ? sentence : reply->error);
    chat->exit_code = EXIT_FAILED;
    line_end(chat->line);
}

/* Names that became ambiguous are shown in another way from now on. */
static void on_names(void *userdata, void *context, const struct varlink_reply *reply)
{
    (void)context;
    if (!reply->error)
        learn_members(userdata, reply->parameters);
}

static void take_event(struct chat *chat, struct json_object *event)
{
    chat_show_event(chat, event);
    if (strcmp(field_text(event, "event"), "repaired") == 0) {
        chat->late = 0;
        chat_update_line(chat);
    }
    if (strcmp(field_text(event, "event"), "joined") == 0)
        channel_call(&chat->commands, VARLINK_INTERFACE ".Members", NULL, false, on_names, NULL);
}

static void on_tail(void *userdata, void *context, const struct varlink_reply *reply)
{
    struct json_object *event = field(reply->parameters, "event");
    struct chat *chat = userdata;

    (void)context;
    if (reply->error && strcmp(reply->error, VARLINK_INTERFACE ".CursorStale") == 0 &&
        chat->rooms.cursor) {
        follow_anew(chat);
        return;
    }
    if (reply->error) {
        end_with_error(chat, reply);
        return;
    }
    if (*field_text(reply->parameters, "cursor"))
        rooms_set_cursor(&chat->rooms, field_text(reply->parameters, "cursor"));
    if (event) {
        take_event(chat, event);
    } else if (field(reply->parameters, "message")) {
        chat->missed += !chat->caught_up;
        chat_take_own(chat, reply->parameters);
    } else {
        take_end_of_missed(chat);
    }
}

static bool tail_waits(void *userdata)
{
    const struct chat *chat = userdata;

    return chat->held || chat->fetching;
}

/* ---- old messages ---- */

/* Shows what was fetched, with a line before what is unread. */
static void show_fetched(struct chat *chat)
{
    size_t count = json_object_array_length(chat->fetched);

    for (size_t i = 0; i < count; i++) {
        struct json_object *reply = json_object_array_get_idx(chat->fetched, i);

        if (chat->unread > 0 && count - i == chat->unread)
            chat_note(chat, "unread:");
        chat_take_message(chat, field(reply, "message"), field_flag(reply, "late"), "");
    }
    json_object_put(chat->fetched);
    chat->fetched = NULL;
    chat->unread = 0;
}

static void on_fetched(void *userdata, void *context, const struct varlink_reply *reply)
{
    struct chat *chat = userdata;

    (void)context;
    if (!chat->fetched)
        chat->fetched = json_object_new_array();
    if (field(reply->parameters, "message"))
        json_object_array_add(chat->fetched, json_object_get(reply->parameters));
    if (reply->continues)
        return;
    chat->fetching = false;
    show_fetched(chat);
}

void chat_fetch(struct chat *chat, uint64_t lines)
{
    struct json_object *parameters = json_object_new_object();

    json_object_object_add(parameters, "lines", json_object_new_int64((int64_t)lines));
    json_object_object_add(parameters, "room", json_object_new_string(chat->room));
    chat->fetching = chat->online;
    chat_call(chat, VARLINK_INTERFACE ".Tail", parameters, true, on_fetched);
}

void chat_enter_room(struct chat *chat)
{
    struct room *room = rooms_get(&chat->rooms, chat->room);
    uint64_t unread = room ? room->unread : 0;
    uint64_t lines =
        MIN(MAX(unread + ENTER_CONTEXT, (uint64_t)ENTER_MESSAGES), (uint64_t)ENTER_MESSAGES_MAX);

    if (unread > lines)
        chat_note(chat, "%llu messages are unread; these are the last %llu",
                  (unsigned long long)unread, (unsigned long long)lines);
    chat->unread = unread > lines ? 0 : unread;
    if (room)
        room->unread = 0;
    chat_fetch(chat, lines);
    chat_update_line(chat);
}

/* ---- the connections ---- */

static void on_here(void *userdata, void *context, const struct varlink_reply *reply)
{
    (void)context;
    if (reply->error)
        return;
    learn_members(userdata, reply->parameters);
    chat_show_members(userdata, reply->parameters, false);
}

static void follow(struct chat *chat)
{
    struct json_object *parameters = json_object_new_object();

    if (chat->rooms.cursor)
        json_object_object_add(parameters, "after", json_object_new_string(chat->rooms.cursor));
    json_object_object_add(parameters, "follow", json_object_new_boolean(true));
    json_object_object_add(parameters, "events", json_object_new_boolean(true));
    channel_call(&chat->tail, VARLINK_INTERFACE ".Tail", parameters, true, on_tail, NULL);
}

/* Whether all three connections could be made. */
static bool try_connect(struct chat *chat)
{
    struct channel *const channels[] = {&chat->tail, &chat->sends, &chat->commands};
    struct client *clients[ELEMENTS(channels)] = {NULL};
    size_t made = 0;

    while (made < ELEMENTS(channels) && context_try_connect(chat->context, &clients[made]) == 0)
        made++;
    for (size_t i = 0; i < ELEMENTS(channels); i++) {
        if (made == ELEMENTS(channels))
            channel_open(channels[i], clients[i], chat);
        else
            client_free(clients[i]);
    }
    chat->online = made == ELEMENTS(channels);
    return chat->online;
}

static void go_offline(struct chat *chat)
{
    channel_close(&chat->tail);
    channel_close(&chat->sends);
    channel_close(&chat->commands);
    chat->online = chat->fetching = false;
    json_object_put(chat->fetched);
    chat->fetched = NULL;
    chat_release_held(chat, true);
    chat_note_waiting(chat);
    chat_update_line(chat);
}

static void come_back(struct chat *chat)
{
    if (!try_connect(chat)) {
        chat_note_waiting(chat);
        return;
    }
    chat_note(chat, "connected again");
    chat->waiting = (struct waiting){0};
    chat->caught_up = false;
    chat->missed = chat->late = 0;
    channel_call(&chat->commands, VARLINK_INTERFACE ".Members", NULL, false, on_here, NULL);
    follow(chat);
    chat_send_again(chat);
    chat_update_line(chat);
}

static bool wait_for_key(void *userdata, int fd)
{
    struct chat *chat = userdata;
    struct pollfd fds[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = chat->online ? client_fd(chat->sends.client) : -1, .events = POLLIN},
        {.fd = chat->online ? client_fd(chat->commands.client) : -1, .events = POLLIN},
        {.fd = chat->online && !tail_waits(chat) ? client_fd(chat->tail.client) : -1,
         .events = POLLIN},
    };
    int timeout = chat->online ? (chat->held ? HELD_MSEC : -1) : RECONNECT_MSEC;

    line_show(chat->line);
    if (poll(fds, ELEMENTS(fds), timeout) < 0)
        return false;
    if (chat->online &&
        (channel_take(&chat->sends, NULL) < 0 || channel_take(&chat->commands, NULL) < 0 ||
         channel_take(&chat->tail, tail_waits) < 0))
        go_offline(chat);
    else if (!chat->online)
        come_back(chat);
    chat_release_held(chat, false);
    line_show(chat->line);
    return fds[0].revents != 0;
}

/* ---- entering and leaving ---- */

static void complete_line(void *userdata, const char *text,
                          void (*add)(void *list, const char *word), void *list)
{
    chat_complete(userdata, text, add, list);
}

static void list_words(void *userdata, size_t count, char *const *words)
{
    chat_list_words(userdata, count, words);
}

/* The name under which the daemon knows the caller, most likely. */
static char *own_name(void)
{
    const struct passwd *entry = getpwuid(getuid());
    char *name;

    if (entry)
        return strdup(entry->pw_name);
    return asprintf(&name, "%u", getuid()) < 0 ? NULL : name;
}

/* What must be known before the line is taken over. 0, or an exit code after a message. */
static int ask_daemon(struct chat *chat)
{
    struct varlink_reply reply;
    int result = context_call(chat->context, VARLINK_INTERFACE ".Status", NULL, &reply);

    if (result != 0)
        return result;
    chat->node = strdup(field_text(field(reply.parameters, "status"), "name"));
    chat->node_id = strdup(field_text(field(reply.parameters, "status"), "id"));
    varlink_reply_done(&reply);
    chat->user = own_name();
    chat->names = json_object_new_object();
    if (!chat->node || !chat->node_id || !chat->user || !chat->names || !chat->room)
        return complain(EXIT_FAILED, "out of memory");
    rooms_load(&chat->rooms, chat->node_id);
    rooms_get(&chat->rooms, "main");
    rooms_get(&chat->rooms, chat->room);
    result = rooms_catch_up(chat->context, &chat->rooms, NULL);
    return result ? result : rooms_fetch(chat->context, &chat->rooms);
}

static void note_other_rooms(struct chat *chat)
{
    for (size_t i = 0; i < chat->rooms.count; i++) {
        const struct room *room = &chat->rooms.list[i];
        _cleanup_free_ char *name = visible(room->name);

        if (room->unread > 0 && strcmp(room->name, chat->room) != 0)
            chat_note(chat, "%llu unread in %s; /room %s shows them",
                      (unsigned long long)room->unread, name, name);
    }
}

static void enter(struct chat *chat)
{
    _cleanup_free_ char *node = visible(chat->node), *room = visible(chat->room);

    chat_note(chat, "you are %s at %s, in room %s; /help shows what you can type", chat->user, node,
              room);
    note_other_rooms(chat);
    chat->caught_up = true;
    if (try_connect(chat)) {
        channel_call(&chat->commands, VARLINK_INTERFACE ".Members", NULL, false, on_here, NULL);
        chat_enter_room(chat);
        follow(chat);
    } else {
        go_offline(chat);
    }
}

/* What would be lost with the end of chat is said. */
static void note_unsent(struct chat *chat)
{
    for (const struct outgoing *message = chat->first; message; message = message->next) {
        _cleanup_free_ char *text = visible(message->text);

        if (!message->shown && !message->late)
            chat_note(chat, "not confirmed: %s", text);
    }
}

static int run_chat(struct chat *chat)
{
    _cleanup_free_ char *history = state_file("typed");
    struct line_options options = {.wait = wait_for_key,
                                   .complete = complete_line,
                                   .list = list_words,
                                   .history_path = history,
                                   .userdata = chat};
    char *text;
    int result = line_new(&options, &chat->line);

    if (result < 0)
        return complain(EXIT_FAILED, "no line editing here: %s", strerror(-result));
    enter(chat);
    while ((text = line_read(chat->line))) {
        chat_take_line(chat, text);
        free(text);
    }
    note_unsent(chat);
    rooms_save(&chat->rooms, chat->node_id);
    line_free(chat->line);
    return chat->exit_code;
}

static void chat_done(struct chat *chat)
{
    channel_close(&chat->tail);
    channel_close(&chat->sends);
    channel_close(&chat->commands);
    chat_free_outgoing(chat);
    json_object_put(chat->fetched);
    rooms_done(&chat->rooms);
    json_object_put(chat->names);
    names_done(&chat->printer.names);
    free(chat->room);
    free(chat->user);
    free(chat->node);
    free(chat->node_id);
}

int verb_chat(struct context *context, int argc, char **argv)
{
    static const struct option options[] = {{"room", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    struct chat chat = {.context = context};
    const char *room = "main";
    int result = 0;

    while (getopt_long(argc, argv, "r:", options, NULL) >= 0)
        room = optarg;
    if (optind < argc)
        return verb_usage("chat", "unexpected: \"%s\"", argv[optind]);
    if (!*room || strlen(room) > ROOM_BYTES_MAX)
        return verb_usage("chat", "the name of a room has 1 to %d bytes", ROOM_BYTES_MAX);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return verb_usage("chat", "this is no terminal; scripts use send and tail -f");
    chat.last = &chat.first;
    chat.room = strdup(room);
    channel_open(&chat.tail, NULL, &chat);
    channel_open(&chat.sends, NULL, &chat);
    channel_open(&chat.commands, NULL, &chat);
    result = ask_daemon(&chat);
    if (result == 0)
        result = run_chat(&chat);
    chat_done(&chat);
    return result;
}
