#pragma once

/* What ringchatctl prints: messages, events and tables as text, or JSON. */

#include <stdarg.h>

#include "context.h"
#include "names.h"

/* One JSON object, on one line or spread out, left in stdout's buffer. */
void write_json(const struct context *context, struct json_object *object);

/* The same, shown at once. */
void print_json(const struct context *context, struct json_object *object);

/* What a printer of messages remembers from line to line. */
struct message_printer {
    uint64_t last_sent; /* for the date line when the day changes */
    bool begun;
    struct names names; /* to be given to names_done() */
};

/* "10:32:07 alice@host1  hi"; what could drive a terminal is made visible. */
void print_message(const struct context *context, struct message_printer *printer,
                   struct json_object *message, bool late);

/* "10:32:07 -- host3 failed" */
void print_event(const struct context *context, struct message_printer *printer,
                 struct json_object *event);

/* The text made visible, or a sign that memory is short; to be freed. */
char *visible(const char *text);

/* Prints it so. */
void print_visible(const char *text);

/* The same of what printf(3) would make, on stderr. */
__attribute__((format(printf, 1, 0))) void complain_visible(const char *format, va_list arguments);

/* "   Status: text", its words kept whole where stdout is a terminal; no newline behind it. */
void print_labelled(const struct context *context, const char *label, const char *text);

/* The warnings of a status, each a line. */
void print_warnings(const struct context *context, struct json_object *warnings);

/* Columns of the terminal; 80 where there is none. */
size_t terminal_columns(void);

/* Escape sequences, or "" without colour. */
const char *dim(const struct context *context);
const char *warning_colour(const struct context *context);
const char *bold(const struct context *context);
const char *plain(const struct context *context);
