/* ringchatd: the command line. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/message.h"
#include "common/option.h"
#include "common/text.h"
#include "common/util.h"
#include "daemon.h"
#include "paths.h"
#include "resolve.h"
#include "store.h"

#define EXIT_USAGE 2

/* The tests build a daemon that speaks a newer version. */
#ifndef WIRE_VERSION
#define WIRE_VERSION RING_WIRE_VERSION
#endif

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

enum option_value {
    OPTION_CONFIG = 256,
    OPTION_STATE,
    OPTION_SOCKET,
    OPTION_LISTEN,
    OPTION_NAME,
    OPTION_RING,
    OPTION_KEY,
    OPTION_PEER,
    OPTION_LOG,
    OPTION_CHECK,
    OPTION_NEW_IDENTITY,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"state", required_argument, NULL, OPTION_STATE},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"name", required_argument, NULL, OPTION_NAME},
    {"ring", required_argument, NULL, OPTION_RING},
    {"key", required_argument, NULL, OPTION_KEY},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"log", required_argument, NULL, OPTION_LOG},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"new-identity", no_argument, NULL, OPTION_NEW_IDENTITY},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "ringchatd - the chat that the hosts of one network run among themselves\n"
    "\n"
    "  --config FILE            settings (" SYSCONFDIR "/ringchat/ringchatd.conf)\n"
    "  --state DIRECTORY        where the history is kept\n"
    "  --socket PATH            the control socket, for ringchatctl\n"
    "  --listen ADDRESS[:PORT]  the address to use\n"
    "  --name NAME              the name that others see\n"
    "  --ring NAME              the ring to join\n"
    "  --key PATH|none          the ring's key; none: talk in the clear\n"
    "  --peer HOST[:PORT]       a host to ask where multicast does not pass; may be repeated\n"
    "  --log MODE|TOPICS        normal, heartbeat, debug, or topics\n"
    "  --check                  check the settings and exit\n"
    "  --new-identity           give this node, which is a copy of another, an id of its own, and "
    "exit\n"
    "  --help, --version\n"
    "\n"
    "See ringchatd(8), ringchatd.conf(5).\n";

struct command_line {
    struct daemon_options options;
    const char *peers[PEERS_MAX];
    bool check, new_identity;
};

/* With what could drive a terminal made visible: words and files that were typed are in it. */
static void print_line(const char *prefix, const char *text, const char *suffix)
{
    _cleanup_free_ char *shown = text_visible(text, strlen(text), NULL);

    fprintf(stderr, "%s%s%s\n", prefix, shown ? shown : "out of memory", suffix);
}

static int complain(const char *text)
{
    print_line("ringchatd: ", text, "; see ringchatd --help");
    return EXIT_USAGE;
}

static int fail(const char *text)
{
    print_line("ringchatd: ", text, "");
    return EXIT_FAILURE;
}

/* -1: go on; else the exit status. */
static int take_option(int option, struct command_line *line)
{
    struct daemon_options *options = &line->options;

    switch (option) {
    case OPTION_CONFIG:
        options->config_path = optarg;
        options->config_is_expected = true;
        return -1;
    case OPTION_STATE:
        options->state_directory = optarg;
        return -1;
    case OPTION_SOCKET:
        options->socket_path = optarg;
        return -1;
    case OPTION_LISTEN:
        options->listen = optarg;
        return -1;
    case OPTION_NAME:
        options->name = optarg;
        return -1;
    case OPTION_RING:
        options->ring = optarg;
        return -1;
    case OPTION_KEY:
        options->key = optarg;
        return -1;
    case OPTION_PEER:
        if (options->peers_count == PEERS_MAX)
            return complain("too many --peer");
        line->peers[options->peers_count++] = optarg;
        return -1;
    case OPTION_LOG:
        options->log = optarg;
        return -1;
    case OPTION_CHECK:
        line->check = true;
        return -1;
    case OPTION_NEW_IDENTITY:
        line->new_identity = true;
        return -1;
    case OPTION_HELP:
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    case OPTION_VERSION:
        puts("ringchatd " VERSION);
        return EXIT_SUCCESS;
    }
    check_unreachable();
}

static int unknown_option(char **argv)
{
    _cleanup_free_ char *trouble = option_trouble(argv, long_options);

    return complain(trouble ? trouble : "out of memory");
}

static int check_configuration(const struct config *config, int result, const char *error)
{
    for (size_t i = 0; i < MIN(config->warnings_count, CONFIG_WARNINGS_MAX); i++)
        print_line("", config->warnings[i], "");
    if (error)
        fail(error);
    return result < 0 || config->warnings_count > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int renew_identity(const char *state_directory)
{
    _cleanup_free_ char *path = NULL, *error = NULL;
    char text[ID_TEXT_MAX];
    struct ring_id node;
    int result = paths_state(state_directory, &path, &error);

    if (result == 0)
        result = store_renew_identity(path, &node, &error);
    if (result < 0)
        return fail(error ? error : strerror(-result));
    id_format(node.bytes, text);
    printf("this node is %s from now on, and keeps its history; start it again\n", text);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct command_line line = {.options.config_path = SYSCONFDIR "/ringchat/ringchatd.conf"};
    _cleanup_free_ char *error = NULL;
    struct config config;
    int option, status;

    line.options.peers = line.peers;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        status = option == '?' ? unknown_option(argv) : take_option(option, &line);
        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return complain("no arguments are expected");
    if (line.new_identity)
        return renew_identity(line.options.state_directory);
    status = daemon_configure(&line.options, &config, &error);
    if (line.check) {
        status = check_configuration(&config, status, error);
    } else if (status < 0) {
        status = fail(error ? error : strerror(-status));
    } else {
        config.wire_version = WIRE_VERSION;
        status = daemon_run(&line.options, &config);
    }
    config_done(&config);
    return status;
}
