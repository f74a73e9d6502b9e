#include "hearing.h"

#include <string.h>

#include "address.h"

static struct hearing_interface *row_of(struct hearing *hearing, unsigned index)
{
    for (size_t i = 0; i < hearing->count; i++) {
        if (hearing->list[i].index == index)
            return &hearing->list[i];
    }
    /* Interfaces come and go: all is noted anew when the table is full. */
    if (hearing->count == INTERFACES_MAX)
        hearing->count = 0;
    hearing->list[hearing->count] = (struct hearing_interface){.index = index};
    return &hearing->list[hearing->count++];
}

const struct hearing_interface *hearing_find(const struct hearing *hearing, unsigned index)
{
    for (size_t i = 0; i < hearing->count; i++) {
        if (hearing->list[i].index == index)
            return &hearing->list[i];
    }
    return NULL;
}

void hearing_sent(struct hearing *hearing, unsigned index, int error, uint64_t now)
{
    struct hearing_interface *row = row_of(hearing, index);

    row->error = error;
    if (error == 0)
        row->sent = now;
}

static size_t address_bytes(const struct ring_address *address)
{
    return address->family == 4 ? 4 : 16;
}

static bool same_network(const struct ring_address *a, const struct ring_address *b, unsigned bits)
{
    for (size_t i = 0; i < address_bytes(a) && bits > 0; i++) {
        unsigned here = bits < 8 ? bits : 8;
        unsigned mask = 0xffU << (8 - here) & 0xffU;

        if ((a->ip[i] ^ b->ip[i]) & mask)
            return false;
        bits -= here;
    }
    return true;
}

/* Whether the sender is on that interface; `ret_own`: it is this host itself. */
static bool is_on(const struct interface *interface, const struct ring_address *from, bool *ret_own)
{
    for (size_t i = 0; i < interface->count; i++) {
        const struct ring_address *address = &interface->addresses[i];

        if (address->family != from->family ||
            !same_network(address, from, interface->prefixes[i]) ||
            (from->scope && from->scope != interface->index))
            continue;
        *ret_own = memcmp(address->ip, from->ip, address_bytes(from)) == 0;
        if (*ret_own || !from->scope || from->scope == interface->index)
            return true;
    }
    return false;
}

void hearing_received(struct hearing *hearing, const struct interfaces *interfaces,
                      const struct ring_address *from, uint16_t own_port, uint64_t now)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        struct hearing_interface *row;
        bool own;

        if (!is_on(&interfaces->list[i], from, &own))
            continue;
        row = row_of(hearing, interfaces->list[i].index);
        if (own && from->port == own_port) {
            row->echoed = now;
            return;
        }
        row->heard = now;
        row->datagrams++;
        return;
    }
}
