#include "discovery.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "common/byteorder.h"
#include "common/util.h"
#include "engine.h"
#include "resolve.h"

/* Datagrams taken in one turn of the loop, so that a flood does not starve the links. */
#define RECEIVE_MAX 64

/* The largest on the wire. */
#define SEALED_BYTES_MAX (DATAGRAM_BYTES_MAX + SEAL_BYTES)

struct discovery {
    struct event_base *base;
    struct hearing hearing;
    struct packet *first; /* that was sent to everyone */
    struct keys *keys;
    const struct interfaces *interfaces;
    const struct listen_sockets *sockets;
    discovery_received received;
    void *userdata;
    bool loopback;
    struct ring_address group4, group6; /* family 0: not used */
    /* One for IPv4; IPv6's groups are bound to one interface each. */
    size_t groups_count;
    int groups[INTERFACES_MAX + 1];
    struct event *group_events[INTERFACES_MAX + 1], *event4, *event6;
    struct resolver *resolver;
    size_t peers_count;
    struct ring_address peers[PEERS_MAX];
};

/* ---- receiving ---- */

/* Whether it is the datagram of a node that has no key. */
static bool is_clear(const uint8_t *data, size_t size)
{
    return size >= RING_FRAME_HEADER_BYTES && get_le32(data) <= size &&
           strcmp(ring_frame_name(data, size), "?") != 0;
}

/* Opens a sealed datagram. false: it is a stranger's, or a copy. */
static bool unseal(struct discovery *discovery, const struct ring_address *from,
                   const uint8_t *data, size_t size, uint8_t *ret)
{
    uint32_t key_id = 0;
    int result = seal_open(keys_get_seal(discovery->keys), data, size, ret, &key_id);

    if (result == -ENOKEY)
        keys_stranger(discovery->keys,
                      is_clear(data, size) ? STRANGER_IN_THE_CLEAR : STRANGER_OTHER_KEY, from,
                      key_id);
    else if (result < 0 && result != -EALREADY)
        keys_stranger(discovery->keys, STRANGER_FORGED, from, 0);
    if (result == 0)
        keys_note(discovery->keys, from, key_id);
    return result == 0;
}

static void take(struct discovery *discovery, const struct ring_address *from, const uint8_t *data,
                 size_t size)
{
    uint8_t opened[SEALED_BYTES_MAX];

    /* A node on the network and one on loopback only could not reach each other's other members. */
    if (address_is_loopback(from) != discovery->loopback)
        return;
    if (keys_get_seal(discovery->keys)) {
        if (!unseal(discovery, from, data, size, opened))
            return;
        data = opened;
        size -= SEAL_BYTES;
    }
    if (size < DATAGRAM_BYTES_MIN || size > DATAGRAM_BYTES_MAX)
        return;
    /* Without the padding. */
    size = MIN(size, get_le32(data));
    discovery->received(discovery->userdata, from, data, size);
}

static void on_datagram(evutil_socket_t fd, short what, void *userdata)
{
    struct discovery *discovery = userdata;

    (void)what;
    for (unsigned i = 0; i < RECEIVE_MAX; i++) {
        uint8_t data[SEALED_BYTES_MAX + 1];
        struct sockaddr_storage sender;
        socklen_t sender_size = sizeof(sender);
        struct ring_address from;
        ssize_t size =
            recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&sender, &sender_size);

        /* An error here is an ICMP message about something that was sent: nothing to do. */
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (size < 0 || size > SEALED_BYTES_MAX ||
            address_from_socket((struct sockaddr *)&sender, &from) < 0)
            continue;
        if (fd != discovery->sockets->udp4 && fd != discovery->sockets->udp6)
            hearing_received(&discovery->hearing, discovery->interfaces, &from,
                             discovery->sockets->port, engine_monotonic());
        take(discovery, &from, data, (size_t)size);
    }
}

/* ---- sending ---- */

/* Pads and seals for that address. The size; 0: out of memory. */
static size_t wrap(const struct discovery *discovery, const struct ring_address *address,
                   const struct packet *packet, uint8_t ret[SEALED_BYTES_MAX])
{
    size_t size = MAX(packet->size, DATAGRAM_BYTES_MIN);
    uint8_t padded[DATAGRAM_BYTES_MAX] = {0};
    struct seal *seal = keys_get_seal(discovery->keys);

    memcpy(padded, packet->data, packet->size);
    if (!seal) {
        memcpy(ret, padded, size);
        return size;
    }
    return seal_close(seal, keys_for(discovery->keys, address), padded, size, ret) == 0
               ? size + SEAL_BYTES
               : 0;
}

