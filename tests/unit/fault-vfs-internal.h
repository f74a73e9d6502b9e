#pragma once

/* What the layer remembers, and what is made of it when the power goes. */

#include <stdint.h>

#include "fault-vfs.h"

#define FILES_MAX 256

enum operation_type {
    OPERATION_CREATE, /* the next sync of this file is one of the directory too */
    OPERATION_NAME,   /* a creation without that */
    OPERATION_WRITE,
    OPERATION_TRUNCATE,
    OPERATION_SYNC,
    OPERATION_FAILED_SYNC, /* what it was of is never written, and reads as if it had been */
    OPERATION_DELETE,
};

struct operation {
    enum operation_type type;
    unsigned file;
    int64_t at; /* of a write; or the size after a truncation */
    size_t size;
    void *data;
    bool certain; /* on disk, in fault_vfs_cut() */
};

struct fault_log {
    struct operation *operations;
    size_t count;
    char *names[FILES_MAX];
    unsigned names_count;
};

extern struct fault_log fault_log;
