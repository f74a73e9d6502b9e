#pragma once

/* What the store's thread is asked to do, and lists of that. */

#include "store.h"

enum store_job_type {
    STORE_JOB_WRITE,
    STORE_JOB_FETCH,
    STORE_JOB_LATE,
    STORE_JOB_ROOMS,
    STORE_JOB_STEP, /* the thread's own */
};

/* Something to do, and then what came of it; so being told needs no memory. */
struct store_job {
    struct store_job *next;
    enum store_job_type type;
    struct ring_output output; /* a write's packet is the job's */
    bool late;                 /* the message written is, or will be, delivered late */
    struct message_key key;    /* STORE_JOB_LATE */

    ring_ticket ticket; /* of the completion: as the callbacks have it */
    bool failed;
    char *error;
    size_t count; /* what was fetched */
    struct packet **packets;
    struct store_pruned pruned; /* STORE_JOB_STEP */
};

/* NULL is allowed. */
void store_job_free(struct store_job *job);

/* First in, first out. */
struct store_jobs {
    struct store_job *first, **last;
};

void store_jobs_init(struct store_jobs *jobs);

/* Takes the job. */
void store_jobs_append(struct store_jobs *jobs, struct store_job *job);

/* Takes them all out: the first one. */
struct store_job *store_jobs_take(struct store_jobs *jobs);

/* The job and all after it. NULL is allowed. */
void store_jobs_free(struct store_job *job);