/* 0, or a positive errno. */
static int send_to(const struct discovery *discovery, const struct ring_address *address,
                   const struct packet *packet)
{
    uint8_t data[SEALED_BYTES_MAX];
    size_t data_size;
    const struct listen_sockets *sockets = discovery->sockets;
    struct sockaddr_storage to;
    socklen_t size = address_to_socket(address, &to);
    int fd = address->family == 4 ? sockets->udp4 : sockets->udp6;

    if (fd < 0 || packet->size > DATAGRAM_BYTES_MAX)
        return EAFNOSUPPORT;
    data_size = wrap(discovery, address, packet, data);
    if (data_size == 0)
        return ENOMEM;
    /* The first call may only fetch the error of an earlier datagram. */
    for (unsigned i = 0; i < 2; i++) {
        if (sendto(fd, data, data_size, MSG_NOSIGNAL, (struct sockaddr *)&to, size) >= 0)
            return 0;
    }
    return errno;
}

static void multicast4(struct discovery *discovery, const struct interface *interface,
                       const struct packet *packet)
{
    struct ip_mreqn out = {.imr_ifindex = (int)interface->index};

    /* Else the kernel finds no source for a group on loopback. */
    for (size_t i = interface->count; i-- > 0;) {
        if (interface->addresses[i].family == 4)
            memcpy(&out.imr_address, interface->addresses[i].ip, sizeof(out.imr_address));
    }
    if (discovery->group4.family == 0 || !interface->has_ipv4 || discovery->sockets->udp4 < 0 ||
        setsockopt(discovery->sockets->udp4, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) < 0)
        return;
    hearing_sent(&discovery->hearing, interface->index,
                 send_to(discovery, &discovery->group4, packet), engine_monotonic());
}

static void multicast6(struct discovery *discovery, const struct interface *interface,
                       const struct packet *packet)
{
    struct ring_address group = discovery->group6;
    int index = (int)interface->index;

    if (group.family == 0 || !interface->has_ipv6 || interface->loopback ||
        discovery->sockets->udp6 < 0 ||
        setsockopt(discovery->sockets->udp6, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index,
                   sizeof(index)) < 0)
        return;
    group.scope = interface->index;
    hearing_sent(&discovery->hearing, interface->index, send_to(discovery, &group, packet),
                 engine_monotonic());
}

void discovery_probe(struct discovery *discovery)
{
    if (discovery->first)
        discovery_send_to_everyone(discovery, discovery->first);
}

const struct hearing *discovery_get_hearing(const struct discovery *discovery)
{
    return &discovery->hearing;
}

void discovery_send_to_everyone(struct discovery *discovery, struct packet *packet)
{
    if (!discovery->first)
        discovery->first = packet_ref(packet);
    for (size_t i = 0; i < discovery->interfaces->count; i++) {
        multicast4(discovery, &discovery->interfaces->list[i], packet);
        multicast6(discovery, &discovery->interfaces->list[i], packet);
    }
    for (size_t i = 0; i < discovery->peers_count; i++)
        send_to(discovery, &discovery->peers[i], packet);
}

void discovery_send(struct discovery *discovery, const struct ring_addresses *addresses,
                    const struct packet *packet)
{
    for (size_t i = 0; i < addresses->count; i++) {
        struct ring_address address = addresses->list[i];

        if (!address_is_link_local(&address) || address.scope) {
            send_to(discovery, &address, packet);
            continue;
        }
        for (size_t k = 0; k < discovery->interfaces->count; k++) {
            address.scope = discovery->interfaces->list[k].index;
            send_to(discovery, &address, packet);
        }
    }
}

/* ---- groups ---- */

static int bind_group(const struct ring_address *group)
{
    struct sockaddr_storage to;
    socklen_t size = address_to_socket(group, &to);
    int on = 1, fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&to, size) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

static bool join4(int fd, const struct ring_address *group, unsigned index)
{
    struct ip_mreqn membership = {.imr_ifindex = (int)index};

    memcpy(&membership.imr_multiaddr, group->ip, sizeof(membership.imr_multiaddr));
    return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)) == 0;
}

