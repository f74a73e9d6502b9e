/* ringchatctl: the command line. */

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "verbs.h"

enum option_value {
    OPTION_SOCKET = 256,
    OPTION_INSTANCE,
    OPTION_JSON,
    OPTION_NO_LEGEND,
    OPTION_NO_PAGER,
    OPTION_COLOR,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_VERBS,
};

static const struct option options[] = {
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"instance", required_argument, NULL, OPTION_INSTANCE},
    {"json", optional_argument, NULL, OPTION_JSON},
    {"no-legend", no_argument, NULL, OPTION_NO_LEGEND},
    {"no-pager", no_argument, NULL, OPTION_NO_PAGER},
    {"color", required_argument, NULL, OPTION_COLOR},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"verbs", no_argument, NULL, OPTION_VERBS}, /* for completion and tests */
    {NULL, 0, NULL, 0},
};

static int parse_json(const char *mode, enum json_mode *ret)
{
    if (!mode || strcmp(mode, "short") == 0)
        *ret = JSON_SHORT;
    else if (strcmp(mode, "pretty") == 0)
        *ret = JSON_PRETTY;
    else
        return complain(EXIT_USAGE, "--json takes short or pretty, not \"%s\"", mode);
    return -1;
}

static int parse_colour(const char *when, struct context *context)
{
    bool may = !getenv("NO_COLOR") && getenv("TERM") && strcmp(getenv("TERM"), "dumb") != 0;

    context->colour = may && context->terminal;
    context->colour_stderr = may && isatty(STDERR_FILENO);
    if (strcmp(when, "auto") == 0)
        return -1;
    if (strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
        return complain(EXIT_USAGE, "--color takes auto, always or never, not \"%s\"", when);
    context->colour = context->colour_stderr = strcmp(when, "always") == 0;
    return -1;
}

/* -1: go on; else the exit code. */
static int take_option(int option, struct context *context)
{
    switch (option) {
    case OPTION_SOCKET:
        context->socket_path = optarg;
        return -1;
    case OPTION_INSTANCE:
        context->instance = optarg;
        return -1;
    case OPTION_JSON:
        return parse_json(optarg, &context->json);
    case 'j':
        context->json = JSON_SHORT;
        return -1;
    case OPTION_NO_LEGEND:
        context->no_legend = true;
        return -1;
    case OPTION_NO_PAGER:
        context->no_pager = true;
        return -1;
    case OPTION_COLOR:
        return parse_colour(optarg, context);
    case 'q':
        context->quiet = true;
        return -1;
    case OPTION_HELP:
        verbs_print_help();
        return EXIT_DONE;
    case OPTION_VERSION:
        puts("ringchatctl " VERSION);
        return EXIT_DONE;
    case OPTION_VERBS:
        verbs_print_names();
        return EXIT_DONE;
    }
    fputs("see ringchatctl --help\n", stderr);
    return EXIT_USAGE;
}

static int unknown_verb(const char *name)
{
    const struct verb *nearest = verb_nearest(name);

    if (nearest)
        return complain(EXIT_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?", name,
                        nearest->name);
    return complain(EXIT_USAGE, "unknown verb \"%s\"; see ringchatctl help", name);
}

static int run_verb(struct context *context, int argc, char **argv)
{
    char *status[] = {(char *)"status", NULL};
    const struct verb *verb;

    if (argc == 0)
        return verb_status(context, 1, status);
    verb = verb_find(argv[0]);
    if (!verb)
        return unknown_verb(argv[0]);
    /* getopt begins anew with the verb's options. */
    optind = 0;
    opterr = 0;
    return verb->run(context, argc, argv);
}

/* What was printed must have arrived; a reader that has seen enough is no error. */
static int finish(int result)
{
    if (fflush(stdout) != 0 && result == EXIT_DONE)
        return EXIT_FAILED;
    return result;
}

int main(int argc, char **argv)
{
    struct context context = {.terminal = isatty(STDOUT_FILENO)};
    int option, result;

    setlocale(LC_ALL, "");
    parse_colour("auto", &context);
    while ((option = getopt_long(argc, argv, "+jq", options, NULL)) >= 0) {
        result = take_option(option, &context);
        if (result >= 0)
            return finish(result);
    }
    return finish(run_verb(&context, argc - optind, argv + optind));
}
