/* What is asked of the ring as a whole: Members, Wait, Leave, Join, Elect. */

#include <errno.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"

/* What a command's reply is kept in until the call is looked at again. */
struct command {
    struct call *call;
    ring_ticket ticket;
    bool given, answered;
    enum ring_reply reply;
};

static void on_command_reply(void *userdata, enum ring_reply reply, size_t members)
{
    struct command *command = userdata;

    (void)members;
    command->answered = true;
    command->reply = reply;
    client_schedule(command->call->client);
}

void command_stop(struct call *call)
{
    struct command *command = call->data;

    if (command->given && !command->answered)
        engine_forget(call->client->control->engine, command->ticket);
    free(command);
}

/* Makes the call's command. NULL: memory is short, and the call has ended. */
static struct command *command_new(struct call *call)
{
    struct command *command = calloc(1, sizeof(*command));

    if (!command) {
        call_out_of_memory(call);
        return NULL;
    }
    command->call = call;
    call->data = command;
    return command;
}

/* Gives the command to the ring. false: it could not be given, and the call has been answered. */
static bool command_give(struct call *call, enum ring_command what, const struct ring_id *node)
{
    struct command *command = call->data;

    command->answered = false;
    command->given = engine_command(call->client->control->engine, what, NULL, node,
                                    on_command_reply, command, &command->ticket) == 0;
    if (!command->given)
        call_error(call, ERROR_BUSY, NULL);
    return command->given;
}

static void answer_command(struct call *call, struct json_object *(*report)(struct control *))
{
    const struct command *command = call->data;

    switch (command->reply) {
    case RING_ACCEPTED:
    case RING_DONE:
        call_reply(call, report(call->client->control), false);
        return;
    case RING_NOT_IN_RING:
        call_error(call, ERROR_NOT_IN_RING, NULL);
        return;
    case RING_STORE_BROKEN:
        call_error(call, ERROR_STORE_BROKEN, NULL);
        return;
    case RING_BUSY:
    case RING_BAD_NODE:
    case RING_ID_CONFLICT:
        call_error(call, ERROR_BUSY, NULL);
        return;
    case RING_ABANDONED:
        call_error(call, ERROR_ABANDONED, NULL);
        return;
    }
    check_unreachable();
}

static void command_run(struct call *call, enum ring_command what)
{
    const struct command *command = call->data;

    if (!command) {
        if (call->client->control->goodbye)
            call_drop(call);
        else if (command_new(call))
            command_give(call, what, NULL);
        return;
    }
    if (command->answered)
        answer_command(call, report_status);
    else if (call->client->control->goodbye)
        call_drop(call);
}

void leave_run(struct call *call)
{
    command_run(call, RING_LEAVE);
}

void join_run(struct call *call)
{
    command_run(call, RING_JOIN);
}

void members_run(struct call *call)
{
    const struct command *command = call->data;

    if (!command && call_flag(call, "refresh") && !call->client->control->goodbye) {
        if (command_new(call) && command_give(call, RING_REFRESH, NULL) &&
            call_set_timer(call, REFRESH_TIMEOUT_USEC) < 0)
            call_out_of_memory(call);
        return;
    }
    /* A refresh that the ring has no time for: the list as it is does. */
    if (!command || command->answered || call->timed_out || call->client->control->goodbye)
        call_reply(call, report_members(call->client->control), false);
}

/* ---- Wait ---- */

static bool wait_is_over(struct call *call, uint64_t members, bool *ret_ambiguous)
{
    const struct ring_view *view = engine_get_view(call->client->control->engine);
    const char *leader = call_string(call, "leader", NULL);
    struct ring_status status;
    ssize_t position;

    engine_get_status(call->client->control->engine, &status);
    if (status.phase != RING_LIVE || view->count < members)
        return false;
    if (!leader)
        return true;
    position = member_find(view, leader);
    *ret_ambiguous = position == -ENOTUNIQ;
    return position >= 0 && (size_t)position == view->leader;
}

