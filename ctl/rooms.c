#include "rooms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "progress.h"
#include "state-file.h"

/* Where the room is in the list, or is to be. */
static size_t position(const struct rooms *rooms, const char *name)
{
    size_t low = 0, high = rooms->count;

    /* They mostly come by name. */
    if (high > 0 && strcmp(rooms->list[high - 1].name, name) < 0)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(rooms->list[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool reserve(struct rooms *rooms)
{
    size_t allocated = MAX(16, 2 * rooms->allocated);
    struct room *grown;

    if (rooms->count < rooms->allocated)
        return true;
    grown = reallocarray(rooms->list, allocated, sizeof(*grown));
    if (!grown)
        return false;
    rooms->list = grown;
    rooms->allocated = allocated;
    return true;
}

struct room *rooms_get(struct rooms *rooms, const char *name)
{
    size_t at = position(rooms, name);
    struct room *room;
    char *copy;

    if (at < rooms->count && strcmp(rooms->list[at].name, name) == 0)
        return &rooms->list[at];
    copy = reserve(rooms) ? strdup(name) : NULL;
    if (!copy)
        return NULL;
    room = &rooms->list[at];
    memmove(room + 1, room, (rooms->count - at) * sizeof(*room));
    *room = (struct room){.name = copy};
    rooms->count++;
    return room;
}

uint64_t rooms_unread(const struct rooms *rooms, const char *except)
{
    uint64_t unread = 0;

    for (size_t i = 0; i < rooms->count; i++) {
        if (!except || strcmp(rooms->list[i].name, except) != 0)
            unread += rooms->list[i].unread;
    }
    return unread;
}

void rooms_set_cursor(struct rooms *rooms, const char *cursor)
{
    char *copy = strdup(cursor);

    if (!copy)
        return;
    free(rooms->cursor);
    rooms->cursor = copy;
}

void rooms_done(struct rooms *rooms)
{
    for (size_t i = 0; i < rooms->count; i++)
        free(rooms->list[i].name);
    free(rooms->list);
    free(rooms->cursor);
    *rooms = (struct rooms){0};
}

/* ---- the file ---- */

static char *state_path(const char *node_id, const char *suffix)
{
    _cleanup_free_ char *name = NULL;

    if (asprintf(&name, "read-%s%s", node_id, suffix) < 0) {
        name = NULL;
        return NULL;
    }
    return state_file(name);
}

/* A line is "cursor CURSOR" or "unread COUNT ROOM"; others are of another version. */
static void take_line(struct rooms *rooms, char *line)
{
    char *value, *end;
    unsigned long long unread;
    struct room *room;

    line[strcspn(line, "\n")] = '\0';
    value = strchr(line, ' ');
    if (!value)
        return;
    *value++ = '\0';
    if (strcmp(line, "cursor") == 0)
        rooms_set_cursor(rooms, value);
    if (strcmp(line, "unread") != 0)
        return;
    unread = strtoull(value, &end, 10);
    room = *end == ' ' && end[1] != '\0' ? rooms_get(rooms, end + 1) : NULL;
    if (room)
        room->unread = unread;
}

void rooms_load(struct rooms *rooms, const char *node_id)
{
    _cleanup_free_ char *path = state_path(node_id, ""), *line = NULL;
    FILE *file = path ? fopen(path, "re") : NULL;
    size_t allocated = 0;

    if (!file)
        return;
    while (getline(&line, &allocated, file) >= 0 && line)
        take_line(rooms, line);
    fclose(file);
}

void rooms_save(const struct rooms *rooms, const char *node_id)
{
    _cleanup_free_ char *path = state_path(node_id, ""), *new_path = state_path(node_id, ".new");
    FILE *file = path && new_path && rooms->cursor ? fopen(new_path, "we") : NULL;

    if (!file)
        return;
    fprintf(file, "cursor %s\n", rooms->cursor);
    for (size_t i = 0; i < rooms->count; i++) {
        /* A name with a newline in it would be two lines. */
        if (rooms->list[i].unread > 0 && !strchr(rooms->list[i].name, '\n'))
            fprintf(file, "unread %llu %s\n", (unsigned long long)rooms->list[i].unread,
                    rooms->list[i].name);
    }
    if (fclose(file) == 0)
        rename(new_path, path);
    else
        remove(new_path);
}

/* ---- counting ---- */

static void count_message(struct rooms *rooms, struct json_object *message)
{
    struct room *room = rooms_get(rooms, field_text(message, "room"));

    if (!room)
        return;
    room->unread++;
}

/* One Tail that does not follow. 0; 1: the cursor is of no use; an exit code, negative, after a
 * message. */
static int count_tail(const struct context *context, struct rooms *rooms, uint64_t *ret_counted)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct json_object *parameters = json_object_new_object();
    bool continues = true, stale = false;
    struct progress progress;
    int result = context_connect(context, &client);

    if (rooms->cursor)
        json_object_object_add(parameters, "after", json_object_new_string(rooms->cursor));
    else
        json_object_object_add(parameters, "lines", json_object_new_int64(0));
    if (result != 0) {
        json_object_put(parameters);
        return -result;
    }
    result = client_call(client, VARLINK_INTERFACE ".Tail", parameters, true);
    progress_begin(&progress, context, "messages that are new");
    while (result == 0 && continues && *ret_counted < COUNT_MAX) {
        struct varlink_reply reply;

        result = client_reply(client, &reply);
        if (result < 0)
            break;
        continues = reply.continues;
        stale = reply.error != NULL;
        if (!stale && field(reply.parameters, "message")) {
            count_message(rooms, field(reply.parameters, "message"));
            progress_show(&progress, ++*ret_counted, 0, 0);
        }
        if (!stale && *field_text(reply.parameters, "cursor"))
            rooms_set_cursor(rooms, field_text(reply.parameters, "cursor"));
        varlink_reply_done(&reply);
    }
    progress_clear(&progress);
    if (result < 0)
        return -context_unreachable(context, -ECONNRESET);
    return stale ? 1 : 0;
}

static void forget_cursor(struct rooms *rooms)
{
    free(rooms->cursor);
    rooms->cursor = NULL;
}

int rooms_catch_up(const struct context *context, struct rooms *rooms, uint64_t *ret_counted)
{
    uint64_t counted = 0, again = 0;
    int result = count_tail(context, rooms, &counted);

    /* Of another history, or so far behind that counting goes on no longer: from the end on. */
    if (result == 1 || counted >= COUNT_MAX) {
        forget_cursor(rooms);
        result = count_tail(context, rooms, &again);
    }
    if (ret_counted)
        *ret_counted = counted;
    return result < 0 ? -result : 0;
}

/* ---- all of them ---- */

static void take_rooms(struct rooms *rooms, struct json_object *parameters)
{
    struct json_object *list = field(parameters, "rooms");

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        struct room *room = rooms_get(rooms, field_text(entry, "name"));

        if (room) {
            room->messages += field_number(entry, "messages");
            room->last = MAX(room->last, field_number(entry, "last"));
        }
    }
}

int rooms_fetch(const struct context *context, struct rooms *rooms)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct varlink_reply reply;
    bool continues = true;
    int result = context_connect(context, &client);

    if (result != 0)
        return result;
    result = client_call(client, VARLINK_INTERFACE ".Rooms", NULL, true);
    while (result == 0 && continues && (result = client_reply(client, &reply)) == 0) {
        take_rooms(rooms, reply.parameters);
        continues = reply.continues;
        if (reply.error)
            result = context_error(context, &reply);
        varlink_reply_done(&reply);
    }
    for (size_t i = 0; result == 0 && i < rooms->count; i++)
        rooms->list[i].unread = MIN(rooms->list[i].unread, rooms->list[i].messages);
    return result < 0 ? context_unreachable(context, -ECONNRESET) : result;
}
