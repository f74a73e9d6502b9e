/* The network: connections that keep their order, datagrams that keep nothing. A killed process
 * resets its connections; a host without power, or behind a cut, is silent. */

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

/* The port of a simulated node tells which one it is, and how often it has moved. */
#define FIRST_PORT 100

/* How much a datagram can be behind others. */
#define DATAGRAM_LATE_USEC 100000

/* Datagrams that a socket's buffer holds. */
#define SOCKET_DATAGRAMS 200

struct ring_address network_address(const struct node *node)
{
    unsigned number = (unsigned)node->number;

    return (struct ring_address){
        .family = 4,
        .ip = {10, (uint8_t)node->moved, (uint8_t)(number / 200), (uint8_t)(number % 200 + 1)},
        .port = (uint16_t)(FIRST_PORT + number + NODES_MAX * node->moved)};
}

/* Who is at that address; NULL: nobody any more. */
static struct node *node_at(struct sim *sim, const struct ring_address *address)
{
    unsigned number = address->port - FIRST_PORT;

    /* A stranger's is below, and nobody is there. */
    if (address->port < FIRST_PORT)
        return NULL;
    check(number % NODES_MAX < sim->nodes_count);
    return sim->nodes[number % NODES_MAX].moved == number / NODES_MAX
               ? &sim->nodes[number % NODES_MAX]
               : NULL;
}

static uint64_t latency(struct sim *sim)
{
    return sim->hop_usec + sim_below(sim, sim->hop_spread);
}

static struct connection *connection_new(struct sim *sim)
{
    if (sim->connections_count == sim->connections_allocated) {
        sim->connections_allocated = sim->connections_count ? 2 * sim->connections_count : 64;
        sim->connections =
            realloc(sim->connections, sim->connections_allocated * sizeof(*sim->connections));
        check(sim->connections != NULL);
    }
    return memset(&sim->connections[sim->connections_count++], 0, sizeof(struct connection));
}

/* The node's side of its link. */
static struct side *find_side(struct sim *sim, const struct node *node, ring_link link,
                              struct connection **ret)
{
    for (size_t i = sim->connections_count; i-- > 0;) {
        for (unsigned k = 0; k < 2; k++) {
            struct side *side = &sim->connections[i].sides[k];

            if (side->node != node->number || side->life != node->life || side->link != link ||
                !side->open)
                continue;
            *ret = &sim->connections[i];
            return side;
        }
    }
    return NULL;
}

static struct side *other(struct connection *connection, const struct side *side)
{
    return side == &connection->sides[0] ? &connection->sides[1] : &connection->sides[0];
}

/* Something from `side` to the other one, behind all that it sent before. */
static struct event *travel(struct sim *sim, struct connection *connection, struct side *side)
{
    struct side *to = other(connection, side);
    struct event *event = sim_event(sim, to->node, latency(sim), EVENT_INPUT);

    event->life = to->life;
    event->connection = (size_t)(connection - sim->connections) + 1;
    if (event->time <= side->last)
        event->time = side->last + 1;
    side->last = event->time;
    return event;
}

static void tell_closed(struct sim *sim, struct connection *connection, struct side *side)
{
    struct event *event;

    if (!other(connection, side)->open)
        return;
    event = travel(sim, connection, side);
    event->input.type = RING_LINK_DOWN;
    event->input.link_down.link = other(connection, side)->link;
    sim_push(sim, event);
}

static void refuse_dial(struct sim *sim, struct node *node, ring_link link)
{
    struct event *event = sim_event(sim, node->number, latency(sim), EVENT_INPUT);

    event->input.type = RING_DIAL_FAILED;
    event->input.dial_failed.link = link;
    event->input.dial_failed.refused = true;
    sim_push(sim, event);
}

static void connect_nodes(struct sim *sim, struct node *from, struct node *to, ring_link link)
{
    struct connection *connection = connection_new(sim);
    struct side *sides = connection->sides;
    struct event *event;

    sides[0] = (struct side){
        .node = from->number, .life = from->life, .link = link, .open = true, .last = sim->now};
    sim->last_accepted += 2;
    sides[1] = (struct side){.node = to->number,
                             .life = to->life,
                             .link = sim->last_accepted,
                             .open = true,
                             .last = sim->now};
    for (unsigned i = 0; i < 2; i++) {
        event = travel(sim, connection, &sides[i]);
        event->input.type = RING_LINK_UP;
        event->input.link_up.link = sides[!i].link;
        event->input.link_up.remote = network_address(&sim->nodes[sides[i].node]);
        sim_push(sim, event);
    }
}

void network_dial(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct node *target = node_at(sim, &output->dial.addresses.list[0]);

    if (!target || sim->cut[node->number][target->number] ||
        sim->cut[target->number][node->number] || !target->host_up)
        return;
    if (target->running)
        connect_nodes(sim, node, target, output->dial.link);
    else
        refuse_dial(sim, node, output->dial.link);
}

void network_hang_up(struct sim *sim, struct node *node, ring_link link)
{
    struct connection *connection;
    struct side *side = find_side(sim, node, link, &connection);

    if (!side)
        return;
    tell_closed(sim, connection, side);
    side->open = false;
}

static enum frame_use use_of(const struct packet *packet)
{
    static const struct {
        const char *name;
        enum frame_use use;
    } uses[] = {{"DATA", USE_CHAT},   {"SEAL", USE_CHAT},        {"STABLE", USE_CHAT},
                {"PING", USE_UPKEEP}, {"HEARTBEAT", USE_UPKEEP}, {"HEARTBEAT_ACK", USE_UPKEEP}};
    const char *name = ring_frame_name(packet->data, packet->size);

