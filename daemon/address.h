#pragma once

/* Addresses of nodes: from and to the system's form, and text. */

#include <sys/socket.h>

#include "ring/ring.h"

/* "[fe80::1122:3344:5566:7788%4294967295]:65535" and its NUL fit. */
#define ADDRESS_TEXT_MAX 80

/* As "10.0.0.1:7263" or "[fe80::1%2]:7263"; "?" for none. */
void address_format(const struct ring_address *address, char ret[ADDRESS_TEXT_MAX]);

/* Reads a numeric ADDRESS, ADDRESS:PORT, or [ADDRESS]:PORT. Without a port `ret->port` is 0.
 * 0 or -EINVAL. */
int address_parse(const char *text, struct ring_address *ret);

/* Fills `ret` and returns its length. */
socklen_t address_to_socket(const struct ring_address *address, struct sockaddr_storage *ret);

/* IPv4 addresses mapped into IPv6 become IPv4. 0, or -EAFNOSUPPORT. */
int address_from_socket(const struct sockaddr *from, struct ring_address *ret);

bool address_is_loopback(const struct ring_address *address);
bool address_is_link_local(const struct ring_address *address); /* IPv6 only */
bool address_is_any(const struct ring_address *address);

/* The same host, whatever the port and scope. */
bool address_same_host(const struct ring_address *a, const struct ring_address *b);
