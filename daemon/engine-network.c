/* The engine's network: its sockets, and the interfaces as they come and go. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "common/check.h"
#include "config.h"
#include "engine-internal.h"

static struct event *watch(struct engine *engine, int fd)
{
    struct event *event = NULL;

    if (fd >= 0) {
        event = event_new(engine->base, fd, EV_READ | EV_PERSIST, engine_on_accept, engine);
        check(event && event_add(event, NULL) == 0);
    }
    return event;
}

/* Says where this node is reached now. */
static void tell(struct engine *engine)
{
    const struct ring_addresses *addresses = &engine->addresses;
    char text[ADDRESSES_MAX * (ADDRESS_TEXT_MAX + 2)], *at = text;

    if (addresses->count == 0) {
        journal_log(engine->journal, LINE_NO_INTERFACE,
                    "no interface is usable; this host stays alone until one appears (see Listen= "
                    "and Interfaces=)");
        return;
    }
    for (size_t i = 0; i < addresses->count; i++) {
        if (i > 0)
            at = stpcpy(at, ", ");
        address_format(&addresses->list[i], at);
        at += strlen(at);
    }
    journal_log(engine->journal, LINE_ADDRESSES, "this host is reached at %s%s", text,
                interfaces_are_loopback(&engine->interfaces) ? ", from itself only" : "");
}

/* What is usable now. false: nothing has changed. */
static bool find_interfaces(struct engine *engine)
{
    const struct config *config = engine->settings;
    struct interfaces before = engine->interfaces;

    memset(&engine->interfaces, 0, sizeof(engine->interfaces));
    interfaces_find(config->interfaces, &config->listen, &engine->interfaces);
    if (memcmp(&before, &engine->interfaces, sizeof(before)) == 0)
        return false;
    if (engine->interfaces.count == 0)
        engine->addresses.count = 0;
    else
        interfaces_addresses(&engine->interfaces, &config->listen, engine->sockets.port,
                             &engine->addresses);
    return true;
}

static bool has_network(const struct engine *engine)
{
    return engine->addresses.count > 0 && !interfaces_are_loopback(&engine->interfaces);
}

void engine_tell_addresses(struct engine *engine)
{
    struct inbox_item *item;

    if (ring_addresses_equal(&engine->addresses, &engine->config.addresses))
        return;
    /* Without a network this node is reached from its own host only. That is told when the others
     * are gone: a loopback address is never handed to another host. */
    if (!has_network(engine) && engine_get_view(engine)->count > 1)
        return;
    engine->config.addresses = engine->addresses;
    item = engine_item_new(RING_CONFIG);
    item->input.config.config = &engine->config;
    engine_enqueue(engine, item);
}

static void on_network_changed(void *userdata)
{
    struct engine *engine = userdata;
    struct ring_addresses before = engine->addresses;

    if (!find_interfaces(engine))
        return;
    if (discovery_refresh(engine->discovery) < 0) {
        engine_fail(engine, "out of memory; give this host more memory or fewer tasks");
        return;
    }
    if (!ring_addresses_equal(&before, &engine->addresses))
        tell(engine);
    engine_tell_addresses(engine);
}

int engine_open_network(struct engine *engine, char **ret_error)
{
    const struct config *config = engine->settings;
    struct discovery_options options = {.group4 = config->group4,
                                        .group6 = config->group6,
                                        .peers = config->peers,
                                        .interfaces = &engine->interfaces,
                                        .keys = engine->keys,
                                        .sockets = &engine->sockets};
    int result = listen_open(&config->listen, config->port, config->port_is_set, &engine->sockets,
                             ret_error);

    if (result < 0)
        return result;
    /* Before the first look, so that no change is missed. */
    result = netlink_new(engine->base, on_network_changed, engine, &engine->netlink);
    if (result < 0)
        journal_log(engine->journal, LINE_NO_NETLINK,
                    "changes of the network go unnoticed (%s): restart ringchatd after them",
                    strerror(-result));
    find_interfaces(engine);
    engine->config.addresses = engine->addresses;
    tell(engine);
    engine->accept4 = watch(engine, engine->sockets.tcp4);
    engine->accept6 = watch(engine, engine->sockets.tcp6);
    return discovery_new(engine->base, &options, engine_on_datagram, engine, &engine->discovery);
}
