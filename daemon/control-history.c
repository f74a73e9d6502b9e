/* History and Export: what is stored, in the agreed order, read when the client has room for it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"
#include "history-search.h"

struct reading {
    struct history_search *search;
    uint64_t lines; /* the newest of what is asked for; UINT64_MAX: all */
    bool counting;  /* downwards, to find where they begin */
    bool down;
    uint64_t taken;            /* counted, or shown */
    struct message_key first;  /* the lowest one counted */
    struct message_key last;   /* the highest key when the call came */
    struct json_object *batch; /* messages of the reply being made */
    size_t batch_bytes;
};

void history_stop(struct call *call)
{
    struct reading *reading = call->data;

    history_search_free(reading->search);
    json_object_put(reading->batch);
    free(reading);
}

static struct history *history_of(struct call *call)
{
    return engine_get_history(call->client->control->engine);
}

/* ---- beginning ---- */

/* Reads the parameters; false: the call has been answered. */
static bool read_query(struct call *call, struct history_query *ret)
{
    const struct ring_view *view = engine_get_view(call->client->control->engine);

    *ret = (struct history_query){.user = call_string(call, "user", NULL),
                                  .room = call_string(call, "room", NULL),
                                  .words = call_string(call, "words", NULL),
                                  .node = call_string(call, "node", NULL)};
    if (call_number(call, "since", 0, &ret->since) < 0)
        call_invalid(call, "since");
    else if (call_number(call, "until", UINT64_MAX, &ret->until) < 0)
        call_invalid(call, "until");
    else if (ret->node && member_find(view, ret->node) == -ENOTUNIQ)
        method_answer_ambiguous(call, ret->node);
    return call->state != CALL_ANSWERED;
}

static int start(struct call *call, struct reading *reading, const struct history_query *query)
{
    static const struct message_key beginning;
    int result = history_search_new(history_of(call), query, &reading->search);

    if (result < 0)
        return result;
    result = history_newest(history_of(call), &reading->last);
    if (result < 0)
        return result;
    reading->down = call_flag(call, "reverse");
    reading->counting = reading->lines != UINT64_MAX && !reading->down;
    if (reading->down || reading->counting)
        history_search_start(reading->search, &reading->last, true);
    else
        history_search_start(reading->search, &beginning, false);
    return 0;
}

static void begin(struct call *call)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    struct history_query query;
    int result;

    if (!reading) {
        call_out_of_memory(call);
        return;
    }
    call->data = reading;
    reading->batch = json_object_new_array();
    if (!reading->batch) {
        call_out_of_memory(call);
        return;
    }
    if (call_number(call, "lines", UINT64_MAX, &reading->lines) < 0) {
        call_invalid(call, "lines");
        return;
    }
    if (!read_query(call, &query))
        return;
    result = start(call, reading, &query);
    if (result == -EINVAL)
        call_invalid(call, "words");
    else if (result < 0)
        call_unreadable(call, result);
}

/* ---- reading ---- */

static void send_batch(struct call *call, struct reading *reading, bool continues)
{
    struct json_object *batch = reading->batch;

    reading->batch = json_object_new_array();
    reading->batch_bytes = 0;
    if (!reading->batch)
        call_out_of_memory(call);
    call_reply(call, OBJECT({"messages", batch}), continues);
}

static void show(struct call *call, struct reading *reading, const struct history_item *item)
{
    json_object_array_add(reading->batch, report_message(item->packet));
    reading->batch_bytes += item->packet->size;
    if (reading->batch_bytes >= HISTORY_REPLY_BYTES)
        send_batch(call, reading, true);
}

/* Turns round where the newest ones begin. */
static void count(struct reading *reading, const struct history_page *page)
{
    if (page->count > 0)
        reading->first = page->items[page->count - 1].position.key;
    reading->taken += page->count;
    if (!page->end && reading->taken < reading->lines)
        return;
    reading->counting = false;
    reading->lines = reading->taken;
    reading->taken = 0;
    history_search_start(reading->search, &reading->first, false);
}

/* True: that was all that is asked for. */
static bool show_page(struct call *call, struct reading *reading, const struct history_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        /* What came since the call is not asked for. */
        if (!reading->down && message_key_compare(&page->items[i].position.key, &reading->last) > 0)
            return true;
        show(call, reading, &page->items[i]);
        reading->taken++;
    }
    return reading->taken == reading->lines;
}

/* 1: that was all. 0: there is more. Or a negative errno. */
static int read_page(struct call *call, struct reading *reading)
{
    uint64_t wanted = MIN(reading->lines - reading->taken, (uint64_t)READ_PAGE_MESSAGES);
    struct history_page page;
    bool end;
    int result = history_search_read(reading->search, wanted, &page);

    if (result < 0)
        return result;
    end = page.end;
    if (reading->counting) {
        count(reading, &page);
        end = reading->lines == 0;
    } else {
        end |= show_page(call, reading, &page);
    }
    history_page_done(&page);
    return end;
}

void history_run(struct call *call)
{
    struct reading *reading;
    int result = 0;

    if (call->client->control->goodbye) {
        call_drop(call);
        return;
    }
    if (!call->data)
        begin(call);
    reading = call->data;
    if (!reading || call->state == CALL_ANSWERED || call->client->gone)
        return;
    for (unsigned i = 0; i < READ_PAGES_AT_ONCE && result == 0 && call_has_room(call); i++)
        result = read_page(call, reading);
    if (result < 0) {
        send_batch(call, reading, true);
        call_unreadable(call, result);
    } else if (result > 0) {
        send_batch(call, reading, false);
    } else if (call_has_room(call)) {
        client_schedule(call->client);
    }
}

void export_run(struct call *call)
{
    history_run(call);
}
