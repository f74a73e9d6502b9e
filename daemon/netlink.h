#pragma once

/* Tells when an interface or an address of this host comes, goes or changes: the kernel says so by
 * rtnetlink(7). What has changed is looked up by interfaces_find(). Loop thread only. */

#include <event2/event.h>

struct netlink;

/* Calls `changed` from the loop, a moment after the last of several changes. 0 or a negative errno:
 * then changes go unnoticed. */
int netlink_new(struct event_base *base, void (*changed)(void *userdata), void *userdata,
                struct netlink **ret);
void netlink_free(struct netlink *netlink); /* NULL is allowed */
