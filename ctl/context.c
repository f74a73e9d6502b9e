#include "context.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"
#include "output.h"

/* Where sockets are looked for, in this order. */
#define PATHS_MAX 2

/* How often a call is made whose connection ends without an answer. */
#define CALL_ATTEMPTS 3

/* Who waits for a start is told of every so many percent of it. */
#define WAITING_STEP_PERCENT 10

int complain(int exit_code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("ringchatctl: ", stderr);
    complain_visible(format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return exit_code;
}

/* ---- fields ---- */

struct json_object *field(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    json_object_object_get_ex(object, key, &value);
    return value;
}

const char *field_text(struct json_object *object, const char *key)
{
    struct json_object *value = field(object, key);

    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t field_number(struct json_object *object, const char *key)
{
    int64_t number = json_object_get_int64(field(object, key));

    return number > 0 ? (uint64_t)number : 0;
}

bool field_flag(struct json_object *object, const char *key)
{
    return json_object_get_boolean(field(object, key));
}

/* ---- the connection ---- */

/* The places to try, each to be freed. Their count, or a negative errno. */
static int socket_paths(const struct context *context, char **ret)
{
    const char *given = context->socket_path ? context->socket_path : getenv("RINGCHAT_SOCKET");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *at = context->instance ? "@" : "", *instance = context->instance;
    int count = 0;

    if (given && *given && (context->socket_path || !instance)) {
        ret[0] = strdup(given);
        return ret[0] ? 1 : -ENOMEM;
    }
    instance = instance ? instance : "";
    if (asprintf(&ret[count], "/run/ringchat%s%s/control", at, instance) >= 0)
        count++;
    if (runtime && *runtime &&
        asprintf(&ret[count], "%s/ringchat%s%s/control", runtime, at, instance) >= 0)
        count++;
    return count > 0 ? count : -ENOMEM;
}

int context_try_connect(const struct context *context, struct client **ret)
{
    char *paths[PATHS_MAX] = {NULL};
    int count = socket_paths(context, paths), result = count < 0 ? count : -ENOENT;

    for (int i = 0; i < count; i++) {
        int tried = result == 0 ? 0 : client_connect(paths[i], ret);

        /* A refusal says more than an absence. */
        if (result != 0 && (tried == 0 || i == 0 || tried != -ENOENT))
            result = tried;
    }
    for (int i = 0; i < count; i++)
        free(paths[i]);
    return result;
}

/* What a daemon that takes long to start does. */
struct start {
    bool under_way, upgrades, checks; /* at most one of the latter */
    int percent;                      /* -1: unknown */
};

static void read_start(int fd, struct start *ret)
{
    char line[STARTING_LINE_BYTES + 1] = "", what[STARTING_LINE_BYTES + 1] = "";
    int percent = -1;

    if (read(fd, line, STARTING_LINE_BYTES) == STARTING_LINE_BYTES)
        sscanf(line, "%12s %d", what, &percent);
    ret->under_way = true;
    ret->upgrades = strcmp(what, STARTING_UPGRADE) == 0;
    ret->checks = strcmp(what, STARTING_CHECK) == 0;
    ret->percent = percent <= 100 ? percent : -1;
}

static struct start look_for_start(const struct context *context)
{
    char *paths[PATHS_MAX] = {NULL};
    int count = socket_paths(context, paths);
    struct start start = {.percent = -1};

    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;
        int fd = -1;

        if (asprintf(&path, "%s" STARTING_SUFFIX, paths[i]) < 0)
            path = NULL;
        else
            fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (!start.under_way && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
                read_start(fd, &start);
            close(fd);
        }
        free(paths[i]);
    }
    return start;
}

static int say_that_it_starts(const struct context *context, const struct start *start)
{
    const char *what = start->upgrades ? "upgrades"
                       : start->checks ? "checks"
                                       : "upgrades or checks";
    char far[] = ", 100 % done";

    snprintf(far, sizeof(far), ", %d %% done", start->percent);
    return complain(EXIT_UNREACHABLE,
                    "ringchatd is starting: it %s its history%s; look at: systemctl status "
                    "ringchatd%s%s",
                    what, start->percent < 0 ? ", which can take minutes" : far,
                    context->instance ? "@" : "", context->instance ? context->instance : "");
}

int context_unreachable(const struct context *context, int error)
{
    const struct passwd *user = getpwuid(geteuid());
    struct start start;

    if (error == -EACCES || error == -EPERM)
        return complain(EXIT_FAILED,
                        "you are not in group ringchat; run: sudo usermod -aG ringchat %s, then "
                        "log in again",
                        user ? user->pw_name : "USER");
    if (error == -ENAMETOOLONG)
        return complain(EXIT_USAGE, "the socket's path is too long: %s",
                        context->socket_path ? context->socket_path : "see $RINGCHAT_SOCKET");
    if (error != -ENOENT && error != -ECONNREFUSED && error != -ECONNRESET && error != -ENOTDIR)
        return complain(EXIT_UNREACHABLE, "cannot reach ringchatd: %s", strerror(-error));
    start = look_for_start(context);
    if (start.under_way)
        return say_that_it_starts(context, &start);
    if (context->instance)
        return complain(EXIT_UNREACHABLE,
                        "ringchatd is not running; start it with: systemctl start ringchatd@%s",
                        context->instance);
    return complain(EXIT_UNREACHABLE,
                    "ringchatd is not running; start it with: systemctl start ringchatd");
}

const char *context_waiting(const struct context *context, struct waiting *waiting)
{
    struct start start = look_for_start(context);
    int step = start.percent < 0 ? 0 : start.percent / WAITING_STEP_PERCENT;

    /* Between the end of its start and its socket there may be a moment. */
    if (waiting->told && (waiting->starts || !start.under_way) &&
        (!start.under_way || step <= waiting->step))
        return NULL;
    waiting->told = true;
    waiting->starts = start.under_way;
    waiting->step = step;
    if (!start.under_way)
        return "ringchatd is not running; waiting for it";
    if (start.percent < 0)
        return "ringchatd is starting; waiting for it";
    snprintf(waiting->text, sizeof(waiting->text),
             "ringchatd is starting: it upgrades its history, %d %% done; waiting for it",
             start.percent);
    return waiting->text;
}

int context_connect(const struct context *context, struct client **ret)
{
    int result = context_try_connect(context, ret);

    return result < 0 ? context_unreachable(context, result) : 0;
}

int context_error(const struct context *context, const struct varlink_reply *reply)
{
    _cleanup_free_ char *sentence = error_sentence(reply->error, reply->parameters);

    (void)context;
    return complain((int)error_exit_code(reply->error, reply->parameters), "%s",
                    sentence ? sentence : reply->error);
}

/* One attempt: 0 or a negative errno. Takes over `parameters`. */
static int try_call(const struct context *context, const char *method,
                    struct json_object *parameters, struct varlink_reply *ret)
{
    _cleanup_(client_freep) struct client *client = NULL;
    int result = context_try_connect(context, &client);

    if (result < 0) {
        json_object_put(parameters);
        return result;
    }
    result = client_call(client, method, parameters, false);
    return result < 0 ? result : client_reply(client, ret);
}

int context_call(const struct context *context, const char *method, struct json_object *parameters,
                 struct varlink_reply *ret)
{
    int result = -ECONNRESET;

    /* A daemon that restarts leaves its socket to the next one: asked again, that one answers. */
    for (unsigned i = 0; i < CALL_ATTEMPTS && result == -ECONNRESET; i++)
        result = try_call(context, method, json_object_get(parameters), ret);
    json_object_put(parameters);
    if (result == -EBADMSG)
        return complain(EXIT_FAILED, "ringchatd sent an answer that makes no sense");
    if (result == -ECONNRESET)
        return complain(EXIT_UNREACHABLE, "ringchatd went away; look at: journalctl -u ringchatd");
    if (result < 0)
        return context_unreachable(context, result);
    if (!ret->error)
        return 0;
    result = context_error(context, ret);
    varlink_reply_done(ret);
    return result;
}
