#include "verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "globals.h"
#include "output.h"

/* A typed verb this many edits away from one is taken for a slip. */
#define SLIPS_MAX 2

/* Names longer than this are no slips of verbs. */
#define NAME_MAX_LENGTH 32

static const struct verb verbs[] = {
    {"send", "[-r|--room ROOM] [-t|--timeout SEC] [--id UUID] [--notice] [--each-line] [TEXT...|-]",
     "send a message; returns when it is on every member's disk", verb_send},
    {"tail", "[-n|--lines N] [-f|--follow] [--after CURSOR] [-r|--room ROOM] [--events]",
     "show the last messages, and with -f what comes", verb_tail},
    {"history",
     "[-S|--since TIME] [-U|--until TIME] [-u|--user USER] [-N|--node NODE] [-r|--room ROOM] "
     "[-g|--grep WORDS] [-n|--lines N] [--reverse]",
     "show the stored history in its agreed order", verb_history},
    {"export", "", "write the whole history as JSON, a message a line", verb_export},
    {"import", "[--check] FILE|-", "take in what export has written", verb_import},
    {"members", "[--refresh]", "show who is in the ring, in ring order", verb_members},
    {"ring", "", "show the ring as a picture: who feeds whom, and what is slow", verb_ring},
    {"status", "", "show how this daemon is (also without a verb)", verb_status},
    {"wait", "[--members N] [--leader NODE] [--timeout SEC]", "wait until the ring is so",
     verb_wait},
    {"elect", "[NODE]", "make NODE, or this host, the leader", verb_elect},
    {"leave", "", "leave the ring in good order; the daemon stays up", verb_leave},
    {"join", "", "come back after leave", verb_join},
    {"chat", "[-r|--room ROOM]", "chat in this terminal; /help tells more", verb_chat},
    {"rooms", "", "show the rooms, and what chat has not shown of each", verb_rooms},
    {"doctor", "", "check why another host is not seen", verb_doctor},
    {"log", "[debug|heartbeat|normal|TOPIC...]", "show or set what goes to the journal", verb_log},
    {"key", "[--file PATH] generate|show|add|use|remove|list [ID]",
     "make, hand out and change the keys of the ring", verb_key},
    {"help", "[VERB]", "show all verbs, or how one is used", verb_help},
};

const struct verb *verb_at(size_t number)
{
    return number < ELEMENTS(verbs) ? &verbs[number] : NULL;
}

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

/* Levenshtein's distance, with one row of the matrix kept. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LENGTH + 1], size = strlen(b);

    for (size_t k = 0; k <= size; k++)
        row[k] = k;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < size; k++) {
            size_t replaced = diagonal + (a[i] != b[k]);

            diagonal = row[k + 1];
            row[k + 1] = MIN(replaced, MIN(row[k], row[k + 1]) + 1);
        }
    }
    return row[size];
}

const struct verb *verb_nearest(const char *typed)
{
    const struct verb *nearest = NULL;
    size_t least = SLIPS_MAX + 1;

    if (strlen(typed) > NAME_MAX_LENGTH)
        return NULL;
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        size_t slips = distance(verbs[i].name, typed);

        if (slips < least) {
            least = slips;
            nearest = &verbs[i];
        }
    }
    return nearest;
}

void verbs_print_help(void)
{
    puts("ringchatctl [OPTIONS] VERB\n\nVerbs:");
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        printf("  %s%s%s\n      %s\n", verbs[i].name, *verbs[i].arguments ? " " : "",
               verbs[i].arguments, verbs[i].help);
    puts("\nOptions, before or behind the verb:");
    globals_print_help();
    puts("\nSee ringchatctl(1).");
}

void verb_print_help(const struct verb *verb)
{
    printf("ringchatctl [OPTIONS] %s%s%s\n\n  %s\n\nSee ringchatctl(1), and ringchatctl help for "
           "the options.\n",
           verb->name, *verb->arguments ? " " : "", verb->arguments, verb->help);
}

int verbs_print_names(void)
{
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        puts(verbs[i].name);
    return EXIT_DONE;
}

int verbs_print_synopses(void)
{
    for (size_t i = 0; i < ELEMENTS(verbs); i++)
        printf("%s\t%s\n", verbs[i].name, verbs[i].arguments);
    return EXIT_DONE;
}

int verb_usage(const char *name, const char *format, ...)
{
    const struct verb *verb = verb_find(name);
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "ringchatctl %s: ", name);
    complain_visible(format, arguments);
    fprintf(stderr, "; usage: ringchatctl %s%s%s\n", verb->name, *verb->arguments ? " " : "",
            verb->arguments);
    va_end(arguments);
    return EXIT_USAGE;
}

int verb_help(struct context *context, int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? verb_find(argv[1]) : NULL;

    (void)context;
    if (argc > 2 || (argc == 2 && !verb))
        return verb_usage("help", "unexpected: \"%s\"", argv[argc - 1]);
    if (verb)
        verb_print_help(verb);
    else
        verbs_print_help();
    return EXIT_DONE;
}

int64_t parse_count(const char *text, int64_t least)
{
    char *end;
    long long count = strtoll(text, &end, 10);

    return *text >= '0' && *text <= '9' && *end == '\0' && count >= least && count < INT32_MAX
               ? count
               : -1;
}

int64_t parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (((*text < '0' || *text > '9') && *text != '.') || *end != '\0' || !(seconds >= 0) ||
        seconds > 1e9)
        return -1;
    return (int64_t)(seconds * (double)USEC_PER_SEC);
}
