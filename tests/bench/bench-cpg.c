/* What the ring is compared with: own delivery by Corosync's closed process groups. */

#include "bench.h"

#include <corosync/cpg.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* A daemon that has just been started takes calls only once it is in a ring. */
#define FORMING_USEC 30e6

struct group {
    const struct bench_options *options;
    cpg_handle_t handle;
    size_t members;
    size_t in_flight, first;
    double *begun; /* of the messages in flight, a circle */
    uint64_t delivered;
    struct samples latency;
};

static const struct cpg_name group_name = {.length = 9, .value = "ringbench"};

static void on_message(cpg_handle_t handle, const struct cpg_name *name, uint32_t node,
                       uint32_t pid, void *message, size_t size)
{
    struct group *group = NULL;

    (void)name, (void)node, (void)message, (void)size;
    cpg_context_get(handle, (void **)&group);
    if (pid != (uint32_t)getpid())
        return;
    samples_add(&group->latency, now_usec() - group->begun[group->first]);
    group->first = (group->first + 1) % group->options->pipeline;
    group->in_flight--;
    group->delivered++;
}

static void on_members(cpg_handle_t handle, const struct cpg_name *name,
                       const struct cpg_address *members, size_t count,
                       const struct cpg_address *left, size_t left_count,
                       const struct cpg_address *joined, size_t joined_count)
{
    struct group *group = NULL;

    (void)name, (void)members, (void)left, (void)left_count, (void)joined, (void)joined_count;
    cpg_context_get(handle, (void **)&group);
    group->members = count;
}

/* Takes what has come; waits for it when there is none. */
static void dispatch(struct group *group, int timeout)
{
    struct pollfd wait = {.events = POLLIN};

    if (cpg_fd_get(group->handle, &wait.fd) != CS_OK)
        die("cpg: no descriptor");
    poll(&wait, 1, timeout);
    if (cpg_dispatch(group->handle, CS_DISPATCH_ALL) != CS_OK)
        die("cpg: the daemon is gone");
}

static void join(struct group *group)
{
    cpg_model_v1_data_t model = {.cpg_deliver_fn = on_message, .cpg_confchg_fn = on_members};
    double end = now_usec() + FORMING_USEC;
    cs_error_t result;

    while ((result = cpg_model_initialize(&group->handle, CPG_MODEL_V1, (cpg_model_data_t *)&model,
                                          group)) != CS_OK &&
           now_usec() < end)
        poll(NULL, 0, 10);
    while (result == CS_OK && (result = cpg_join(group->handle, &group_name)) == CS_ERR_TRY_AGAIN &&
           now_usec() < end)
        poll(NULL, 0, 10);
    while (result == CS_OK && group->members < group->options->nodes && now_usec() < end)
        dispatch(group, 100);
    if (group->members < group->options->nodes)
        die("cpg: %zu of %zu members (%d)", group->members, group->options->nodes, (int)result);
}

/* False: the daemon's queue is full. */
static bool send_one(struct group *group, struct iovec *message)
{
    double now = now_usec();
    cs_error_t result = cpg_mcast_joined(group->handle, CPG_TYPE_AGREED, message, 1);

    if (result == CS_ERR_TRY_AGAIN)
        return false;
    if (result != CS_OK)
        die("cpg: cannot send (%d)", (int)result);
    group->begun[(group->first + group->in_flight) % group->options->pipeline] = now;
    group->in_flight++;
    return true;
}

void bench_cpg(const struct bench_options *options)
{
    struct group group = {.options = options, .begun = calloc(options->pipeline, sizeof(double))};
    struct iovec message = {.iov_base = calloc(1, options->size), .iov_len = options->size};
    double begin, end;

    if (!group.begun || !message.iov_base)
        die("no memory");
    samples_init(&group.latency);
    join(&group);
    begin = now_usec();
    end = begin + options->seconds * 1e6;
    while (now_usec() < end) {
        while (group.in_flight < options->pipeline && send_one(&group, &message))
            ;
        dispatch(&group, 1);
    }
    while (group.in_flight > 0)
        dispatch(&group, 100);
    printf("{\"bench\": \"cpg\", \"size\": %zu, \"messages\": %llu, \"rate\": %.0f", options->size,
           (unsigned long long)group.delivered,
           (double)group.delivered / (now_usec() - begin) * 1e6);
    samples_print(&group.latency, "ack_usec");
    puts("}");
    samples_done(&group.latency);
    cpg_finalize(group.handle);
    free(group.begun);
    free(message.iov_base);
}
