/* Who does not belong: datagrams and connections of strangers, of other rings and versions, and
 * frames of members that come garbled, as from a bug: shorter than what they should carry. */

#include <string.h>

#include "common/byteorder.h"
#include "common/check.h"
#include "daemon/ring/wire.h"
#include "sim.h"

/* Where a datagram and a HELLO have their version; the ring's name begins behind that and, in a
 * HELLO, behind the id, instance and time-out. */
#define VERSION_AT RING_FRAME_HEADER_BYTES
#define DATAGRAM_NAME_AT (VERSION_AT + 3)
#define HELLO_NAME_AT (VERSION_AT + 2 + 16 + 8 + 4 + 1)

/* One frame in so many is garbled. */
#define GARBLED_EVERY 400

#define STRANGER_FRAMES 6

static struct packet *copy(const struct packet *packet, size_t size)
{
    struct packet *copied = packet_new(size);

    check(copied != NULL);
    memcpy(copied->data, packet->data, size);
    if (size >= 4)
        put_le32(copied->data, (uint32_t)size);
    return copied;
}

/* What RELAY carries means nothing to the core, so a shorter one is as good as any. */
struct packet *stranger_garble(struct sim *sim, struct packet *packet, bool *ret_garbled)
{
    *ret_garbled = sim->garbling && packet->size > RING_FRAME_HEADER_BYTES &&
                   sim_below(sim, GARBLED_EVERY) == 0 && frame_type(packet->data) != FRAME_RELAY;
    if (!*ret_garbled)
        return packet_ref(packet);
    sim_trace(sim, "the next frame is garbled");
    return copy(packet,
                RING_FRAME_HEADER_BYTES + sim_below(sim, packet->size - RING_FRAME_HEADER_BYTES));
}

/* Keeps one of each, to be changed. */
void stranger_hears(struct packet **place, struct packet *packet)
{
    packet_unref(*place);
    *place = packet_ref(packet);
}

/* Of another version, of another ring, too short, or nothing but noise. */
static struct packet *distort(struct sim *sim, const struct packet *packet, size_t name_at)
{
    uint64_t how = sim_below(sim, 4);
    struct packet *changed = copy(packet, how == 0 ? sim_below(sim, packet->size) : packet->size);

    if (how == 1)
        changed->data[VERSION_AT]++;
    if (how == 2 && name_at < changed->size)
        changed->data[name_at] ^= 1;
    for (size_t i = how == 3 ? 4 : changed->size; i < changed->size; i++)
        changed->data[i] = (uint8_t)sim_random(sim);
    return changed;
}

static void send_datagram(struct sim *sim, const struct node *to)
{
    struct event *event = sim_event(sim, to->number, 0, EVENT_INPUT);

    event->input.type = RING_DATAGRAM;
    event->input.datagram.from = (struct ring_address){.family = 4, .ip = {10, 9}, .port = 9};
    event->packet = distort(sim, sim->heard_datagram, DATAGRAM_NAME_AT);
    sim_push(sim, event);
}

static void send_frame(struct sim *sim, const struct node *to, ring_link link,
                       struct packet *packet, uint64_t delay)
{
    struct event *event = sim_event(sim, to->number, delay, EVENT_INPUT);

    event->input.type = RING_FRAME;
    event->input.frame.link = link;
    event->packet = packet;
    event->garbled = true;
    sim_push(sim, event);
}

/* A connection of somebody who says HELLO rightly or wrongly, and then goes on with anything. */
static void connect_to(struct sim *sim, const struct node *to)
{
    ring_link link = sim->last_accepted += 2;
    struct event *event = sim_event(sim, to->number, 0, EVENT_INPUT);

    event->input.type = RING_LINK_UP;
    event->input.link_up.link = link;
    event->input.link_up.remote = (struct ring_address){.family = 4, .ip = {10, 9}, .port = 9};
    sim_push(sim, event);
    send_frame(sim, to, link,
               sim_chance(sim, 50) ? copy(sim->heard_hello, sim->heard_hello->size)
                                   : distort(sim, sim->heard_hello, HELLO_NAME_AT),
               1);
    for (uint64_t i = 0; i < STRANGER_FRAMES; i++)
        send_frame(sim, to, link,
                   distort(sim, sim_chance(sim, 50) ? sim->heard_datagram : sim->heard_hello,
                           HELLO_NAME_AT),
                   2 + i);
}

void stranger_comes(struct sim *sim, struct node *node)
{
    if (!node->running || !sim->heard_datagram || !sim->heard_hello)
        return;
    sim_trace(sim, "%d: a stranger comes", node->number);
    send_datagram(sim, node);
    connect_to(sim, node);
}
