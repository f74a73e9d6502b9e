/* ringchatctl history, ringchatctl export */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/time-parse.h"
#include "common/util.h"
#include "output.h"
#include "pager.h"
#include "progress.h"
#include "verbs.h"

static uint64_t wall_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- options ---- */

static int add_time(struct json_object *parameters, const char *key, int option)
{
    uint64_t usec;

    if (time_parse(optarg, wall_usec(), &usec) < 0)
        return verb_usage("history",
                          "-%c takes a time such as yesterday, -1h or \"2026-11-23 10:00\", not "
                          "\"%s\"",
                          option, optarg);
    json_object_object_add(parameters, key, json_object_new_int64((int64_t)usec));
    return 0;
}

static int add_lines(struct json_object *parameters)
{
    int64_t lines = parse_count(optarg, 0);

    if (lines < 0)
        return verb_usage("history", "-n takes a number, not \"%s\"", optarg);
    json_object_object_add(parameters, "lines", json_object_new_int64(lines));
    return 0;
}

static int add_text(struct json_object *parameters, const char *key)
{
    json_object_object_add(parameters, key, json_object_new_string(optarg));
    return 0;
}

/* 0, or an exit code after a message. */
static int take_option(int option, struct json_object *parameters)
{
    switch (option) {
    case 'n':
        return add_lines(parameters);
    case 'S':
        return add_time(parameters, "since", option);
    case 'U':
        return add_time(parameters, "until", option);
    case 'u':
        return add_text(parameters, "user");
    case 'N':
        return add_text(parameters, "node");
    case 'r':
        return add_text(parameters, "room");
    case 'g':
        return add_text(parameters, "words");
    case 'R':
        json_object_object_add(parameters, "reverse", json_object_new_boolean(true));
        return 0;
    }
    return verb_usage("history", "unknown option");
}

static int parse_options(int argc, char **argv, struct json_object *parameters)
{
    static const struct option long_options[] = {
        {"lines", required_argument, NULL, 'n'},
        {"since", required_argument, NULL, 'S'},
        {"until", required_argument, NULL, 'U'},
        {"user", required_argument, NULL, 'u'},
        {"node", required_argument, NULL, 'N'},
        {"room", required_argument, NULL, 'r'},
        {"grep", required_argument, NULL, 'g'},
        {"reverse", no_argument, NULL, 'R'},
        {NULL, 0, NULL, 0},
    };
    int option, result = 0;

    while (result == 0 &&
           (option = getopt_long(argc, argv, "n:S:U:u:N:r:g:", long_options, NULL)) >= 0)
        result = take_option(option, parameters);
    if (result == 0 && optind < argc)
        return verb_usage("history", "no arguments are expected");
    return result;
}

/* ---- messages ---- */

static void show_messages(const struct context *context, struct message_printer *printer,
                          struct json_object *messages)
{
    size_t count = json_object_array_length(messages);

    for (size_t i = 0; i < count; i++) {
        struct json_object *message = json_object_array_get_idx(messages, i);

        if (context->json)
            write_json(context, message);
        else
            print_message(context, printer, message, false);
    }
    fflush(stdout);
}

/* Calls a method that answers with messages, and shows them as they come. `progress` may
 * be NULL, and `printer` where JSON is printed; `total`: how many there will be, about. */
static int show_all(const struct context *context, struct client *client, const char *method,
                    struct json_object *parameters, struct message_printer *printer,
                    struct progress *progress, uint64_t total)
{
    struct varlink_reply reply;
    bool continues = true;
    uint64_t shown = 0;
    int result = client_call(client, method, parameters, true);

    if (result < 0)
        return context_unreachable(context, -ECONNRESET);
    while (result == 0 && continues) {
        result = client_reply(client, &reply);
        if (result < 0)
            return context_unreachable(context, -ECONNRESET);
        continues = reply.continues;
        if (reply.error) {
            result = context_error(context, &reply);
        } else {
            struct json_object *messages = field(reply.parameters, "messages");

            show_messages(context, printer, messages);
            shown += json_object_array_length(messages);
        }
        if (progress)
            progress_show(progress, shown, shown, total);
        varlink_reply_done(&reply);
        if (ferror(stdout))
            return EXIT_DONE;
    }
    return result;
}

int verb_history(struct context *context, int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct json_object *parameters = json_object_new_object();
    int result = parse_options(argc, argv, parameters);
    struct message_printer printer = {0};
    pid_t pager;

    if (result == 0) {
        names_ask(&printer.names, context);
        result = context_connect(context, &client);
    }
    if (result != 0) {
        names_done(&printer.names);
        json_object_put(parameters);
        return result;
    }
    pager = pager_start(context);
    result = show_all(context, client, VARLINK_INTERFACE ".History", parameters, &printer, NULL, 0);
    pager_end(pager);
    names_done(&printer.names);
    return result;
}

/* How many messages there are; 0: not known. */
static uint64_t count_messages(const struct context *context)
{
    struct varlink_reply reply;
    uint64_t count;

    if (context_call(context, VARLINK_INTERFACE ".Status", NULL, &reply) != 0)
        return 0;
    count = field_number(field(reply.parameters, "status"), "messages");
    varlink_reply_done(&reply);
    return count;
}

int verb_export(struct context *context, int argc, char **argv)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct context lines = *context;
    struct progress progress;
    int result;

    if (argc > 1)
        return verb_usage("export", "no arguments are expected, not \"%s\"", argv[1]);
    result = context_connect(context, &client);
    if (result != 0)
        return result;
    lines.json = JSON_SHORT;
    progress_begin(&progress, context, "messages");
    result = show_all(&lines, client, VARLINK_INTERFACE ".Export", NULL, NULL, &progress,
                      count_messages(context));
    progress_clear(&progress);
    if (result == 0 && ferror(stdout))
        return complain(EXIT_FAILED, "the output cannot be written: %s", "it is not complete");
    return result;
}
