/* What comes from the store, and what it is asked now and then. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "engine-internal.h"
#include "retention.h"

/* How often the store's files are looked at, and retention is thought of. */
#define TICK_SEC 1

static void on_stored(void *userdata, ring_ticket ticket)
{
    struct engine *engine = userdata;
    struct inbox_item *item = engine_item_new(RING_STORED);

    /* Late notes are on disk now: tails can show them. */
    engine->delivered |= ticket == 0;
    item->input.stored.ticket = ticket;
    engine_enqueue(engine, item);
}

static void give_store_failure(struct engine *engine, ring_ticket ticket)
{
    struct ring_input in = {.type = RING_STORE_FAILED};

    in.store_failed.ticket = ticket;
    engine_step(engine, &in);
}

static void on_failed(void *userdata, ring_ticket ticket, const char *error)
{
    struct engine *engine = userdata;

    journal_log(engine->journal, LINE_STORE_ERROR, "%s", error);
    give_store_failure(engine, ticket);
    engine->store_failed = true;
    engine_fail(engine, error);
}

void engine_log_unreadable(struct engine *engine, int error)
{
    journal_log(engine->journal, LINE_STORE_UNREADABLE,
                "a part of the history cannot be read: %s; the next start checks all of it and "
                "mends what is damaged: systemctl restart ringchatd",
                strerror(-error));
}

static void on_fetched(void *userdata, ring_ticket ticket, size_t count,
                       struct packet *const *packets)
{
    struct inbox_item *item = engine_item_new(RING_FETCHED);

    item->input.fetched.ticket = ticket;
    item->input.fetched.count = count;
    item->packets = calloc(MAX(count, 1), sizeof(struct packet *));
    check(item->packets != NULL);
    for (size_t i = 0; i < count; i++)
        item->packets[i] = packet_ref(packets[i]);
    engine_enqueue(userdata, item);
}

static void on_pruned(void *userdata, const struct store_pruned *pruned)
{
    struct engine *engine = userdata;

    history_pruned(engine->history, pruned->messages);
    for (size_t i = 0; i < pruned->count; i++) {
        struct inbox_item *item = engine_item_new(RING_PRUNED);

        item->input.pruned.origin = pruned->intervals[i].origin;
        item->input.pruned.interval = pruned->intervals[i].interval;
        engine_enqueue(engine, item);
    }
}

static void on_counted(void *userdata)
{
    struct engine *engine = userdata;

    engine->counts_done++;
    for (struct engine_watcher *at = engine->watchers, *next; at; at = next) {
        next = at->next;
        if (at->counted)
            at->counted(at->userdata);
    }
}

int engine_count_rooms(struct engine *engine, uint64_t *ret)
{
    int result = store_submit_rooms(engine->store);

    if (result == 0)
        *ret = ++engine->counts_asked;
    return result;
}

bool engine_has_counted(const struct engine *engine, uint64_t number)
{
    return engine->counts_done >= number;
}

static void on_checked(void *userdata, const char *error)
{
    if (error)
        on_failed(userdata, 0, error);
}

/* ---- now and then ---- */

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;
    struct inbox_item *item;
    uint64_t horizon;

    (void)fd, (void)what;
    if (engine->failed)
        return;
    if (store_is_gone(engine->store)) {
        on_failed(engine, 0,
                  "somebody deleted or replaced the database of the running daemon; restart "
                  "ringchatd: the history comes back from the other members");
        return;
    }
    horizon = retention_horizon(engine->history, &engine->retention, engine_wall());
    if (horizon == 0)
        return;
    item = engine_item_new(RING_RETENTION);
    item->input.retention.horizon = horizon;
    engine_enqueue(engine, item);
}

static void tell_of_damage(struct engine *engine)
{
    unsigned salvaged;
    const char *notice = store_get_notice(engine->store, &salvaged);

    if (!notice)
        return;
    journal_log(engine->journal, LINE_STORE_SET_ASIDE, "%s", notice);
    if (salvaged > 0)
        journal_log(engine->journal, LINE_STORE_SALVAGED,
                    "%u messages that waited to be sent were found in it, and will be", salvaged);
}

static bool on_working(void *userdata, enum store_work work, int percent)
{
    struct engine *engine = userdata;

    return engine->callbacks.working(engine->callbacks.userdata, work, percent);
}

int engine_store_open(struct engine *engine, const char *state_directory, char **ret_error)
{
    static const struct store_callbacks callbacks = {.stored = on_stored,
                                                     .failed = on_failed,
                                                     .fetched = on_fetched,
                                                     .pruned = on_pruned,
                                                     .counted = on_counted,
                                                     .checked = on_checked,
                                                     .working = on_working};
    struct timeval interval = {.tv_sec = TICK_SEC};
    int result =
        store_open(state_directory, engine->base, &callbacks, engine, &engine->store, ret_error);

    engine->store_failed = result < 0;
    if (result == 0)
        result = history_open(state_directory, &engine->history);
    if (result < 0)
        return result;
    tell_of_damage(engine);
    engine->tick = event_new(engine->base, -1, EV_PERSIST, on_tick, engine);
    check(engine->tick && event_add(engine->tick, &interval) == 0);
    return 0;
}

void engine_check_store(struct engine *engine)
{
    int result = store_check(engine->store, engine->base);

    if (result < 0)
        journal_log(engine->journal, LINE_STORE_UNCHECKED, "the database cannot be checked now: %s",
                    strerror(-result));
}
