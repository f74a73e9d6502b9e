#pragma once

/* The verbs: one table drives dispatch, help, suggestions, completion, and the tests that compare
 * it with the manual and with what each verb does. */

#include "context.h"

struct verb {
    const char *name;
    const char *arguments; /* as help shows them, and as synopsis.h reads them */
    const char *help;      /* one line */
    /* `argv[0]` is the verb. Returns the exit code. */
    int (*run)(struct context *context, int argc, char **argv);
};

/* The verb of that name, or NULL. */
const struct verb *verb_find(const char *name);

/* The verb whose name is nearest to what was typed, or NULL: none is near. */
const struct verb *verb_nearest(const char *typed);

/* Every verb with its arguments and its line of help. */
void verbs_print_help(void);

/* How one verb is used. */
void verb_print_help(const struct verb *verb);

/* For completion and tests: the names alone, one a line; the names, a tab, and what each takes.
 * Both return EXIT_DONE. */
int verbs_print_names(void);
int verbs_print_synopses(void);

/* The verb of that number in the table, or NULL: there are no more. */
const struct verb *verb_at(size_t number);

/* Tells of a wrong option or argument and how the verb is used; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int verb_usage(const char *name, const char *format, ...);

int verb_send(struct context *context, int argc, char **argv);
int verb_tail(struct context *context, int argc, char **argv);
int verb_history(struct context *context, int argc, char **argv);
int verb_export(struct context *context, int argc, char **argv);
int verb_import(struct context *context, int argc, char **argv);
int verb_members(struct context *context, int argc, char **argv);
int verb_status(struct context *context, int argc, char **argv);
int verb_wait(struct context *context, int argc, char **argv);
int verb_elect(struct context *context, int argc, char **argv);
int verb_leave(struct context *context, int argc, char **argv);
int verb_join(struct context *context, int argc, char **argv);
int verb_key(struct context *context, int argc, char **argv);
int verb_log(struct context *context, int argc, char **argv);
int verb_ring(struct context *context, int argc, char **argv);
int verb_rooms(struct context *context, int argc, char **argv);
int verb_doctor(struct context *context, int argc, char **argv);
int verb_chat(struct context *context, int argc, char **argv);
int verb_help(struct context *context, int argc, char **argv);

/* ---- for verbs ---- */

/* Reads a count of at least `least`; -1: it is none. */
int64_t parse_count(const char *text, int64_t least);

/* Reads seconds, fractions allowed, as µs; -1: it is none. */
int64_t parse_seconds(const char *text);
