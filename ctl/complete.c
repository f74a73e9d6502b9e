#include "complete.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "globals.h"
#include "output.h"
#include "synopsis.h"
#include "verbs.h"

/* A daemon that does not answer holds up nobody's typing. */
#define ANSWER_USEC (1 * USEC_PER_SEC)

static bool begins(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static void offer(const char *typed, const char *prefix, const char *name, const char *help)
{
    char candidate[256];

    snprintf(candidate, sizeof(candidate), "%s%s", prefix, name);
    if (begins(candidate, typed))
        printf("%s%s%s\n", candidate, help ? "\t" : "", help ? help : "");
}

/* ---- what the daemon knows ---- */

static void offer_list(struct json_object *list, const char *typed, const char *prefix)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        _cleanup_free_ char *name = visible(field_text(entry, "name"));

        offer(typed, prefix, name, NULL);
    }
}

/* Offers the names in the array `list` of what `method` answers with, in several replies if
 * `more`. */
static void offer_from_daemon(const struct context *context, const char *method, bool more,
                              const char *list, const char *typed, const char *prefix)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct varlink_reply reply;
    bool continues = true;

    if (context_try_connect(context, &client) < 0)
        return;
    client_set_timeout(client, ANSWER_USEC);
    if (client_call(client, method, NULL, more) < 0)
        return;
    while (continues && client_reply(client, &reply) == 0) {
        continues = reply.continues;
        if (!reply.error)
            offer_list(field(reply.parameters, list), typed, prefix);
        varlink_reply_done(&reply);
    }
}

static void offer_nodes(const struct context *context, const char *typed, const char *prefix)
{
    offer_from_daemon(context, VARLINK_INTERFACE ".Members", false, "members", typed, prefix);
}

static void offer_rooms(const struct context *context, const char *typed, const char *prefix)
{
    offer_from_daemon(context, VARLINK_INTERFACE ".Rooms", true, "rooms", typed, prefix);
}

static void offer_topics(const struct context *context, const char *typed, const char *prefix)
{
    static const char *const topics[] = {"chat",  "ring",    "election", "discovery",
                                         "store", "control", "security"};

    (void)context;
    for (size_t i = 0; i < ELEMENTS(topics); i++)
        offer(typed, prefix, topics[i], NULL);
}

static void offer_verbs(const struct context *context, const char *typed, const char *prefix)
{
    (void)context, (void)prefix;
    for (size_t i = 0; verb_at(i); i++)
        offer(typed, "", verb_at(i)->name, verb_at(i)->help);
}

static void offer_files(const struct context *context, const char *typed, const char *prefix)
{
    (void)context, (void)typed, (void)prefix;
    puts(":files");
}

/* ---- the words of a synopsis ---- */

static bool is_word(struct span span, const char *word)
{
    return span_equal(span, span_of(word));
}

/* What a word in capitals stands for. */
static void offer_named(const struct context *context, struct span name, const char *typed,
                        const char *prefix)
{
    static const struct {
        const char *name;
        void (*offer)(const struct context *context, const char *typed, const char *prefix);
    } sources[] = {
        {"NODE", offer_nodes}, {"ROOM", offer_rooms}, {"TOPIC", offer_topics},
        {"FILE", offer_files}, {"PATH", offer_files}, {"VERB", offer_verbs},
    };

    for (size_t i = 0; i < ELEMENTS(sources); i++) {
        if (is_word(name, sources[i].name))
            sources[i].offer(context, typed, prefix);
    }
}

static void offer_alternatives(const struct context *context, struct span names, const char *typed,
                               const char *prefix)
{
    struct span name;

    while (synopsis_alternative(&names, &name)) {
        char text[64];

        snprintf(text, sizeof(text), "%.*s", (int)name.size, name.data);
        if (*text >= 'A' && *text <= 'Z')
            offer_named(context, name, typed, prefix);
        else if (strcmp(text, "-") != 0)
            offer(typed, prefix, text, NULL);
    }
}

