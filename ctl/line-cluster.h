#pragma once

/* Characters with marks that combine with them, as one character of libedit's.
 *
 * libedit gives a mark no place of its own and loses it when it draws a line again. So a character
 * and its marks stand in its buffer as one code of a private plane, which takes one column like the
 * character itself; what libedit writes, and what is read from it, has the characters again. */

#include <stdbool.h>
#include <stdio.h>
#include <wchar.h>

/* As many as differ in a session; further marks are left to libedit. */
#define CLUSTERS_MAX 1024

/* The longest: a character and its marks. */
#define CLUSTER_LENGTH_MAX 8

struct clusters {
    size_t count;
    wchar_t list[CLUSTERS_MAX][CLUSTER_LENGTH_MAX + 1];
    FILE *terminal;
};

/* Whether the character is a mark that combines with the one before it. */
bool cluster_is_mark(wchar_t character);

/* The code for a character (or the code of one with marks) with one more mark; 0: it gets none, as
 * wide ones and controls do, and when the table is full. */
wchar_t cluster_add(struct clusters *clusters, wchar_t base, wchar_t mark);

/* The characters that a code stands for, or NULL: it is none. */
const wchar_t *cluster_find(const struct clusters *clusters, wchar_t code);

/* Puts codes into a text in place, in the place of characters with marks. */
void clusters_pack(struct clusters *clusters, wchar_t *text);

/* A stream that writes to the terminal, the codes as what they stand for. NULL: out of memory. */
FILE *clusters_open(struct clusters *clusters, FILE *terminal);
