/* ringchatctl: the command line. */

#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "complete.h"
#include "context.h"
#include "globals.h"
#include "verbs.h"

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
    int result;

    if (argc == 0)
        return verb_status(context, 1, status);
    verb = verb_find(argv[0]);
    if (!verb)
        return unknown_verb(argv[0]);
    result = globals_take_trailing(context, verb, &argc, argv);
    if (result != GO_ON)
        return result;
    /* getopt begins anew with the verb's options. */
    optind = 0;
    return verb->run(context, argc, argv);
}

/* What was printed must have arrived; a reader that has seen enough is no error. */
static int finish(int result)
{
    if (fflush(stdout) != 0 && result == EXIT_DONE)
        return EXIT_FAILED;
    return result;
}

/* Messages are UTF-8 whatever the locale is. Other categories than these are not used, and are not
 * read: there is a process for each message of a script. */
static void set_locale(struct context *context)
{
    setlocale(LC_CTYPE, "");
    setlocale(LC_TIME, "");
    setlocale(LC_MESSAGES, "");
    context->ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    if (context->ascii)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int argc, char **argv)
{
    struct context context = {0};
    int used, result;

    set_locale(&context);
    globals_init(&context);
    /* What completion and tests ask for. */
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return finish(complete(&context, argc - 2, argv + 2));
    if (argc > 1 && strcmp(argv[1], "--verbs") == 0)
        return finish(verbs_print_names());
    if (argc > 1 && strcmp(argv[1], "--synopses") == 0)
        return finish(verbs_print_synopses());
    result = globals_take_leading(&context, argc, argv, &used);
    if (result == GO_ON)
        result = run_verb(&context, argc - used, argv + used);
    return finish(result);
}
