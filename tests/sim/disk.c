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
    uint64_t delay =
        sim->story ? sim->commit_usec : sim->commit_usec / 2 + sim_below(sim, sim->commit_usec);
    struct event *event;

    if (!sim->story && sim_chance(sim, SLOW_COMMIT_PERCENT))
        delay += SLOW_COMMIT_USEC;
    delay = node->commit_usec > delay ? node->commit_usec : delay;
    node->committing = true;
    node->commit_count = node->requests_count;
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

void disk_tell_failed(struct sim *sim, struct node *node, ring_ticket ticket)
{
    struct event *event = sim_event(sim, node->number, 100, EVENT_INPUT);

    event->input.type = RING_STORE_FAILED;
    event->input.store_failed.ticket = ticket;
    sim_push(sim, event);
}

/* What comes by repair is within the retention that the disk has been told of. */
static void check_horizon(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct message message;

    if (output->store.write == RING_WRITE_STATE)
        node->horizon = output->store.state.horizon;
    if (output->store.write == RING_WRITE_MESSAGE && output->store.repaired &&
        message_unpack(output->store.packet, &message) == 0 && message.key.hlc < node->horizon)
        sim_fail(sim, "bounds", "node %d stores what is below its horizon", node->number);
}

void disk_submit(struct sim *sim, struct node *node, const struct ring_output *output)
{
    struct request *request;

    if (output->type == RING_STORE)
        check_horizon(sim, node, output);
    if (node->disk_broken || (node->disk_full && output->type == RING_STORE)) {
        if (output->type == RING_STORE)
            disk_tell_failed(sim, node, output->store.ticket);
        return;
    }
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
    return disk->has && disk->has[message] == HAS;
}

bool disk_had(const struct disk *disk, int message)
{
    return disk->has && disk->has[message] != NEVER_HAD;
}

bool history_is_whole(const struct sim *sim, int message)
{
    uint64_t hlc = sim->messages[message].hlc;
    bool held = false;

    for (size_t i = 0; i < sim->nodes_count; i++)
        held |= !sim->nodes[i].excepted && disk_has(&sim->nodes[i].disk, message);
    for (size_t i = 0; held && i < sim->nodes_count; i++) {
        const struct node *node = &sim->nodes[i];

        if (!node->seen[message] && !node->excepted && hlc >= node->disk.state.horizon)
            return false;
    }
    return true;
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
    struct message message;
    int number = message_number(request->packet);

    check(message_unpack(request->packet, &message) == 0);
    if (request->from_outbox)
        remove_from_outbox(disk, number);
    if (!disk->has)
        disk->has = calloc(MESSAGES_MAX, sizeof(*disk->has));
    check(disk->has != NULL);
    checkers_stored(sim, node, &message, number);
    if (sim->failed || disk->has[number] != NEVER_HAD)
        return;
    disk->has[number] = HAS;
    disk->messages = grow(disk->messages, disk->count, &disk->allocated, sizeof(struct record));
    disk->messages[disk->count++] = (struct record){.packet = packet_ref(request->packet),
                                                    .key = message.key,
                                                    .id = message.id,
                                                    .number = number};
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
    const struct record *first = *(const struct record *const *)a;
    const struct record *second = *(const struct record *const *)b;

    return first->key.seq < second->key.seq ? -1 : first->key.seq > second->key.seq;
}

/* The highest of the range that fit. */
static size_t find_range(const struct disk *disk, const struct request *request,
                         const struct record **found)
{
    size_t count = 0, bytes = 0, first;

    for (size_t i = 0; i < disk->count; i++) {
        const struct record *record = &disk->messages[i];

        if (record->packet && record->key.seq >= request->from && record->key.seq <= request->to &&
            ring_id_equal(&record->key.origin, &request->origin))
            found[count++] = record;
    }
    qsort(found, count, sizeof(*found), by_seq);
    for (first = count; first > 0; first--) {
        bytes += found[first - 1]->packet->size;
        if (bytes > request->bytes_max && first < count)
            break;
    }
    memmove(found, found + first, (count - first) * sizeof(*found));
    return count - first;
}

static void fetch(struct sim *sim, struct node *node, const struct request *request)
{
    struct event *event = sim_event(sim, node->number, 0, EVENT_INPUT);

    const struct record **found = calloc(node->disk.count + 1, sizeof(*found));

    check(found != NULL);
    event->count = find_range(&node->disk, request, found);
    event->packets = calloc(event->count + 1, sizeof(struct packet *));
    check(event->packets != NULL);
    for (size_t i = 0; i < event->count; i++)
        event->packets[i] = packet_ref(found[i]->packet);
    free(found);
    event->input.type = RING_FETCHED;
    event->input.fetched.ticket = request->ticket;
    event->input.fetched.count = event->count;
    sim_push(sim, event);
}

/* Removes what is below the horizon, and says so. */
static void prune(struct sim *sim, struct node *node)
{
    struct disk *disk = &node->disk;

    for (size_t i = 0; i < disk->count; i++) {
        struct record *record = &disk->messages[i];
        struct event *event;

        if (!record->packet || record->key.hlc >= disk->state.horizon)
            continue;
        sim_trace(sim, "%d: message %d is pruned", node->number, record->number);
        packet_unref(record->packet);
        record->packet = NULL;
        disk->has[record->number] = PRUNED;
        event = sim_event(sim, node->number, 0, EVENT_INPUT);
        event->input.type = RING_PRUNED;
        event->input.pruned.origin = record->key.origin;
        event->input.pruned.interval.from = record->key.seq;
        event->input.pruned.interval.to = record->key.seq;
        sim_push(sim, event);
    }
}

void disk_commit(struct sim *sim, struct node *node, size_t count)
{
    ring_ticket stored = 0;

    if (node->disk_hangs) {
        node->commit_due = count;
        return;
    }

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
            prune(sim, node);
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
