/* Disks: requests first in, first out, committed in groups after a while; what was not committed is
 * lost in a crash. */

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "sim.h"

/* Now and then a commit takes this much longer. */
#define SLOW_COMMIT_USEC 20000
#define SLOW_COMMIT_PERCENT 2

static void *grow(void *list, size_t count, size_t *allocated, size_t size)
{
    if (count < *allocated)
        return list;
    *allocated = *allocated ? 2 * *allocated : 32;
    list = realloc(list, *allocated * size);
    check(list != NULL);
    return list;
}

static void begin_commit(struct sim *sim, struct node *node)
{
    uint64_t delay = sim->commit_usec / 2 + sim_below(sim, sim->commit_usec);
    struct event *event;

    if (sim_chance(sim, SLOW_COMMIT_PERCENT))
        delay += SLOW_COMMIT_USEC;
    node->committing = true;
    event = sim_event(sim, node->number, delay, EVENT_COMMIT);
    event->count = node->requests_count;
    sim_push(sim, event);
}

static enum request_kind kind_of(const struct ring_output *output)
{
    if (output->type == RING_FETCH)
        return REQUEST_FETCH;
    switch (output->store.write) {
    case RING_WRITE_MESSAGE:
        return REQUEST_MESSAGE;
    case RING_WRITE_OUTBOX:
        return REQUEST_OUTBOX;
    case RING_WRITE_STATE:
        return REQUEST_STATE;
    }
    check_unreachable();
}

void disk_submit(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct request *request;

    node->requests = grow(node->requests, node->requests_count, &node->requests_allocated,
                          sizeof(*node->requests));
    request = &node->requests[node->requests_count++];
    *request = (struct request){.kind = kind_of(output)};
    if (output->type == RING_FETCH) {
        request->ticket = output->fetch.ticket;
        request->origin = output->fetch.origin;
        request->from = output->fetch.from;
        request->to = output->fetch.to;
        request->bytes_max = output->fetch.bytes_max;
    } else {
        request->ticket = output->store.ticket;
        request->packet = output->store.packet ? packet_ref(output->store.packet) : NULL;
        request->from_outbox = output->store.from_outbox;
        request->state = output->store.state;
    }
    if (!node->committing)
        begin_commit(sim, node);
}

bool disk_has(const struct disk *disk, int message)
{
    for (size_t i = disk->count; i-- > 0;) {
        if (message_number(disk->messages[i]) == message)
            return true;
    }
    return false;
}

bool disk_has_in_outbox(const struct disk *disk, int message)
{
    for (size_t i = 0; i < disk->outbox_count; i++) {
        if (message_number(disk->outbox[i]) == message)
            return true;
    }
    return false;
}

/* ---- what a commit does ---- */

static void remove_from_outbox(struct disk *disk, int message)
{
    for (size_t i = 0; i < disk->outbox_count; i++) {
        if (message_number(disk->outbox[i]) != message)
            continue;
        packet_unref(disk->outbox[i]);
        disk->outbox_count--;
        memmove(disk->outbox + i, disk->outbox + i + 1,
                (disk->outbox_count - i) * sizeof(*disk->outbox));
        return;
    }
}

static void write_message(struct sim *sim, struct node *node, const struct request *request)
{
    struct disk *disk = &node->disk;
    struct message message, there;

    check(message_unpack(request->packet, &message) == 0);
    if (request->from_outbox)
        remove_from_outbox(disk, message_number(request->packet));
    for (size_t i = 0; i < disk->count; i++) {
        check(message_unpack(disk->messages[i], &there) == 0);
        if (there.key.seq != message.key.seq ||
            !ring_id_equal(&there.key.origin, &message.key.origin))
            continue;
        if (!ring_id_equal(&there.id, &message.id))
            sim_fail(sim, "integrity", "node %d has two messages under one seq", node->number);
        return;
    }
    disk->messages = grow(disk->messages, disk->count, &disk->allocated, sizeof(struct packet *));
    disk->messages[disk->count++] = packet_ref(request->packet);
}

