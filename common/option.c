#include "option.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static bool begins_so(const struct option *option, const char *word)
{
    size_t size = strcspn(word, "=");

    return size > 2 && strncmp(word, "--", 2) == 0 &&
           strncmp(option->name, word + 2, size - 2) == 0;
}

/* A beginning of several, or of none. */
static void tell_unknown(FILE *to, const char *word, const struct option *known)
{
    unsigned count = 0, told = 0;

    for (const struct option *at = known; at->name; at++)
        count += begins_so(at, word);
    fprintf(to, count > 1 ? "\"%s\" may be" : "unknown option \"%s\"", word);
    for (const struct option *at = known; at->name && count > 1; at++) {
        if (begins_so(at, word))
            fprintf(to, "%s --%s", told++ ? " or" : "", at->name);
    }
}

char *option_trouble(char *const argv[], const struct option *known)
{
    const struct option *given = known;
    size_t size;
    char *text;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    while (given->name && given->val != optopt)
        given++;
    if (optopt == 0)
        tell_unknown(to, argv[optind - 1], known);
    else if (!given->name)
        fprintf(to, "unknown option \"-%c\"", optopt);
    else if (given->has_arg == required_argument)
        fprintf(to, "--%s needs a value", given->name);
    else
        fprintf(to, "--%s takes no value", given->name);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}