/* ---- what stands where ---- */

static void offer_globals(const char *typed)
{
    for (const struct global_option *row = global_options; row->name; row++) {
        char option[64];

        snprintf(option, sizeof(option), "--%s", row->name);
        offer(typed, "", option, row->help);
    }
}

/* The value in "--json=pr". */
static void offer_value(const struct context *context, const struct verb *verb, const char *typed)
{
    size_t size = strcspn(typed, "=") + 1;
    struct synopsis_item item;
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "%.*s", (int)size, typed);
    if (verb && synopsis_find_option(verb->arguments, typed, &item)) {
        offer_alternatives(context, item.argument, typed, prefix);
        return;
    }
    for (const struct global_option *row = global_options; row->name; row++) {
        if (row->argument && strlen(row->name) + 3 == size &&
            strncmp(typed + 2, row->name, size - 3) == 0)
            offer_alternatives(context, span_of(row->argument + (*row->argument == '=')), typed,
                               prefix);
    }
}

static void offer_options(const struct verb *verb, const char *typed)
{
    const char *cursor = verb->arguments;
    struct synopsis_item item;
    struct span name;

    while (synopsis_next(&cursor, &item)) {
        while (item.option && synopsis_alternative(&item.names, &name)) {
            char text[64], argument[64];

            snprintf(text, sizeof(text), "%.*s", (int)name.size, name.data);
            snprintf(argument, sizeof(argument), "%.*s", (int)item.argument.size,
                     item.argument.size ? item.argument.data : "");
            offer(typed, "", text, *argument ? argument : NULL);
        }
    }
    offer_globals(typed);
}

static void offer_arguments(const struct context *context, const struct verb *verb,
                            const char *typed)
{
    const char *cursor = verb->arguments;
    struct synopsis_item item;

    while (synopsis_next(&cursor, &item)) {
        if (!item.option)
            offer_alternatives(context, item.names, typed, "");
    }
}

/* The words behind the verb. */
static void complete_verb(const struct context *context, const struct verb *verb, int count,
                          char **words)
{
    const char *typed = words[count - 1];
    struct synopsis_item item;

    for (int i = 1; i + 1 < count; i++) {
        if (!synopsis_find_option(verb->arguments, words[i], &item) ||
            !synopsis_takes_next_word(&item, words[i]))
            continue;
        i++;
        if (i == count - 1) {
            offer_alternatives(context, item.argument, typed, "");
            return;
        }
    }
    if (begins(typed, "--") && strchr(typed, '='))
        offer_value(context, verb, typed);
    else if (*typed == '-')
        offer_options(verb, typed);
    else
        offer_arguments(context, verb, typed);
}

/* Whether the word is an option before the verb whose argument is the next word. */
static const struct global_option *with_next_word(const char *word)
{
    for (const struct global_option *row = global_options; row->name; row++) {
        if (row->argument && *row->argument != '=' && begins(word, "--") &&
            strcmp(word + 2, row->name) == 0)
            return row;
    }
    return NULL;
}

int complete(struct context *context, int count, char **words)
{
    const char *typed = count > 0 ? words[count - 1] : "";
    int at = 0;

    while (at + 1 < count && *words[at] == '-') {
        const struct global_option *row = with_next_word(words[at]);

        if (row && at + 2 == count) {
            offer_alternatives(context, span_of(row->argument), typed, "");
            return EXIT_DONE;
        }
        /* The daemon that is named is the one to ask. */
        if (row)
            row->take(context, words[at + 1]);
        at += row ? 2 : 1;
    }
    if (at + 1 < count && verb_find(words[at]))
        complete_verb(context, verb_find(words[at]), count - at, words + at);
    else if (at + 1 >= count && begins(typed, "--") && strchr(typed, '='))
        offer_value(context, NULL, typed);
    else if (at + 1 >= count && *typed == '-')
        offer_globals(typed);
    else if (at + 1 >= count)
        offer_verbs(context, typed, "");
    return EXIT_DONE;
}
