/* ringbench flood|latency|tcp-ring|sqlite [OPTIONS]: see usage(). */

#include "bench.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void usage(void)
{
    fputs("ringbench flood --socket PATH… [--senders N] [--size BYTES] [--seconds S]\n"
          "                [--connections N] [--pipeline N]\n"
          "    acknowledged messages a second, sent through the first N sockets at once\n"
          "ringbench latency --socket PATH… [--size BYTES] [--count N] [--rate PER-SECOND]\n"
          "    time to the acknowledgement, and to the delivery at the slowest of all sockets;\n"
          "    one at a time, or at a rate\n"
          "ringbench tcp-ring [--nodes N] [--size BYTES] [--seconds S] [--pipeline N]\n"
          "    frames round a plain TCP ring on the loopback interface\n"
          "ringbench sqlite --path FILE [--size BYTES] [--count N] [--pipeline GROUP]\n"
          "    rows into a plain table, with two indexes, WAL, synchronous=FULL, GROUP a commit\n"
#ifdef WITH_CPG
          "ringbench cpg [--nodes N] [--size BYTES] [--seconds S] [--pipeline N]\n"
          "    own deliveries by this host's Corosync, once a group has N members\n"
#endif
          ,
          stderr);
    exit(2);
}

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

double now_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

double own_cpu_usec(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void samples_init(struct samples *samples)
{
    samples->count = 0;
    samples->list = calloc(SAMPLES_MAX, sizeof(*samples->list));
    if (!samples->list)
        die("no memory");
}

void samples_add(struct samples *samples, double usec)
{
    if (samples->count < SAMPLES_MAX)
        samples->list[samples->count++] = usec;
}

static int by_number(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return first < second ? -1 : first > second;
}

void samples_print(struct samples *samples, const char *name)
{
    size_t count = samples->count;

    qsort(samples->list, count, sizeof(*samples->list), by_number);
    printf(", \"%s\": {\"count\": %zu", name, count);
    if (count > 0)
        printf(", \"p50\": %.0f, \"p99\": %.0f, \"p999\": %.0f, \"max\": %.0f",
               samples->list[count / 2], samples->list[count * 99 / 100],
               samples->list[count * 999 / 1000], samples->list[count - 1]);
    putchar('}');
}

void samples_done(struct samples *samples)
{
    free(samples->list);
}

static void parse(int argc, char **argv, struct bench_options *options)
{
    static const struct option long_options[] = {{"socket", required_argument, NULL, 's'},
                                                 {"senders", required_argument, NULL, 'n'},
                                                 {"size", required_argument, NULL, 'z'},
                                                 {"seconds", required_argument, NULL, 't'},
                                                 {"connections", required_argument, NULL, 'c'},
                                                 {"pipeline", required_argument, NULL, 'p'},
                                                 {"nodes", required_argument, NULL, 'N'},
                                                 {"count", required_argument, NULL, 'C'},
                                                 {"rate", required_argument, NULL, 'r'},
                                                 {"path", required_argument, NULL, 'f'},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        double number = optarg ? strtod(optarg, NULL) : 0;

        if (option == 's' && options->sockets_count < SOCKETS_MAX)
            options->sockets[options->sockets_count++] = optarg;
        else if (option == 'n')
            options->senders = (size_t)number;
        else if (option == 'z')
            options->size = (size_t)number;
        else if (option == 't')
            options->seconds = number;
        else if (option == 'c')
            options->connections = (size_t)number;
        else if (option == 'p')
            options->pipeline = (size_t)number;
        else if (option == 'N')
            options->nodes = (size_t)number;
        else if (option == 'C')
            options->count = (uint64_t)number;
        else if (option == 'r')
            options->rate = number;
        else if (option == 'f')
            options->path = optarg;
        else
            usage();
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct bench_options *options);
        bool needs_sockets, needs_path;
    } benches[] = {{"flood", bench_flood, true, false},
                   {"latency", bench_latency, true, false},
                   {"tcp-ring", bench_tcp_ring, false, false},
#ifdef WITH_CPG
                   {"cpg", bench_cpg, false, false},
#endif
                   {"sqlite", bench_sqlite, false, true}};
    struct bench_options options = {.senders = 1,
                                    .size = 300,
                                    .seconds = 5,
                                    .connections = 4,
                                    .pipeline = 64,
                                    .nodes = 5,
                                    .count = 1000};

    if (argc < 2)
        usage();
    parse(argc - 1, argv + 1, &options);
    for (size_t i = 0; i < sizeof(benches) / sizeof(*benches); i++) {
        if (strcmp(benches[i].name, argv[1]) != 0)
            continue;
        if ((benches[i].needs_sockets && options.sockets_count == 0) ||
            (benches[i].needs_path && !options.path) || options.senders == 0 || options.size == 0)
            usage();
        benches[i].run(&options);
        return 0;
    }
    usage();
}
