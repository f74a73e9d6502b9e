#pragma once

/* The options that every verb takes, before or behind it: one table for parsing, help and
 * completion. */

#include "context.h"
#include "verbs.h"

/* What takes place of an exit code: go on. */
#define GO_ON (-1)

struct global_option {
    const char *name;     /* "json" */
    char letter;          /* 0: none */
    const char *argument; /* "PATH"; "=short|pretty": may be left out; NULL: none */
    const char *help;
    /* `argument` is NULL where none was given. GO_ON, or an exit code. */
    int (*take)(struct context *context, const char *argument);
};

/* The table, ended by a row without a name. */
extern const struct global_option global_options[];

/* Sets what the environment and the terminal say, before any option. */
void globals_init(struct context *context);

/* Takes the options before the verb. GO_ON with the number of words taken, the program's name
 * included, in `ret_used`; or an exit code. */
int globals_take_leading(struct context *context, int argc, char **argv, int *ret_used);

/* Takes global options out of the verb's own words; `argv[0]` is the verb. What is left are options
 * that the verb has, and its arguments. GO_ON, or an exit code. */
int globals_take_trailing(struct context *context, const struct verb *verb, int *argc, char **argv);

void globals_print_help(void);
