/* Members and Status: the ring and this daemon as JSON. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/text.h"
#include "common/util.h"
#include "control-method.h"

struct json_object *report_text(const char *text)
{
    _cleanup_free_ char *repaired = text_repair(text, strlen(text), NULL);

    return repaired ? json_object_new_string(repaired) : NULL;
}

static struct json_object *id_value(const struct ring_id *id)
{
    char text[ID_TEXT_MAX];

    id_format(id->bytes, text);
    return json_object_new_string(text);
}

static struct json_object *number_value(uint64_t number)
{
    return json_object_new_int64((int64_t)MIN(number, (uint64_t)INT64_MAX));
}

static struct json_object *address_value(const struct ring_member *member)
{
    char text[ADDRESS_TEXT_MAX] = "";

    if (member->addresses.count > 0)
        address_format(&member->addresses.list[0], text);
    return json_object_new_string(text);
}

static struct json_object *view_value(const struct ring_view *view)
{
    char text[48];

    snprintf(text, sizeof(text), "%" PRIu64 "-%016" PRIx64, view->formation.epoch,
             view->formation.tag);
    return json_object_new_string(text);
}

void member_shown_name(const struct ring_view *view, size_t position, char ret[SHOWN_NAME_MAX])
{
    const struct ring_member *member = &view->members[position];
    size_t same = 0;

    for (size_t i = 0; i < view->count; i++)
        same += strcmp(view->members[i].name, member->name) == 0;
    if (same > 1)
        snprintf(ret, SHOWN_NAME_MAX, "%s~%02x%02x", member->name, member->id.bytes[0],
                 member->id.bytes[1]);
    else
        snprintf(ret, SHOWN_NAME_MAX, "%s", member->name);
}

/* Whether the text is the beginning of the id, dashes or not. */
static bool begins_id(const struct ring_id *id, const char *digits)
{
    size_t count = 0;

    for (; *digits; digits++) {
        uint8_t byte;
        int digit;

        if (*digits == '-')
            continue;
        if (!isxdigit((unsigned char)*digits) || count >= 2 * sizeof(id->bytes))
            return false;
        byte = id->bytes[count / 2];
        digit = count % 2 ? byte & 15 : byte >> 4;
        if ("0123456789abcdef"[digit] != tolower((unsigned char)*digits))
            return false;
        count++;
    }
    return count >= NODE_DIGITS_MIN;
}

bool member_matches(const struct ring_view *view, size_t position, const char *node)
{
    const struct ring_member *member = &view->members[position];

    return strcmp(member->name, node) == 0 || begins_id(&member->id, node);
}

ssize_t member_find(const struct ring_view *view, const char *node)
{
    ssize_t found = -ENOENT;

    for (size_t i = 0; i < view->count; i++) {
        char shown[SHOWN_NAME_MAX];

        member_shown_name(view, i, shown);
        if (strcmp(shown, node) == 0)
            return (ssize_t)i;
    }
    for (size_t i = 0; i < view->count; i++) {
        if (!member_matches(view, i, node))
            continue;
        if (found >= 0)
            return -ENOTUNIQ;
        found = (ssize_t)i;
    }
    return found;
}

static struct json_object *member_value(const struct ring_view *view, size_t position)
{
    const struct ring_member *member = &view->members[position];
    char shown[SHOWN_NAME_MAX];

    member_shown_name(view, position, shown);
    return OBJECT({"position", number_value(position)}, {"id", id_value(&member->id)},
                  {"name", report_text(shown)}, {"address", address_value(member)},
                  {"leader", json_object_new_boolean(position == view->leader)},
                  {"self", json_object_new_boolean(position == view->self)},
                  {"since", number_value(member->since)},
                  {"hop_usec", number_value(member->hop_usec)},
                  {"version", number_value(member->version)});
}

static struct json_object *leader_name_value(const struct ring_view *view)
{
    char shown[SHOWN_NAME_MAX];

    member_shown_name(view, view->leader, shown);
    return report_text(shown);
}

struct json_object *report_leader(struct control *control)
{
    const struct ring_view *view = engine_get_view(control->engine);

    return OBJECT({"leader", id_value(&view->members[view->leader].id)},
                  {"leader_name", leader_name_value(view)},
                  {"epoch", number_value(view->formation.epoch)});
}

static void add_warning(void *list, const char *text)
{
    json_object_array_add(list, report_text(text));
}

static struct json_object *key_warnings_value(struct control *control)
{
    const struct control_callbacks *callbacks = &control->options.callbacks;
    struct json_object *list = json_object_new_array();

