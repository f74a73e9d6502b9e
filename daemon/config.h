#pragma once

/* The settings: defaults, the configuration file and its drop-ins, then the command line. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ring/ring.h"

/* How many warnings about files are kept; more are counted only. */
#define CONFIG_WARNINGS_MAX 100

/* Strings belong to it. Times are µs, sizes bytes, 0: not set. */
struct config {
    char *ring_name;
    uint8_t wire_version;       /* the highest to speak; not a setting */
    struct ring_address listen; /* family 0: all addresses */
    uint16_t port;
    bool port_is_set;
    char *interfaces, *peers; /* separated by blanks */
    char *group4, *group6;
    uint64_t heartbeat_interval, heartbeat_timeout, link_timeout;
    bool greeting;
    char *key; /* "none", a path, or empty */
    char *display_name;
    uint64_t retention_time, retention_bytes, message_bytes_max;
    char *group, *admin_group;
    char *topics;

    size_t warnings_count; /* all of them; the first CONFIG_WARNINGS_MAX are kept */
    char *warnings[CONFIG_WARNINGS_MAX];
};

/* The defaults; 0 or -ENOMEM. */
int config_init(struct config *config);
void config_done(struct config *config);

/* Reads `path` and then the files `path`.d/NAME.conf in the order of their names. What cannot be
 * used becomes a warning "FILE:LINE: …", and the value stays as it was. No file at `path` is a
 * warning only if one is `expected`. 0 or a negative errno. */
int config_read(struct config *config, const char *path, bool expected);

/* The same for one open file, named `path` in warnings. */
int config_read_file(struct config *config, FILE *file, const char *path);

/* Sets one key, as a file would: "Ring", "Port", "7263". 0; -ENOENT: no such key; -EINVAL: no such
 * value; -ENOMEM. `ret_expected` says what a value should be (a constant). */
int config_set(struct config *config, const char *section, const char *key, const char *value,
               const char **ret_expected);

/* Adds a warning; without memory it is left out. */
__attribute__((format(printf, 2, 3))) void config_warn(struct config *config, const char *format,
                                                       ...);

/* Adds to a list setting: for --peer, which may be given more than once. 0 or -ENOMEM. */
int config_add_peer(struct config *config, const char *peer);

/* A size with an optional K, M, G or T (powers of 1024). 0 or -EINVAL. */
int config_parse_size(const char *text, uint64_t *ret_bytes);
