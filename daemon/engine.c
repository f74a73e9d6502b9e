#include "engine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "common/check.h"
#include "common/util.h"
#include "config.h"
#include "engine-internal.h"

/* Inputs that wait; above it links are not read, and clients are told to wait. */
#define INBOX_MAX 16384

/* Inputs taken in one turn of the loop, before it looks at its sockets again. */
#define PUMP_MAX 256

/* A write that takes this long shows a disk that hangs: this node must not hold up the others. */
#define STORE_TIMEOUT (5 * USEC_PER_SEC)
#define STORE_CHECK_SEC 1

/* Connections accepted in one turn of the loop. */
#define ACCEPT_MAX 16

/* ---- the inbox ---- */

static void item_free(struct inbox_item *item)
{
    packet_unref(item->packet);
    if (item->packets) {
        for (size_t i = 0; i < item->input.fetched.count; i++)
            packet_unref(item->packets[i]);
        free(item->packets);
    }
    free(item);
}

static struct inbox_item *item_new(enum ring_input_type type)
{
    struct inbox_item *item = calloc(1, sizeof(*item));

    /* Without memory for an input the core would miss it: as good as a crash. */
    check(item != NULL);
    item->input.type = type;
    return item;
}

static void enqueue(struct engine *engine, struct inbox_item *item)
{
    *engine->inbox_last = item;
    engine->inbox_last = &item->next;
    if (engine->inbox_count++ == 0)
        event_active(engine->pump, EV_TIMEOUT, 0);
    if (engine->inbox_count == INBOX_MAX && engine->links)
        links_pause(engine->links, true);
}

static struct inbox_item *dequeue(struct engine *engine)
{
    struct inbox_item *item = engine->inbox;

    engine->inbox = item->next;
    if (!engine->inbox)
        engine->inbox_last = &engine->inbox;
    if (engine->inbox_count-- == INBOX_MAX && engine->links)
        links_pause(engine->links, false);
    return item;
}

/* ---- the pump ---- */

static void fail(struct engine *engine, const char *error)
{
    if (engine->failed)
        return;
    engine->failed = true;
    engine->callbacks.failed(engine->callbacks.userdata, error);
}

/* The core's pointers lead into the item, which lives until after the step. */
static void point(struct inbox_item *item, struct message *message)
{
    struct ring_input *in = &item->input;

    if (in->type == RING_FRAME)
        in->frame.packet = item->packet;
    if (in->type == RING_DATAGRAM) {
        in->datagram.data = item->packet->data;
        in->datagram.size = item->packet->size;
    }
    if (in->type == RING_COMMAND && item->packet) {
        check(message_unpack(item->packet, message) == 0);
        in->command.message = message;
    }
    if (in->type == RING_FETCHED)
        in->fetched.packets = item->packets;
}

static void step(struct engine *engine, struct ring_input *in)
{
    in->now = engine_monotonic();
    in->wall = engine_wall();
    if (ring_step(engine->ring, in, &engine->outbox) == -ENOMEM) {
        fail(engine, "out of memory; give this host more memory or fewer tasks");
        return;
    }
    engine_apply(engine);
}

static void arm_timer(struct engine *engine)
{
    uint64_t deadline = ring_deadline(engine->ring), now;
    struct timeval wait;

    if (deadline == engine->deadline)
        return;
    engine->deadline = deadline;
    if (deadline == UINT64_MAX) {
        evtimer_del(engine->timer);
        return;
    }
    now = engine_monotonic();
    deadline = deadline > now ? deadline - now : 0;
    wait.tv_sec = (time_t)(deadline / USEC_PER_SEC);
    wait.tv_usec = (suseconds_t)(deadline % USEC_PER_SEC);
    evtimer_add(engine->timer, &wait);
}

static void tell_watchers(struct engine *engine)
{
    bool delivered = engine->delivered, changed = engine->changed;
    bool room = engine->was_full && engine_has_room(engine);

    engine->delivered = engine->changed = false;
    if (room)
        engine->was_full = false;
    if (!delivered && !changed && !room)
        return;
    for (struct engine_watcher *at = engine->watchers, *next; at; at = next) {
        next = at->next;
        if (delivered && at->delivered)
            at->delivered(at->userdata);
        if (changed && at->changed)
            at->changed(at->userdata);
        if (room && at->room)
            at->room(at->userdata);
    }
}

