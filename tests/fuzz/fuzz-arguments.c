/* ringchatctl's words: global options before and behind a verb, and the times and spans that people
 * type. Nothing is carried out. */

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/time-parse.h"
#include "common/util.h"
#include "ctl/globals.h"

#define WORDS_MAX 12

#define NOW 1764061200000000ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(int count, char **words)
{
    struct context context = {0};
    const struct verb *verb;
    int used;

    /* getopt begins anew, as in a new process. */
    optind = 0;
    opterr = 0;
    globals_init(&context);
    if (globals_take_leading(&context, count, words, &used) != GO_ON || used >= count)
        return;
    verb = verb_find(words[used]);
    if (!verb) {
        verb_nearest(words[used]);
        return;
    }
    count -= used;
    globals_take_trailing(&context, verb, &count, words + used);
}

/* Words end with a newline. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX + 1] = {(char *)"ringchatctl"}, *copy = malloc(size + 1), *rest = copy;
    uint64_t usec;
    int count = 1;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    while (count < WORDS_MAX && rest)
        words[count++] = strsep(&rest, "\n");
    for (int i = 1; i < count; i++) {
        time_parse(words[i], NOW, &usec);
        span_parse(words[i], &usec);
    }
    parse(count, words);
    free(copy);
    return 0;
}
