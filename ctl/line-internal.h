#pragma once

/* What line-editor.c and line-complete.c share. */

#include <histedit.h>
#include <signal.h>
#include <wchar.h>

#include "line-cluster.h"
#include "line-editor.h"

struct line {
    struct line_options options;
    EditLine *editor;
    HistoryW *history;
    char *above;
    wchar_t *prompt;
    FILE *stream; /* what libedit writes to */
    struct clusters clusters;
    bool reading, hidden, ending, pasting;
    struct sigaction old[NSIG];
};

/* libedit's function for the tab. */
unsigned char line_complete(EditLine *editor, wint_t key);

/* UTF-8 of what libedit holds, and back (a prompt, a candidate); to be freed, NULL: out of memory.
 */
char *narrow(const struct line *line, const wchar_t *text, size_t size);
wchar_t *widen(const char *text);