void method_answer_ambiguous(struct call *call, const char *node)
{
    const struct ring_view *view = engine_get_view(call->client->control->engine);
    struct json_object *ids = json_object_new_array();

    for (size_t i = 0; i < view->count; i++) {
        char id[ID_TEXT_MAX];

        if (!member_matches(view, i, node))
            continue;
        id_format(view->members[i].id.bytes, id);
        json_object_array_add(ids, json_object_new_string(id));
    }
    call_error(call, ERROR_AMBIGUOUS_NODE,
               OBJECT({"node", json_object_new_string(node)}, {"ids", ids}));
}

void wait_run(struct call *call)
{
    const struct ring_view *view = engine_get_view(call->client->control->engine);
    char leader[SHOWN_NAME_MAX];
    bool ambiguous = false;
    uint64_t members, timeout;

    if (call_number(call, "members", 1, &members) < 0) {
        call_invalid(call, "members");
        return;
    }
    if (call_number(call, "timeout_usec", 0, &timeout) < 0) {
        call_invalid(call, "timeout_usec");
        return;
    }
    if (wait_is_over(call, members, &ambiguous)) {
        call_reply(call, report_status(call->client->control), false);
    } else if (ambiguous) {
        method_answer_ambiguous(call, call_string(call, "leader", ""));
    } else if (call->timed_out || call->client->control->goodbye) {
        member_shown_name(view, view->leader, leader);
        call_error(call, ERROR_NOT_YET,
                   OBJECT({"members", json_object_new_int64((int64_t)view->count)},
                          {"leader", json_object_new_string(leader)}));
    } else if (timeout && !call->timer && call_set_timer(call, timeout) < 0) {
        call_out_of_memory(call);
    }
}

/* ---- Elect ---- */

/* The node that the call names, this one if it names none. false: there is no such one, and the
 * call has been answered. */
static bool find_elected(struct call *call, struct ring_id *ret)
{
    const struct ring_view *view = engine_get_view(call->client->control->engine);
    const char *node = call_string(call, "node", NULL);
    ssize_t position = node ? member_find(view, node) : (ssize_t)view->self;

    if (position == -ENOTUNIQ)
        method_answer_ambiguous(call, node);
    else if (position < 0)
        call_error(call, ERROR_NO_SUCH_NODE, OBJECT({"node", json_object_new_string(node)}));
    else
        *ret = view->members[position].id;
    return position >= 0;
}

/* Gives the election to a live ring; during a formation the call waits for its end. */
static void elect_give(struct call *call)
{
    struct ring_status status;
    struct ring_id node;

    engine_get_status(call->client->control->engine, &status);
    switch (status.phase) {
    case RING_FORMING:
        return;
    case RING_LIVE:
        if (find_elected(call, &node))
            command_give(call, RING_ELECT, &node);
        return;
    case RING_LEFT:
        call_error(call, ERROR_NOT_IN_RING, NULL);
        return;
    case RING_STALLED:
    case RING_FAILED:
        call_error(call, ERROR_STORE_BROKEN, NULL);
        return;
    }
    check_unreachable();
}

/* Whether the election, now under way no more, was overtaken by another formation: then it is given
 * again. */
static bool elect_was_overtaken(const struct command *command)
{
    return command->answered && (command->reply == RING_ABANDONED || command->reply == RING_BUSY ||
                                 command->reply == RING_BAD_NODE);
}

void elect_run(struct call *call)
{
    struct command *command = call->data;

    if (!command) {
        command = command_new(call);
        if (!command)
            return;
        if (call_set_timer(call, ELECT_TIMEOUT_USEC) < 0)
            call_out_of_memory(call);
    }
    if (command->answered && !elect_was_overtaken(command))
        answer_command(call, report_leader);
    else if (call->client->control->goodbye)
        call_drop(call);
    else if (call->timed_out)
        call_error(call, ERROR_ABANDONED, NULL);
    else if (!command->given || command->answered)
        elect_give(call);
}
