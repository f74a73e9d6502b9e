/* Tail and History: pages of the history, read when the client has room for them. Nothing is held
 * for a client that does not read: it reads on from the store. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"

enum reader_phase {
    READER_COUNT, /* from the beginning, to know how many match */
    READER_SKIP,  /* from the beginning, up to the last lines */
    READER_LAST,  /* what was stored when the call came */
    READER_CAUGHT_UP,
    READER_FOLLOW, /* what is delivered since */
};

/* A reader's place, for both methods. */
struct tail {
    enum reader_phase phase;
    const char *room; /* the call's; NULL: all */
    bool all;         /* no number of lines was given */
    uint64_t lines, matching, skip;
    struct message_key at;            /* counting and skipping: the last key read */
    struct history_position position; /* following: what has been shown */
    struct message_key last;          /* the highest key when the call came */
    struct json_object *batch;        /* History: messages of the reply being made */
    size_t batch_bytes;
    struct json_object *events; /* Tail: those that wait */
    uint64_t events_lost;
};

void tail_stop(struct call *call)
{
    struct tail *tail = call->data;

    json_object_put(tail->batch);
    json_object_put(tail->events);
    free(tail);
}

static struct history *history_of(struct call *call)
{
    return engine_get_history(call->client->control->engine);
}

/* ---- messages ---- */

static struct span span_of_bytes(struct bytes bytes)
{
    return (struct span){.data = bytes.data, .size = bytes.size};
}

static struct json_object *message_value(const struct packet *packet)
{
    struct chat_message chat = {0};
    struct message message;

    check(message_unpack(packet, &message) == 0);
    memcpy(chat.id, message.id.bytes, sizeof(chat.id));
    memcpy(chat.origin, message.key.origin.bytes, sizeof(chat.origin));
    chat.hlc = message.key.hlc;
    chat.seq = message.key.seq;
    chat.sent = message.sent;
    chat.notice = message.kind == MESSAGE_NOTICE;
    chat.user = span_of_bytes(message.user);
    chat.node = span_of_bytes(message.node);
    chat.room = span_of_bytes(message.room);
    chat.text = span_of_bytes(message.text);
    return message_to_json(&chat);
}

static bool is_in_room(const struct tail *tail, const struct packet *packet)
{
    struct message message;

    if (!tail->room)
        return true;
    check(message_unpack(packet, &message) == 0);
    return message.room.size == strlen(tail->room) &&
           memcmp(message.room.data, tail->room, message.room.size) == 0;
}

/* ---- beginning ---- */

/* The newest lines are at the end; where they cannot be had from there, the history is counted. */
static int begin_last(struct call *call, struct tail *tail, bool stream)
{
    struct history_page page;
    struct message message;
    int result = history_last(history_of(call), 1, &page, &tail->position);

    if (result < 0)
        return result;
    if (page.count > 0 && message_unpack(page.items[0].packet, &message) == 0)
        tail->last = message.key;
    history_page_done(&page);
    if (tail->all || (!stream && tail->lines == 0))
        tail->phase = tail->all ? READER_LAST : READER_CAUGHT_UP;
    else if (tail->lines == 0)
        tail->phase = READER_CAUGHT_UP;
    else if (tail->lines <= READ_BACK_MESSAGES && !tail->room)
        tail->phase = READER_SKIP;
    else
        tail->phase = READER_COUNT;
    return 0;
}

static struct tail *tail_new(struct call *call, uint64_t lines_missing)
{
    struct tail *tail = calloc(1, sizeof(*tail));

    if (!tail) {
        call_out_of_memory(call);
        return NULL;
    }
    call->data = tail;
    tail->room = call_string(call, "room", NULL);
    tail->all = lines_missing == 0 && !call_parameter(call, "lines");
    tail->events = json_object_new_array();
    tail->batch = json_object_new_array();
    if (!tail->events || !tail->batch)
        call_out_of_memory(call);
    else if (call_number(call, "lines", lines_missing, &tail->lines) < 0)
        call_invalid(call, "lines");
    return tail;
}

