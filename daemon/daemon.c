#include "daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "address.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/message.h"
#include "common/util.h"
#include "control.h"
#include "engine.h"
#include "journal.h"
#include "keys.h"
#include "paths.h"
#include "rotation.h"
#include "starting.h"
#include "supervisor.h"

/* What a stop may take in all: the ring is given 3 s to let this node go. */
#define STOP_TIMEOUT_SEC 4

enum signal_event { SIGNAL_TERM, SIGNAL_INT, SIGNAL_HUP, SIGNALS };

struct daemon {
    const struct daemon_options *options;
    struct config *config;
    struct event_base *base;
    struct journal *journal;
    struct keys *keys;
    struct engine *engine;
    struct control *control;
    struct rotation *rotation;
    struct supervisor *supervisor;
    struct engine_watcher watcher;
    struct event *signals[SIGNALS], *stop_timer;
    bool stopping, greeted;
    int exit_status;
    struct starting starting;
};

/* Interest in writing comes and goes within one turn of the loop: with a list of changes the kernel
 * hears only of what is left of it. The precise clock: the other one goes on in steps of 4 ms, and
 * before a timer that comes due within one the loop woke each millisecond. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
                                                    EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* ---- configuration ---- */

static int bad_option(const char *option, const char *value, const char *expected, char **ret_error)
{
    if (asprintf(ret_error, "bad value for %s: \"%s\"; expected: %s", option, value, expected) < 0)
        *ret_error = NULL;
    return -EINVAL;
}

/* The options win over the files. */
static int apply_options(const struct daemon_options *options, struct config *config,
                         char **ret_error)
{
    const struct {
        const char *option, *section, *key, *value;
    } settings[] = {
        {"--listen", "Ring", "Listen", options->listen},
        {"--name", "Node", "DisplayName", options->name},
        {"--ring", "Ring", "Name", options->ring},
        {"--key", "Ring", "Key", options->key},
        {"--log", "Log", "Topics", options->log},
    };
    int result = 0;

    for (size_t i = 0; result == 0 && i < ELEMENTS(settings); i++) {
        const char *expected = "";

        if (!settings[i].value)
            continue;
        result =
            config_set(config, settings[i].section, settings[i].key, settings[i].value, &expected);
        if (result == -EINVAL)
            return bad_option(settings[i].option, settings[i].value, expected, ret_error);
    }
    for (size_t i = 0; result == 0 && i < options->peers_count; i++)
        result = config_add_peer(config, options->peers[i]);
    return result;
}

int daemon_configure(const struct daemon_options *options, struct config *config, char **ret_error)
{
    int result = config_init(config);

    *ret_error = NULL;
    if (result == 0) {
        result = config_read(config, options->config_path, options->config_is_expected);
        if (result < 0 &&
            asprintf(ret_error, "%s: %s", options->config_path, strerror(-result)) < 0)
            *ret_error = NULL;
    }
    if (result == 0)
        result = apply_options(options, config, ret_error);
    return result;
}

static void log_warnings(struct daemon *daemon, const struct config *config)
{
    for (size_t i = 0; i < MIN(config->warnings_count, CONFIG_WARNINGS_MAX); i++)
        journal_log(daemon->journal, LINE_SETTING_IGNORED, "%s", config->warnings[i]);
}

/* The start takes long: an upgrade, or a check, of a large history. */
static bool on_working(void *userdata, enum store_work work, int percent)
{
    struct daemon *daemon = userdata;

    return starting_working(&daemon->starting, daemon->options->socket_path, daemon->journal, work,
                            percent);
}

static void on_nudged(void *userdata)
{
    (void)userdata;
    supervisor_feed_watchdog();
}

/* ---- stopping ---- */

static void stop_now(struct daemon *daemon)
{
    event_base_loopbreak(daemon->base);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)fd, (void)what;
    journal_log(daemon->journal, LINE_STOP_LATE,
                "the ring did not answer in time; this host will be shown as failed");
    stop_now(daemon);
}

