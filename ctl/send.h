#pragma once

/* What the parts of `ringchatctl send` share. */

#include "verbs.h"

struct send_options {
    const char *room, *id;
    int64_t timeout; /* µs; -1: not given */
    bool notice, each_line;
};

/* The parameters of Send. */
struct json_object *send_parameters(const struct send_options *options, const char *text,
                                    size_t size);

/* What the daemon would refuse anyway. 0, or an exit code after a message. */
int send_check_text(const char *text, size_t size);

/* Sends each line of standard input; send-lines.c. An exit code. */
int send_lines(const struct context *context, const struct send_options *options);
