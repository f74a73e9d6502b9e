#pragma once

/* The running daemon: the engine, the control socket, signals and systemd. */

#include "config.h"

/* What the command line says. Strings belong to the caller. */
struct daemon_options {
    const char *config_path;
    bool config_is_expected;
    const char *state_directory;                  /* NULL: the usual one */
    const char *socket_path;                      /* NULL: the usual one */
    const char *listen, *name, *ring, *key, *log; /* NULL: as configured */
    size_t peers_count;
    const char *const *peers;
};

/* Reads the files, then applies the options. 0, or a negative errno with a sentence in `ret_error`
 * (to be freed). `config` is to be given back in any case. */
int daemon_configure(const struct daemon_options *options, struct config *config, char **ret_error);

/* Runs until SIGTERM or SIGINT has been obeyed, or the daemon cannot go on. The exit status. */
int daemon_run(const struct daemon_options *options, struct config *config);
