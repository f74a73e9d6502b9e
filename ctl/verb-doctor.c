/* ringchatctl doctor, ringchatctl rooms */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/time-format.h"
#include "common/util.h"
#include "output.h"
#include "rooms.h"
#include "table.h"
#include "verbs.h"

/* ---- doctor ---- */

static const char *sign_of(const struct context *context, const char *result)
{
    if (strcmp(result, "ok") == 0)
        return context->ascii ? "+" : "✓";
    return strcmp(result, "warning") == 0 ? "?" : (context->ascii ? "x" : "✗");
}

static void print_check(const struct context *context, struct json_object *check)
{
    const char *result = field_text(check, "result");
    _cleanup_free_ char *text = visible(field_text(check, "text"));
    _cleanup_free_ char *cure = visible(field_text(check, "cure"));
    _cleanup_free_ char *what = visible(field_text(check, "check"));
    _cleanup_free_ char *interface = visible(field_text(check, "interface"));
    bool ok = strcmp(result, "ok") == 0;

    for (char *at = what; at && *at; at++)
        *at = *at == '_' ? ' ' : *at;
    if (ok && context->quiet)
        return;
    printf("%s%s %s%s%s: %s%s\n", ok ? "" : warning_colour(context), sign_of(context, result),
           what ? what : "?", *interface ? " on " : "", interface, text, ok ? "" : plain(context));
    if (*cure)
        printf("    %s%s%s\n", bold(context), cure, plain(context));
}

int verb_doctor(struct context *context, int argc, char **argv)
{
    struct json_object *checks;
    struct varlink_reply reply;
    int result;

    if (argc > 1)
        return verb_usage("doctor", "unexpected: \"%s\"", argv[1]);
    result = context_call(context, VARLINK_INTERFACE ".Doctor", NULL, &reply);
    if (result != 0)
        return result;
    checks = field(reply.parameters, "checks");
    if (context->json)
        print_json(context, reply.parameters);
    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        struct json_object *check = json_object_array_get_idx(checks, i);

        if (strcmp(field_text(check, "result"), "failed") == 0)
            result = EXIT_FAILED;
        if (!context->json)
            print_check(context, check);
    }
    varlink_reply_done(&reply);
    return result;
}

/* ---- rooms ---- */

/* A room that has no messages is none, but the one that everybody is in first. */
static bool is_shown(const struct room *room)
{
    return room->messages > 0 || strcmp(room->name, "main") == 0;
}

static void print_room(const struct context *context, struct table *table, const struct room *room)
{
    char messages[24], unread[24], last[TIME_TEXT_MAX] = "-";
    struct json_object *object;

    if (context->json) {
        object = json_object_new_object();
        json_object_object_add(object, "name", json_object_new_string(room->name));
        json_object_object_add(object, "messages", json_object_new_int64((int64_t)room->messages));
        json_object_object_add(object, "unread", json_object_new_int64((int64_t)room->unread));
        json_object_object_add(object, "last", json_object_new_int64((int64_t)room->last));
        print_json(context, object);
        json_object_put(object);
        return;
    }
    snprintf(messages, sizeof(messages), "%llu", (unsigned long long)room->messages);
    snprintf(unread, sizeof(unread), "%llu", (unsigned long long)room->unread);
    if (room->last)
        time_format_full(room->last, last);
    table_add(table, (const char *const[]){room->name, messages, unread, last});
}

static void print_rooms(const struct context *context, const struct rooms *rooms)
{
    static const char *const headings[] = {"ROOM", "MESSAGES", "UNREAD", "LAST"};
    _cleanup_(table_freep) struct table *table = table_new(ELEMENTS(headings), headings);

    for (size_t i = 0; table && i < rooms->count; i++) {
        if (is_shown(&rooms->list[i]))
            print_room(context, table, &rooms->list[i]);
    }
    if (!table || context->json)
        return;
    table_print(context, table);
    if (!context->no_legend)
        printf("%sunread: since chat was left%s\n", dim(context), plain(context));
}

int verb_rooms(struct context *context, int argc, char **argv)
{
    struct rooms rooms = {0};
    struct varlink_reply reply;
    int result;

    if (argc > 1)
        return verb_usage("rooms", "unexpected: \"%s\"", argv[1]);
    result = context_call(context, VARLINK_INTERFACE ".Status", NULL, &reply);
    if (result != 0)
        return result;
    rooms_get(&rooms, "main");
    rooms_load(&rooms, field_text(field(reply.parameters, "status"), "id"));
    varlink_reply_done(&reply);
    result = rooms_catch_up(context, &rooms, NULL);
    if (result == 0)
        result = rooms_fetch(context, &rooms);
    if (result == 0)
        print_rooms(context, &rooms);
    rooms_done(&rooms);
    return result;
}