static void on_pump(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)fd, (void)what;
    for (unsigned i = 0; i < PUMP_MAX && engine->inbox && !engine->failed; i++) {
        struct inbox_item *item = dequeue(engine);
        struct message message;

        point(item, &message);
        step(engine, &item->input);
        item_free(item);
    }
    if (engine->failed)
        return;
    if (engine->inbox)
        event_active(engine->pump, EV_TIMEOUT, 0);
    arm_timer(engine);
    tell_watchers(engine);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)fd, (void)what;
    engine->deadline = 0;
    enqueue(engine, item_new(RING_TIMER));
}

/* ---- what comes in ---- */

static void on_link_up(void *userdata, ring_link link, const struct ring_address *remote)
{
    struct inbox_item *item = item_new(RING_LINK_UP);

    item->input.link_up.link = link;
    item->input.link_up.remote = *remote;
    enqueue(userdata, item);
}

static void on_link_down(void *userdata, ring_link link)
{
    struct inbox_item *item = item_new(RING_LINK_DOWN);

    item->input.link_down.link = link;
    enqueue(userdata, item);
}

static void on_dial_failed(void *userdata, ring_link link, bool refused)
{
    struct inbox_item *item = item_new(RING_DIAL_FAILED);

    item->input.dial_failed.link = link;
    item->input.dial_failed.refused = refused;
    enqueue(userdata, item);
}

static void on_frame(void *userdata, ring_link link, struct packet *packet)
{
    struct engine *engine = userdata;
    struct inbox_item *item = item_new(RING_FRAME);
    struct ring_address remote = {0};
    char text[ADDRESS_TEXT_MAX];

    if (journal_wants(engine->journal, TOPIC_RING, LOG_DEBUG)) {
        links_remote(engine->links, link, &remote);
        address_format(&remote, text);
        journal_log(engine->journal, TOPIC_RING, LOG_DEBUG, "frame %s from %s, %zu bytes",
                    ring_frame_name(packet->data, packet->size), text, packet->size);
    }
    item->input.frame.link = link;
    item->packet = packet;
    enqueue(engine, item);
}

static void on_datagram(void *userdata, const struct ring_address *from, const uint8_t *data,
                        size_t size)
{
    struct engine *engine = userdata;
    struct inbox_item *item;
    char text[ADDRESS_TEXT_MAX];

    /* A flood of datagrams must not fill the inbox: any of them may be lost. */
    if (engine->inbox_count >= INBOX_MAX / 2)
        return;
    if (journal_wants(engine->journal, TOPIC_DISCOVERY, LOG_DEBUG)) {
        address_format(from, text);
        journal_log(engine->journal, TOPIC_DISCOVERY, LOG_DEBUG, "datagram %s from %s, %zu bytes",
                    ring_frame_name(data, size), text, size);
    }
    item = item_new(RING_DATAGRAM);
    item->packet = packet_new(size);
    check(item->packet != NULL);
    memcpy(item->packet->data, data, size);
    item->input.datagram.from = *from;
    enqueue(engine, item);
}

static void on_stored(void *userdata, ring_ticket ticket)
{
    struct engine *engine = userdata;
    struct inbox_item *item = item_new(RING_STORED);

    /* Late notes are on disk now: tails can show them. */
    engine->delivered |= ticket == 0;
    item->input.stored.ticket = ticket;
    enqueue(engine, item);
}

static void give_store_failure(struct engine *engine, ring_ticket ticket)
{
    struct ring_input in = {.type = RING_STORE_FAILED};

    in.store_failed.ticket = ticket;
    step(engine, &in);
}

static void on_store_failed(void *userdata, ring_ticket ticket, const char *error)
{
    struct engine *engine = userdata;

    journal_log(engine->journal, TOPIC_STORE, LOG_CRIT, "%s", error);
    give_store_failure(engine, ticket);
    fail(engine, error);
}

static void on_fetched(void *userdata, ring_ticket ticket, size_t count,
                       struct packet *const *packets)
{
    struct inbox_item *item = item_new(RING_FETCHED);

    item->input.fetched.ticket = ticket;
    item->input.fetched.count = count;
    item->packets = calloc(MAX(count, 1), sizeof(struct packet *));
    check(item->packets != NULL);
    for (size_t i = 0; i < count; i++)
        item->packets[i] = packet_ref(packets[i]);
    enqueue(userdata, item);
}

