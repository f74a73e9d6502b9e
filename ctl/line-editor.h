#pragma once

/* The line at the bottom of a terminal in which a person types, with libedit: history, completion,
 * a paste of several lines as one text, and other text printed above it meanwhile.
 *
 * libedit knows neither bracketed paste nor other output: a paste is read here up to its end
 * (ESC [ 201 ~), and what is typed is taken off the screen and drawn again around each print. How
 * many rows it takes is computed as libedit draws it. The terminal is put back into its old state
 * by line_free(), and while the process is stopped by ^Z. */

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct line;

struct line_options {
    /* Called until it returns true, whenever a key is waited for: waits until `fd` can be read or
     * something else has been done, at the latest when a signal comes. */
    bool (*wait)(void *userdata, int fd);
    /* The candidates for the last word of `text`, which ends at the cursor: calls `add` for each
     * with the whole word. */
    void (*complete)(void *userdata, const char *text, void (*add)(void *list, const char *word),
                     void *list);
    /* Shows candidates, between line_hide() and line_show(). */
    void (*list)(void *userdata, size_t count, char *const *words);
    /* Where what was typed is kept for the next session; NULL: nowhere. Must stay valid. */
    const char *history_path;
    void *userdata;
};

/* Takes over the terminal, which stdin and stdout are. 0 or a negative errno. */
int line_new(const struct line_options *options, struct line **ret);
void line_free(struct line *line); /* NULL is allowed */

/* Reads a text, without its newline, to be freed. What was typed is gone from the screen then.
 * NULL: the end (^D, or ^C on an empty line, a signal, or line_end()). */
char *line_read(struct line *line);

/* line_read() returns NULL from now on. */
void line_end(struct line *line);

/* Takes what is typed off the screen: text may be printed, whole lines only; then shows it again.
 */
void line_hide(struct line *line);
void line_show(struct line *line);

/* What stands before the typed text, and lines (each ended by a newline, no escapes) that stand
 * above it; to be called while the line is hidden or not read. */
void line_set_prompt(struct line *line, const char *prompt);
void line_set_above(struct line *line, const char *lines);

/* Columns of the terminal. */
size_t line_columns(void);

DEFINE_CLEANUP(struct line *, line_free);