    if (list && callbacks->warnings)
        callbacks->warnings(callbacks->userdata, add_warning, list);
    return list;
}

/* Whether a name alone would not say which node is meant. */
static bool is_ambiguous(const struct ring_view *view, const struct recent *recent,
                         const struct recent_gone *gone)
{
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->members[i].name, gone->name) == 0 &&
            !ring_id_equal(&view->members[i].id, &gone->id))
            return true;
    }
    for (size_t i = 0; i < recent->gone_count; i++) {
        if (strcmp(recent->gone[i].name, gone->name) == 0 &&
            !ring_id_equal(&recent->gone[i].id, &gone->id))
            return true;
    }
    return false;
}

static struct json_object *gone_value(struct control *control, const struct ring_view *view)
{
    const struct recent *recent = &control->recent;
    struct json_object *list = json_object_new_array();

    recent_expire(&control->recent, engine_wall());
    for (size_t i = 0; list && i < recent->gone_count; i++) {
        const struct recent_gone *gone = &recent->gone[i];
        char name[SHOWN_NAME_MAX], address[ADDRESS_TEXT_MAX] = "";

        snprintf(name, sizeof(name), "%s", gone->name);
        if (is_ambiguous(view, recent, gone))
            snprintf(name, sizeof(name), "%s~%02x%02x", gone->name, gone->id.bytes[0],
                     gone->id.bytes[1]);
        if (gone->address.family)
            address_format(&gone->address, address);
        json_object_array_add(
            list, OBJECT({"event", json_object_new_string(gone->failed ? "failed" : "left")},
                         {"id", id_value(&gone->id)}, {"name", report_text(name)},
                         {"address", json_object_new_string(address)},
                         {"time", number_value(gone->time)}));
    }
    return list;
}

struct json_object *report_members(struct control *control)
{
    const struct ring_view *view = engine_get_view(control->engine);
    struct json_object *members = json_object_new_array();

    for (size_t i = 0; members && i < view->count; i++)
        json_object_array_add(members, member_value(view, i));
    return OBJECT({"epoch", number_value(view->formation.epoch)}, {"view", view_value(view)},
                  {"leader", id_value(&view->members[view->leader].id)},
                  {"leader_name", leader_name_value(view)}, {"members", members},
                  {"gone", gone_value(control, view)}, {"warnings", key_warnings_value(control)});
}

/* ---- Status ---- */

static const char *phase_text(enum ring_phase phase)
{
    switch (phase) {
    case RING_LIVE:
        return "live";
    case RING_FORMING:
        return "forming";
    case RING_LEFT:
        return "left";
    case RING_STALLED:
        return "stalled";
    case RING_FAILED:
        return "failed";
    }
    check_unreachable();
}

static void add_clock_warnings(const struct ring_view *view, struct json_object *list)
{
    for (size_t i = 0; i < view->count; i++) {
        int64_t offset = view->members[i].clock_offset;
        char shown[SHOWN_NAME_MAX];
        char text[SHOWN_NAME_MAX + 120];

        if (offset > -CLOCK_OFFSET_MAX && offset < CLOCK_OFFSET_MAX)
            continue;
        member_shown_name(view, i, shown);
        snprintf(text, sizeof(text),
                 "the clock of %s is %" PRId64 " s off the leader's; set it, or let it be set from "
                 "the network",
                 shown, offset / (int64_t)USEC_PER_SEC);
        add_warning(list, text);
    }
}

static struct json_object *warnings_value(struct control *control, const struct ring_view *view,
                                          const struct ring_status *status)
{
    const struct control_callbacks *callbacks = &control->options.callbacks;
    struct json_object *list = json_object_new_array();

    if (!list)
        return NULL;
    if (status->phase == RING_LEFT)
        add_warning(list, "this host has left the ring; come back with: ringchatctl join");
    if (status->phase == RING_STALLED)
        add_warning(list, "the disk of this host does not answer: it is out of the ring until it "
                          "does; look at: journalctl -k");
    if (status->cloned)
        add_warning(list,
                    "another live host has this host's identity: this one stays alone; if it is "
                    "the copy, stop it, run: ringchatd --new-identity, and start it; see "
                    "IDENTITY in ringchatd(8)");
    if (status->phase == RING_FAILED)
        add_warning(list, "the disk of this host fails; look at: journalctl -u ringchatd");
    if (callbacks->warnings)
        callbacks->warnings(callbacks->userdata, add_warning, list);
    add_clock_warnings(view, list);
    doctor_add_warnings(control, list);
    return list;
}