static void on_left(void *userdata, enum ring_reply reply, size_t members)
{
    (void)reply, (void)members;
    stop_now(userdata);
}

static void on_stop_signal(evutil_socket_t fd, short what, void *userdata)
{
    struct timeval timeout = {.tv_sec = STOP_TIMEOUT_SEC};
    struct daemon *daemon = userdata;

    (void)fd, (void)what;
    if (daemon->stopping) {
        stop_now(daemon);
        return;
    }
    daemon->stopping = true;
    supervisor_stopping();
    event_add(daemon->stop_timer, &timeout);
    control_retire(daemon->control);
    if (engine_command(daemon->engine, RING_LEAVE, NULL, NULL, on_left, daemon, NULL) < 0)
        stop_now(daemon);
}

static void on_failed(void *userdata, const char *error)
{
    struct daemon *daemon = userdata;

    journal_log(daemon->journal, LINE_CANNOT_GO_ON, "ringchatd cannot go on: %s", error);
    daemon->exit_status = engine_store_has_failed(daemon->engine) ? EX_IOERR : EXIT_FAILURE;
    supervisor_failed(error, EIO);
    stop_now(daemon);
}

/* ---- reloading ---- */

static void on_reload_signal(evutil_socket_t fd, short what, void *userdata)
{
    struct daemon *daemon = userdata;
    _cleanup_free_ char *error = NULL;
    struct config config;
    int result;

    (void)fd, (void)what;
    supervisor_reloading(engine_monotonic());
    result = daemon_configure(daemon->options, &config, &error);
    if (result == 0) {
        log_warnings(daemon, &config);
        engine_reconfigure(daemon->engine, &config);
        control_set_message_bytes_max(daemon->control, config.message_bytes_max);
        daemon->config->greeting = config.greeting;
        if (journal_set_topics(daemon->journal, config.topics) < 0)
            journal_log(daemon->journal, LINE_SETTING_IGNORED,
                        "Topics=%s: no such topic or mode, ignored", config.topics);
        journal_log(daemon->journal, LINE_RELOADED, "configuration reloaded");
    } else {
        journal_log(daemon->journal, LINE_NOT_RELOADED, "not reloaded: %s",
                    error ? error : strerror(-result));
    }
    config_done(&config);
    supervisor_ready();
}

/* ---- watching the ring ---- */

static void on_greeted(void *userdata, enum ring_reply reply, size_t members)
{
    (void)userdata, (void)reply, (void)members;
}

/* One notice to the others from a node that has joined them. */
static void greet(struct daemon *daemon)
{
    const struct ring_view *view = engine_get_view(daemon->engine);
    const struct ring_member *self = &view->members[view->self];
    struct message message = {.kind = MESSAGE_NOTICE, .sent = engine_wall()};
    struct id_source ids = {0};
    _cleanup_free_ char *text = NULL;
    char address[ADDRESS_TEXT_MAX] = "?";

    if (self->addresses.count > 0)
        address_format(&self->addresses.list[0], address);
    if (asprintf(&text, "hello, I am %s at %s", self->name, address) < 0) {
        text = NULL;
        return;
    }
    id_make(&ids, message.sent, message.id.bytes);
    message.user = (struct bytes){"ringchatd", strlen("ringchatd")};
    message.room = (struct bytes){"main", strlen("main")};
    message.text = (struct bytes){text, strlen(text)};
    engine_command(daemon->engine, RING_SEND_MESSAGE, &message, NULL, on_greeted, daemon, NULL);
}

static void on_changed(void *userdata)
{
    struct daemon *daemon = userdata;

    supervisor_tell_status(daemon->supervisor);
    if (daemon->greeted || engine_get_view(daemon->engine)->count < 2)
        return;
    daemon->greeted = true;
    if (daemon->config->greeting && !daemon->stopping)
        greet(daemon);
}

