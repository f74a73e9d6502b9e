#pragma once

/* What every verb is given: the global options, and how to talk to the daemon and to the user. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "client.h"
#include "common/errors.h"

enum json_mode {
    JSON_OFF,
    JSON_SHORT,
    JSON_PRETTY,
};

struct context {
    const char *socket_path; /* NULL: the usual places */
    const char *instance;    /* NULL: the host's ring */
    enum json_mode json;
    bool no_legend, no_pager, quiet;
    bool terminal; /* stdout is one */
    bool colour;   /* on stdout */
    bool colour_stderr;
    bool ascii; /* the terminal may not know other characters */
};

/* Connects to the daemon. 0, or EXIT_UNREACHABLE or EXIT_FAILED after a message. */
int context_connect(const struct context *context, struct client **ret);

/* The same without a message: a negative errno. */
int context_try_connect(const struct context *context, struct client **ret);

/* One call and its reply. 0: `ret` is to be given back; else the exit code, after a message. */
int context_call(const struct context *context, const char *method, struct json_object *parameters,
                 struct varlink_reply *ret);

/* Says why there is no connection, and what to do. The exit code. */
int context_unreachable(const struct context *context, int error);

/* What was said to who waits: all zero at first. */
struct waiting {
    bool told, starts; /* something, and that it starts */
    int step;          /* how far it was */
    char text[100];
};

/* The same for who waits until the daemon is there: a sentence, or NULL where it is said already.
 * It is valid until the next call. */
const char *context_waiting(const struct context *context, struct waiting *waiting);

/* Says what an error reply means, on stderr. The exit code. */
int context_error(const struct context *context, const struct varlink_reply *reply);

/* "ringchatctl: …" on stderr; returns `exit_code`. */
__attribute__((format(printf, 2, 3))) int complain(int exit_code, const char *format, ...);

/* A string field, or "". */
const char *field_text(struct json_object *object, const char *key);
uint64_t field_number(struct json_object *object, const char *key);
bool field_flag(struct json_object *object, const char *key);
struct json_object *field(struct json_object *object, const char *key);