static struct json_object *status_value(struct control *control, const struct ring_view *view)
{
    const struct ring_member *self = &view->members[view->self];
    struct ring_status status;
    struct ring_repair repair;
    char shown[SHOWN_NAME_MAX];

    engine_get_status(control->engine, &status);
    engine_get_repair(control->engine, &repair);
    member_shown_name(view, view->self, shown);
    return OBJECT(
        {"state", json_object_new_string(phase_text(status.phase))}, {"id", id_value(&self->id)},
        {"name", report_text(shown)}, {"address", address_value(self)},
        {"epoch", number_value(view->formation.epoch)}, {"view", view_value(view)},
        {"leader", id_value(&view->members[view->leader].id)},
        {"leader_name", leader_name_value(view)}, {"members", number_value(view->count)},
        {"lap_usec", number_value(status.lap_usec)},
        {"messages", number_value(history_count(engine_get_history(control->engine)))},
        {"store_bytes", number_value(store_size(engine_get_store(control->engine)))},
        {"queued", number_value(status.queued)}, {"unstable", number_value(status.unstable)},
        {"undelivered", number_value(status.undelivered)},
        {"sent", number_value(status.sent_messages)},
        {"delivered", number_value(status.delivered_messages)},
        {"late", number_value(status.late_messages)}, {"repaired", number_value(repair.received)},
        {"missing", number_value(repair.missing)}, {"lacking", number_value(repair.lacking)},
        {"formations", number_value(status.formations)},
        {"clients", number_value(control->client_count)},
        {"started", number_value(control->started)}, {"version", json_object_new_string(VERSION)},
        {"warnings", warnings_value(control, view, &status)});
}

struct json_object *report_status(struct control *control)
{
    return OBJECT({"status", status_value(control, engine_get_view(control->engine))});
}

/* ---- events ---- */

/* The name that a tail gives to an event, or NULL: it is not for users. */
static const char *event_name(enum ring_event_type type)
{
    static const char *const names[RING_EVENT_TYPES] = {
        [RING_EVENT_JOINED] = "joined",   [RING_EVENT_LEFT] = "left",
        [RING_EVENT_FAILED] = "failed",   [RING_EVENT_LEADER] = "leader",
        [RING_EVENT_MERGED] = "merged",   [RING_EVENT_SELF_LEFT] = "self_left",
        [RING_EVENT_REPAIR] = "repaired",
    };

    return names[type];
}

struct json_object *report_event(struct control *control, const struct ring_event *event)
{
    const char *name = event_name(event->type);
    const struct ring_view *view = engine_get_view(control->engine);
    char address[ADDRESS_TEXT_MAX] = "";
    uint64_t members = event->type == RING_EVENT_MERGED ? event->number : view->count;

    if (!name)
        return NULL;
    if (event->type == RING_EVENT_REPAIR)
        return OBJECT({"event", json_object_new_string(name)},
                      {"time", number_value(engine_wall())}, {"epoch", number_value(event->epoch)},
                      {"messages", number_value(event->number)});
    if (event->address.family)
        address_format(&event->address, address);
    return OBJECT({"event", json_object_new_string(name)}, {"time", number_value(engine_wall())},
                  {"epoch", number_value(event->epoch)}, {"node", report_text(event->peer_name)},
                  {"id", id_value(&event->peer)}, {"address", json_object_new_string(address)},
                  {"members", number_value(members)});
}

struct json_object *report_lost_events(struct control *control, uint64_t count)
{
    const struct ring_view *view = engine_get_view(control->engine);

    return OBJECT({"event", json_object_new_string("lost")}, {"time", number_value(engine_wall())},
                  {"epoch", number_value(view->formation.epoch)}, {"lost", number_value(count)});
}

/* ---- messages ---- */

static struct span span_of_bytes(struct bytes bytes)
{
    return (struct span){.data = bytes.data, .size = bytes.size};
}

struct json_object *report_message(const struct packet *packet)
{
    struct chat_message chat = {0};
    struct message message;

    check(message_unpack(packet, &message) == 0);
    memcpy(chat.id, message.id.bytes, sizeof(chat.id));
    memcpy(chat.origin, message.key.origin.bytes, sizeof(chat.origin));
    chat.hlc = message.key.hlc;
    chat.seq = message.key.seq;
    chat.sent = message.sent;
    chat.notice = message.kind == MESSAGE_NOTICE;
    chat.user = span_of_bytes(message.user);
    chat.node = span_of_bytes(message.node);
    chat.room = span_of_bytes(message.room);
    chat.text = span_of_bytes(message.text);
    return message_to_json(&chat);
}
