#include "globals.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/option.h"
#include "common/util.h"
#include "synopsis.h"

/* Values of getopt() for the rows of the table. */
#define ROW_BASE 256

/* Room for the rows, and for getopt()'s short options. */
#define ROWS_MAX 16

static int take_socket(struct context *context, const char *argument)
{
    context->socket_path = argument;
    return GO_ON;
}

static int take_instance(struct context *context, const char *argument)
{
    context->instance = argument;
    return GO_ON;
}

static int take_json(struct context *context, const char *argument)
{
    if (!argument || strcmp(argument, "short") == 0)
        context->json = JSON_SHORT;
    else if (strcmp(argument, "pretty") == 0)
        context->json = JSON_PRETTY;
    else
        return complain(EXIT_USAGE, "--json takes short or pretty, not \"%s\"", argument);
    return GO_ON;
}

static int take_no_legend(struct context *context, const char *argument)
{
    (void)argument;
    context->no_legend = true;
    return GO_ON;
}

static int take_no_pager(struct context *context, const char *argument)
{
    (void)argument;
    context->no_pager = true;
    return GO_ON;
}

static int take_color(struct context *context, const char *argument)
{
    if (strcmp(argument, "auto") == 0)
        return GO_ON;
    if (strcmp(argument, "always") != 0 && strcmp(argument, "never") != 0)
        return complain(EXIT_USAGE, "--color takes auto, always or never, not \"%s\"", argument);
    context->colour = context->colour_stderr = strcmp(argument, "always") == 0;
    return GO_ON;
}

static int take_quiet(struct context *context, const char *argument)
{
    (void)argument;
    context->quiet = true;
    return GO_ON;
}

static int take_help(struct context *context, const char *argument)
{
    (void)context, (void)argument;
    verbs_print_help();
    return EXIT_DONE;
}

static int take_version(struct context *context, const char *argument)
{
    (void)context, (void)argument;
    puts("ringchatctl " VERSION);
    return EXIT_DONE;
}

const struct global_option global_options[] = {
    {"socket", 0, "PATH", "the daemon's control socket", take_socket},
    {"instance", 0, "NAME", "the ring NAME of this host", take_instance},
    {"json", 'j', "=short|pretty", "JSON instead of text", take_json},
    {"no-legend", 0, NULL, "no headings, no date lines", take_no_legend},
    {"no-pager", 0, NULL, "print long output as it is", take_no_pager},
    {"color", 0, "auto|always|never", "when to use colour", take_color},
    {"quiet", 'q', NULL, "say nothing where nothing went wrong", take_quiet},
    {"help", 'h', NULL, "show all verbs; behind a verb: how it is used", take_help},
    {"version", 0, NULL, "show the version", take_version},
    {NULL, 0, NULL, NULL, NULL},
};

static bool is_optional(const struct global_option *row)
{
    return row->argument && *row->argument == '=';
}

void globals_init(struct context *context)
{
    const char *term = getenv("TERM");
    bool may = !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;

    context->terminal = isatty(STDOUT_FILENO);
    context->colour = may && context->terminal;
    context->colour_stderr = may && isatty(STDERR_FILENO);
}

/* The table as getopt_long() wants it; "+" ends at the verb. */
static void make_getopt(struct option *long_options, char *letters)
{
    size_t count = 0;

    *letters++ = '+';
    for (const struct global_option *row = global_options; row->name; row++, count++) {
        int has = !row->argument ? no_argument
                                 : (is_optional(row) ? optional_argument : required_argument);

        long_options[count] = (struct option){row->name, has, NULL, ROW_BASE + (int)count};
        if (row->letter)
            *letters++ = row->letter;
    }
    long_options[count] = (struct option){0};
    *letters = '\0';
}

static const struct global_option *row_of(int value)
{
    if (value >= ROW_BASE)
        return &global_options[value - ROW_BASE];
    for (const struct global_option *row = global_options; row->name; row++) {
        if (row->letter == value)
            return row;
    }
    return NULL;
}

static int unknown_option(char **argv, const struct option *long_options)
{
    _cleanup_free_ char *trouble = option_trouble(argv, long_options);

    return complain(EXIT_USAGE, "%s; see ringchatctl --help", trouble ? trouble : "out of memory");
}

