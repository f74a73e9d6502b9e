/* certification-server SOCKET: serves org.varlink.certification by the daemon's connections
 * (control-client.c, control-call.c) and a table of methods of its own, so that clients of other
 * authors judge how the daemon speaks Varlink. Each method gives values that the next one must
 * bring back; End tells whether all came as they were given. What did not is told on stderr.
 * The interface: https://github.com/varlink, org.varlink.certification.varlink */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/check.h"
#include "common/util.h"
#include "control-method.h"

#define PREFIX "org.varlink.certification."
#define CLIENT_ID "the only one"
#define REPLIES 10

/* What Start and Test01 to Test09 give, with ' for ". */
static const char *const given[] = {
    "{'client_id': '" CLIENT_ID "'}",
    "{'bool': true}",
    "{'int': -9007199254740991}",
    "{'float': -1.25}",
    "{'string': 'tab \\t, \\u00e4 \\u20ac \\ud83d\\ude00 {}[],: \\\\ \\\" / \\u001f'}",
    "{'bool': false, 'int': 2, 'float': 3.14159, 'string': ''}",
    "{'struct': {'bool': false, 'int': 0, 'float': 1e100, 'string': 'lone'}}",
    "{'map': {'foo': 'Foo', 'bar': 'Bar', '': 'no name'}}",
    "{'set': {'one': {}, 'two': {}, 'three': {}}}",
    "{'mytype': {'object': {'method': 'org.example', 'parameters': {'deep': [1, [2, {'x': '3'}]]}},"
    " 'enum': 'two', 'struct': {'first': 1, 'second': '2'}, 'array': ['one', 'two', 'three'],"
    " 'dictionary': {'foo': 'Foo', 'bar': 'Bar'}, 'stringset': {'one': {}, 'two': {}},"
    " 'interface': {'foo': [null, {'foo': 'foo', 'bar': 'bar'}, null, {'one': 'foo'}],"
    " 'anon': {'foo': true, 'bar': false}}}}",
};

static size_t calls_done; /* of one client: Start is the first */
static bool failed;

static void judge(bool good, const struct call *call)
{
    if (good)
        return;
    failed = true;
    fprintf(stderr, "%s: got %s\n", call->message.method,
            json_object_to_json_string(call->message.message));
}

static struct json_object *get_given(size_t number)
{
    char *text = strdup(given[number]);
    struct json_object *object;

    check(text);
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    object = json_tokener_parse(text);
    check(object);
    free(text);
    return object;
}

/* All fields that were given before, and the client's id. */
static void judge_parameters(const struct call *call, struct json_object *expected)
{
    json_object_object_add(expected, "client_id", json_object_new_string(CLIENT_ID));
    judge(json_object_equal(expected, call->message.parameters), call);
    json_object_put(expected);
}

static size_t number_of(const struct call *call)
{
    return (size_t)strtoul(call->message.method + strlen(PREFIX "Test"), NULL, 10);
}

static void start_run(struct call *call)
{
    calls_done = 1;
    failed = false;
    call_reply(call, get_given(0), false);
}

/* Test01 to Test09, in their order. */
static void test_run(struct call *call)
{
    size_t number = number_of(call);

    judge(number == calls_done++ && !call->message.more && !call->message.oneway, call);
    judge_parameters(call, number > 1 ? get_given(number - 1) : json_object_new_object());
    call_reply(call, get_given(number), false);
}

static struct json_object *get_reply(int number)
{
    char text[32];

    snprintf(text, sizeof(text), "Reply number %d", number);
    return json_object_new_string(text);
}

static void test10_run(struct call *call)
{
    judge(calls_done++ == 10 && call->message.more, call);
    judge_parameters(call, get_given(9));
    for (int i = 1; i <= REPLIES; i++)
        call_reply(call, OBJECT({"string", get_reply(i)}), i < REPLIES);
}

static void test11_run(struct call *call)
{
    struct json_object *replies = json_object_new_array();

    for (int i = 1; i <= REPLIES; i++)
        json_object_array_add(replies, get_reply(i));
    judge(calls_done++ == 11 && call->message.oneway, call);
    judge_parameters(call, OBJECT({"last_more_replies", replies}));
    call_reply(call, NULL, false);
}

static void end_run(struct call *call)
{
    judge(calls_done++ == 12, call);
    judge_parameters(call, json_object_new_object());
    call_reply(call, OBJECT({"all_ok", json_object_new_boolean(!failed)}), false);
}

static const struct method methods[] = {
    {.name = PREFIX "Start", .run = start_run},
    {.name = PREFIX "Test01", .run = test_run},
    {.name = PREFIX "Test02", .run = test_run},
    {.name = PREFIX "Test03", .run = test_run},
    {.name = PREFIX "Test04", .run = test_run},
    {.name = PREFIX "Test05", .run = test_run},
    {.name = PREFIX "Test06", .run = test_run},
    {.name = PREFIX "Test07", .run = test_run},
    {.name = PREFIX "Test08", .run = test_run},
    {.name = PREFIX "Test09", .run = test_run},
    {.name = PREFIX "Test10", .run = test10_run, .stream = true},
    {.name = PREFIX "Test11", .run = test11_run},
    {.name = PREFIX "End", .run = end_run},
};

/* In place of the daemon's. */
void method_begin(struct call *call)
{
    for (size_t i = 0; i < ELEMENTS(methods); i++) {
        if (strcmp(methods[i].name, call->message.method) == 0)
            call->method = &methods[i];
    }
    if (!call->method)
        call_error(call, ERROR_METHOD_NOT_FOUND,
                   OBJECT({"method", json_object_new_string(call->message.method)}));
}

static void on_accept(evutil_socket_t fd, short what, void *userdata)
{
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)what;
    if (client >= 0)
        client_new(userdata, client);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    check(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
        err(EXIT_FAILURE, "%s", path);
    return fd;
}

int main(int argc, char **argv)
{
    struct control control = {.base = event_base_new(), .listen_fd = -1};
    struct event *accept;

    check(argc == 2 && control.base);
    list_init(&control.clients);
    list_init(&control.users);
    accept = event_new(control.base, listen_at(argv[1]), EV_READ | EV_PERSIST, on_accept, &control);
    check(accept && event_add(accept, NULL) == 0);
    puts("ready");
    fflush(stdout);
    return event_base_dispatch(control.base) < 0;
}
