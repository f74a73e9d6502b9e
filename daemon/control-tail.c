/* Tail: pages of the history, read when the client has room for them. Nothing is held for a client
 * that does not read: it reads on from the store. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"
#include "history-search.h"

enum tail_phase {
    TAIL_COUNT, /* from the end, to find where the last lines begin */
    TAIL_LINES, /* from there, up to what was stored when the call came */
    TAIL_CAUGHT_UP,
    TAIL_FOLLOW, /* what is delivered since */
};

/* A reader's place. */
struct tail {
    enum tail_phase phase;
    const char *room; /* the call's; NULL: all */
    uint64_t lines, matching;
    struct history_search *search;
    struct history_position position; /* following: what has been shown */
    struct message_key first, last;   /* of the lines; the highest key when the call came */
    struct json_object *events;       /* those that wait */
    uint64_t events_lost;
};

void tail_stop(struct call *call)
{
    struct tail *tail = call->data;

    history_search_free(tail->search);
    json_object_put(tail->events);
    free(tail);
}

static struct history *history_of(struct call *call)
{
    return engine_get_history(call->client->control->engine);
}

/* ---- messages ---- */

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

/* It is looked from the end for where the lines begin. */
static int begin_last(struct call *call, struct tail *tail)
{
    struct history_query query = {.until = UINT64_MAX, .room = tail->room, .upto = &tail->position};
    struct history_page page;
    int result = history_last(history_of(call), 0, &page, &tail->position);

    if (result < 0)
        return result;
    history_page_done(&page);
    result = history_newest(history_of(call), &tail->last);
    if (result < 0)
        return result;
    tail->first = tail->last;
    tail->phase = TAIL_CAUGHT_UP;
    if (tail->lines == 0)
        return 0;
    tail->phase = TAIL_COUNT;
    query.high = tail->last.hlc;
    result = history_search_new(history_of(call), &query, &tail->search);
    if (result == 0)
        history_search_start(tail->search, &tail->last, true);
    return result;
}

static void begin_tail(struct call *call)
{
    const char *after = call_string(call, "after", NULL);
    struct tail *tail = calloc(1, sizeof(*tail));
    int result;

    if (!tail) {
        call_out_of_memory(call);
        return;
    }
    call->data = tail;
    tail->room = call_string(call, "room", NULL);
    tail->phase = TAIL_FOLLOW;
    tail->events = json_object_new_array();
    if (!tail->events)
        call_out_of_memory(call);
    else if (call_number(call, "lines", TAIL_LINES_DEFAULT, &tail->lines) < 0)
        call_invalid(call, "lines");
    if (!tail->events || call->state == CALL_ANSWERED)
        return;
    result = after ? history_cursor_parse(history_of(call), after, &tail->position)
                   : begin_last(call, tail);
    if (result == -EINVAL)
        call_invalid(call, "after");
    else if (result == -ESTALE)
        call_error(call, ERROR_CURSOR_STALE, NULL);
    else if (result < 0)
        call_unreadable(call, result);
}

/* ---- the last lines ---- */

static struct json_object *cursor_value(struct call *call, const struct history_position *position)
{
    char text[HISTORY_CURSOR_TEXT_MAX];

    history_cursor_format(history_of(call), position, text);
    return json_object_new_string(text);
}

static void show_line(struct call *call, struct tail *tail, const struct history_item *item)
{
    struct history_item shown = *item;

    /* A tail that is cut off here goes on with the next one. */
    shown.position = tail->position;
    if (message_key_compare(&item->position.key, &tail->last) < 0) {
        shown.position.from = item->position.key;
        shown.position.upto = tail->last;
    }
    call_reply(call, tail_report(history_of(call), shown.packet, shown.late, &shown.position),
               true);
}

/* Of a page that was counted: the message that comes first of all lines so far. */
static void count_lines(struct tail *tail, const struct history_page *page)
{
    if (page->count > 0)
        tail->first = page->items[page->count - 1].position.key;
    tail->matching += page->count;
    if (!page->end && tail->matching < tail->lines)
        return;
    tail->phase = tail->matching > 0 ? TAIL_LINES : TAIL_CAUGHT_UP;
    history_search_start(tail->search, &tail->first, false);
}

/* A page of the history: counted, or shown. */
static int read_page(struct call *call, struct tail *tail)
{
    uint64_t wanted = tail->phase == TAIL_COUNT ? tail->lines - tail->matching : UINT64_MAX;
    struct history_page page;
    bool end;
    int result =
        history_search_read(tail->search, MIN(wanted, (uint64_t)READ_PAGE_MESSAGES), &page);

    if (result < 0)
        return result;
    end = page.end;
    if (tail->phase == TAIL_COUNT) {
        count_lines(tail, &page);
        end = false;
    }
    for (size_t i = 0; wanted == UINT64_MAX && i < page.count; i++) {
        /* What came since the call is for the phase after. */
        end |= message_key_compare(&page.items[i].position.key, &tail->last) > 0;
        if (message_key_compare(&page.items[i].position.key, &tail->last) <= 0)
            show_line(call, tail, &page.items[i]);
    }
    history_page_done(&page);
    if (end)
        tail->phase = TAIL_CAUGHT_UP;
    return 0;
}

/* Makes some progress towards TAIL_CAUGHT_UP. */
static int catch_up(struct call *call, struct tail *tail)
{
    int result = 0;

    for (unsigned i = 0; i < READ_PAGES_AT_ONCE && result == 0 && tail->phase < TAIL_CAUGHT_UP &&
                         call_has_room(call);
         i++)
        result = read_page(call, tail);
    if (result == 0 && tail->phase < TAIL_CAUGHT_UP && call_has_room(call))
        client_schedule(call->client);
    return result;
}

/* ---- what comes ---- */

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

static void show_page(struct call *call, struct tail *tail, struct tail_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        struct tail_line *line = &page->lines[i];

        tail->position = line->position;
        if (is_in_room(tail, line->packet))
            call_write_text(call, tail_line_text(history_of(call), line));
    }
}

/* What has been delivered since the position. */
static int follow(struct call *call, struct tail *tail)
{
    struct tail_pages *pages = &call->client->control->tail_pages;
    bool end = false;

    for (unsigned i = 0; i < READ_PAGES_AT_ONCE && !end && call_has_room(call); i++) {
        struct tail_page *page;
        int result = tail_pages_read(pages, history_of(call), &tail->position, &page);

        if (result < 0)
            return result;
        show_page(call, tail, page);
        end = tail_page_is_end(pages, page);
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
    if (tail->phase < TAIL_CAUGHT_UP)
        result = catch_up(call, tail);
    if (result == 0 && tail->phase == TAIL_CAUGHT_UP) {
        if (call_flag(call, "follow"))
            call_reply(call, OBJECT({"cursor", cursor_value(call, &tail->position)}), true);
        tail->phase = TAIL_FOLLOW;
    }
    if (result == 0 && tail->phase == TAIL_FOLLOW)
        result = follow(call, tail);
    if (result < 0)
        call_unreadable(call, result);
    else if (call->state != CALL_ANSWERED)
        show_events(call, tail);
}
