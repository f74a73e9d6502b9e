/* Starting and ending the engine: the store, the sockets, the core. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/check.h"
#include "common/util.h"
#include "config.h"
#include "engine-internal.h"

static uint64_t random_number(void)
{
    uint64_t number;

    check(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

static void host_name(char *ret, size_t size)
{
    if (gethostname(ret, size) < 0)
        snprintf(ret, size, "localhost");
    ret[size - 1] = '\0';
}

static int configure(struct engine *engine, const struct config *config)
{
    char host[NAME_BYTES_MAX + 1];

    host_name(host, sizeof(host));
    engine->name = strdup(*config->display_name ? config->display_name : host);
    engine->ring_name = strdup(config->ring_name);
    if (!engine->name || !engine->ring_name)
        return -ENOMEM;
    engine->settings = config;
    engine->config.id = store_get_contents(engine->store)->node;
    engine->config.instance = random_number();
    engine->config.entropy = random_number();
    engine->config.name = (struct bytes){engine->name, strlen(engine->name)};
    engine->config.ring = (struct bytes){engine->ring_name, strlen(engine->ring_name)};
    engine->config.version = config->wire_version;
    engine->config.networked = keys_get_mode(engine->keys) != KEYS_MISSING;
    engine->config.heartbeat_interval = config->heartbeat_interval;
    engine->config.heartbeat_timeout = config->heartbeat_timeout;
    engine->config.link_timeout = config->link_timeout;
    return keys_identify(engine->keys, &(struct tls_self){.id = engine->config.id,
                                                          .instance = engine->config.instance,
                                                          .ring_name = engine->ring_name});
}

static void start_core(struct engine *engine)
{
    const struct store_contents *contents = store_get_contents(engine->store);
    struct ring_input in = {.type = RING_START};

    in.start.config = &engine->config;
    in.start.state = contents->state;
    in.start.top = contents->top;
    in.start.held_count = contents->held_count;
    in.start.held = contents->held;
    in.start.outbox_count = contents->outbox_count;
    in.start.outbox = contents->outbox;
    engine_step(engine, &in);
    engine_arm_timer(engine);
}

static void set_retention(struct engine *engine, const struct config *config)
{
    engine->retention =
        (struct retention){.usec = config->retention_time, .bytes = config->retention_bytes};
}

static struct engine *engine_allocate(struct event_base *base, struct keys *keys,
                                      struct journal *journal,
                                      const struct engine_callbacks *callbacks)
{
    struct links_callbacks link_callbacks = {.up = engine_on_link_up,
                                             .down = engine_on_link_down,
                                             .dial_failed = engine_on_dial_failed,
                                             .frame = engine_on_frame};
    struct engine *engine = calloc(1, sizeof(*engine));

    check(engine != NULL);
    engine->base = base;
    engine->journal = journal;
    engine->keys = keys;
    engine->callbacks = *callbacks;
    engine->inbox_last = &engine->inbox;
    engine->sockets = (struct listen_sockets){.tcp4 = -1, .tcp6 = -1, .udp4 = -1, .udp6 = -1};
    for (size_t i = 0; i < TICKET_LISTS; i++)
        list_init(&engine->waiting[i]);
    link_callbacks.userdata = engine;
    engine->ring = ring_new();
    engine->links = links_new(base, keys, &link_callbacks);
    engine->pump = evtimer_new(base, engine_on_pump, engine);
    engine->timer = evtimer_new(base, engine_on_timer, engine);
    check(engine->ring && engine->links && engine->pump && engine->timer);
    return engine;
}

int engine_new(struct event_base *base, const struct config *config, const char *state_directory,
               struct keys *keys, struct journal *journal, const struct engine_callbacks *callbacks,
               struct engine **ret, char **ret_error)
{
    struct engine *engine = engine_allocate(base, keys, journal, callbacks);
    int result;

    *ret_error = NULL;
    set_retention(engine, config);
    result = engine_store_open(engine, state_directory, ret_error);
    if (result == 0)
        result = configure(engine, config);
    if (result == 0 && engine->config.networked)
        result = engine_open_network(engine, ret_error);
    if (result < 0) {
        if (!*ret_error && asprintf(ret_error, "cannot start: %s", strerror(-result)) < 0)
            *ret_error = NULL;
        engine_free(engine);
        return result;
    }
    start_core(engine);
    *ret = engine;
    return 0;
}

int engine_connect(struct engine *engine, char **ret_error)
{
    struct inbox_item *item;
    int result = engine_open_network(engine, ret_error);

    if (result < 0)
        return result;
    journal_log(engine->journal, LINE_LISTENING, "listening on port %u", engine->sockets.port);
    engine->config.networked = true;
    item = engine_item_new(RING_CONFIG);
    item->input.config.config = &engine->config;
    engine_enqueue(engine, item);
    return 0;
}

void engine_close_retired(struct engine *engine)
{
    links_close_retired(engine->links);
}

void engine_reconfigure(struct engine *engine, const struct config *config)
{
    struct inbox_item *item = engine_item_new(RING_CONFIG);

    engine->config.heartbeat_interval = config->heartbeat_interval;
    engine->config.heartbeat_timeout = config->heartbeat_timeout;
    engine->config.link_timeout = config->link_timeout;
    set_retention(engine, config);
    item->input.config.config = &engine->config;
    engine_enqueue(engine, item);
}

static void event_free_if(struct event *event)
{
    if (event)
        event_free(event);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    netlink_free(engine->netlink);
    event_free_if(engine->accept4);
    event_free_if(engine->accept6);
    event_free_if(engine->pump);
    event_free_if(engine->timer);
    event_free_if(engine->tick);
    discovery_free(engine->discovery);
    links_free(engine->links);
    listen_close(&engine->sockets);
    history_close(engine->history);
    store_close(engine->store);
    while (engine->inbox) {
        struct inbox_item *next = engine->inbox->next;

        engine_item_free(engine->inbox);
        engine->inbox = next;
    }
    for (size_t i = 0; i < TICKET_LISTS; i++) {
        list_for_each_safe (at, &engine->waiting[i]) {
            list_remove(at);
            free(list_entry(at, struct waiting, list));
        }
    }
    ring_outbox_done(&engine->outbox);
    ring_free(engine->ring);
    free(engine->name);
    free(engine->ring_name);
    free(engine);
}