static void write_outbox(struct disk *disk, const struct request *request)
{
    disk->outbox =
        grow(disk->outbox, disk->outbox_count, &disk->outbox_allocated, sizeof(struct packet *));
    disk->outbox[disk->outbox_count++] = packet_ref(request->packet);
}

static void tell_stored(struct sim *sim, struct node *node, ring_ticket ticket)
{
    struct event *event;

    if (ticket == 0)
        return;
    event = sim_event(sim, node->number, 0, EVENT_INPUT);
    event->input.type = RING_STORED;
    event->input.stored.ticket = ticket;
    sim_push(sim, event);
}

static int by_seq(const void *a, const void *b)
{
    struct message first, second;

    check(message_unpack(*(struct packet *const *)a, &first) == 0);
    check(message_unpack(*(struct packet *const *)b, &second) == 0);
    return first.key.seq < second.key.seq ? -1 : first.key.seq > second.key.seq;
}

/* The highest of the range that fit. */
static size_t find_range(const struct disk *disk, const struct request *request,
                         struct packet **found)
{
    size_t count = 0, bytes = 0, first;

    for (size_t i = 0; i < disk->count; i++) {
        struct message message;

        check(message_unpack(disk->messages[i], &message) == 0);
        if (ring_id_equal(&message.key.origin, &request->origin) &&
            message.key.seq >= request->from && message.key.seq <= request->to)
            found[count++] = disk->messages[i];
    }
    qsort(found, count, sizeof(*found), by_seq);
    for (first = count; first > 0; first--) {
        bytes += found[first - 1]->size;
        if (bytes > request->bytes_max && first < count)
            break;
    }
    memmove(found, found + first, (count - first) * sizeof(*found));
    return count - first;
}

static void fetch(struct sim *sim, struct node *node, const struct request *request)
{
    struct event *event = sim_event(sim, node->number, 0, EVENT_INPUT);

    event->packets = calloc(node->disk.count + 1, sizeof(struct packet *));
    check(event->packets != NULL);
    event->count = find_range(&node->disk, request, event->packets);
    for (size_t i = 0; i < event->count; i++)
        packet_ref(event->packets[i]);
    event->input.type = RING_FETCHED;
    event->input.fetched.ticket = request->ticket;
    event->input.fetched.count = event->count;
    sim_push(sim, event);
}

void disk_commit(struct sim *sim, struct node *node, size_t count)
{
    ring_ticket stored = 0;

    for (size_t i = 0; i < count; i++) {
        struct request *request = &node->requests[i];

        switch (request->kind) {
        case REQUEST_MESSAGE:
            write_message(sim, node, request);
            break;
        case REQUEST_OUTBOX:
            write_outbox(&node->disk, request);
            break;
        case REQUEST_STATE:
            node->disk.state = request->state;
            break;
        case REQUEST_FETCH:
            tell_stored(sim, node, stored);
            fetch(sim, node, request);
            stored = 0;
            break;
        }
        if (request->kind != REQUEST_FETCH)
            stored = request->ticket;
        packet_unref(request->packet);
    }
    tell_stored(sim, node, stored);
    node->requests_count -= count;
    memmove(node->requests, node->requests + count, node->requests_count * sizeof(*node->requests));
    node->committing = false;
    if (node->requests_count > 0)
        begin_commit(sim, node);
}

void disk_lose_requests(struct node *node)
{
    for (size_t i = 0; i < node->requests_count; i++)
        packet_unref(node->requests[i].packet);
    node->requests_count = 0;
    node->committing = false;
}

void disk_free(struct disk *disk)
{
    for (size_t i = 0; i < disk->count; i++)
        packet_unref(disk->messages[i]);
    for (size_t i = 0; i < disk->outbox_count; i++)
        packet_unref(disk->outbox[i]);
    free(disk->messages);
    free(disk->outbox);
}
