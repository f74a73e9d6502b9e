#pragma once

/* What was typed in earlier sessions, for the arrow keys: a file of mode 0600 with a text a line,
 * in which a newline is written as \n and a backslash as two. Several sessions may add to it at
 * once. It is a comfort: what cannot be read or written is passed over. */

#include "line-internal.h"

/* Texts that can be fetched back. The file has at most twice as many before it is cut. */
#define HISTORY_MAX 500

/* Longer ones, in bytes of the file, are for this session only. */
#define HISTORY_TEXT_BYTES_MAX 4096

/* Gives the file's texts to the line's history; cuts a file that has grown too long. */
void line_history_load(struct line *line, const char *path);

/* Adds a text to the end of the file. */
void line_history_add(const char *path, const char *text);
