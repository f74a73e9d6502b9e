/* Rooms: what each has, read when the client has room for it. The store keeps the sums of the last
 * messages in memory, so it is asked to write them first. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/util.h"
#include "control-method.h"

struct listing {
    uint64_t number; /* of engine_count_rooms() */
    bool counted;
    char from[ROOM_BYTES_MAX + 1]; /* the next name is not less */
    size_t from_size;
    struct history_room page[READ_PAGE_ROOMS];
};

void rooms_stop(struct call *call)
{
    free(call->data);
}

static void begin(struct call *call)
{
    struct engine *engine = call->client->control->engine;
    struct listing *listing = calloc(1, sizeof(*listing));

    call->data = listing;
    if (!listing || engine_count_rooms(engine, &listing->number) < 0 ||
        call_set_timer(call, ROOMS_TIMEOUT_USEC) < 0)
        call_out_of_memory(call);
}

static struct json_object *room_value(const struct history_room *room)
{
    _cleanup_free_ char *name = text_repair(room->name, room->name_size, NULL);

    return OBJECT({"name", name ? json_object_new_string(name) : NULL},
                  {"messages", json_object_new_int64((int64_t)room->messages)},
                  {"last", json_object_new_int64((int64_t)room->last)});
}

/* The least name above that one. */
static void go_on_after(struct listing *listing, const struct history_room *room)
{
    memcpy(listing->from, room->name, room->name_size);
    listing->from[room->name_size] = '\0';
    listing->from_size = room->name_size + 1;
}

/* Tells the next rooms. */
static void tell(struct call *call, struct listing *listing)
{
    struct history *history = engine_get_history(call->client->control->engine);
    struct bytes from = {listing->from, listing->from_size};
    struct json_object *rooms = json_object_new_array();
    ssize_t count = history_read_rooms(history, from, READ_PAGE_ROOMS, listing->page);

    if (!rooms || count < 0) {
        json_object_put(rooms);
        call_unreadable(call, rooms ? (int)count : -ENOMEM);
        return;
    }
    for (ssize_t i = 0; i < count; i++)
        json_object_array_add(rooms, room_value(&listing->page[i]));
    if (count > 0)
        go_on_after(listing, &listing->page[count - 1]);
    call_reply(call, OBJECT({"rooms", rooms}), count == READ_PAGE_ROOMS);
}

void rooms_run(struct call *call)
{
    struct control *control = call->client->control;
    struct listing *listing;

    if (control->goodbye) {
        call_drop(call);
        return;
    }
    if (!call->data)
        begin(call);
    listing = call->data;
    if (!listing || call->client->gone)
        return;
    listing->counted |= call->timed_out || engine_has_counted(control->engine, listing->number);
    if (!listing->counted || !call_has_room(call))
        return;
    tell(call, listing);
    if (call->state != CALL_ANSWERED)
        client_schedule(call->client);
}
