#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "output.h"

/* Digits of the id behind a name that several hosts have. */
#define DIGITS 4

static void learn(struct names *names, const char *name, const char *id)
{
    struct json_object *known;

    if (!names->origins) {
        names->origins = json_object_new_object();
        names->shared = json_object_new_object();
    }
    known = field(names->origins, name);
    if (!known)
        json_object_object_add(names->origins, name, json_object_new_string(id));
    else if (strcmp(json_object_get_string(known), id) != 0)
        json_object_object_add(names->shared, name, json_object_new_boolean(true));
}

/* The daemon shows "web~3f2a" for a name that it knows to be shared. */
static void learn_shown(struct names *names, struct json_object *node)
{
    const char *name = field_text(node, "name"), *id = field_text(node, "id");
    size_t size = strlen(name), tail = 1 + DIGITS;
    _cleanup_free_ char *base = NULL;

    if (size > tail && name[size - tail] == '~' && strncmp(name + size - DIGITS, id, DIGITS) == 0)
        base = strndup(name, size - tail);
    learn(names, base ? base : name, id);
    if (base)
        json_object_object_add(names->shared, base, json_object_new_boolean(true));
}

static void learn_list(struct names *names, struct json_object *list)
{
    size_t count = list ? json_object_array_length(list) : 0;

    for (size_t i = 0; i < count; i++)
        learn_shown(names, json_object_array_get_idx(list, i));
}

void names_learn(struct names *names, struct json_object *reply)
{
    learn_list(names, field(reply, "members"));
    learn_list(names, field(reply, "gone"));
}

void names_ask(struct names *names, const struct context *context)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct varlink_reply reply;

    if (context->json || context_try_connect(context, &client) < 0 ||
        client_call(client, VARLINK_INTERFACE ".Members", NULL, false) < 0 ||
        client_reply(client, &reply) < 0)
        return;
    if (!reply.error)
        names_learn(names, reply.parameters);
    varlink_reply_done(&reply);
}

char *names_show(struct names *names, struct json_object *message)
{
    const char *name = field_text(message, "node"), *id = field_text(message, "origin");
    _cleanup_free_ char *with_digits = NULL;

    learn(names, name, id);
    if (field(names->shared, name) && asprintf(&with_digits, "%s~%.*s", name, DIGITS, id) < 0)
        with_digits = NULL;
    return visible(with_digits ? with_digits : name);
}

void names_done(struct names *names)
{
    json_object_put(names->origins);
    json_object_put(names->shared);
    *names = (struct names){0};
}
