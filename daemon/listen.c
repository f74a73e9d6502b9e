#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "common/cleanup.h"

/* Instances on one host that find each other without configuration. */
#define PORTS_TRIED 64

/* Connections that the kernel keeps until they are accepted. */
#define BACKLOG 256

#define CLOSED ((struct listen_sockets){.tcp4 = -1, .tcp6 = -1, .udp4 = -1, .udp6 = -1})

void listen_close(struct listen_sockets *sockets)
{
    int fds[] = {sockets->tcp4, sockets->tcp6, sockets->udp4, sockets->udp6};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    *sockets = CLOSED;
}

/* Bound without reuse, so that no two nodes share a port; from then on the sockets of the multicast
 * groups may be bound beside it. What is sent to the groups comes by those. */
static void open_to_groups(int fd)
{
    int on = 1, off = 0;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off));
}

/* Returns the socket or a negative errno. */
static int open_one(const struct ring_address *address, uint16_t port, int type)
{
    struct ring_address at = *address;
    struct sockaddr_storage to;
    socklen_t size;
    int on = 1, fd;

    at.port = port;
    size = address_to_socket(&at, &to);
    fd = socket(to.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (at.family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    /* So that a restart need not wait for old connections to time out. A live listener still keeps
     * others away; for UDP it would not, so not there. */
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* An address that was asked for may come later than the daemon. */
    setsockopt(fd, at.family == 6 ? IPPROTO_IPV6 : IPPROTO_IP,
               at.family == 6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&to, size) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
        int error = -errno;

        close(fd);
        return error;
    }
    if (type == SOCK_DGRAM)
        open_to_groups(fd);
    return fd;
}

/* Both sockets of one family. -EAFNOSUPPORT or -EADDRNOTAVAIL: the host does not have it. */
static int open_family(const struct ring_address *address, uint16_t port, int *ret_tcp,
                       int *ret_udp)
{
    int udp, tcp = open_one(address, port, SOCK_STREAM);

    if (tcp < 0)
        return tcp;
    udp = open_one(address, port, SOCK_DGRAM);
    if (udp < 0) {
        close(tcp);
        return udp;
    }
    *ret_tcp = tcp;
    *ret_udp = udp;
    return 0;
}

static int open_port(const struct ring_address *address, uint16_t port, struct listen_sockets *ret)
{
    struct ring_address any4 = {.family = 4}, any6 = {.family = 6};
    struct listen_sockets sockets = CLOSED;
    int result;

    sockets.port = port;
    if (address->family == 4) {
        result = open_family(address, port, &sockets.tcp4, &sockets.udp4);
    } else if (address->family == 6) {
        result = open_family(address, port, &sockets.tcp6, &sockets.udp6);
    } else {
        result = open_family(&any4, port, &sockets.tcp4, &sockets.udp4);
        if (result == 0) {
            result = open_family(&any6, port, &sockets.tcp6, &sockets.udp6);
            /* A host without IPv6 is no error. */
            if (result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL)
                result = 0;
        }
    }
    if (result < 0) {
        listen_close(&sockets);
        return result;
    }
    *ret = sockets;
    return 0;
}

int listen_open(const struct ring_address *address, uint16_t port, bool fixed,
                struct listen_sockets *ret, char **ret_error)
{
    struct ring_address at = *address;
    char text[ADDRESS_TEXT_MAX];
    int result = -EADDRINUSE;

    for (unsigned i = 0; i < (fixed ? 1 : PORTS_TRIED) && result == -EADDRINUSE; i++)
        result = open_port(address, (uint16_t)(port + i), ret);
    if (result == 0)
        return 0;
    at.port = port;
    address_format(&at, text);
    if (asprintf(ret_error, "cannot listen at %s port %u: %s; %s",
                 address->family ? text : "all addresses,", port, strerror(-result),
                 result == -EADDRINUSE ? "stop what uses it, or set another Port="
                                       : "check Listen= and Port=") < 0)
        *ret_error = NULL;
    return result;
}
