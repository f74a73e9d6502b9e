/* chat: what is printed above the line. */

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"
#include "common/text.h"
#include "common/time-format.h"
#include "common/util.h"
#include "wrap.h"

/* Below this a line has no place for seconds and the name of the host. */
#define NARROW_COLUMNS 60

/* Own messages on their way that are shown; of more there is a count. */
#define OUTGOING_SHOWN 3

/* ---- lines ---- */

/* Prints text that begins at a column of its line, with `state` behind it. */
static void print_wrapped(const struct context *context, const char *text, size_t column,
                          const char *state)
{
    struct wrapping at = wrap_begin(column, line_columns());

    wrap_print(&at, text);
    if (!*state)
        return;
    if (at.column + text_columns(state) + 3 > at.columns)
        wrap_new_line(&at);
    else
        putchar(' ');
    printf("%s%s(%s)", plain(context), dim(context), state);
}

void chat_note(struct chat *chat, const char *format, ...)
{
    const struct context *context = chat->context;
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    line_hide(chat->line);
    printf("%s-- ", dim(context));
    print_wrapped(context, text ? text : "?", 3, "");
    printf("%s\n", plain(context));
    fflush(stdout);
}

void chat_note_waiting(struct chat *chat)
{
    const char *text = context_waiting(chat->context, &chat->waiting);

    if (text)
        chat_note(chat, "%s", text);
}

static void show_date(struct chat *chat, uint64_t time)
{
    char date[TIME_TEXT_MAX];

    if (chat->printer.begun && time_same_day(chat->printer.last_sent, time))
        return;
    chat->printer.begun = true;
    chat->printer.last_sent = time;
    time_format_date(time, date);
    if (!chat->context->no_legend)
        chat_note(chat, "%s --", date);
}

/* ---- messages ---- */

static bool is_word_at(const char *text, const char *at, size_t size)
{
    bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
    bool ends = !(isalnum((unsigned char)at[size]) || at[size] == '_');

    return begins && ends;
}

static bool has_word(const char *text, const char *word)
{
    for (const char *at = text; *word && (at = strcasestr(at, word)); at++) {
        if (is_word_at(text, at, strlen(word)))
            return true;
    }
    return false;
}

bool chat_is_mention(const char *text, const char *user, const char *node)
{
    return has_word(text, user) || has_word(text, node);
}

/* "10:32:07 alice@host1 #ops (late)  "; on a narrow terminal "10:32 alice  ". To be freed. */
static char *head_of(struct chat *chat, struct json_object *message, bool late)
{
    _cleanup_free_ char *user = visible(field_text(message, "user"));
    _cleanup_free_ char *node = names_show(&chat->printer.names, message);
    _cleanup_free_ char *room = visible(field_text(message, "room"));
    bool narrow = line_columns() < NARROW_COLUMNS;
    bool elsewhere = strcmp(field_text(message, "room"), chat->room) != 0;
    char clock[TIME_TEXT_MAX], *head;

    time_format_clock(field_number(message, "sent"), clock);
    if (narrow)
        clock[strlen("10:32")] = '\0';
    if (asprintf(&head, "%s %s%s%s%s%s%s  ", clock, user, narrow ? "" : "@", narrow ? "" : node,
                 elsewhere ? " #" : "", elsewhere ? room : "", late ? " (late)" : "") < 0)
        return NULL;
    return head;
}

/* Begins the colours of a message: who is spoken to hears a bell. */
static void begin_message(const struct chat *chat, struct json_object *message, const char *text)
{
    bool own = strcmp(field_text(message, "user"), chat->user) == 0 &&
               strcmp(field_text(message, "node"), chat->node) == 0;

    if (strcmp(field_text(message, "kind"), "notice") == 0) {
        fputs(dim(chat->context), stdout);
    } else if (!own && chat_is_mention(text, chat->user, chat->node)) {
        putchar('\a');
        fputs(bold(chat->context), stdout);
    }
}

void chat_show_message(struct chat *chat, struct json_object *message, bool late, const char *state)
{
    const struct context *context = chat->context;
    struct json_object *value = field(message, "text");
    _cleanup_free_ char *text = text_visible(json_object_get_string(value),
                                             (size_t)json_object_get_string_len(value), "\n");
    _cleanup_free_ char *head = head_of(chat, message, late);

    if (!text || !head)
        return;
    show_date(chat, field_number(message, "sent"));
    line_hide(chat->line);
    printf("%s%s%s", dim(context), head, plain(context));
    begin_message(chat, message, text);
    print_wrapped(context, text, text_columns(head), state);
    printf("%s\n", plain(context));
    fflush(stdout);
}

/* ---- events and members ---- */

static void show_counted(struct chat *chat, const char *clock, const char *format, const char *node,
                         uint64_t members)
{
    _cleanup_free_ char *what = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (asprintf(&what, format, node) < 0)
        what = NULL;
#pragma GCC diagnostic pop
    chat_note(chat, "%s %s; %llu member%s", clock, what ? what : "?", (unsigned long long)members,
              members == 1 ? "" : "s");
}

