#pragma once

/* A layer over SQLite's own file layer that remembers every write and every sync, so that the disk
 * can be shown as a loss of power would have left it at any of them; and that fails on demand. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes it SQLite's default, for files opened from now on; and takes that back, keeping the log. */
void fault_vfs_install(void);
void fault_vfs_remove(void);

/* Forgets everything. */
void fault_vfs_reset(void);

/* The writes, truncations, syncs and deletions so far; and the syncs of one file. */
size_t fault_vfs_count(void);
size_t fault_vfs_count_syncs(const char *name);

/* Puts the files of the log into `directory` as they are after a loss of power before operation
 * `cut`: what was not synced is there, or not, or in part (sectors of 512 bytes), by chance of
 * `seed`. Syncs of the files whose names match `lying` (a pattern as the shell has it; NULL: of
 * none) do nothing: a disk on which nothing can be promised. */
void fault_vfs_cut(size_t cut, uint64_t seed, const char *lying, const char *directory);

enum fault {
    FAULT_NONE,
    FAULT_WRITE, /* an I/O error */
    FAULT_FULL,  /* no space */
    FAULT_SYNC,  /* an I/O error when syncing */
    FAULT_READ,
};

/* From the `after`th operation of that kind on, all fail; or only those of the file with that name.
 */
void fault_vfs_fail(enum fault fault, size_t after);
void fault_vfs_fail_in(const char *name, enum fault fault, size_t after);