static bool join6(int fd, const struct ring_address *group, unsigned index)
{
    struct ipv6_mreq membership = {.ipv6mr_interface = index};

    memcpy(&membership.ipv6mr_multiaddr, group->ip, sizeof(membership.ipv6mr_multiaddr));
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &membership, sizeof(membership)) == 0;
}

/* Groups that cannot be joined are left out. */
static void join_ipv4(struct discovery *discovery)
{
    int fd = discovery->group4.family ? bind_group(&discovery->group4) : -1;
    bool joined = false;

    if (fd < 0)
        return;
    for (size_t i = 0; i < discovery->interfaces->count; i++) {
        const struct interface *interface = &discovery->interfaces->list[i];

        if (interface->has_ipv4)
            joined |= join4(fd, &discovery->group4, interface->index);
    }
    if (joined)
        discovery->groups[discovery->groups_count++] = fd;
    else
        close(fd);
}

static void join_ipv6(struct discovery *discovery)
{
    struct ring_address group = discovery->group6;

    for (size_t i = 0; group.family && i < discovery->interfaces->count; i++) {
        const struct interface *interface = &discovery->interfaces->list[i];
        int fd;

        if (!interface->has_ipv6 || interface->loopback)
            continue;
        group.scope = interface->index;
        fd = bind_group(&group);
        if (fd < 0)
            continue;
        if (join6(fd, &group, interface->index))
            discovery->groups[discovery->groups_count++] = fd;
        else
            close(fd);
    }
}

static void parse_group(const char *text, uint8_t family, struct ring_address *ret)
{
    if (address_parse(text, ret) < 0 || ret->family != family)
        *ret = (struct ring_address){0};
    ret->port = RING_PORT;
}

static void on_resolved(void *userdata, const struct ring_address *addresses, size_t count)
{
    struct discovery *discovery = userdata;

    discovery->peers_count = count;
    memcpy(discovery->peers, addresses, count * sizeof(*addresses));
}

static int watch(struct discovery *discovery, struct event **place, int fd)
{
    if (fd < 0)
        return 0;
    *place = event_new(discovery->base, fd, EV_READ | EV_PERSIST, on_datagram, discovery);
    return *place && event_add(*place, NULL) == 0 ? 0 : -ENOMEM;
}

static void event_free_if(struct event *event)
{
    if (event)
        event_free(event);
}

static void leave_groups(struct discovery *discovery)
{
    for (size_t i = 0; i < discovery->groups_count; i++) {
        event_free_if(discovery->group_events[i]);
        discovery->group_events[i] = NULL;
        close(discovery->groups[i]);
    }
    discovery->groups_count = 0;
}

int discovery_refresh(struct discovery *discovery)
{
    int result = 0;

    leave_groups(discovery);
    discovery->loopback = interfaces_are_loopback(discovery->interfaces);
    join_ipv4(discovery);
    join_ipv6(discovery);
    for (size_t i = 0; result == 0 && i < discovery->groups_count; i++)
        result = watch(discovery, &discovery->group_events[i], discovery->groups[i]);
    return result;
}

int discovery_new(struct event_base *base, const struct discovery_options *options,
                  discovery_received received, void *userdata, struct discovery **ret)
{
    struct discovery *discovery = calloc(1, sizeof(*discovery));
    int result;

    if (!discovery)
        return -ENOMEM;
    discovery->base = base;
    discovery->hearing.begun = engine_monotonic();
    discovery->keys = options->keys;
    discovery->interfaces = options->interfaces;
    discovery->sockets = options->sockets;
    discovery->received = received;
    discovery->userdata = userdata;
    parse_group(options->group4, 4, &discovery->group4);
    parse_group(options->group6, 6, &discovery->group6);
    result = watch(discovery, &discovery->event4, discovery->sockets->udp4);
    if (result == 0)
        result = watch(discovery, &discovery->event6, discovery->sockets->udp6);
    if (result == 0)
        result = discovery_refresh(discovery);
    if (result == 0 && options->peers && *options->peers)
        result = resolver_new(base, options->peers, RING_PORT, on_resolved, discovery,
                              &discovery->resolver);
    if (result < 0) {
        discovery_free(discovery);
        return result;
    }
    *ret = discovery;
    return 0;
}

void discovery_free(struct discovery *discovery)
{
    if (!discovery)
        return;
    packet_unref(discovery->first);
    resolver_free(discovery->resolver);
    event_free_if(discovery->event4);
    event_free_if(discovery->event6);
    leave_groups(discovery);
    free(discovery);
}
