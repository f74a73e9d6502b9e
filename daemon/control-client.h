#pragma once

/* One connection to the control socket: its calls in their order, from the bytes that come in to
 * the bytes that go out. What a call does is control-method.h's. */

#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "common/errors.h"
#include "common/list.h"
#include "common/message.h"
#include "common/varlink.h"
#include "control-quota.h"
#include "control-user.h"
#include "control.h"
#include "recent.h"
#include "tail-page.h"

struct method;

/* The control socket as its parts see it. */
struct control {
    struct event_base *base;
    struct engine *engine;
    struct control_options options; /* with strings of its own */
    struct idl *idl;
    struct user_names *names;
    struct engine_watcher watcher;
    int listen_fd;
    struct event *accept;
    bool owns_path; /* the path goes with this process */
    bool retired;   /* the socket is left to the next daemon */
    bool goodbye;
    gid_t admin_group;
    bool has_admin_group;
    uint64_t started; /* wall clock, µs */
    struct list clients;
    struct list users; /* who have connections */
    size_t client_count;
    struct recent recent;
    struct tail_pages tail_pages;
    struct id_source ids; /* of messages */
};

struct client {
    struct list list;
    struct control *control;
    struct bufferevent *stream;
    struct event *work; /* active: there is something to do */
    struct event *hangup_check;
    struct json_stream *input;
    struct ucred peer;
    struct user *user;
    bool is_admin;
    struct list calls; /* as they came */
    size_t call_count, call_bytes;
    size_t sends;     /* of the calls, those that count in the user's quota of sends */
    bool writing;     /* the socket took not all of the output: the loop writes the rest */
    bool input_ended; /* the client sends no more */
    bool end_taken;   /* and what was left of its input has been looked at */
    bool gone;        /* and takes no more */
    bool closing;     /* as soon as the answers are out */
    bool lingering;   /* they are: waits for the client to close */
};

enum call_state {
    CALL_WAITING,  /* for the calls before it */
    CALL_RUNNING,  /* its method's run() is called until it has answered */
    CALL_ANSWERED, /* `reply`, if any, goes out when it is first in line */
};

struct call {
    struct list list;
    struct client *client;
    struct varlink_call message;
    const struct method *method;
    enum call_state state;
    bool counted;   /* in its user's quota */
    bool passed_on; /* later pipelined calls may start: this one has its place in the order */
    bool in_lines;
    bool timed_out;
    size_t bytes;
    struct event *timer;
    struct json_object *reply;
    void *data; /* the method's; freed by its stop() */
};

/* Takes over the descriptor. 0, or a negative errno (the descriptor is closed then too). */
int client_new(struct control *control, int fd);
void client_free(struct client *client);

/* Answers what can be answered now (control->goodbye is set) and writes it without waiting. The
 * client may be freed. */
void client_say_goodbye(struct client *client);

/* Has the client's calls looked at, from the loop. */
void client_schedule(struct client *client);

/* The same for all clients that run a call of a method that watches. `watch` is an enum
 * method_watch. */
void control_schedule(struct control *control, unsigned watch);

/* ---- calls: control-call.c ---- */

/* A call of the client, behind its others. NULL: out of memory. */
struct call *call_new(struct client *client, size_t bytes);
void call_free(struct call *call);

/* Writes a reply; the object is taken over. NULL: memory is short, the connection is closed. */
void call_write_reply(struct call *call, struct json_object *reply);

/* Writes a reply that is text already, without its end, and may be shared with other calls. NULL:
 * as above. */
void call_write_text(struct call *call, struct packet *text);

/* ---- for methods ---- */

/* A parameter, or NULL. */
struct json_object *call_parameter(const struct call *call, const char *name);

/* The same with its value where it is missing. Types have been checked. Negative numbers are none.
 */
const char *call_string(const struct call *call, const char *name, const char *missing);
bool call_flag(const struct call *call, const char *name);
int call_number(const struct call *call, const char *name, uint64_t missing, uint64_t *ret);

/* An object of fields; the values are taken over. NULL: out of memory, or a value is NULL. */
struct json_pair {
    const char *key;
    struct json_object *value;
};
struct json_object *object_new(size_t count, const struct json_pair *pairs);
#define OBJECT(...)                                                                                \
    object_new(sizeof((const struct json_pair[]){__VA_ARGS__}) / sizeof(struct json_pair),         \
               (const struct json_pair[]){__VA_ARGS__})

/* Answers; `parameters` are taken over, and NULL is an object without fields (where memory is short
 * the connection is closed). With `continues` further answers follow: only for a call that runs as
 * the first in line. */
void call_reply(struct call *call, struct json_object *parameters, bool continues);
void call_error(struct call *call, enum error error, struct json_object *parameters);
void call_invalid(struct call *call, const char *parameter);

/* Ends the call without an answer. */
void call_drop(struct call *call);

/* Whether the client reads what it is sent: otherwise an endless answer waits. */
bool call_has_room(const struct call *call);

/* Calls run() with `timed_out` set after that time. 0 or -ENOMEM. */
int call_set_timer(struct call *call, uint64_t usec);

/* Ends the connection because memory is short. */
void call_out_of_memory(struct call *call);

/* Answers, and logs, that the history could not be read (a negative errno); -ENOMEM: as above. */
void call_unreadable(struct call *call, int error);
