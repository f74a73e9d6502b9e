/* sim [--scale | --fairness | --story FILE | --seeds N | --seeds A..B | --seed N] [--nodes N]
 * [--until-failure] [--trace]: plays seeds and tells which fail. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

#define EXIT_USAGE 2

struct options {
    uint64_t first, last; /* both included */
    size_t nodes;         /* 0: as the seed has it */
    bool trace;
    bool until_failure;
    bool scale, fairness;
    const char *story;
};

struct totals {
    uint64_t clean, failed, acknowledgements, late, formations, formations_max;
    uint64_t *heal; /* of each clean seed, µs */
};

static bool parse_seeds(const char *text, struct options *options)
{
    unsigned long long first, last;
    int end = 0;

    if (sscanf(text, "%llu..%llu%n", &first, &last, &end) == 2 && text[end] == '\0') {
        options->first = first;
        options->last = last;
        return first <= last;
    }
    options->first = 1;
    options->last = strtoull(text, NULL, 10);
    return options->last > 0;
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {{"seeds", required_argument, NULL, 's'},
                                                 {"seed", required_argument, NULL, 'o'},
                                                 {"nodes", required_argument, NULL, 'n'},
                                                 {"trace", no_argument, NULL, 't'},
                                                 {"until-failure", no_argument, NULL, 'u'},
                                                 {"scale", no_argument, NULL, 'c'},
                                                 {"fairness", no_argument, NULL, 'f'},
                                                 {"story", required_argument, NULL, 'y'},
                                                 {NULL, 0, NULL, 0}};
    int option;

    *options = (struct options){.first = 1, .last = 500};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (option == 's' && !parse_seeds(optarg, options))
            return false;
        if (option == 'o')
            options->first = options->last = strtoull(optarg, NULL, 10);
        if (option == 'n')
            options->nodes = strtoull(optarg, NULL, 10);
        if (option == 't')
            options->trace = true;
        if (option == 'y')
            options->story = optarg;
        if (option == 'c')
            options->scale = true;
        if (option == 'f')
            options->fairness = true;
        if (option == 'u')
            options->until_failure = true;
        if (option == '?')
            return false;
    }
    return optind == argc && options->nodes <= NODES_MAX;
}

static void play(struct sim *sim, uint64_t seed, const struct options *options,
                 struct totals *totals)
{
    sim->tracing = options->trace;
    run_seed(sim, seed, options->nodes);
    if (sim->failed) {
        totals->failed++;
        printf("failed: sim --seed %llu%s --trace    # %s\n", (unsigned long long)seed,
               options->nodes ? " --nodes N" : "", sim->failure);
    } else {
        totals->heal[totals->clean++] = sim->heal_usec;
        totals->acknowledgements += sim->acknowledgements;
        totals->late += sim->late;
        totals->formations += sim->formations_after_heal;
        totals->formations_max =
            MAX(totals->formations_max, sim->formations_after_heal / sim->nodes_count);
    }
    sim_end(sim);
}

static int by_number(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return first < second ? -1 : first > second;
}

static void print_totals(const struct totals *totals, double seconds)
{
    uint64_t clean = totals->clean;

    qsort(totals->heal, clean, sizeof(*totals->heal), by_number);
    if (clean > 0)
        printf("healed to one ring in %.2f s (half), %.2f s (99 %%), %.2f s (all); %.1f formations "
               "a seed, at most %llu at each node; %llu acknowledgements, %llu late deliveries\n",
               (double)totals->heal[clean / 2] / 1e6, (double)totals->heal[clean * 99 / 100] / 1e6,
               (double)totals->heal[clean - 1] / 1e6, (double)totals->formations / (double)clean,
               (unsigned long long)totals->formations_max,
               (unsigned long long)totals->acknowledgements, (unsigned long long)totals->late);
    printf("%.0f seeds a second\n", (double)(clean + totals->failed) / (seconds + 1e-9));
    printf("%llu passed, %llu failed\n", (unsigned long long)clean,
           (unsigned long long)totals->failed);
}

static bool play_story(struct sim *sim, const char *path)
{
    bool good;

    sim->tracing = true;
    good = story_play(sim, path);
    sim->tracing = false;
    sim_end(sim);
    return good;
}

int main(int argc, char **argv)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    struct timespec begin, end;
    struct totals totals = {0};
    struct options options;

    check(sim != NULL);
    if (!parse(argc, argv, &options)) {
        fputs("sim [--scale] [--fairness] [--story FILE] [--seeds N|A..B] [--seed N] [--nodes "
              "1..256] [--until-failure] "
              "[--trace]\n",
              stderr);
        return EXIT_USAGE;
    }
    if (options.story || options.scale || options.fairness) {
        bool good = options.scale      ? measure_scale(sim)
                    : options.fairness ? measure_fairness(sim)
                                       : play_story(sim, options.story);

        free(sim);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    totals.heal = calloc(options.last - options.first + 1, sizeof(*totals.heal));
    check(totals.heal != NULL);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = options.first;
         seed <= options.last && !(options.until_failure && totals.failed > 0); seed++)
        play(sim, seed, &options, &totals);
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_totals(&totals,
                 (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    free(totals.heal);
    free(sim);
    return totals.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
