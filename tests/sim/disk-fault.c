/* What goes wrong with disks: they hang, fail, fill up, and come back as they were long ago. */

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "sim.h"

#define RESTORE_USEC 2000000

void disk_hang(struct sim *sim, struct node *node)
{
    sim_trace(sim, "%d: the disk hangs", node->number);
    node->disk_hangs = true;
}

void disk_go_on(struct sim *sim, struct node *node)
{
    size_t due = node->commit_due;

    if (!node->disk_hangs)
        return;
    sim_trace(sim, "%d: the disk goes on", node->number);
    node->disk_hangs = false;
    node->commit_due = 0;
    if (node->running && due > 0)
        disk_commit(sim, node, due);
}

/* From here on every write fails; what is under way is lost. */
void disk_break(struct sim *sim, struct node *node)
{
    if (!node->running || node->disk_broken)
        return;
    sim_trace(sim, "%d: the disk fails", node->number);
    disk_lose_requests(node);
    node->disk_broken = true;
    disk_tell_failed(sim, node, node->last_ticket + 1);
}

/* No room is left: the writes under way are the last. Starting again does not help. */
void disk_fill(struct sim *sim, struct node *node)
{
    if (!node->running || node->disk_full)
        return;
    sim_trace(sim, "%d: the disk is full", node->number);
    node->disk_full = true;
}

void disk_copy(struct disk *to, const struct disk *from)
{
    *to = (struct disk){.state = from->state, .count = from->count, .allocated = from->count};
    to->messages = calloc(from->count + 1, sizeof(struct record));
    to->has = calloc(MESSAGES_MAX, sizeof(*to->has));
    check(to->messages != NULL && to->has != NULL);
    for (size_t i = 0; i < from->count; i++) {
        to->messages[i] = from->messages[i];
        if (to->messages[i].packet)
            packet_ref(to->messages[i].packet);
        to->has[to->messages[i].number] = to->messages[i].packet ? HAS : PRUNED;
    }
}

static bool anybody_else_has(const struct sim *sim, const struct node *node, int message)
{
    for (size_t i = 0; i < sim->nodes_count; i++) {
        if (&sim->nodes[i] != node && disk_has(&sim->nodes[i].disk, message))
            return true;
    }
    return false;
}

/* What was on no other disk is lost with this one, and nobody can help it. */
static void restore(struct sim *sim, struct node *node)
{
    node_crash(sim, node, false);
    for (size_t i = 0; i < sim->messages_count; i++) {
        if (!disk_has(&sim->backup, (int)i) && !anybody_else_has(sim, node, (int)i))
            sim->messages[i].excused = true;
    }
    sim_trace(sim, "%d: an older backup of %zu messages comes back", node->number,
              sim->backup.count);
    disk_free(&node->disk);
    node->disk = sim->backup;
    sim->backup = (struct disk){0};
    node->restored = true;
    node->has_last = false;
    node->top = (struct message_key){0};
    node_start(sim, node);
}

/* One node a seed has a backup made, and gets it back later; that takes its time, so that the runs
 * of the lost lives are not taken again. */
void disk_back_up_or_restore(struct sim *sim, struct node *node)
{
    if (sim->has_backup) {
        if (sim->backup.messages && sim->now > sim->backup_time + RESTORE_USEC &&
            sim->now > sim->nodes[sim->backup_node].started + RESTORE_USEC)
            restore(sim, &sim->nodes[sim->backup_node]);
        return;
    }
    if (node->disk.outbox_count > 0 || node->disk.state.run == 0)
        return;
    sim_trace(sim, "%d: a backup is made", node->number);
    sim->has_backup = true;
    sim->backup_node = node->number;
    sim->backup_time = sim->now;
    disk_copy(&sim->backup, &node->disk);
}

void disk_lose_requests(struct node *node)
{
    for (size_t i = 0; i < node->requests_count; i++)
        packet_unref(node->requests[i].packet);
    node->requests_count = 0;
    node->committing = false;
    node->commit_due = 0;
}

void disk_free(struct disk *disk)
{
    for (size_t i = 0; i < disk->count; i++)
        packet_unref(disk->messages[i].packet);
    for (size_t i = 0; i < disk->outbox_count; i++)
        packet_unref(disk->outbox[i]);
    free(disk->messages);
    free(disk->has);
    free(disk->outbox);
    *disk = (struct disk){0};
}
