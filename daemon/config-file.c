/* Configuration files in systemd's syntax: sections, Key=value, comments by # or ;, and a backslash
 * at the end of a line that continues it. A library's reader gives neither line numbers nor long
 * lines (inih cuts at 200 bytes and takes ":" for "="), hence this one. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "config.h"

/* What one file is being read with. */
struct reader {
    struct config *config;
    const char *path;
    unsigned line; /* where the current entry began */
    char section[64];
};

__attribute__((format(printf, 2, 3))) static void warn(struct reader *reader, const char *format,
                                                       ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (result < 0)
        text = NULL;
    else
        config_warn(reader->config, "%s:%u: %s", reader->path, reader->line, text);
}

/* Cuts blanks at both ends, in place. */
static char *trim(char *text)
{
    size_t size;

    text += strspn(text, " \t\r");
    for (size = strlen(text); size > 0 && strchr(" \t\r\n", text[size - 1]); size--)
        ;
    text[size] = '\0';
    return text;
}

static void take_section(struct reader *reader, char *entry)
{
    char *end = strchr(entry, ']');

    if (!end || end[1] != '\0' || (size_t)(end - entry) >= sizeof(reader->section)) {
        warn(reader, "not a section: %.80s; write [NAME]", entry);
        reader->section[0] = '\0';
        return;
    }
    *end = '\0';
    strcpy(reader->section, entry + 1);
}

static int take_assignment(struct reader *reader, char *entry)
{
    const char *expected = NULL;
    char *equals = strchr(entry, '='), *key, *value;
    int result;

    if (!equals) {
        warn(reader, "not an assignment: %.80s; write KEY=VALUE", entry);
        return 0;
    }
    *equals = '\0';
    key = trim(entry);
    value = trim(equals + 1);
    result = config_set(reader->config, reader->section, key, value, &expected);
    if (result == -ENOENT)
        warn(reader, "unknown key %.80s in section [%s], ignored", key, reader->section);
    if (result == -EINVAL)
        warn(reader, "bad value for %s: \"%.80s\", ignored; expected: %s", key, value, expected);
    return result == -ENOMEM ? result : 0;
}

static int take_entry(struct reader *reader, char *entry)
{
    entry = trim(entry);
    if (*entry == '\0' || *entry == '#' || *entry == ';')
        return 0;
    if (*entry == '[') {
        take_section(reader, entry);
        return 0;
    }
    return take_assignment(reader, entry);
}

/* Appends `part` to the entry; a trailing backslash is cut and true returned. */
static int append(char **entry, char *part, bool *ret_continues)
{
    size_t size = strcspn(part, "\n");
    char *joined;

    part[size] = '\0';
    *ret_continues = size > 0 && part[size - 1] == '\\';
    if (*ret_continues)
        part[size - 1] = ' ';
    if (asprintf(&joined, "%s%s", *entry ? *entry : "", part) < 0)
        return -ENOMEM;
    free(*entry);
    *entry = joined;
    return 0;
}

int config_read_file(struct config *config, FILE *file, const char *path)
{
    struct reader reader = {.config = config, .path = path};
    _cleanup_free_ char *line = NULL, *entry = NULL;
    size_t allocated = 0;
    unsigned number = 0;
    bool continues = false;
    int result = 0;

    while (result == 0 && getline(&line, &allocated, file) >= 0) {
        number++;
        if (!entry)
            reader.line = number;
        /* Comments are not continued. */
        if (!entry && strchr("#;", line[strspn(line, " \t")]))
            continue;
        result = append(&entry, line, &continues);
        if (result == 0 && !continues) {
            result = take_entry(&reader, entry);
            free(entry);
            entry = NULL;
        }
    }
    if (result == 0 && entry)
        result = take_entry(&reader, entry);
    return result == 0 && ferror(file) ? -EIO : result;
}