void chat_show_event(struct chat *chat, struct json_object *event)
{
    _cleanup_free_ char *node = visible(field_text(event, "node"));
    const char *name = field_text(event, "event");
    uint64_t time = field_number(event, "time"), members = field_number(event, "members");
    char clock[TIME_TEXT_MAX];

    show_date(chat, time);
    time_format_clock(time, clock);
    if (strcmp(name, "joined") == 0)
        show_counted(chat, clock, "%s joined", node, members);
    else if (strcmp(name, "left") == 0)
        show_counted(chat, clock, "%s left", node, members);
    else if (strcmp(name, "failed") == 0)
        show_counted(chat, clock, "%s failed", node, members);
    else if (strcmp(name, "leader") == 0)
        chat_note(chat, "%s %s is the leader now", clock, node);
    else if (strcmp(name, "merged") == 0)
        chat_note(chat, "%s merged with the ring of %s", clock, node);
    else if (strcmp(name, "self_left") == 0)
        chat_note(chat, "%s this host has left the ring; /join comes back", clock);
    else if (strcmp(name, "repaired") == 0)
        chat_note(chat, "%s the repair of the history brought %llu messages", clock,
                  (unsigned long long)field_number(event, "messages"));
    else if (strcmp(name, "lost") == 0)
        chat_note(chat, "%s %llu events are not shown", clock,
                  (unsigned long long)field_number(event, "lost"));
}

static void show_member(struct chat *chat, struct json_object *member)
{
    _cleanup_free_ char *name = visible(field_text(member, "name"));
    _cleanup_free_ char *address = visible(field_text(member, "address"));
    char hop[TIME_TEXT_MAX] = "not measured yet";

    if (field_number(member, "hop_usec"))
        time_format_span(field_number(member, "hop_usec"), hop);
    chat_note(chat, "%2llu %s%s%s, %s, next hop %s",
              (unsigned long long)field_number(member, "position"), name,
              field_flag(member, "leader") ? ", leader" : "",
              field_flag(member, "self") ? ", this host" : "", address, hop);
}

void chat_show_members(struct chat *chat, struct json_object *reply, bool long_form)
{
    struct json_object *members = field(reply, "members");
    size_t count = json_object_array_length(members), size;
    _cleanup_free_ char *names = NULL;
    FILE *list = open_memstream(&names, &size);

    if (!list)
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_object *member = json_object_array_get_idx(members, i);
        _cleanup_free_ char *name = visible(field_text(member, "name"));

        if (long_form)
            show_member(chat, member);
        fprintf(list, "%s%s%s", i ? ", " : "", name,
                field_flag(member, "leader") ? " (leader)" : "");
    }
    fclose(list);
    if (!long_form)
        chat_note(chat, "%zu member%s: %s", count, count == 1 ? "" : "s", names);
}

void chat_list_words(struct chat *chat, size_t count, char *const *words)
{
    size_t columns = line_columns(), column = 0;

    printf("%s", dim(chat->context));
    for (size_t i = 0; i < count; i++) {
        size_t width = text_columns(words[i]) + 2;

        if (column > 0 && column + width > columns) {
            putchar('\n');
            column = 0;
        }
        printf("%s  ", words[i]);
        column += width;
    }
    printf("%s\n", plain(chat->context));
}

/* ---- the line itself ---- */

/* As much of the first line of the text as fits `columns`. */
static void put_beginning(FILE *to, const char *text, size_t columns)
{
    size_t used = 0;

    while (*text && *text != '\n') {
        size_t width, size = wrap_character_size(text, &width);

        if (used + width > columns)
            return;
        fwrite(text, 1, size, to);
        used += width;
        text += size;
    }
}

static const char *state_of(const struct chat *chat, const struct outgoing *message)
{
    if (message->late)
        return "late, kept here";
    return chat->online ? "sending" : "waiting";
}

static void set_above(struct chat *chat)
{
    _cleanup_free_ char *lines = NULL;
    size_t size, count = 0;
    FILE *to = open_memstream(&lines, &size);

    if (!to)
        return;
    if (chat->late > LATE_MESSAGES_MAX)
        fprintf(to, "   (history repair: %llu older messages so far)\n",
                (unsigned long long)chat->late);
    for (const struct outgoing *message = chat->first; message; message = message->next) {
        _cleanup_free_ char *text = visible(message->text);
        const char *state = state_of(chat, message);

        if (message->shown || ++count > OUTGOING_SHOWN)
            continue;
        fprintf(to, "   (%s) ", state);
        put_beginning(to, text, line_columns() - MIN(line_columns(), strlen(state) + 8));
        fputc('\n', to);
    }
    if (count > OUTGOING_SHOWN)
        fprintf(to, "   and %zu more\n", count - OUTGOING_SHOWN);
    fclose(to);
    line_set_above(chat->line, lines);
}

void chat_update_line(struct chat *chat)
{
    uint64_t unread = rooms_unread(&chat->rooms, chat->room);
    _cleanup_free_ char *room = visible(chat->room), *prompt = NULL;
    char count[32] = "";

    if (unread > 0)
        snprintf(count, sizeof(count), " +%llu", (unsigned long long)unread);
    if (asprintf(&prompt, "%s%s%s> ", room, count, chat->online ? "" : " (offline)") < 0) {
        prompt = NULL;
        return;
    }
    line_hide(chat->line);
    line_set_prompt(chat->line, prompt);
    set_above(chat);
}
