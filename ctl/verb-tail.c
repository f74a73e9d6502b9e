/* ringchatctl tail */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "output.h"
#include "progress.h"
#include "verbs.h"

/* How soon a daemon that went away is looked for again. */
#define RECONNECT_MSEC 200

/* Late messages of one repair that a terminal is shown: of more there is a count. */
#define LATE_LINES_MAX 10

enum option_value { OPTION_AFTER = 256, OPTION_EVENTS };

struct tail_options {
    int64_t lines; /* -1: not given */
    bool follow, events;
    const char *after, *room;
};

struct follower {
    const struct context *context;
    struct tail_options options;
    struct message_printer printer;
    char *cursor;             /* of what was shown last; NULL: nothing yet */
    size_t late;              /* late messages since history repair was last at rest */
    struct progress progress; /* of those that are not shown */
};

/* ---- Tail ---- */

/* 0, or an exit code after a message. */
static int take_option(const char *verb, int option, struct tail_options *options)
{
    switch (option) {
    case 'n':
        options->lines = parse_count(optarg, 0);
        return options->lines < 0 ? verb_usage(verb, "-n takes a number, not \"%s\"", optarg) : 0;
    case 'f':
        options->follow = true;
        return 0;
    case 'r':
        options->room = optarg;
        return 0;
    case OPTION_AFTER:
        options->after = optarg;
        return 0;
    case OPTION_EVENTS:
        options->events = true;
        return 0;
    }
    return verb_usage(verb, "unknown option");
}

static int parse_options(int argc, char **argv, const char *short_options,
                         const struct option *long_options, struct tail_options *ret)
{
    int option, result = 0;

    *ret = (struct tail_options){.lines = -1};
    while (result == 0 &&
           (option = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0)
        result = take_option(argv[0], option, ret);
    if (result == 0 && optind < argc)
        return verb_usage(argv[0], "no arguments are expected");
    return result;
}

static int parse_tail_options(int argc, char **argv, struct tail_options *ret)
{
    static const struct option long_options[] = {
        {"lines", required_argument, NULL, 'n'},
        {"follow", no_argument, NULL, 'f'},
        {"room", required_argument, NULL, 'r'},
        {"after", required_argument, NULL, OPTION_AFTER},
        {"events", no_argument, NULL, OPTION_EVENTS},
        {NULL, 0, NULL, 0},
    };

    return parse_options(argc, argv, "n:fr:", long_options, ret);
}

/* For people who watch: a large repair is one line for them. */
static bool is_watched(const struct follower *follower)
{
    return follower->options.follow && follower->context->terminal && !follower->context->json;
}

static struct json_object *tail_parameters(const struct follower *follower)
{
    const struct tail_options *options = &follower->options;
    const char *after = follower->cursor ? follower->cursor : options->after;
    struct json_object *object = json_object_new_object();

    if (after)
        json_object_object_add(object, "after", json_object_new_string(after));
    else if (options->lines >= 0)
        json_object_object_add(object, "lines", json_object_new_int64(options->lines));
    if (options->follow)
        json_object_object_add(object, "follow", json_object_new_boolean(true));
    if (options->room)
        json_object_object_add(object, "room", json_object_new_string(options->room));
    if (options->events || is_watched(follower))
        json_object_object_add(object, "events", json_object_new_boolean(true));
    return object;
}

/* The message with what is this tail's own behind its fields. */
static void print_json_message(const struct context *context, struct json_object *reply,
                               struct json_object *message)
{
    json_object_object_add(message, "late", json_object_new_boolean(field_flag(reply, "late")));
    json_object_object_add(message, "cursor", json_object_new_string(field_text(reply, "cursor")));
    print_json(context, message);
}

/* Whether the message belongs to a flood of late ones, which is counted at the screen's end. */
static bool is_hidden(struct follower *follower, bool late)
{
    if (!late || !is_watched(follower))
        return false;
    if (follower->late == 0)
        progress_begin(&follower->progress, follower->context,
                       "older messages so far, by history repair");
    if (++follower->late <= LATE_LINES_MAX)
        return false;
    progress_show(&follower->progress, follower->late, 0, 0);
    return true;
}

/* Where events were not asked for, of a flood alone is told. */
static bool wants_event(struct follower *follower, struct json_object *event)
{
    bool repaired = strcmp(field_text(event, "event"), "repaired") == 0;
    bool flood = repaired && follower->late > LATE_LINES_MAX;

    if (repaired)
        follower->late = 0;
    return flood || follower->options.events;
}

static void show(struct follower *follower, struct json_object *reply)
{
    const struct context *context = follower->context;
    struct json_object *message = field(reply, "message"), *event = field(reply, "event");
    const char *cursor = field_text(reply, "cursor");

    if (*cursor) {
        free(follower->cursor);
        follower->cursor = strdup(cursor);
    }
    if (message && is_hidden(follower, field_flag(reply, "late")))
        return;
    progress_clear(&follower->progress);
    if (message && context->json)
        print_json_message(context, reply, message);
    else if (message)
        print_message(context, &follower->printer, message, field_flag(reply, "late"));
    else if (event && context->json)
        print_json(context, event);
    else if (event && wants_event(follower, event))
        print_event(context, &follower->printer, event);
}

/* Shows what comes over one connection. 0: the tail is at its end; -ECONNRESET: the daemon went
 * away; above 0: an exit code after a message. */
static int show_all(struct follower *follower, struct client *client)
{
    struct varlink_reply reply;
    bool continues = true;
    int result = client_call(client, VARLINK_INTERFACE ".Tail", tail_parameters(follower), true);

    while (result == 0 && continues) {
        result = client_reply(client, &reply);
        if (result < 0)
            break;
        continues = reply.continues;
        if (reply.error)
            result = context_error(follower->context, &reply);
        else
            show(follower, reply.parameters);
        varlink_reply_done(&reply);
        if (ferror(stdout))
            return EXIT_FAILED;
    }
    return result < 0 ? -ECONNRESET : result;
}

static void wait_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = RECONNECT_MSEC * 1000000L}, NULL);
}