/* ---- what the control socket asks ---- */

static char *log_get(void *userdata)
{
    struct daemon *daemon = userdata;

    return journal_get_topics(daemon->journal);
}

static int log_set(void *userdata, const char *topics)
{
    struct daemon *daemon = userdata;

    return journal_set_topics(daemon->journal, topics);
}

static void warn_of_other_key(const struct daemon *daemon,
                              void (*add)(void *list, const char *text), void *list)
{
    struct ring_address from;
    char text[320], address[ADDRESS_TEXT_MAX];
    uint32_t id;

    if (engine_get_view(daemon->engine)->count > 1 || !keys_heard_other(daemon->keys, &id, &from))
        return;
    address_format(&from, address);
    snprintf(text, sizeof(text),
             "%s uses key %08x, which this host does not have, so they are not one ring; if they "
             "should be, run there: ringchatctl key show, and here: ringchatctl key add",
             address, id);
    add(list, text);
}

static void warnings(void *userdata, void (*add)(void *list, const char *text), void *list)
{
    const struct daemon *daemon = userdata;
    unsigned salvaged;
    const char *notice = store_get_notice(engine_get_store(daemon->engine), &salvaged);

    if (notice)
        add(list, notice);
    switch (keys_get_mode(daemon->keys)) {
    case KEYS_MISSING:
        add(list, "no ring key: this host stays alone and stores messages here only; on a first "
                  "host make one with: ringchatctl key generate, on others take it over with: "
                  "ringchatctl key add");
        return;
    case KEYS_CLEAR:
        add(list, "messages travel in the clear (Key=none): use it only on a network where you "
                  "trust everybody");
        return;
    case KEYS_PRESENT:
        warn_of_other_key(daemon, add, list);
        return;
    }
}

/* ---- starting ---- */

static void watch_signals(struct daemon *daemon)
{
    static const struct {
        int number;
        event_callback_fn callback;
    } signals[SIGNALS] = {
        [SIGNAL_TERM] = {SIGTERM, on_stop_signal},
        [SIGNAL_INT] = {SIGINT, on_stop_signal},
        [SIGNAL_HUP] = {SIGHUP, on_reload_signal},
    };

    signal(SIGPIPE, SIG_IGN);
    /* A limit of file sizes is met as a disk that takes no more. */
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < SIGNALS; i++) {
        daemon->signals[i] =
            evsignal_new(daemon->base, signals[i].number, signals[i].callback, daemon);
        check(daemon->signals[i] && event_add(daemon->signals[i], NULL) == 0);
    }
    daemon->stop_timer = evtimer_new(daemon->base, on_stop_timer, daemon);
    check(daemon->stop_timer != NULL);
}

static int start_control(struct daemon *daemon, const char *state, char **ret_error)
{
    _cleanup_free_ char *path = NULL;
    struct control_options options = {
        .listen_fd = supervisor_inherited_socket(),
        .keep_socket = getenv("NOTIFY_SOCKET") != NULL,
        .group = *daemon->config->group ? daemon->config->group : NULL,
        .admin_group =
            *daemon->config->admin_group ? daemon->config->admin_group : "ringchat-admin",
        .message_bytes_max = daemon->config->message_bytes_max,
        .state_directory = state,
        .keys = daemon->keys,
        .rotation = daemon->rotation,
        .callbacks = {.log_get = log_get,
                      .log_set = log_set,
                      .warnings = warnings,
                      .userdata = daemon},
    };
    int result = 0;

    if (options.listen_fd < 0)
        result = paths_socket(daemon->options->socket_path, &path, ret_error);
    options.path = path;
    if (result == 0)
        result = control_new(daemon->base, daemon->engine, &options, &daemon->control, ret_error);
    /* One that was handed in waits in the store already, or is a socket unit's. */
    if (result == 0 && options.listen_fd < 0)
        supervisor_keep_socket(control_listen_fd(daemon->control));
    return result;
}

