#include "wrap.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "common/util.h"

/* How far lines after the first are set in: at most this part of the terminal. */
#define INDENT_PART 3

/* Below this there is no wrapping to speak of. */
#define COLUMNS_MIN 10

/* Columns of the word that `text` begins with. */
static size_t word_columns(const char *text, size_t *ret_size)
{
    _cleanup_free_ char *word = strndup(text, strcspn(text, " \n"));

    *ret_size = word ? strlen(word) : 0;
    return word ? text_columns(word) : 0;
}

size_t wrap_character_size(const char *text, size_t *ret_columns)
{
    size_t used = 0;

    *ret_columns = 0;
    for (;;) {
        mbstate_t state = {0};
        wchar_t character;
        size_t size = mbrtowc(&character, text + used, strlen(text + used), &state);
        int width;

        if (size == 0 || size == (size_t)-1 || size == (size_t)-2)
            return MAX(used, 1U);
        width = wcwidth(character);
        if (used > 0 && width != 0)
            return used;
        *ret_columns += width > 0 ? (size_t)width : 0;
        used += size;
    }
}

void wrap_new_line(struct wrapping *at)
{
    printf("\n%*s", (int)at->indent, "");
    at->column = at->indent;
}

/* A word that fits no line is cut where the line ends. */
static void print_word(struct wrapping *at, const char *word, size_t size, size_t columns)
{
    if (at->column + columns > at->columns && at->column > at->indent)
        wrap_new_line(at);
    while (size > 0) {
        size_t width, bytes = MIN(wrap_character_size(word, &width), size);

        if (at->column + width > at->columns && at->column > at->indent)
            wrap_new_line(at);
        printf("%.*s", (int)bytes, word);
        at->column += width;
        word += bytes;
        size -= bytes;
    }
}

struct wrapping wrap_begin(size_t column, size_t columns)
{
    struct wrapping at = {.column = column, .columns = MAX(columns, (size_t)COLUMNS_MIN) - 1};

    at.indent = MIN(column, at.columns / INDENT_PART);
    return at;
}

void wrap_print(struct wrapping *at, const char *text)
{
    while (*text) {
        size_t size, width = word_columns(text, &size);

        if (size > 0)
            print_word(at, text, size, width);
        text += size;
        if (*text == '\n')
            wrap_new_line(at);
        else if (*text == ' ' && at->column < at->columns) {
            putchar(' ');
            at->column++;
        }
        text += *text != '\0';
    }
}
