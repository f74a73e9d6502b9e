#pragma once

/* The typed errors of the control socket, and what they are to people and scripts. */

#include <json-c/json.h>

/* How ringchatctl ends. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_TIME_IS_UP = 4,
};

enum error {
#define ERROR(symbol, name, exit_code, sentence) ERROR_##symbol,
#include "common/errors.def"
#undef ERROR
    ERRORS
};

const char *error_name(enum error error); /* "org.ringchat.NotInRing" */

/* The error of that name, or ERRORS: not known here. */
enum error error_find(const char *name);

/* What a person should read: the sentence with its fields filled in, made visible (text.h), without
 * a newline. An unknown error is shown by its name. To be freed; NULL: out of memory. */
char *error_sentence(const char *name, struct json_object *parameters);

/* The exit code for an error. A send that timed out and was not stored is a plain failure. */
enum exit_code error_exit_code(const char *name, struct json_object *parameters);
