#include "line-history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a text as one line ---- */

/* To be freed, with its newline; NULL: it is too long, or memory is short. */
static char *escape(const char *text)
{
    char *line = malloc(2 * strlen(text) + 2), *to = line;

    if (!line)
        return NULL;
    for (const char *at = text; *at; at++) {
        if (*at == '\n' || *at == '\\')
            *to++ = '\\';
        *to++ = *at == '\n' ? 'n' : *at;
    }
    *to++ = '\n';
    *to = '\0';
    if (to - line > HISTORY_TEXT_BYTES_MAX) {
        free(line);
        return NULL;
    }
    return line;
}

/* In place. The text ends with a newline, as libedit wants it. */
static void unescape(char *line)
{
    char *to = line;

    for (const char *at = line; *at; at++) {
        if (*at == '\\' && at[1])
            *to++ = *++at == 'n' ? '\n' : *at;
        else
            *to++ = *at;
    }
    *to = '\0';
}

/* ---- the file ---- */

static FILE *open_file(const char *path, int flags, const char *mode)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, mode);

    if (!file && fd >= 0)
        close(fd);
    return file;
}

static void take_line(struct line *line, char *text)
{
    _cleanup_free_ wchar_t *wide = NULL;
    HistEventW event;

    unescape(text);
    wide = widen(text);
    if (!wide || !*wide)
        return;
    clusters_pack(&line->clusters, wide);
    history_w(line->history, &event, H_ENTER, wide);
}

/* Leaves the newest HISTORY_MAX of `count` lines. */
static void cut(FILE *file, const char *path, size_t count)
{
    _cleanup_free_ char *new_path = NULL, *text = NULL;
    size_t allocated = 0;
    FILE *to;

    if (asprintf(&new_path, "%s.new", path) < 0) {
        new_path = NULL;
        return;
    }
    to = open_file(new_path, O_WRONLY | O_CREAT | O_TRUNC, "w");
    if (!to)
        return;
    rewind(file);
    for (size_t i = 0; getline(&text, &allocated, file) > 0; i++) {
        if (i + HISTORY_MAX >= count)
            fputs(text, to);
    }
    if (fclose(to) == 0)
        rename(new_path, path);
    else
        remove(new_path);
}

void line_history_load(struct line *line, const char *path)
{
    FILE *file = open_file(path, O_RDONLY, "r");
    _cleanup_free_ char *text = NULL;
    size_t allocated = 0, count = 0;
    ssize_t size;

    if (!file)
        return;
    while ((size = getline(&text, &allocated, file)) > 0) {
        count++;
        /* A longer one, or an unfinished last one, was not written by line_history_add(). */
        if (size <= HISTORY_TEXT_BYTES_MAX && text[size - 1] == '\n')
            take_line(line, text);
    }
    if (count > 2 * (size_t)HISTORY_MAX)
        cut(file, path, count);
    fclose(file);
}

void line_history_add(const char *path, const char *text)
{
    _cleanup_free_ char *line = escape(text);
    FILE *file = line ? open_file(path, O_WRONLY | O_CREAT | O_APPEND, "a") : NULL;

    if (!file)
        return;
    fputs(line, file);
    fclose(file);
}