    for (size_t i = 0; i < ELEMENTS(uses); i++) {
        if (strcmp(uses[i].name, name) == 0)
            return uses[i].use;
    }
    return USE_FORMATION;
}

static void count(struct sim *sim, const struct packet *packet)
{
    struct cost *cost = &sim->costs[use_of(packet)];

    cost->frames++;
    cost->bytes += packet->size;
}

void network_send(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct packet *packet = output->send.packet;
    struct connection *connection;
    struct side *side = find_side(sim, node, output->send.link, &connection);
    struct event *event;

    if (!side)
        return;
    trace_frame(sim, node, other(connection, side)->node, packet);
    if (sim->counting)
        count(sim, packet);
    if (sim->classes[FAULT_STRANGER] &&
        strcmp(ring_frame_name(packet->data, packet->size), "HELLO") == 0)
        stranger_hears(&sim->heard_hello, packet);
    event = travel(sim, connection, side);
    event->input.type = RING_FRAME;
    event->input.frame.link = other(connection, side)->link;
    event->packet = stranger_garble(sim, packet, &event->garbled);
    sim_push(sim, event);
    side->on_the_way += event->packet->size;
    if (side->on_the_way > sim->on_the_way_max)
        sim->on_the_way_max = side->on_the_way;
}

/* A stopped process's socket holds some, and loses the rest; a host that sleeps hears none. */
static bool socket_is_full(const struct node *node)
{
    return node->paused && (node->suspended || node->inbox_count > SOCKET_DATAGRAMS);
}

static void send_datagram(struct sim *sim, const struct node *node, int to, struct packet *packet)
{
    struct event *event;

    if (sim->cut[node->number][to] || !sim->nodes[to].running || socket_is_full(&sim->nodes[to]) ||
        sim_chance(sim, sim->datagram_loss))
        return;
    event = sim_event(sim, to,
                      latency(sim) + (sim_chance(sim, sim->datagrams_late)
                                          ? sim_below(sim, DATAGRAM_LATE_USEC)
                                          : 0),
                      EVENT_INPUT);
    event->input.type = RING_DATAGRAM;
    event->input.datagram.from = network_address(node);
    event->packet = packet_ref(packet);
    sim_push(sim, event);
}

void network_datagram(struct sim *sim, struct node *node, const struct ring_output *output)
{
    stranger_hears(&sim->heard_datagram, output->datagram.packet);
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (output->datagram.target == RING_TO_NODE &&
            node_at(sim, &output->datagram.addresses.list[0]) != &sim->nodes[i])
            continue;
        send_datagram(sim, node, (int)i, output->datagram.packet);
        if (sim_chance(sim, sim->datagram_copies))
            send_datagram(sim, node, (int)i, output->datagram.packet);
    }
}

/* The side that an event is for. */
static struct side *receiver(struct sim *sim, const struct event *event)
{
    struct connection *connection = &sim->connections[event->connection - 1];
    ring_link link = event->input.type == RING_FRAME     ? event->input.frame.link
                     : event->input.type == RING_LINK_UP ? event->input.link_up.link
                                                         : event->input.link_down.link;

    return connection->sides[0].link == link && connection->sides[0].node == event->node
               ? &connection->sides[0]
               : &connection->sides[1];
}

bool network_arrives(struct sim *sim, const struct event *event)
{
    struct connection *connection;
    struct side *side;

    if (event->connection == 0)
        return true;
    connection = &sim->connections[event->connection - 1];
    side = receiver(sim, event);
    if (event->packet)
        other(connection, side)->on_the_way -= event->packet->size;
    if (!side->open)
        return false;
    if (sim->cut[other(connection, side)->node][side->node])
        connection->stalled = true;
    if (connection->stalled)
        return false;
    if (event->input.type == RING_LINK_DOWN)
        side->open = false;
    return true;
}

void network_process_gone(struct sim *sim, const struct node *node)
{
    for (size_t i = 0; i < sim->connections_count; i++) {
        for (unsigned k = 0; k < 2; k++) {
            struct side *side = &sim->connections[i].sides[k];

            if (side->node != node->number || side->life != node->life || !side->open)
                continue;
            tell_closed(sim, &sim->connections[i], side);
            side->open = false;
        }
    }
}

static void reset(struct sim *sim, struct connection *connection)
{
    sim_trace(sim, "reset %d - %d", connection->sides[0].node, connection->sides[1].node);
    tell_closed(sim, connection, &connection->sides[0]);
    tell_closed(sim, connection, &connection->sides[1]);
}

void network_reset_between(struct sim *sim, const struct node *a, const struct node *b)
{
    for (size_t i = 0; i < sim->connections_count; i++) {
        const struct side *sides = sim->connections[i].sides;

        if (((sides[0].node == a->number && sides[1].node == b->number) ||
             (sides[0].node == b->number && sides[1].node == a->number)) &&
            sides[0].open && sides[1].open)
            reset(sim, &sim->connections[i]);
    }
}

void network_reset(struct sim *sim, const struct node *node)
{
    for (size_t i = 0; i < sim->connections_count; i++) {
        struct connection *connection = &sim->connections[i];
        struct side *sides = connection->sides;

        if ((sides[0].node != node->number && sides[1].node != node->number) || !sides[0].open ||
            !sides[1].open || sim_chance(sim, 50))
            continue;
        reset(sim, connection);
    }
}
