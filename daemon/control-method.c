#include "control-method.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "journal.h"

/* ---- short methods ---- */

static void get_info_run(struct call *call)
{
    struct json_object *interfaces = json_object_new_array();

    json_object_array_add(interfaces, json_object_new_string("org.varlink.service"));
    json_object_array_add(interfaces, json_object_new_string(VARLINK_INTERFACE));
    call_reply(call,
               OBJECT({"vendor", json_object_new_string("ringchat")},
                      {"product", json_object_new_string("ringchatd")},
                      {"version", json_object_new_string(VERSION)},
                      {"url", json_object_new_string("man:ringchat-varlink(7)")},
                      {"interfaces", interfaces}),
               false);
}

static const char service_interface_text[] =
    "# The Varlink service interface: https://varlink.org/Service\n"
    "interface org.varlink.service\n"
    "\n"
    "method GetInfo() -> (vendor: string, product: string, version: string, url: string,\n"
    "  interfaces: []string)\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "error InterfaceNotFound (interface: string)\n"
    "error MethodNotFound (method: string)\n"
    "error MethodNotImplemented (method: string)\n"
    "error InvalidParameter (parameter: string)\n"
    "error PermissionDenied ()\n"
    "error ExpectedMore ()\n";

static void get_description_run(struct call *call)
{
    struct json_object *value = call_parameter(call, "interface");
    const char *name, *text = NULL;

    if (!json_object_is_type(value, json_type_string)) {
        call_invalid(call, "interface");
        return;
    }
    name = json_object_get_string(value);
    if (strcmp(name, VARLINK_INTERFACE) == 0)
        text = varlink_interface_text;
    if (strcmp(name, "org.varlink.service") == 0)
        text = service_interface_text;
    if (text)
        call_reply(call, OBJECT({"description", json_object_new_string(text)}), false);
    else
        call_error(call, ERROR_INTERFACE_NOT_FOUND,
                   OBJECT({"interface", json_object_new_string(name)}));
}

static void status_run(struct call *call)
{
    call_reply(call, report_status(call->client->control), false);
}

/* ---- Log ---- */

static struct json_object *topics_array(const char *topics)
{
    struct json_object *array = json_object_new_array();

    for (const char *at = topics + strspn(topics, " "); *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");

        json_object_array_add(array, json_object_new_string_len(at, (int)size));
        at += size;
    }
    return array;
}

/* The words of the array with blanks between them, to be freed. */
static char *join_topics(struct json_object *array)
{
    char *joined = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&joined, &size);

    if (!out)
        return NULL;
    for (size_t i = 0; i < json_object_array_length(array); i++)
        fprintf(out, "%s%s", i ? " " : "",
                json_object_get_string(json_object_array_get_idx(array, i)));
    fclose(out);
    return joined;
}

static void log_run(struct call *call)
{
    const struct control_callbacks *callbacks = &call->client->control->options.callbacks;
    struct json_object *wanted = call_parameter(call, "topics");
    _cleanup_free_ char *topics = NULL;
    int result = 0;

    if (wanted) {
        if (!call->client->is_admin) {
            method_deny(call);
            return;
        }
        topics = join_topics(wanted);
        result = topics ? callbacks->log_set(callbacks->userdata, topics) : -ENOMEM;
        free(topics);
        topics = NULL;
    }
    if (result == -EINVAL) {
        call_invalid(call, "topics");
        return;
    }
    topics = callbacks->log_get(callbacks->userdata);
    if (result < 0 || !topics)
        call_out_of_memory(call);
    else
        call_reply(call, OBJECT({"topics", topics_array(topics)}), false);
}

/* ---- the table ---- */

