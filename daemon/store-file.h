#pragma once

/* Whether a file is the one that was opened, or somebody has deleted or replaced it. */

#include <stdbool.h>
#include <stdint.h>

/* Which file it is, whatever its name. */
struct store_file {
    uint32_t major, minor;
    uint64_t inode;
};

/* Which file is at `path`. 0 or a negative errno. */
int store_file_identify(const char *path, struct store_file *ret);

bool store_file_is_same(const char *path, const struct store_file *noted);
