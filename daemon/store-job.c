#include "store-job.h"

#include <stdlib.h>

void store_job_free(struct store_job *job)
{
    if (!job)
        return;
    if (job->type == STORE_JOB_WRITE)
        packet_unref(job->output.store.packet);
    for (size_t i = 0; i < job->count; i++)
        packet_unref(job->packets[i]);
    free(job->packets);
    free(job->pruned.intervals);
    free(job->error);
    free(job);
}

void store_jobs_init(struct store_jobs *jobs)
{
    jobs->first = NULL;
    jobs->last = &jobs->first;
}

void store_jobs_append(struct store_jobs *jobs, struct store_job *job)
{
    job->next = NULL;
    *jobs->last = job;
    jobs->last = &job->next;
}

struct store_job *store_jobs_take(struct store_jobs *jobs)
{
    struct store_job *first = jobs->first;

    store_jobs_init(jobs);
    return first;
}

void store_jobs_free(struct store_job *job)
{
    while (job) {
        struct store_job *next = job->next;

        store_job_free(job);
        job = next;
    }
}