static const struct method methods[] = {
    {.name = "org.varlink.service.GetInfo", .run = get_info_run},
    {.name = "org.varlink.service.GetInterfaceDescription", .run = get_description_run},
    {.name = "org.ringchat.Send",
     .run = send_run,
     .stop = send_stop,
     .watch = WATCH_ROOM | WATCH_NAMES,
     .pipelined = true,
     .quota = QUOTA_SENDS},
    {.name = "org.ringchat.Tail",
     .run = tail_run,
     .stop = tail_stop,
     .event = tail_event,
     .watch = WATCH_DELIVERED,
     .stream = true,
     .quota = QUOTA_TAILS},
    {.name = "org.ringchat.History",
     .run = history_run,
     .stop = history_stop,
     .stream = true,
     .quota = QUOTA_TAILS},
    {.name = "org.ringchat.Rooms",
     .run = rooms_run,
     .stop = rooms_stop,
     .watch = WATCH_COUNTED,
     .stream = true,
     .quota = QUOTA_TAILS},
    {.name = "org.ringchat.Import", .run = import_run, .stop = import_stop, .admin = true},
    {.name = "org.ringchat.Export",
     .run = export_run,
     .stop = history_stop,
     .stream = true,
     .quota = QUOTA_TAILS},
    {.name = "org.ringchat.Members", .run = members_run, .stop = command_stop},
    {.name = "org.ringchat.Status", .run = status_run},
    {.name = "org.ringchat.Doctor", .run = doctor_run, .stop = doctor_stop},
    {.name = "org.ringchat.Wait", .run = wait_run, .watch = WATCH_CHANGED},
    {.name = "org.ringchat.Leave", .run = leave_run, .stop = command_stop, .admin = true},
    {.name = "org.ringchat.Join", .run = join_run, .stop = command_stop, .admin = true},
    {.name = "org.ringchat.Elect",
     .run = elect_run,
     .stop = command_stop,
     .watch = WATCH_CHANGED,
     .admin = true},
    {.name = "org.ringchat.Log", .run = log_run},
    {.name = "org.ringchat.KeyList", .run = key_list_run, .admin = true},
    {.name = "org.ringchat.KeyShow", .run = key_show_run, .admin = true},
    {.name = "org.ringchat.KeyGenerate", .run = key_generate_run, .stop = key_stop, .admin = true},
    {.name = "org.ringchat.KeyAdd", .run = key_add_run, .stop = key_stop, .admin = true},
    {.name = "org.ringchat.KeyUse", .run = key_use_run, .stop = key_stop, .admin = true},
    {.name = "org.ringchat.KeyRemove", .run = key_remove_run, .stop = key_stop, .admin = true},
};

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(methods); i++) {
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    }
    return NULL;
}

static void answer_unknown(struct call *call, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = dot ? (size_t)(dot - name) : 0;

    if ((size == strlen(VARLINK_INTERFACE) && strncmp(name, VARLINK_INTERFACE, size) == 0) ||
        (size == strlen("org.varlink.service") && strncmp(name, "org.varlink.service", size) == 0))
        call_error(call, ERROR_METHOD_NOT_FOUND, OBJECT({"method", json_object_new_string(name)}));
    else
        call_error(call, ERROR_INTERFACE_NOT_FOUND,
                   OBJECT({"interface", json_object_new_string_len(name, (int)size)}));
}

/* The cure names the caller, whose name may have to be looked up first. */
static void deny_run(struct call *call)
{
    const struct control *control = call->client->control;
    const char *group = control->options.admin_group;
    char user[USER_BYTES_MAX + 1];

    if (control->goodbye)
        call_drop(call);
    else if (user_names_get(control->names, call->client->peer.uid, user))
        call_error(call, ERROR_PERMISSION_DENIED,
                   OBJECT({"user", json_object_new_string(user)},
                          {"group", json_object_new_string(group ? group : "root")}));
}

void method_deny(struct call *call)
{
    static const struct method denied = {.run = deny_run, .watch = WATCH_NAMES};

    call->method = &denied;
    deny_run(call);
}

void method_begin(struct call *call)
{
    const struct control *control = call->client->control;
    const struct idl_member *member = NULL;
    const char *field;

    call->method = find_method(call->message.method);
    if (!call->method) {
        answer_unknown(call, call->message.method);
        return;
    }
    if (strncmp(call->message.method, VARLINK_INTERFACE ".", strlen(VARLINK_INTERFACE) + 1) == 0)
        member = idl_find(control->idl, IDL_METHOD, strrchr(call->message.method, '.') + 1);
    if (member && idl_check(&member->input, call->message.parameters, &field) < 0)
        call_invalid(call, field);
    else if (call->method->stream && !call->message.more)
        call_error(call, ERROR_EXPECTED_MORE, NULL);
    else if (call->method->admin && !call->client->is_admin)
        method_deny(call);
    else if (control->goodbye)
        call_drop(call);
    else
        quota_take(call);
}
