#pragma once

/* A check of the whole database in a thread of its own, beside everything else. */

#include <event2/event.h>

struct store_checker;

/* Begins to check the database at `path`, with a handle of its own. `done` is called from the loop,
 * once, with 0 or a code of SQLite. 0 or a negative errno. */
int store_checker_new(struct event_base *base, const char *path,
                      void (*done)(void *userdata, int result), void *userdata,
                      struct store_checker **ret);

/* Ends the check, finished or not. NULL is allowed. */
void store_checker_free(struct store_checker *checker);
