#pragma once

/* The rooms that a reader knows, and what it has not read in each. Kept between two sessions in
 * $XDG_STATE_HOME/ringchat, a file a node, with the place in the node's deliveries up to which all
 * has been counted. */

#include "context.h"

struct room {
    char *name;
    uint64_t unread, messages;
    uint64_t last; /* when the newest message was sent, µs; 0: not known */
};

struct rooms {
    size_t count, allocated;
    struct room *list; /* by name */
    char *cursor;      /* NULL: at no place yet */
};

/* The room of that name, made if it is not there; NULL: out of memory. Valid until the next one is
 * made. */
struct room *rooms_get(struct rooms *rooms, const char *name);

/* Unread messages in all rooms but `except` (may be NULL). */
uint64_t rooms_unread(const struct rooms *rooms, const char *except);

void rooms_set_cursor(struct rooms *rooms, const char *cursor);

/* What was saved for the node of that id; empty if there is nothing. */
void rooms_load(struct rooms *rooms, const char *node_id);

/* Saves it; a place that cannot be written to is passed over, as it is a comfort only. */
void rooms_save(const struct rooms *rooms, const char *node_id);

/* Adds to the unread ones what the daemon has delivered since the cursor, at most COUNT_MAX
 * messages, and moves the cursor to the end. Where there is no cursor, or it is of another history,
 * only the cursor is set. 0, or an exit code after a message. `ret_counted` may be NULL. */
#define COUNT_MAX 20000
int rooms_catch_up(const struct context *context, struct rooms *rooms, uint64_t *ret_counted);

/* Takes all rooms of the history, with how many messages each has; more than that of a room cannot
 * be unread. 0, or an exit code after a message. */
int rooms_fetch(const struct context *context, struct rooms *rooms);

void rooms_done(struct rooms *rooms);
