/* ringchatctl members, status, elect, wait, leave, join, log */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/time-format.h"
#include "common/util.h"
#include "output.h"
#include "table.h"
#include "verbs.h"

/* ---- members ---- */

static void add_member(struct table *table, struct json_object *member)
{
    char position[24], since[TIME_TEXT_MAX], hop[TIME_TEXT_MAX] = "-", version[24], role[32];

    snprintf(position, sizeof(position), "%llu",
             (unsigned long long)field_number(member, "position"));
    snprintf(version, sizeof(version), "%llu", (unsigned long long)field_number(member, "version"));
    snprintf(role, sizeof(role), "%s%s", field_flag(member, "leader") ? "leader" : "member",
             field_flag(member, "self") ? ", this host" : "");
    time_format_full(field_number(member, "since"), since);
    if (field_number(member, "hop_usec"))
        time_format_span(field_number(member, "hop_usec"), hop);
    table_add(table,
              (const char *const[]){position, field_text(member, "name"),
                                    field_text(member, "address"), role, since, hop, version});
}

static void print_members(const struct context *context, struct json_object *reply)
{
    static const char *const headings[] = {"POSITION", "NAME", "ADDRESS", "ROLE",
                                           "SINCE",    "HOP",  "VERSION"};
    _cleanup_(table_freep) struct table *table = table_new(ELEMENTS(headings), headings);
    struct json_object *members = field(reply, "members");
    _cleanup_free_ char *view = visible(field_text(reply, "view"));
    size_t count = json_object_array_length(members);

    if (!table)
        return;
    print_warnings(context, field(reply, "warnings"));
    for (size_t i = 0; i < count; i++)
        add_member(table, json_object_array_get_idx(members, i));
    table_print(context, table);
    if (!context->no_legend)
        printf("%s%zu member%s, view %s%s\n", dim(context), count, count == 1 ? "" : "s", view,
               plain(context));
}

int verb_members(struct context *context, int argc, char **argv)
{
    static const struct option options[] = {{"refresh", no_argument, NULL, 'R'},
                                            {NULL, 0, NULL, 0}};
    struct json_object *parameters = json_object_new_object();
    struct varlink_reply reply;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option != 'R') {
            json_object_put(parameters);
            return verb_usage("members", "unknown option");
        }
        json_object_object_add(parameters, "refresh", json_object_new_boolean(true));
    }
    if (optind < argc) {
        json_object_put(parameters);
        return verb_usage("members", "no arguments are expected");
    }
    result = context_call(context, VARLINK_INTERFACE ".Members", parameters, &reply);
    if (result != 0)
        return result;
    if (context->json)
        print_json(context, reply.parameters);
    else
        print_members(context, reply.parameters);
    varlink_reply_done(&reply);
    return EXIT_DONE;
}

/* ---- status ---- */

static void print_line(const struct context *context, const char *label, const char *value)
{
    print_labelled(context, label, value);
    putchar('\n');
}

static void print_counts(const struct context *context, struct json_object *status)
{
    char text[160], size[TIME_TEXT_MAX], lap[TIME_TEXT_MAX];

    size_format(field_number(status, "store_bytes"), size);
    snprintf(text, sizeof(text), "%llu messages, %s",
             (unsigned long long)field_number(status, "messages"), size);
    print_line(context, "History", text);
    snprintf(text, sizeof(text), "%llu queued, %llu unstable, %llu undelivered",
             (unsigned long long)field_number(status, "queued"),
             (unsigned long long)field_number(status, "unstable"),
             (unsigned long long)field_number(status, "undelivered"));
    print_line(context, "Waiting", text);
    if (field_number(status, "lap_usec")) {
        time_format_span(field_number(status, "lap_usec"), lap);
        print_line(context, "Lap", lap);
    }
    snprintf(text, sizeof(text), "%llu", (unsigned long long)field_number(status, "clients"));
    print_line(context, "Clients", text);
}

/* Nothing when no history is being repaired, or by a daemon that does not tell. */
static void print_repair(const struct context *context, struct json_object *status)
{
    unsigned long long came = field_number(status, "repaired"),
                       missing = field_number(status, "missing"),
                       lacking = field_number(status, "lacking");
    char text[160];

    if (came > 0 && missing > 0) {
        snprintf(text, sizeof(text), "%llu of about %llu older messages have come here, %.0f%%",
                 came, came + missing, 100 * (double)came / ((double)came + (double)missing));
        print_line(context, "Repair", text);
    } else if (came > 0) {
        snprintf(text, sizeof(text), "%llu older messages have come here so far", came);
        print_line(context, "Repair", text);
    }
    if (lacking > 0) {
        snprintf(text, sizeof(text), "other members still want %llu messages from here", lacking);
        print_line(context, "Repair", text);
    }
}

static void print_status(const struct context *context, struct json_object *status)
{
    char text[512], since[TIME_TEXT_MAX];

    print_warnings(context, field(status, "warnings"));
    snprintf(text, sizeof(text), "%s (%s)", field_text(status, "name"), field_text(status, "id"));
    print_line(context, "Node", text);
    if (*field_text(status, "address"))
        print_line(context, "Address", field_text(status, "address"));
    snprintf(text, sizeof(text), "%s, %llu member%s, led by %s", field_text(status, "state"),
             (unsigned long long)field_number(status, "members"),
             field_number(status, "members") == 1 ? "" : "s", field_text(status, "leader_name"));
    print_line(context, "Ring", text);
    print_line(context, "View", field_text(status, "view"));
    print_counts(context, status);
    print_repair(context, status);
    time_format_full(field_number(status, "started"), since);
    snprintf(text, sizeof(text), "since %s, version %s", since, field_text(status, "version"));
    print_line(context, "Up", text);
}