static void begin_tail(struct call *call)
{
    const char *after = call_string(call, "after", NULL);
    struct tail *tail = tail_new(call, TAIL_LINES_DEFAULT);
    int result;

    if (!tail || call->state == CALL_ANSWERED)
        return;
    if (!after) {
        if (begin_last(call, tail, true) < 0)
            call_out_of_memory(call);
        return;
    }
    result = history_cursor_parse(history_of(call), after, &tail->position);
    if (result == -EINVAL)
        call_invalid(call, "after");
    if (result == -ESTALE)
        call_error(call, ERROR_CURSOR_STALE, NULL);
    tail->phase = READER_FOLLOW;
    tail->all = true;
}

static void begin_history(struct call *call)
{
    struct tail *tail = tail_new(call, 0);

    if (!tail || call->state == CALL_ANSWERED)
        return;
    if (begin_last(call, tail, false) < 0)
        call_out_of_memory(call);
}

/* ---- reading from the beginning ---- */

/* One item, in the form of the method. */
typedef void (*show_item)(struct call *call, const struct history_item *item);

/* Where history_last() gives the lines at once: they are few. */
static int show_last(struct call *call, struct tail *tail, show_item show)
{
    struct history_page page;
    int result = history_last(history_of(call), tail->lines, &page, &tail->position);

    if (result < 0)
        return result;
    for (size_t i = 0; i < page.count; i++)
        show(call, &page.items[i]);
    history_page_done(&page);
    tail->phase = READER_CAUGHT_UP;
    return 0;
}

static void take_counted(struct call *call, struct tail *tail, const struct history_item *item,
                         show_item show)
{
    struct history_item shown = *item;

    if (!is_in_room(tail, item->packet))
        return;
    if (tail->phase == READER_COUNT) {
        tail->matching++;
        return;
    }
    if (tail->skip > 0) {
        tail->skip--;
        return;
    }
    /* A tail that is cut off here goes on with the next one. */
    shown.position = tail->position;
    if (message_key_compare(&item->position.key, &tail->last) < 0) {
        shown.position.from = item->position.key;
        shown.position.upto = tail->last;
    }
    show(call, &shown);
}

/* A page of the history from its beginning: counted, or shown. */
static int read_page(struct call *call, struct tail *tail, show_item show)
{
    struct history_page page;
    int result = history_read(history_of(call), &tail->at, READ_PAGE_MESSAGES, &page);
    bool end;

    if (result < 0)
        return result;
    end = page.end;
    for (size_t i = 0; i < page.count; i++) {
        tail->at = page.items[i].position.key;
        /* What came since the call is for the phase after. */
        if (message_key_compare(&tail->at, &tail->last) > 0) {
            end = true;
            break;
        }
        take_counted(call, tail, &page.items[i], show);
    }
    history_page_done(&page);
    if (!end)
        return 0;
    if (tail->phase == READER_COUNT) {
        tail->phase = READER_LAST;
        tail->at = (struct message_key){0};
        tail->skip = tail->matching > tail->lines ? tail->matching - tail->lines : 0;
    } else {
        tail->phase = READER_CAUGHT_UP;
    }
    return 0;
}

/* Makes some progress towards READER_CAUGHT_UP. */
static int catch_up(struct call *call, struct tail *tail, show_item show)
{
    int result = 0;

    for (unsigned i = 0; i < READ_PAGES_AT_ONCE && result == 0 && tail->phase < READER_CAUGHT_UP &&
                         call_has_room(call);
         i++)
        result =
            tail->phase == READER_SKIP ? show_last(call, tail, show) : read_page(call, tail, show);
    if (result == 0 && tail->phase < READER_CAUGHT_UP && call_has_room(call))
        client_schedule(call->client);
    return result;
}

/* ---- Tail ---- */

static struct json_object *cursor_value(struct call *call, const struct history_position *position)
{
    char text[HISTORY_CURSOR_TEXT_MAX];

    history_cursor_format(history_of(call), position, text);
    return json_object_new_string(text);
}

static void show_in_tail(struct call *call, const struct history_item *item)
{
    call_reply(call,
               OBJECT({"message", message_value(item->packet)},
                      {"late", json_object_new_boolean(item->late)},
                      {"cursor", cursor_value(call, &item->position)}),
               true);
}

