#pragma once

/* What the control socket can do: one row a method. */

#include "address.h"
#include "common/message.h"
#include "control-client.h"

/* When a running call is to be looked at again. */
enum method_watch {
    WATCH_DELIVERED = 1, /* there is more in the history */
    WATCH_CHANGED = 2,   /* the view or the phase */
    WATCH_ROOM = 4,      /* engine_has_room() */
    WATCH_NAMES = 8,     /* a user's name was found, or is not waited for any more */
    WATCH_COUNTED = 16,  /* engine_has_counted() */
};

struct method {
    const char *name; /* "org.ringchat.Send" */
    /* Makes progress, until the call has answered. Called when the call's turn comes, when
     * something that `watch` names has happened, after its time-out, when the client has read, and
     * once more with control->goodbye set: it must answer or drop then. */
    void (*run)(struct call *call);
    /* Gives back what the call holds in `data`; NULL: nothing. */
    void (*stop)(struct call *call);
    void (*event)(struct call *call, const struct ring_event *event); /* or NULL */
    unsigned watch;
    bool stream;      /* needs "more" */
    bool pipelined;   /* several may run at once, in their order */
    bool admin;       /* for administrators only */
    enum quota quota; /* that a running call counts in; 0: none */
};

/* Decides what a call is and whether its caller may do it. A call that cannot be is answered at
 * once. */
void method_begin(struct call *call);

/* Answers that the caller would have to be an administrator. */
void method_deny(struct call *call);

/* Answers that several members have this name. */
void method_answer_ambiguous(struct call *call, const char *node);

/* ---- rows that have files of their own ---- */

void doctor_run(struct call *call); /* control-doctor.c */
void doctor_stop(struct call *call);

void send_run(struct call *call); /* control-send.c */
void send_stop(struct call *call);

void key_list_run(struct call *call); /* control-key.c */
void key_show_run(struct call *call);
void key_generate_run(struct call *call);
void key_add_run(struct call *call);
void key_use_run(struct call *call);
void key_remove_run(struct call *call);
void key_stop(struct call *call);

void tail_run(struct call *call); /* control-tail.c */
void tail_stop(struct call *call);
void tail_event(struct call *call, const struct ring_event *event);

void history_run(struct call *call); /* control-history.c */
void export_run(struct call *call);
void history_stop(struct call *call);

void rooms_run(struct call *call); /* control-rooms.c */
void rooms_stop(struct call *call);

void import_run(struct call *call); /* control-import.c */
void import_stop(struct call *call);

void members_run(struct call *call); /* control-ring.c */
void wait_run(struct call *call);
void leave_run(struct call *call);
void join_run(struct call *call);
void elect_run(struct call *call);
void command_stop(struct call *call);

/* Answers with the object of Members, and with {"status": …}; control-report.c. */
struct json_object *report_members(struct control *control);
struct json_object *report_status(struct control *control);

/* The leader and the epoch: the answer of Elect. */
struct json_object *report_leader(struct control *control);

/* The Message of a packet that holds one. */
struct json_object *report_message(const struct packet *packet);
/* Text as a value, broken UTF-8 repaired. */
struct json_object *report_text(const char *text);

/* What Status warns of beside the ring itself: disk, network, members that come and go. */
void doctor_add_warnings(struct control *control, struct json_object *list);

/* An event for a tail; NULL: it is not for users, or memory is short. */
struct json_object *report_event(struct control *control, const struct ring_event *event);
struct json_object *report_lost_events(struct control *control, uint64_t count);

/* A member's name as it is shown: with ~ and digits of its id where another one has the same. Ended
 * by NUL, at most NAME_BYTES_MAX + 6 bytes. */
#define SHOWN_NAME_MAX (NAME_BYTES_MAX + 6)
void member_shown_name(const struct ring_view *view, size_t position, char ret[SHOWN_NAME_MAX]);

/* Finds a member by shown name, name, or at least 4 digits of its id. Its position; -ENOENT;
 * -ENOTUNIQ. */
#define NODE_DIGITS_MIN 4
bool member_matches(const struct ring_view *view, size_t position, const char *node);
ssize_t member_find(const struct ring_view *view, const char *node);
