#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/text.h"
#include "common/time-format.h"
#include "common/util.h"
#include "wrap.h"

/* Where there is no terminal: as most have it. */
#define COLUMNS_DEFAULT 80

/* Of "  Warning" and its like. */
#define LABEL_COLUMNS 9

void write_json(const struct context *context, struct json_object *object)
{
    int flags = context->json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                             : JSON_C_TO_STRING_PLAIN;

    size_t size;
    const char *text =
        json_object_to_json_string_length(object, flags | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

    text_put_json(stdout, text, size);
    putchar('\n');
}

void print_json(const struct context *context, struct json_object *object)
{
    write_json(context, object);
    fflush(stdout);
}

char *visible(const char *text)
{
    char *shown = text_visible(text, strlen(text), NULL);

    return shown ? shown : strdup("?");
}

void print_visible(const char *text)
{
    _cleanup_free_ char *shown = visible(text);

    fputs(shown ? shown : "?", stdout);
}

void complain_visible(const char *format, va_list arguments)
{
    _cleanup_free_ char *text = NULL, *shown = NULL;

    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    shown = text ? visible(text) : NULL;
    fputs(shown ? shown : format, stderr);
}

const char *dim(const struct context *context)
{
    return context->colour ? "\033[2m" : "";
}

const char *bold(const struct context *context)
{
    return context->colour ? "\033[1m" : "";
}

const char *warning_colour(const struct context *context)
{
    return context->colour ? "\033[1;33m" : "";
}

size_t terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : COLUMNS_DEFAULT;
}

const char *plain(const struct context *context)
{
    return context->colour ? "\033[0m" : "";
}

void print_labelled(const struct context *context, const char *label, const char *text)
{
    struct wrapping at = wrap_begin(LABEL_COLUMNS + 2, terminal_columns());
    _cleanup_free_ char *shown = visible(text);

    printf("%*s: ", LABEL_COLUMNS, label);
    if (context->terminal)
        wrap_print(&at, shown);
    else
        fputs(shown, stdout);
}

void print_warnings(const struct context *context, struct json_object *warnings)
{
    /* An older daemon says nothing of them with its members. */
    if (context->no_legend || !warnings)
        return;
    for (size_t i = 0; i < json_object_array_length(warnings); i++) {
        const char *warning = json_object_get_string(json_object_array_get_idx(warnings, i));

        fputs(bold(context), stdout);
        print_labelled(context, "Warning", warning);
        printf("%s\n", plain(context));
    }
}

static void print_date(const struct context *context, struct message_printer *printer,
                       uint64_t time)
{
    char date[TIME_TEXT_MAX];

    if (printer->begun && time_same_day(printer->last_sent, time))
        return;
    printer->begun = true;
    printer->last_sent = time;
    if (context->no_legend)
        return;
    time_format_date(time, date);
    printf("%s-- %s --%s\n", dim(context), date, plain(context));
}

void print_message(const struct context *context, struct message_printer *printer,
                   struct json_object *message, bool late)
{
    struct json_object *value = field(message, "text");
    _cleanup_free_ char *text =
        text_visible(json_object_get_string(value), (size_t)json_object_get_string_len(value),
                     "\n                   ");
    _cleanup_free_ char *user = visible(field_text(message, "user"));
    _cleanup_free_ char *node = names_show(&printer->names, message);
    _cleanup_free_ char *room = visible(field_text(message, "room"));
    uint64_t sent = field_number(message, "sent");
    bool notice = strcmp(field_text(message, "kind"), "notice") == 0;
    char clock[TIME_TEXT_MAX];

    print_date(context, printer, sent);
    time_format_clock(sent, clock);
    printf("%s%s%s %s%s@%s%s", dim(context), clock, plain(context), bold(context), user, node,
           plain(context));
    if (strcmp(room, "main") != 0)
        printf(" #%s", room);
    if (late)
        printf(" %s(late)%s", dim(context), plain(context));
    printf("  %s%s%s\n", notice ? dim(context) : "", text ? text : "?",
           notice ? plain(context) : "");
    fflush(stdout);
}

static void print_event_text(struct json_object *event)
{
    static const struct {
        const char *name, *text;
    } texts[] = {
        {"joined", "%s joined"},
        {"left", "%s left"},
        {"failed", "%s failed"},
        {"leader", "%s is the leader now"},
        {"merged", "merged with another ring led by %s"},
        {"self_left", "%s, this host, left the ring"},
    };
    _cleanup_free_ char *node = visible(field_text(event, "node"));
    const char *name = field_text(event, "event");

    if (strcmp(name, "repaired") == 0) {
        printf("history repair has brought %lld older messages",
               (long long)field_number(event, "messages"));
        return;
    }
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        const char *place = strstr(texts[i].text, "%s");

        if (strcmp(texts[i].name, name) != 0)
            continue;
        printf("%.*s%s%s", (int)(place - texts[i].text), texts[i].text, node, place + 2);
        return;
    }
    print_visible(name);
}

void print_event(const struct context *context, struct message_printer *printer,
                 struct json_object *event)
{
    uint64_t time = field_number(event, "time");
    char clock[TIME_TEXT_MAX];

    print_date(context, printer, time);
    time_format_clock(time, clock);
    printf("%s%s -- ", dim(context), clock);
    print_event_text(event);
    printf("%s\n", plain(context));
    fflush(stdout);
}