/* A call that is answered with a status. */
static int call_for_status(const struct context *context, const char *method,
                           struct json_object *parameters, bool print)
{
    struct varlink_reply reply;
    int result = context_call(context, method, parameters, &reply);

    if (result != 0)
        return result;
    if (context->json)
        print_json(context, field(reply.parameters, "status"));
    else if (print)
        print_status(context, field(reply.parameters, "status"));
    varlink_reply_done(&reply);
    return EXIT_DONE;
}

int verb_status(struct context *context, int argc, char **argv)
{
    if (argc > 1)
        return verb_usage("status", "unexpected: \"%s\"", argv[1]);
    return call_for_status(context, VARLINK_INTERFACE ".Status", NULL, true);
}

int verb_leave(struct context *context, int argc, char **argv)
{
    if (argc > 1)
        return verb_usage("leave", "unexpected: \"%s\"", argv[1]);
    return call_for_status(context, VARLINK_INTERFACE ".Leave", NULL, false);
}

int verb_join(struct context *context, int argc, char **argv)
{
    if (argc > 1)
        return verb_usage("join", "unexpected: \"%s\"", argv[1]);
    return call_for_status(context, VARLINK_INTERFACE ".Join", NULL, false);
}

/* ---- elect ---- */

int verb_elect(struct context *context, int argc, char **argv)
{
    static const struct option options[] = {{NULL, 0, NULL, 0}};
    struct json_object *parameters;
    struct varlink_reply reply;
    int result;

    if (getopt_long(argc, argv, "", options, NULL) >= 0)
        return verb_usage("elect", "unknown option");
    if (argc - optind > 1)
        return verb_usage("elect", "unexpected: \"%s\"", argv[optind + 1]);
    parameters = json_object_new_object();
    if (optind < argc)
        json_object_object_add(parameters, "node", json_object_new_string(argv[optind]));
    result = context_call(context, VARLINK_INTERFACE ".Elect", parameters, &reply);
    if (result != 0)
        return result;
    if (context->json) {
        print_json(context, reply.parameters);
    } else if (!context->quiet) {
        _cleanup_free_ char *leader = visible(field_text(reply.parameters, "leader_name"));

        printf("%s leads, epoch %llu\n", leader,
               (unsigned long long)field_number(reply.parameters, "epoch"));
    }
    varlink_reply_done(&reply);
    return EXIT_DONE;
}

/* ---- wait ---- */

/* Takes one option into the parameters. 0, or an exit code after a message. */
static int take_wait_option(struct json_object *parameters, int option)
{
    int64_t number;

    switch (option) {
    case 'm':
        number = parse_count(optarg, 1);
        if (number < 0)
            return verb_usage("wait", "--members takes a number, not \"%s\"", optarg);
        json_object_object_add(parameters, "members", json_object_new_int64(number));
        return 0;
    case 'l':
        json_object_object_add(parameters, "leader", json_object_new_string(optarg));
        return 0;
    case 't':
        number = parse_seconds(optarg);
        if (number < 0)
            return verb_usage("wait", "--timeout takes seconds, not \"%s\"", optarg);
        json_object_object_add(parameters, "timeout_usec", json_object_new_int64(number));
        return 0;
    }
    return verb_usage("wait", "unknown option");
}

int verb_wait(struct context *context, int argc, char **argv)
{
    static const struct option options[] = {{"members", required_argument, NULL, 'm'},
                                            {"leader", required_argument, NULL, 'l'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    struct json_object *parameters = json_object_new_object();
    int option, result = 0;

    while (result == 0 && (option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        result = take_wait_option(parameters, option);
    if (result == 0 && optind < argc)
        result = verb_usage("wait", "no arguments are expected");
    if (result != 0) {
        json_object_put(parameters);
        return result;
    }
    return call_for_status(context, VARLINK_INTERFACE ".Wait", parameters, false);
}

/* ---- log ---- */

static void print_topics(struct json_object *topics)
{
    for (size_t i = 0; i < json_object_array_length(topics); i++) {
        fputs(i ? " " : "", stdout);
        print_visible(json_object_get_string(json_object_array_get_idx(topics, i)));
    }
    putchar('\n');
}

int verb_log(struct context *context, int argc, char **argv)
{
    struct json_object *parameters = json_object_new_object(), *topics;
    struct varlink_reply reply;
    int result;

    if (argc > 1) {
        topics = json_object_new_array();
        for (int i = 1; i < argc; i++)
            json_object_array_add(topics, json_object_new_string(argv[i]));
        json_object_object_add(parameters, "topics", topics);
    }
    result = context_call(context, VARLINK_INTERFACE ".Log", parameters, &reply);
    if (result != 0)
        return result;
    if (context->json)
        print_json(context, reply.parameters);
    else if (argc == 1 || !context->quiet)
        print_topics(field(reply.parameters, "topics"));
    varlink_reply_done(&reply);
    return EXIT_DONE;
}
