#include "interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "common/util.h"

/* Whether `name` is one of the words of `names`. */
static bool is_named(const char *names, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = names; *at; at += strcspn(at, " \t,")) {
        at += strspn(at, " \t,");
        if (strcspn(at, " \t,") == size && strncmp(at, name, size) == 0 && size > 0)
            return true;
    }
    return false;
}

static uint8_t prefix_of(const struct sockaddr *mask)
{
    struct ring_address bits;
    uint8_t prefix = 0;

    if (!mask || address_from_socket(mask, &bits) < 0)
        return 128;
    for (size_t i = 0; i < (bits.family == 4 ? 4 : sizeof(bits.ip)); i++)
        prefix = (uint8_t)(prefix + __builtin_popcount(bits.ip[i]));
    return prefix;
}

static struct interface *get_interface(struct interfaces *interfaces, const struct ifaddrs *from)
{
    struct interface *interface;

    for (size_t i = 0; i < interfaces->count; i++) {
        if (strcmp(interfaces->list[i].name, from->ifa_name) == 0)
            return &interfaces->list[i];
    }
    if (interfaces->count == INTERFACES_MAX)
        return NULL;
    interface = &interfaces->list[interfaces->count];
    *interface = (struct interface){.index = if_nametoindex(from->ifa_name),
                                    .loopback = from->ifa_flags & IFF_LOOPBACK};
    if (interface->index == 0)
        return NULL;
    strncpy(interface->name, from->ifa_name, sizeof(interface->name) - 1);
    interfaces->count++;
    return interface;
}

static void add_address(struct interfaces *interfaces, const struct ifaddrs *from)
{
    struct interface *interface;
    struct ring_address address;

    if (address_from_socket(from->ifa_addr, &address) < 0)
        return;
    interface = get_interface(interfaces, from);
    if (!interface || interface->count == INTERFACE_ADDRESSES_MAX)
        return;
    interface->prefixes[interface->count] = prefix_of(from->ifa_netmask);
    interface->addresses[interface->count++] = address;
    interface->has_ipv4 |= address.family == 4;
    interface->has_ipv6 |= address.family == 6;
}

static bool has_address(const struct interface *interface, const struct ring_address *address)
{
    /* All of 127/8 is there. */
    if (interface->loopback && address_is_loopback(address))
        return true;
    for (size_t i = 0; i < interface->count; i++) {
        if (address_same_host(&interface->addresses[i], address))
            return true;
    }
    return false;
}

static void keep_if(struct interfaces *interfaces, const struct ring_address *listen, bool loopback)
{
    size_t kept = 0;

    for (size_t i = 0; i < interfaces->count; i++) {
        const struct interface *interface = &interfaces->list[i];

        if (address_is_any(listen) ? interface->loopback == loopback
                                   : has_address(interface, listen))
            interfaces->list[kept++] = *interface;
    }
    interfaces->count = kept;
}

int interfaces_find(const char *names, const struct ring_address *listen, struct interfaces *ret)
{
    struct ifaddrs *all;
    bool network = false;

    if (getifaddrs(&all) < 0)
        return -errno;
    ret->count = 0;
    for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || !(at->ifa_flags & IFF_RUNNING))
            continue;
        if (names && *names && !is_named(names, at->ifa_name))
            continue;
        add_address(ret, at);
    }
    freeifaddrs(all);
    for (size_t i = 0; i < ret->count; i++)
        network |= !ret->list[i].loopback;
    keep_if(ret, listen, !network);
    return ret->count > 0 ? 0 : -ENODEV;
}

static void add_all(const struct interfaces *interfaces, uint8_t family, bool link_local,
                    uint16_t port, struct ring_addresses *ret)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        const struct interface *interface = &interfaces->list[i];

        for (size_t k = 0; k < interface->count && ret->count < ADDRESSES_MAX; k++) {
            struct ring_address address = interface->addresses[k];

            if (address.family != family || address_is_link_local(&address) != link_local)
                continue;
            address.port = port;
            address.scope = 0;
            ret->list[ret->count++] = address;
        }
    }
}

void interfaces_addresses(const struct interfaces *interfaces, const struct ring_address *listen,
                          uint16_t port, struct ring_addresses *ret)
{
    *ret = (struct ring_addresses){0};
    if (!address_is_any(listen)) {
        ret->list[0] = *listen;
        ret->list[0].port = port;
        ret->list[0].scope = 0;
        ret->count = 1;
        return;
    }
    add_all(interfaces, 4, false, port, ret);
    add_all(interfaces, 6, false, port, ret);
    if (ret->count == 0)
        add_all(interfaces, 6, true, port, ret);
}

static bool same_network(const struct ring_address *a, const struct ring_address *b, uint8_t prefix)
{
    size_t bytes = prefix / 8;
    uint8_t mask = (uint8_t)(0xff00 >> prefix % 8);

    if (a->family != b->family || memcmp(a->ip, b->ip, bytes) != 0)
        return false;
    return prefix % 8 == 0 || ((a->ip[bytes] ^ b->ip[bytes]) & mask) == 0;
}

bool interfaces_reach(const struct interfaces *interfaces, const struct ring_address *address)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        const struct interface *interface = &interfaces->list[i];

        for (size_t k = 0; k < interface->count; k++) {
            if (same_network(&interface->addresses[k], address, interface->prefixes[k]))
                return true;
        }
    }
    return false;
}

bool interfaces_are_loopback(const struct interfaces *interfaces)
{
    return interfaces->count > 0 && interfaces->list[0].loopback;
}
