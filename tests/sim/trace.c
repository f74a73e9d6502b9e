/* What happens, as lines for people: frames with what they carry, events as the journal has them.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/byteorder.h"
#include "sim.h"

void sim_trace(struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (!sim->tracing)
        return;
    printf("%12.3f ms  ", (double)(sim->now - BEGIN_USEC) / 1000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

const char *reply_name(enum ring_reply reply)
{
    static const char *const names[] = {
        [RING_ACCEPTED] = "accepted",
        [RING_DONE] = "done",
        [RING_NOT_IN_RING] = "not in a ring",
        [RING_BUSY] = "busy",
        [RING_BAD_NODE] = "no such member",
        [RING_ID_CONFLICT] = "another message has this id",
        [RING_STORE_BROKEN] = "the store is broken",
        [RING_ABANDONED] = "abandoned",
    };

    return names[reply];
}

/* By its name where the core knows it, else by its id. */
static void put_name(FILE *to, const struct ring_event *event)
{
    static const struct ring_id nobody;

    if (*event->peer_name)
        fputs(event->peer_name, to);
    else if (ring_id_equal(&event->peer, &nobody))
        fputs("somebody", to);
    else
        fprintf(to, "node%d", node_number(&event->peer));
}

/* Fills in event.def's text: %p the peer, %a its address, %e the epoch, %n and %o numbers, %r the
 * reason. */
static void put_event(FILE *to, const char *text, const struct ring_event *event)
{
    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            putc(*at, to);
            continue;
        }
        at++;
        if (*at == 'p')
            put_name(to, event);
        else if (*at == 'a')
            fprintf(to, "port %u", event->address.port);
        else if (*at == 'r')
            fputs(event->reason ? event->reason : "", to);
        else
            fprintf(to, "%llu",
                    (unsigned long long)(*at == 'e'   ? event->epoch
                                         : *at == 'n' ? event->number
                                                      : event->other));
    }
}

void trace_event(struct sim *sim, const struct node *node, const struct ring_event *event)
{
    static const char *const texts[] = {
#define EVENT(name, topic, priority, text) [RING_EVENT_##name] = text,
#include "daemon/ring/event.def"
#undef EVENT
    };
    char text[300] = "";
    FILE *to;

    if (!sim->tracing || (sim->story && event->type == RING_EVENT_HEARTBEAT))
        return;
    to = fmemopen(text, sizeof(text), "w");
    if (!to)
        return;
    put_event(to, texts[event->type], event);
    fclose(to);
    sim_trace(sim, "%d: %s", node->number, text);
}

static bool is(const char *name, const char *one)
{
    return strcmp(name, one) == 0;
}

/* Signs of life would hide everything else. */
static bool is_noise(const char *name)
{
    return is(name, "PING") || is(name, "HEARTBEAT") || is(name, "HEARTBEAT_ACK");
}

void trace_frame(struct sim *sim, const struct node *node, int to, const struct packet *packet)
{
    const char *name = ring_frame_name(packet->data, packet->size);
    const uint8_t *body = packet->data + RING_FRAME_HEADER_BYTES;
    struct ring_id id;

    if (!sim->tracing || (sim->story && is_noise(name)))
        return;
    if (is(name, "DATA") || is(name, "FILL") || is(name, "REPAIR") || is(name, "REPAIR_FAR")) {
        sim_trace(sim, "%d -> %d  %s message %d", node->number, to, name, message_number(packet));
    } else if (is(name, "SEAL") || is(name, "STABLE")) {
        memcpy(id.bytes, body, sizeof(id.bytes));
        sim_trace(sim, "%d -> %d  %s of %d up to its %u", node->number, to, name, node_number(&id),
                  get_le32(body + sizeof(id.bytes)));
    } else {
        sim_trace(sim, "%d -> %d  %s", node->number, to, name);
    }
}
