#pragma once

/* The control socket: an AF_UNIX stream socket that speaks Varlink (common/varlink.h) with any
 * number of clients. ringchat-varlink(7) tells what it offers. A client that does not read, or that
 * sends nonsense, costs bounded memory and holds up nobody. Loop thread only. */

#include <event2/event.h>

#include "engine.h"

struct control;
struct keys;
struct rotation;

/* What the control socket asks of the rest of the daemon. */
struct control_callbacks {
    /* The topics of the log, separated by blanks, to be freed; NULL: out of memory. */
    char *(*log_get)(void *userdata);
    /* Sets them until the next restart. 0; -EINVAL: no such topic, nothing changed; -ENOMEM. */
    int (*log_set)(void *userdata, const char *topics);
    /* Calls `add(list, text)` for each warning that Status shall show beside those of the ring,
     * such as a missing key; each text says what to do. */
    void (*warnings)(void *userdata, void (*add)(void *list, const char *text), void *list);
    void *userdata;
};

struct control_options {
    int listen_fd; /* a listening socket handed in, taken over; -1: make one at `path` */
    const char *state_directory; /* whose disk is looked at; NULL: none */
    const char *path;            /* where to make one */
    const char *group;         /* group of that socket, and named in errors; NULL: this process's */
    const char *admin_group;   /* whose members are administrators; NULL: none */
    size_t message_bytes_max;  /* the longest text of a send: MaxMessageBytes= */
    bool keep_socket;          /* it outlives this process in a descriptor store */
    struct keys *keys;         /* must live longer, as rotation */
    struct rotation *rotation; /* NULL: keys cannot be changed */
    struct control_callbacks callbacks;
};

/* Begins to accept clients. The strings of `options` are copied. A socket at the path on which
 * nobody listens is replaced. 0, or a negative errno with a sentence in `ret_error` (to be freed)
 * that says what is wrong and what to do; -EADDRINUSE: another daemon listens there. `engine` must
 * live longer. */
int control_new(struct event_base *base, struct engine *engine,
                const struct control_options *options, struct control **ret, char **ret_error);

/* The listening socket, for the file descriptor store; belongs to `control`. */
int control_listen_fd(const struct control *control);

/* How many clients are connected. */
size_t control_client_count(const struct control *control);

/* New values after a reload: MaxMessageBytes=. */
void control_set_message_bytes_max(struct control *control, size_t bytes);

/* The daemon begins to stop. Where the socket outlives it, new clients and new calls are left to
 * the next daemon: clients wait at the socket, and those that are connected and have asked nothing
 * are closed, so that they ask again. Else nothing happens. */
void control_retire(struct control *control);

/* Takes no new clients and no new calls; every send that waits is answered TimedOut with what
 * became of it, streams end. The answers go out from the loop, and with control_free(). */
void control_goodbye(struct control *control);

/* Closes all; removes the socket's path if control_new() made it and `keep_socket` is not set. NULL
 * is allowed. */
void control_free(struct control *control);
