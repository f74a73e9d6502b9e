#pragma once

/* Text on a terminal, words kept whole. */

#include <stddef.h>

struct wrapping {
    size_t column, indent, columns; /* where the line is; how far further ones are set in */
};

/* The text begins at that column of its line, on a terminal of so many columns. The last one stays
 * free: what terminals do behind it differs. */
struct wrapping wrap_begin(size_t column, size_t columns);
void wrap_print(struct wrapping *at, const char *text);
void wrap_new_line(struct wrapping *at);

/* Bytes of the character that `text` begins with, with what combines with it. */
size_t wrap_character_size(const char *text, size_t *ret_columns);
