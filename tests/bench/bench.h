#pragma once

/* ringbench: loads for ringchatd and what it is compared with, one JSON object a result. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_MAX 64
#define SAMPLES_MAX 1000000

struct bench_options {
    const char *sockets[SOCKETS_MAX]; /* control sockets, the first is the first sender's */
    size_t sockets_count, senders, size, connections, pipeline, nodes;
    double seconds, rate;
    uint64_t count;
    const char *path;
};

/* Samples of µs, sorted when they are looked at. */
struct samples {
    size_t count;
    double *list; /* SAMPLES_MAX */
};

double now_usec(void);
void samples_init(struct samples *samples);
void samples_add(struct samples *samples, double usec);
/* `, "NAME": {"p50":…,"p99":…,"p999":…,"max":…}` in µs. */
void samples_print(struct samples *samples, const char *name);
void samples_done(struct samples *samples);

/* A sum of /proc/self's CPU time, µs. */
double own_cpu_usec(void);

/* Ends the program with what went wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* Each is one subcommand. */
void bench_flood(const struct bench_options *options);
void bench_latency(const struct bench_options *options);
void bench_tcp_ring(const struct bench_options *options);
void bench_sqlite(const struct bench_options *options);
void bench_cpg(const struct bench_options *options); /* with libcpg alone */
