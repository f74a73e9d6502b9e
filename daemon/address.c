#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_BYTES 4

void address_format(const struct ring_address *address, char ret[ADDRESS_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (address->family == 0) {
        snprintf(ret, ADDRESS_TEXT_MAX, "?");
        return;
    }
    inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->ip, ip, sizeof(ip));
    if (address->family == 4)
        snprintf(ret, ADDRESS_TEXT_MAX, "%s:%u", ip, address->port);
    else if (address->scope)
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s%%%u]:%u", ip, address->scope, address->port);
    else
        snprintf(ret, ADDRESS_TEXT_MAX, "[%s]:%u", ip, address->port);
}

static int parse_port(const char *text, uint16_t *ret)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

static int parse_ip(const char *text, struct ring_address *ret)
{
    char ip[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    char *scope;

    if (inet_pton(AF_INET, text, ret->ip) == 1) {
        ret->family = 4;
        return 0;
    }
    if (strlen(text) >= sizeof(ip))
        return -EINVAL;
    strcpy(ip, text);
    scope = strchr(ip, '%');
    if (scope) {
        *scope++ = '\0';
        ret->scope = if_nametoindex(scope);
        if (ret->scope == 0)
            ret->scope = (uint32_t)strtoul(scope, NULL, 10);
    }
    if (inet_pton(AF_INET6, ip, ret->ip) != 1)
        return -EINVAL;
    ret->family = 6;
    return 0;
}

int address_parse(const char *text, struct ring_address *ret)
{
    struct ring_address address = {0};
    char host[ADDRESS_TEXT_MAX];
    const char *port = NULL;
    size_t size = strlen(text);

    if (size == 0 || size >= sizeof(host))
        return -EINVAL;
    strcpy(host, text);
    if (host[0] == '[') {
        char *end = strchr(host, ']');

        if (!end || (end[1] != '\0' && end[1] != ':'))
            return -EINVAL;
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
        memmove(host, host + 1, strlen(host));
    } else if (strchr(host, ':') && strchr(host, ':') == strrchr(host, ':')) {
        char *colon = strchr(host, ':');

        port = colon + 1;
        *colon = '\0';
    }
    /* The brackets moved the text, not what the port points to. */
    if (port && parse_port(text + (port - host), &address.port) < 0)
        return -EINVAL;
    if (parse_ip(host, &address) < 0)
        return -EINVAL;
    *ret = address;
    return 0;
}

socklen_t address_to_socket(const struct ring_address *address, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (address->family == 4) {
        in->sin_family = AF_INET;
        in->sin_port = htons(address->port);
        memcpy(&in->sin_addr, address->ip, IPV4_BYTES);
        return sizeof(*in);
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address->port);
    in6->sin6_scope_id = address->scope;
    memcpy(&in6->sin6_addr, address->ip, sizeof(address->ip));
    return sizeof(*in6);
}

static void from_ipv6(const struct sockaddr_in6 *in6, struct ring_address *ret)
{
    ret->port = ntohs(in6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        ret->family = 4;
        memcpy(ret->ip, in6->sin6_addr.s6_addr + sizeof(ret->ip) - IPV4_BYTES, IPV4_BYTES);
        return;
    }
    ret->family = 6;
    ret->scope = in6->sin6_scope_id;
    memcpy(ret->ip, &in6->sin6_addr, sizeof(ret->ip));
}

int address_from_socket(const struct sockaddr *from, struct ring_address *ret)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;

    *ret = (struct ring_address){0};
    if (from->sa_family == AF_INET) {
        ret->family = 4;
        ret->port = ntohs(in->sin_port);
        memcpy(ret->ip, &in->sin_addr, IPV4_BYTES);
        return 0;
    }
    if (from->sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    from_ipv6((const struct sockaddr_in6 *)from, ret);
    return 0;
}

bool address_is_loopback(const struct ring_address *address)
{
    static const uint8_t loopback6[16] = {[15] = 1};

    if (address->family == 4)
        return address->ip[0] == 127;
    return memcmp(address->ip, loopback6, sizeof(loopback6)) == 0;
}

bool address_is_link_local(const struct ring_address *address)
{
    return address->family == 6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool address_is_any(const struct ring_address *address)
{
    static const uint8_t any[16];

    return address->family == 0 || memcmp(address->ip, any, sizeof(any)) == 0;
}

bool address_same_host(const struct ring_address *a, const struct ring_address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}
