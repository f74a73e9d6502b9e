#pragma once

/* What a tail is shown from memory, held against what the database has. */

#include "daemon/history.h"

/* Reads what follows the position; and where that came from memory, once more from the database.
 * NULL, or what is wrong: they differ. */
const char *tail_paths_compare(struct history *history, const struct history_position *position,
                               size_t count, bool *ret_from_memory);