static void on_store_check(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)fd, (void)what;
    if (store_oldest_wait(engine->store) > STORE_TIMEOUT)
        on_store_failed(engine, 0,
                        "the disk takes no writes for seconds; check it, then restart ringchatd");
}

static void on_accept(evutil_socket_t fd, short what, void *userdata)
{
    struct engine *engine = userdata;

    (void)what;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        struct ring_address remote;
        int peer = accept4(fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (peer < 0)
            return;
        address_from_socket((struct sockaddr *)&from, &remote);
        links_accept(engine->links, peer, &remote);
    }
}

/* ---- commands ---- */

bool engine_has_room(const struct engine *engine)
{
    struct ring_status status;

    ring_get_status(engine->ring, &status);
    return engine->inbox_count < INBOX_MAX / 2 &&
           status.queued + engine->inbox_count < QUEUE_MESSAGES_MAX / 2;
}

int engine_command(struct engine *engine, enum ring_command command, const struct message *message,
                   const struct ring_id *node, engine_reply callback, void *userdata,
                   ring_ticket *ret_ticket)
{
    struct waiting *waiting;
    struct inbox_item *item;

    if (command == RING_SEND_MESSAGE && !engine_has_room(engine)) {
        engine->was_full = true;
        return -EBUSY;
    }
    waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return -ENOMEM;
    item = item_new(RING_COMMAND);
    if (message) {
        item->packet = message_pack(message);
        if (!item->packet) {
            free(waiting);
            item_free(item);
            return -ENOMEM;
        }
    }
    *waiting = (struct waiting){
        .ticket = ++engine->last_ticket, .callback = callback, .userdata = userdata};
    list_append(&engine->waiting[waiting->ticket % TICKET_LISTS], &waiting->list);
    item->input.command.command = command;
    item->input.command.ticket = waiting->ticket;
    if (node)
        item->input.command.node = *node;
    enqueue(engine, item);
    if (ret_ticket)
        *ret_ticket = waiting->ticket;
    return 0;
}

void engine_add_watcher(struct engine *engine, struct engine_watcher *watcher)
{
    watcher->next = engine->watchers;
    engine->watchers = watcher;
}

void engine_remove_watcher(struct engine *engine, struct engine_watcher *watcher)
{
    for (struct engine_watcher **place = &engine->watchers; *place; place = &(*place)->next) {
        if (*place == watcher) {
            *place = watcher->next;
            return;
        }
    }
}

const struct ring_view *engine_get_view(const struct engine *engine)
{
    return ring_get_view(engine->ring);
}

void engine_get_status(const struct engine *engine, struct ring_status *ret)
{
    ring_get_status(engine->ring, ret);
}

struct history *engine_get_history(const struct engine *engine)
{
    return engine->history;
}

struct store *engine_get_store(const struct engine *engine)
{
    return engine->store;
}

uint16_t engine_port(const struct engine *engine)
{
    return engine->config.networked ? engine->sockets.port : 0;
}

/* ---- starting and ending ---- */

static uint64_t random_number(void)
{
    uint64_t number;

    check(getrandom(&number, sizeof(number), 0) == sizeof(number));
    return number;
}

static struct event *watch(struct engine *engine, int fd)
{
    struct event *event = NULL;

    if (fd >= 0) {
        event = event_new(engine->base, fd, EV_READ | EV_PERSIST, on_accept, engine);
        check(event && event_add(event, NULL) == 0);
    }
    return event;
}

static int open_network(struct engine *engine, const struct config *config, char **ret_error)
{
    struct discovery_options options = {.group4 = config->group4,
                                        .group6 = config->group6,
                                        .peers = config->peers,
                                        .interfaces = &engine->interfaces,
                                        .sockets = &engine->sockets};
    int result = interfaces_find(config->interfaces, &config->listen, &engine->interfaces);

    if (result == -ENODEV)
        journal_log(engine->journal, TOPIC_DISCOVERY, LOG_WARNING,
                    "no interface is usable; this host stays alone until ringchatd is restarted "
                    "(see Listen= and Interfaces=)");
    result = listen_open(&config->listen, config->port, config->port_is_set, &engine->sockets,
                         ret_error);
    if (result < 0)
        return result;
    interfaces_addresses(&engine->interfaces, &config->listen, engine->sockets.port,
                         &engine->config.addresses);
    engine->accept4 = watch(engine, engine->sockets.tcp4);
    engine->accept6 = watch(engine, engine->sockets.tcp6);
    return discovery_new(engine->base, &options, on_datagram, engine, &engine->discovery);
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
    engine->config.id = store_get_contents(engine->store)->node;
    engine->config.instance = random_number();
    engine->config.entropy = random_number();
    engine->config.name = (struct bytes){engine->name, strlen(engine->name)};
    engine->config.ring = (struct bytes){engine->ring_name, strlen(engine->ring_name)};
    engine->config.networked = strcmp(config->key, "none") == 0;
    engine->config.greeting = config->greeting;
    engine->config.heartbeat_interval = config->heartbeat_interval;
    engine->config.heartbeat_timeout = config->heartbeat_timeout;
    engine->config.link_timeout = config->link_timeout;
    return 0;
}

