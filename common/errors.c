#include "common/errors.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "common/util.h"

struct error_row {
    const char *name;
    enum exit_code exit_code;
    const char *sentence;
};

static const struct error_row rows[ERRORS] = {
#define ERROR(symbol, name, exit_code, sentence) [ERROR_##symbol] = {name, exit_code, sentence},
#include "common/errors.def"
#undef ERROR
};

const char *error_name(enum error error)
{
    check(error < ERRORS);
    return rows[error].name;
}

enum error error_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return (enum error)i;
    return ERRORS;
}

/* A send that timed out before its message was on the disk. */
static bool is_lost(enum error error, struct json_object *parameters)
{
    struct json_object *stored;

    return error == ERROR_TIMED_OUT && !(json_object_object_get_ex(parameters, "stored", &stored) &&
                                         json_object_get_boolean(stored));
}

/* Writes a value as a person reads it: the elements of an array with commas. */
static void put_value(FILE *to, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_array)) {
        fputs(value ? json_object_get_string(value) : "?", to);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        fputs(i > 0 ? ", " : "", to);
        put_value(to, json_object_array_get_idx(value, i));
    }
}

/* Writes the sentence, with each {field} filled in. */
static void put_sentence(FILE *to, const char *sentence, struct json_object *parameters)
{
    char field[64];

    for (; *sentence; sentence++) {
        struct json_object *value = NULL;
        int length = 0;

        if (sscanf(sentence, "{%63[a-z_]}%n", field, &length) != 1 || length == 0) {
            fputc(*sentence, to);
            continue;
        }
        json_object_object_get_ex(parameters, field, &value);
        put_value(to, value);
        sentence += length - 1;
    }
}

char *error_sentence(const char *name, struct json_object *parameters)
{
    _cleanup_free_ char *text = NULL;
    enum error error = error_find(name);
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    if (error == ERRORS)
        fprintf(to, "the daemon answers with the error %s", name);
    else if (is_lost(error, parameters))
        put_sentence(to,
                     "time is up, and message {id} could not be stored; send it again with this id",
                     parameters);
    else
        put_sentence(to, rows[error].sentence, parameters);
    if (fclose(to) != 0)
        return NULL;
    return text_visible(text, size, NULL);
}

enum exit_code error_exit_code(const char *name, struct json_object *parameters)
{
    enum error error = error_find(name);

    return error == ERRORS || is_lost(error, parameters) ? EXIT_FAILED : rows[error].exit_code;
}