static int start(struct daemon *daemon, char **ret_error)
{
    struct engine_callbacks callbacks = {
        .failed = on_failed, .nudged = on_nudged, .working = on_working, .userdata = daemon};
    _cleanup_free_ char *state = NULL;
    int result;

    daemon->base = base_new();
    check(daemon->base != NULL);
    watch_signals(daemon);
    log_warnings(daemon, daemon->config);
    if (journal_set_topics(daemon->journal, daemon->config->topics) < 0)
        journal_log(daemon->journal, LINE_SETTING_IGNORED,
                    "Topics=%s: no such topic or mode, ignored", daemon->config->topics);
    result = paths_state(daemon->options->state_directory, &state, ret_error);
    if (result == 0)
        result = keys_open(daemon->config->key, state, daemon->journal, &daemon->keys, ret_error);
    if (result == 0)
        result = engine_new(daemon->base, daemon->config, state, daemon->keys, daemon->journal,
                            &callbacks, &daemon->engine, ret_error);
    if (result == 0) {
        daemon->rotation =
            rotation_new(daemon->base, daemon->engine, daemon->keys, daemon->journal);
        check(daemon->rotation != NULL);
        result = start_control(daemon, state, ret_error);
    }
    if (result < 0)
        return result;
    daemon->watcher = (struct engine_watcher){.changed = on_changed, .userdata = daemon};
    engine_add_watcher(daemon->engine, &daemon->watcher);
    if (engine_port(daemon->engine))
        journal_log(daemon->journal, LINE_LISTENING, "listening on port %u",
                    engine_port(daemon->engine));
    return 0;
}

static void stop(struct daemon *daemon)
{
    if (daemon->control)
        control_goodbye(daemon->control);
    control_free(daemon->control);
    rotation_free(daemon->rotation);
    supervisor_free(daemon->supervisor);
    engine_free(daemon->engine);
    keys_free(daemon->keys);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (daemon->signals[i])
            event_free(daemon->signals[i]);
    }
    if (daemon->stop_timer)
        event_free(daemon->stop_timer);
    /* A connection that is being freed waits for callbacks of its own, which only the loop runs. */
    event_base_loop(daemon->base, EVLOOP_NONBLOCK);
    event_base_free(daemon->base);
    journal_free(daemon->journal);
    libevent_global_shutdown();
}

/* Then the disk has to be looked at, not the configuration. */
static bool is_of_the_disk(int error)
{
    return error == -EIO || error == -ENOSPC || error == -EROFS || error == -EUCLEAN;
}

int daemon_run(const struct daemon_options *options, struct config *config)
{
    struct daemon daemon = {.options = options, .config = config, .exit_status = EXIT_SUCCESS};
    _cleanup_free_ char *error = NULL;
    int result;

    /* The threads that begin here take no signals either. */
    starting_begin(&daemon.starting);
    daemon.journal = journal_new();
    check(daemon.journal != NULL);
    result = start(&daemon, &error);
    starting_done(&daemon.starting);
    if (result < 0 && daemon.starting.stopped) {
        journal_log(daemon.journal, LINE_STARTING,
                    "stopped before that was done; it begins anew at the next start");
        supervisor_stopping();
        stop(&daemon);
        return EXIT_SUCCESS;
    }
    if (result < 0) {
        journal_log(daemon.journal, LINE_CANNOT_START, "%s", error ? error : strerror(-result));
        supervisor_failed(error ? error : "cannot start", -result);
        stop(&daemon);
        return is_of_the_disk(result) ? EX_IOERR : EXIT_FAILURE;
    }
    daemon.supervisor = supervisor_new(daemon.base, daemon.engine, daemon.keys, daemon.journal);
    check(daemon.supervisor != NULL);
    supervisor_ready();
    engine_check_store(daemon.engine);
    event_base_dispatch(daemon.base);
    stop(&daemon);
    return daemon.exit_status;
}