int globals_take_leading(struct context *context, int argc, char **argv, int *ret_used)
{
    struct option long_options[ROWS_MAX];
    char letters[ROWS_MAX];
    int value;

    make_getopt(long_options, letters);
    opterr = 0;
    while ((value = getopt_long(argc, argv, letters, long_options, NULL)) >= 0) {
        const struct global_option *row = row_of(value);
        int result;

        if (!row)
            return unknown_option(argv, long_options);
        result = row->take(context, value >= ROW_BASE ? optarg : NULL);
        if (result != GO_ON)
            return result;
    }
    *ret_used = optind;
    return GO_ON;
}

/* The row that a word behind the verb is, with its argument if that is in the word. */
static const struct global_option *match(const char *word, const char **ret_argument)
{
    const char *equals = strchr(word, '=');

    *ret_argument = NULL;
    for (const struct global_option *row = global_options; row->name; row++) {
        size_t size = strlen(row->name);

        if (row->letter && word[1] == row->letter && word[2] == '\0')
            return row;
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, row->name, size) != 0)
            continue;
        if (word[2 + size] == '\0' || (row->argument && equals == word + 2 + size)) {
            *ret_argument = equals ? equals + 1 : NULL;
            return row;
        }
    }
    return NULL;
}

/* Takes what begins at argv[at]. GO_ON with how many words were taken in `ret_words`. */
static int take_word(struct context *context, const struct verb *verb, int argc, char **argv,
                     int at, int *ret_words)
{
    const char *argument;
    const struct global_option *row = match(argv[at], &argument);

    *ret_words = 0;
    if (!row)
        return GO_ON;
    *ret_words = 1;
    if (strcmp(row->name, "help") == 0) {
        verb_print_help(verb);
        return EXIT_DONE;
    }
    if (row->argument && !is_optional(row) && !argument) {
        argument = argv[at + 1];
        *ret_words = 2;
        if (at + 1 >= argc)
            return verb_usage(verb->name, "--%s takes %s", row->name, row->argument);
    }
    return row->take(context, argument);
}

static void remove_words(int *argc, char **argv, int at, int count)
{
    for (int i = at; i + count <= *argc; i++)
        argv[i] = argv[i + count];
    *argc -= count;
}

/* Passes over an option of the verb's own. GO_ON, or an exit code after a message. */
static int skip_option(const struct verb *verb, const struct synopsis_item *item, int argc,
                       char **argv, int at, int *ret_words)
{
    *ret_words = synopsis_takes_next_word(item, argv[at]) ? 2 : 1;
    if (at + *ret_words <= argc)
        return GO_ON;
    return verb_usage(verb->name, "%s takes %.*s", argv[at], (int)item->argument.size,
                      item->argument.data);
}

int globals_take_trailing(struct context *context, const struct verb *verb, int *argc, char **argv)
{
    struct synopsis_item item;
    int words, result = GO_ON;

    for (int i = 1; result == GO_ON && i < *argc && strcmp(argv[i], "--") != 0;) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            if (synopsis_takes_text(verb->arguments))
                break;
            i++;
        } else if (synopsis_find_option(verb->arguments, argv[i], &item)) {
            result = skip_option(verb, &item, *argc, argv, i, &words);
            i += words;
        } else {
            result = take_word(context, verb, *argc, argv, i, &words);
            if (result == GO_ON && words == 0)
                result = verb_usage(verb->name, "unknown option \"%s\"", argv[i]);
            remove_words(argc, argv, i, words);
        }
    }
    return result;
}

void globals_print_help(void)
{
    for (const struct global_option *row = global_options; row->name; row++) {
        char names[64];
        const char *argument = row->argument ? row->argument : "";

        if (is_optional(row))
            snprintf(names, sizeof(names), "--%s[%s]", row->name, argument);
        else
            snprintf(names, sizeof(names), "--%s%s%s", row->name, *argument ? "=" : "", argument);
        if (row->letter)
            printf("  %-26s %s; also -%c\n", names, row->help, row->letter);
        else
            printf("  %-26s %s\n", names, row->help);
    }
}
