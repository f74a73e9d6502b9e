#pragma once

/* Completion, for the shells and for chat: everything comes from the tables of verbs and options,
 * and from the daemon. */

#include "context.h"

/* Prints what may stand for the last of the words, which were typed behind "ringchatctl": one
 * candidate a line, with a tab and a description where there is one; ":files" asks for the names of
 * files. Returns EXIT_DONE whatever happens: a line that cannot be completed is no error. */
int complete(struct context *context, int count, char **words);
