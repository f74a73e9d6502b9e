#pragma once

/* Whether a text has all words that somebody looks for, by the rules of the index of words: case
 * and accents do not matter, what is neither letter nor digit parts words. */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"

struct match;

/* Words are parted by blanks; one that ends with * is a beginning; one with several parts
 * ("well-known") wants them side by side; one without letters and digits is looked for as it is.
 * `database` must live longer. 0; -EINVAL: no words, too many, or too long ones; -ENOMEM. */
int match_new(sqlite3 *database, const char *words, struct match **ret);
void match_free(struct match *match); /* NULL is allowed */

/* 1: it has them all; 0; or a negative errno. */
int match_text(struct match *match, const char *text, size_t size);

/* What to ask the index for: it answers with all texts that match, and some that do not. NULL: it
 * cannot help. */
const char *match_query(const struct match *match);

DEFINE_CLEANUP(struct match *, match_free);
