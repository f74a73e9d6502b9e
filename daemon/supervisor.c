#include "supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/util.h"

/* How often the status line follows what changes with every message. */
#define STATUS_INTERVAL_USEC (5 * USEC_PER_SEC)

/* The name under which the control socket waits in systemd's file descriptor store. */
#define SOCKET_NAME "control"

struct supervisor {
    struct engine *engine;
    const struct keys *keys;
    struct journal *journal;
    struct event *watchdog, *status_timer;
    char status[240];
};

/* ---- the status line ---- */

/* "; …" while history repair is under way, or "". */
static void write_repair(const struct supervisor *supervisor, char *ret, size_t size)
{
    struct ring_repair repair;

    engine_get_repair(supervisor->engine, &repair);
    if (repair.received > 0 && repair.missing > 0)
        snprintf(ret, size, "; history repair: %llu of about %llu came",
                 (unsigned long long)repair.received,
                 (unsigned long long)(repair.received + repair.missing));
    else if (repair.received > 0)
        snprintf(ret, size, "; history repair: %llu came so far",
                 (unsigned long long)repair.received);
    else if (repair.lacking > 0)
        snprintf(ret, size, "; history repair: others lack %llu",
                 (unsigned long long)repair.lacking);
    else
        *ret = '\0';
}

static void write_status(const struct supervisor *supervisor, char *ret, size_t size)
{
    const struct ring_view *view = engine_get_view(supervisor->engine);
    unsigned long long messages = history_count(engine_get_history(supervisor->engine));
    const char *warning = "";
    struct ring_status status;
    char repair[80];

    engine_get_status(supervisor->engine, &status);
    write_repair(supervisor, repair, sizeof(repair));
    if (keys_get_mode(supervisor->keys) == KEYS_MISSING)
        warning = "; no ring key: messages are stored here only";
    else if (keys_get_mode(supervisor->keys) == KEYS_CLEAR)
        warning = "; not encrypted (Key=none)";
    if (status.phase == RING_STALLED)
        snprintf(ret, size, "out of the ring: the disk does not answer");
    else if (status.phase == RING_LEFT)
        snprintf(ret, size, "left the ring, %llu messages%s", messages, warning);
    else if (view->self == view->leader)
        snprintf(ret, size, "leader of %zu member%s, %llu messages%s%s", view->count,
                 view->count == 1 ? "" : "s", messages, repair, warning);
    else
        snprintf(ret, size, "member of %zu, leader %s, %llu messages%s%s", view->count,
                 view->members[view->leader].name, messages, repair, warning);
}

void supervisor_tell_status(struct supervisor *supervisor)
{
    char status[sizeof(supervisor->status)];

    write_status(supervisor, status, sizeof(status));
    if (strcmp(status, supervisor->status) == 0)
        return;
    strcpy(supervisor->status, status);
    sd_notifyf(0, "STATUS=%s", status);
}

static void on_status_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct supervisor *supervisor = userdata;

    (void)fd, (void)what;
    supervisor_tell_status(supervisor);
    journal_tick(supervisor->journal);
}

/* ---- the watchdog ---- */

/* It is fed when the engine has taken an input: a loop that hangs starves it, and so does one that
 * turns without getting on. */
static void on_watchdog(evutil_socket_t fd, short what, void *userdata)
{
    const struct supervisor *supervisor = userdata;

    (void)fd, (void)what;
    engine_nudge(supervisor->engine);
}

void supervisor_feed_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}

/* ---- what it gets, and keeps ---- */

int supervisor_inherited_socket(void)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names), fd = -1;

    for (int i = 0; i < count; i++) {
        if (fd < 0 && sd_is_socket_unix(SD_LISTEN_FDS_START + i, SOCK_STREAM, 1, NULL, 0) > 0)
            fd = SD_LISTEN_FDS_START + i;
        else
            close(SD_LISTEN_FDS_START + i);
        free(names[i]);
    }
    free(names);
    return fd;
}

void supervisor_keep_socket(int fd)
{
    sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" SOCKET_NAME, &fd, 1);
}

/* ---- what it says ---- */

void supervisor_starting(const char *text, unsigned seconds)
{
    sd_notifyf(0,
               "EXTEND_TIMEOUT_USEC=%llu\n"
               "STATUS=%s, for %u s so far",
               (unsigned long long)START_EXTEND_USEC, text, seconds);
}

void supervisor_ready(void)
{
    sd_notify(0, "READY=1");
}

void supervisor_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=leaving the ring");
}

void supervisor_reloading(uint64_t monotonic)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)monotonic);
}

void supervisor_failed(const char *text, int error)
{
    sd_notifyf(0, "STATUS=%s\nERRNO=%i", text, error);
}

/* ---- starting and ending ---- */

/* NULL: out of memory. */
static struct event *every(struct supervisor *supervisor, struct event_base *base, uint64_t usec,
                           event_callback_fn callback)
{
    struct timeval interval = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                               .tv_usec = (suseconds_t)(usec % USEC_PER_SEC)};
    struct event *event = event_new(base, -1, EV_PERSIST, callback, supervisor);

    if (event && event_add(event, &interval) < 0) {
        event_free(event);
        return NULL;
    }
    return event;
}

struct supervisor *supervisor_new(struct event_base *base, struct engine *engine,
                                  const struct keys *keys, struct journal *journal)
{
    struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
    uint64_t usec = 0;
    bool watched = sd_watchdog_enabled(0, &usec) > 0;

    if (!supervisor)
        return NULL;
    supervisor->engine = engine;
    supervisor->keys = keys;
    supervisor->journal = journal;
    supervisor->status_timer = every(supervisor, base, STATUS_INTERVAL_USEC, on_status_timer);
    if (watched)
        supervisor->watchdog = every(supervisor, base, usec / 3, on_watchdog);
    if (!supervisor->status_timer || (watched && !supervisor->watchdog)) {
        supervisor_free(supervisor);
        return NULL;
    }
    supervisor_tell_status(supervisor);
    return supervisor;
}

void supervisor_free(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    if (supervisor->watchdog)
        event_free(supervisor->watchdog);
    if (supervisor->status_timer)
        event_free(supervisor->status_timer);
    free(supervisor);
}