void tail_event(struct call *call, const struct ring_event *event)
{
    struct tail *tail = call->data;
    struct json_object *object;

    if (!tail || !call_flag(call, "events"))
        return;
    if (json_object_array_length(tail->events) >= TAIL_EVENTS_MAX) {
        tail->events_lost++;
        return;
    }
    object = report_event(call->client->control, event);
    if (!object)
        return;
    json_object_array_add(tail->events, object);
    client_schedule(call->client);
}

static void show_events(struct call *call, struct tail *tail)
{
    while (json_object_array_length(tail->events) > 0 && call_has_room(call)) {
        struct json_object *event = json_object_get(json_object_array_get_idx(tail->events, 0));

        json_object_array_del_idx(tail->events, 0, 1);
        call_reply(call, OBJECT({"event", event}), true);
    }
    if (tail->events_lost > 0 && json_object_array_length(tail->events) == 0) {
        call_reply(call,
                   OBJECT({"event", report_lost_events(call->client->control, tail->events_lost)}),
                   true);
        tail->events_lost = 0;
    }
}

/* What has been delivered since the position. */
static int follow(struct call *call, struct tail *tail)
{
    bool end = false;
    int result = 0;

    for (unsigned i = 0; i < READ_PAGES_AT_ONCE && !end && result == 0 && call_has_room(call);
         i++) {
        struct history_page page;

        result = history_read_after(history_of(call), &tail->position, READ_PAGE_MESSAGES, &page);
        if (result < 0)
            return result;
        for (size_t k = 0; k < page.count; k++) {
            tail->position = page.items[k].position;
            if (is_in_room(tail, page.items[k].packet))
                show_in_tail(call, &page.items[k]);
        }
        end = page.end;
        history_page_done(&page);
    }
    if (!end && call_has_room(call))
        client_schedule(call->client);
    if (end && !call_flag(call, "follow"))
        call_reply(call, OBJECT({"cursor", cursor_value(call, &tail->position)}), false);
    return 0;
}

void tail_run(struct call *call)
{
    struct tail *tail;
    int result = 0;

    if (call->client->control->goodbye) {
        call_drop(call);
        return;
    }
    if (!call->data)
        begin_tail(call);
    tail = call->data;
    if (!tail || call->state == CALL_ANSWERED || !call_has_room(call))
        return;
    if (tail->phase < READER_CAUGHT_UP)
        result = catch_up(call, tail, show_in_tail);
    if (result == 0 && tail->phase == READER_CAUGHT_UP) {
        if (call_flag(call, "follow"))
            call_reply(call, OBJECT({"cursor", cursor_value(call, &tail->position)}), true);
        tail->phase = READER_FOLLOW;
    }
    if (result == 0 && tail->phase == READER_FOLLOW)
        result = follow(call, tail);
    if (result < 0)
        call_out_of_memory(call);
    else if (call->state != CALL_ANSWERED)
        show_events(call, tail);
}

/* ---- History ---- */

static void send_batch(struct call *call, struct tail *tail, bool continues)
{
    struct json_object *batch = tail->batch;

    tail->batch = json_object_new_array();
    tail->batch_bytes = 0;
    if (!tail->batch)
        call_out_of_memory(call);
    call_reply(call, OBJECT({"messages", batch}), continues);
}

static void show_in_history(struct call *call, const struct history_item *item)
{
    struct tail *tail = call->data;

    json_object_array_add(tail->batch, message_value(item->packet));
    tail->batch_bytes += item->packet->size;
    if (tail->batch_bytes >= HISTORY_REPLY_BYTES)
        send_batch(call, tail, true);
}

void history_run(struct call *call)
{
    struct tail *tail;

    if (call->client->control->goodbye) {
        call_drop(call);
        return;
    }
    if (!call->data)
        begin_history(call);
    tail = call->data;
    if (!tail || call->state == CALL_ANSWERED)
        return;
    if (tail->phase < READER_CAUGHT_UP && catch_up(call, tail, show_in_history) < 0)
        call_out_of_memory(call);
    else if (tail->phase == READER_CAUGHT_UP)
        send_batch(call, tail, false);
}