/* -f: waits for a daemon that is down, and goes on behind what was shown. */
static int follow(struct follower *follower)
{
    struct waiting waiting = {0};
    const char *text;

    for (;;) {
        _cleanup_(client_freep) struct client *client = NULL;
        int result;

        names_ask(&follower->printer.names, follower->context);
        result = context_try_connect(follower->context, &client);
        if (result == -EACCES || result == -EPERM || result == -ENAMETOOLONG)
            return context_unreachable(follower->context, result);
        if (result == 0) {
            waiting = (struct waiting){0};
            result = show_all(follower, client);
            if (result != -ECONNRESET)
                return result;
        }
        text = context_waiting(follower->context, &waiting);
        if (text && !follower->context->quiet)
            fprintf(stderr, "ringchatctl: %s\n", text);
        wait_a_moment();
    }
}

static int show_once(struct follower *follower)
{
    _cleanup_(client_freep) struct client *client = NULL;
    const struct context *context = follower->context;
    int result;

    names_ask(&follower->printer.names, context);
    result = context_connect(context, &client);
    if (result == 0)
        result = show_all(follower, client);
    if (result < 0)
        return context_unreachable(context, result);
    if (result == 0 && context->terminal && !context->quiet && !context->json)
        fprintf(stderr, "%s(-f follows)%s\n", context->colour_stderr ? "\033[2m" : "",
                context->colour_stderr ? "\033[0m" : "");
    return result;
}

int verb_tail(struct context *context, int argc, char **argv)
{
    struct follower follower = {.context = context};
    int result = parse_tail_options(argc, argv, &follower.options);

    if (result == 0)
        result = follower.options.follow ? follow(&follower) : show_once(&follower);
    names_done(&follower.printer.names);
    free(follower.cursor);
    return result;
}
