#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control-method.h"

/* ---- what the engine tells ---- */

static void on_delivered(void *userdata)
{
    struct control *control = userdata;

    tail_pages_delivered(&control->tail_pages);
    control_schedule(control, WATCH_DELIVERED);
}

static void on_changed(void *userdata)
{
    control_schedule(userdata, WATCH_CHANGED);
}

static void on_room(void *userdata)
{
    control_schedule(userdata, WATCH_ROOM);
}

static void on_counted(void *userdata)
{
    control_schedule(userdata, WATCH_COUNTED);
}

static void on_names(void *userdata)
{
    control_schedule(userdata, WATCH_NAMES);
}

static void on_event(void *userdata, const struct ring_event *event)
{
    struct control *control = userdata;

    recent_take(&control->recent, event, engine_wall());
    list_for_each (at, &control->clients) {
        struct client *client = list_entry(at, struct client, list);

        list_for_each (of_call, &client->calls) {
            struct call *call = list_entry(of_call, struct call, list);

            if (call->state == CALL_RUNNING && call->method && call->method->event)
                call->method->event(call, event);
        }
    }
}

/* ---- the socket ---- */

static void on_accept(evutil_socket_t fd, short what, void *userdata)
{
    struct control *control = userdata;
    int client;

    (void)what;
    while ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        client_new(control, client);
}

static int complain(int error, const char *path, const char *cure, char **ret_error)
{
    if (asprintf(ret_error, "control socket %s: %s; %s", path, strerror(-error), cure) < 0)
        *ret_error = NULL;
    return error;
}

/* Whether somebody listens there. */
static bool is_alive(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive;

    if (fd < 0)
        return false;
    alive = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    close(fd);
    return alive;
}

static int bind_socket(int fd, const char *path, char **ret_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    int result = 0;

    if (strlen(path) >= sizeof(address.sun_path))
        return complain(-ENAMETOOLONG, path, "give a shorter path by --socket", ret_error);
    strcpy(address.sun_path, path);
    if (is_alive(&address))
        return complain(-EADDRINUSE, path,
                        "another ringchatd answers there; stop it, or give --socket", ret_error);
    if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
        return complain(-EEXIST, path, "something else is in the way; move it, or give --socket",
                        ret_error);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, CONTROL_BACKLOG) < 0)
        result = -errno;
    if (result < 0)
        return complain(result, path, "check the directory and its owner, or give --socket",
                        ret_error);
    return 0;
}

/* Without the group's name in the system, or the right to give it away, the socket stays this
 * process's group's. */
static void set_access(const char *path, const char *group)
{
    const struct group *entry = group ? getgrnam(group) : NULL;

    if (entry && chown(path, (uid_t)-1, entry->gr_gid) < 0)
        entry = NULL;
    chmod(path, 0660);
}

static int open_socket(struct control *control, char **ret_error)
{
    const char *path = control->options.path;
    int fd = control->options.listen_fd, result;

    if (fd < 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return complain(-errno, path, "too many open files?", ret_error);
        control->listen_fd = fd;
        result = bind_socket(fd, path, ret_error);
        if (result < 0)
            return result;
        control->owns_path = true;
        set_access(path, control->options.group);
    } else {
        control->listen_fd = fd;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    control->accept = event_new(control->base, fd, EV_READ | EV_PERSIST, on_accept, control);
    return control->accept && event_add(control->accept, NULL) == 0 ? 0 : -ENOMEM;
}

/* ---- starting and ending ---- */

static void find_admin_group(struct control *control)
{
    const struct group *group =
        control->options.admin_group ? getgrnam(control->options.admin_group) : NULL;

    control->has_admin_group = group != NULL;
    if (group)
        control->admin_group = group->gr_gid;
}

static int copy_text(const char **place)
{
    if (!*place)
        return 0;
    *place = strdup(*place);
    return *place ? 0 : -ENOMEM;
}

static int copy_options(struct control *control, const struct control_options *options)
{
    int path, group, admin_group, state;

    control->options = *options;
    path = copy_text(&control->options.path);
    group = copy_text(&control->options.group);
    admin_group = copy_text(&control->options.admin_group);
    state = copy_text(&control->options.state_directory);
    return path < 0 || group < 0 || admin_group < 0 || state < 0 ? -ENOMEM : 0;
}

int control_new(struct event_base *base, struct engine *engine,
                const struct control_options *options, struct control **ret, char **ret_error)
{
    struct control *control = calloc(1, sizeof(*control));
    int result;

    *ret_error = NULL;
    if (!control)
        return -ENOMEM;
    control->base = base;
    control->engine = engine;
    control->listen_fd = -1;
    control->started = engine_wall();
    list_init(&control->clients);
    list_init(&control->users);
    result = copy_options(control, options);
    if (result == 0) {
        control->idl = varlink_interface_new();
        result = control->idl ? 0 : -ENOMEM;
    }
    if (result == 0)
        result = user_names_new(base, user_lookup_system, on_names, control, &control->names);
    if (result == 0) {
        find_admin_group(control);
        result = open_socket(control, ret_error);
    }
    if (result < 0) {
        control_free(control);
        return result;
    }
    control->watcher = (struct engine_watcher){.delivered = on_delivered,
                                               .event = on_event,
                                               .changed = on_changed,
                                               .room = on_room,
                                               .counted = on_counted,
                                               .userdata = control};
    engine_add_watcher(engine, &control->watcher);
    *ret = control;
    return 0;
}

int control_listen_fd(const struct control *control)
{
    return control->listen_fd;
}

size_t control_client_count(const struct control *control)
{
    return control->client_count;
}

void control_set_message_bytes_max(struct control *control, size_t bytes)
{
    control->options.message_bytes_max = bytes;
}

void control_retire(struct control *control)
{
    if (!control->options.keep_socket)
        return;
    control->retired = true;
    event_del(control->accept);
    list_for_each (at, &control->clients)
        client_schedule(list_entry(at, struct client, list));
}

void control_goodbye(struct control *control)
{
    control->goodbye = true;
    event_del(control->accept);
    list_for_each_safe (at, &control->clients)
        client_say_goodbye(list_entry(at, struct client, list));
}

void control_free(struct control *control)
{
    if (!control)
        return;
    engine_remove_watcher(control->engine, &control->watcher);
    list_for_each_safe (at, &control->clients)
        client_free(list_entry(at, struct client, list));
    if (control->accept)
        event_free(control->accept);
    if (control->listen_fd >= 0)
        close(control->listen_fd);
    if (control->owns_path && !control->options.keep_socket)
        unlink(control->options.path);
    tail_pages_done(&control->tail_pages);
    user_names_free(control->names);
    idl_free(control->idl);
    free((char *)control->options.state_directory);
    free((char *)control->options.path);
    free((char *)control->options.group);
    free((char *)control->options.admin_group);
    free(control);
}