static void start_core(struct engine *engine)
{
    const struct store_contents *contents = store_get_contents(engine->store);
    struct ring_input in = {.type = RING_START};
    struct timeval interval = {.tv_sec = STORE_CHECK_SEC};

    in.start.config = &engine->config;
    in.start.state = contents->state;
    in.start.top = contents->top;
    in.start.held_count = contents->held_count;
    in.start.held = contents->held;
    in.start.outbox_count = contents->outbox_count;
    in.start.outbox = contents->outbox;
    step(engine, &in);
    arm_timer(engine);
    event_add(engine->store_check, &interval);
}

static struct engine *engine_allocate(struct event_base *base, struct journal *journal,
                                      const struct engine_callbacks *callbacks)
{
    struct links_callbacks link_callbacks = {
        .up = on_link_up, .down = on_link_down, .dial_failed = on_dial_failed, .frame = on_frame};
    struct engine *engine = calloc(1, sizeof(*engine));

    check(engine != NULL);
    engine->base = base;
    engine->journal = journal;
    engine->callbacks = *callbacks;
    engine->inbox_last = &engine->inbox;
    engine->sockets = (struct listen_sockets){.tcp4 = -1, .tcp6 = -1, .udp4 = -1, .udp6 = -1};
    for (size_t i = 0; i < TICKET_LISTS; i++)
        list_init(&engine->waiting[i]);
    link_callbacks.userdata = engine;
    engine->ring = ring_new();
    engine->links = links_new(base, &link_callbacks);
    engine->pump = evtimer_new(base, on_pump, engine);
    engine->timer = evtimer_new(base, on_timer, engine);
    engine->store_check = event_new(base, -1, EV_PERSIST, on_store_check, engine);
    check(engine->ring && engine->links && engine->pump && engine->timer && engine->store_check);
    return engine;
}

int engine_new(struct event_base *base, const struct config *config, const char *state_directory,
               struct journal *journal, const struct engine_callbacks *callbacks,
               struct engine **ret, char **ret_error)
{
    static const struct store_callbacks store_callbacks = {
        .stored = on_stored, .failed = on_store_failed, .fetched = on_fetched};
    struct engine *engine = engine_allocate(base, journal, callbacks);
    int result;

    *ret_error = NULL;
    result = store_open(state_directory, base, &store_callbacks, engine, &engine->store, ret_error);
    if (result == 0)
        result = history_open(state_directory, &engine->history);
    if (result == 0)
        result = configure(engine, config);
    if (result == 0 && engine->config.networked)
        result = open_network(engine, config, ret_error);
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

void engine_reconfigure(struct engine *engine, const struct config *config)
{
    struct inbox_item *item = item_new(RING_CONFIG);

    engine->config.greeting = config->greeting;
    engine->config.heartbeat_interval = config->heartbeat_interval;
    engine->config.heartbeat_timeout = config->heartbeat_timeout;
    engine->config.link_timeout = config->link_timeout;
    item->input.config.config = &engine->config;
    enqueue(engine, item);
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
    event_free_if(engine->accept4);
    event_free_if(engine->accept6);
    event_free_if(engine->pump);
    event_free_if(engine->timer);
    event_free_if(engine->store_check);
    discovery_free(engine->discovery);
    links_free(engine->links);
    listen_close(&engine->sockets);
    history_close(engine->history);
    store_close(engine->store);
    while (engine->inbox) {
        struct inbox_item *next = engine->inbox->next;

        item_free(engine->inbox);
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
