#pragma once

/* What line-editor.c and line-complete.c share. */

#include <histedit.h>
#include <signal.h>
#include <wchar.h>

#include "line-editor.h"

struct line {
    struct line_options options;
    EditLine *editor;
    HistoryW *history;
    char *above;
    wchar_t *prompt;
    bool reading, hidden, ending;
    struct sigaction old[NSIG];
};

/* libedit's function for the tab. */
unsigned char line_complete(EditLine *editor, wint_t key);

/* UTF-8 of wide characters, and back; to be freed, NULL: out of memory. */
char *narrow(const wchar_t *text, size_t size);
wchar_t *widen(const char *text);
