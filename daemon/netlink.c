#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"

/* An interface that comes up says so in several steps. */
#define SETTLE_USEC (100 * USEC_PER_MSEC)

struct netlink {
    int fd;
    struct event *readable, *settled;
    void (*changed)(void *userdata);
    void *userdata;
};

/* Which change it is does not matter, and neither does one that was lost (ENOBUFS): all of them
 * mean to look again. */
static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
    struct timeval wait = {.tv_usec = SETTLE_USEC};
    struct netlink *netlink = userdata;
    char buffer[4096];

    (void)what;
    while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC) > 0 || errno == ENOBUFS)
        ;
    event_add(netlink->settled, &wait);
}

static void on_settled(evutil_socket_t fd, short what, void *userdata)
{
    struct netlink *netlink = userdata;

    (void)fd, (void)what;
    netlink->changed(netlink->userdata);
}

static int open_socket(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups =
                                      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

int netlink_new(struct event_base *base, void (*changed)(void *userdata), void *userdata,
                struct netlink **ret)
{
    struct netlink *netlink;
    int fd = open_socket();

    if (fd < 0)
        return fd;
    netlink = calloc(1, sizeof(*netlink));
    if (!netlink) {
        close(fd);
        return -ENOMEM;
    }
    netlink->fd = fd;
    netlink->changed = changed;
    netlink->userdata = userdata;
    netlink->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, netlink);
    netlink->settled = evtimer_new(base, on_settled, netlink);
    if (!netlink->readable || !netlink->settled || event_add(netlink->readable, NULL) < 0) {
        netlink_free(netlink);
        return -ENOMEM;
    }
    *ret = netlink;
    return 0;
}

void netlink_free(struct netlink *netlink)
{
    if (!netlink)
        return;
    if (netlink->readable)
        event_free(netlink->readable);
    if (netlink->settled)
        event_free(netlink->settled);
    close(netlink->fd);
    free(netlink);
}
