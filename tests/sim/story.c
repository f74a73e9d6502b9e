/* Stories: short scripts whose whole trace is kept as text. A line is a command; see the functions.
 * Times are even, so that the traces can be read: 100 µs a hop, 1 ms a commit. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

#define AWAIT_MAX (20 * USEC_PER_SEC)

#define WORDS_MAX 12

struct line {
    unsigned number;
    size_t count;
    char *words[WORDS_MAX];
};

static void bad_line(const struct line *line, const char *what)
{
    fprintf(stderr, "line %u: %s\n", line->number, what);
    exit(2);
}

static long number_at(const struct line *line, size_t at)
{
    char *end;
    long number;

    if (at >= line->count)
        bad_line(line, "a number is missing");
    number = strtol(line->words[at], &end, 10);
    if (*end)
        bad_line(line, "not a number");
    return number;
}

static struct node *node_at(struct sim *sim, const struct line *line, size_t at)
{
    long number = number_at(line, at);

    if (number < 0 || (size_t)number >= sim->nodes_count)
        bad_line(line, "no such node");
    return &sim->nodes[number];
}

/* ---- waiting ---- */

/* Whether exactly these nodes are one live ring. */
static bool are_ring(const struct sim *sim, const bool *wanted)
{
    const struct ring_view *first = NULL;
    size_t count = 0;

    for (size_t i = 0; i < sim->nodes_count; i++)
        count += wanted[i];
    for (size_t i = 0; i < sim->nodes_count; i++) {
        const struct node *node = &sim->nodes[i];
        struct ring_status status;

        if (!wanted[i])
            continue;
        if (!node->running || node->paused)
            return false;
        ring_get_status(node->ring, &status);
        first = first ? first : ring_get_view(node->ring);
        if (status.phase != RING_LIVE || ring_get_view(node->ring)->count != count ||
            ring_get_view(node->ring)->formation.tag != first->formation.tag)
            return false;
    }
    return true;
}

/* await N…: until these are one ring. */
static void await(struct sim *sim, const struct line *line)
{
    uint64_t end = sim->now + AWAIT_MAX;
    bool wanted[NODES_MAX] = {false};

    for (size_t i = 1; i < line->count; i++)
        wanted[node_at(sim, line, i)->number] = true;
    while (!sim->failed && sim->now < end && !are_ring(sim, wanted))
        sim_run(sim, sim->now + 1000);
    if (!sim->failed && !are_ring(sim, wanted))
        sim_fail(sim, "story", "line %u: they do not become one ring", line->number);
}

/* run MS */
static void run(struct sim *sim, const struct line *line)
{
    sim_run(sim, sim->now + (uint64_t)number_at(line, 1) * USEC_PER_MSEC);
}

/* ---- what people do ---- */

/* start N */
static void start(struct sim *sim, const struct line *line)
{
    node_start(sim, node_at(sim, line, 1));
}

/* send N [TIMES] */
static void send(struct sim *sim, const struct line *line)
{
    long times = line->count > 2 ? number_at(line, 2) : 1;

    for (long i = 0; i < times && !sim->failed; i++)
        node_send_message(sim, node_at(sim, line, 1));
}

/* elect N TARGET, leave N, join N, refresh N */
static void command(struct sim *sim, const struct line *line)
{
    static const struct {
        const char *name;
        enum ring_command command;
    } commands[] = {{"elect", RING_ELECT},
                    {"leave", RING_LEAVE},
                    {"join", RING_JOIN},
                    {"refresh", RING_REFRESH}};
    struct node *node = node_at(sim, line, 1);

    for (size_t i = 0; i < ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, line->words[0]) == 0)
            node_command(sim, node, commands[i].command,
                         line->count > 2 ? (uint64_t)node_at(sim, line, 2)->number : 0);
    }
}

/* ---- what happens to them ---- */

static void kill_node(struct sim *sim, const struct line *line)
{
    node_crash(sim, node_at(sim, line, 1), false);
}

static void power(struct sim *sim, const struct line *line)
{
    node_crash(sim, node_at(sim, line, 1), true);
}

static void pause_node(struct sim *sim, const struct line *line)
{
    node_pause(sim, node_at(sim, line, 1));
}

static void resume(struct sim *sim, const struct line *line)
{
    node_resume(sim, node_at(sim, line, 1));
}

static void hang(struct sim *sim, const struct line *line)
{
    disk_hang(sim, node_at(sim, line, 1));
}

static void unhang(struct sim *sim, const struct line *line)
{
    disk_go_on(sim, node_at(sim, line, 1));
}

/* split A… / B…: the two groups hear nothing of each other. */
static void split(struct sim *sim, const struct line *line)
{
    bool second[NODES_MAX] = {false};
    bool behind = false;

    for (size_t i = 1; i < line->count; i++) {
        if (strcmp(line->words[i], "/") == 0)
            behind = true;
        else
            second[node_at(sim, line, i)->number] = behind;
    }
    sim_trace(sim, "the network is split");
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = second[i] != second[k];
    }
}

/* cut A B: what A sends does not come to B. */
static void cut(struct sim *sim, const struct line *line)
{
    int from = node_at(sim, line, 1)->number, to = node_at(sim, line, 2)->number;

    sim_trace(sim, "what %d sends to %d is lost", from, to);
    sim->cut[from][to] = true;
}

static void heal(struct sim *sim, const struct line *line)
{
    (void)line;
    sim_trace(sim, "the network is whole");
    memset(sim->cut, 0, sizeof(sim->cut));
}

/* clock N SECONDS: the wall clock is that much ahead from now on. */
static void clock_step(struct sim *sim, const struct line *line)
{
    struct node *node = node_at(sim, line, 1);

    sim_trace(sim, "%d: the clock is set %ld s off", node->number, number_at(line, 2));
    node->clock_skew = number_at(line, 2) * (int64_t)USEC_PER_SEC;
}

/* retain N MS: the node keeps the last so many ms of the history. */
static void retain(struct sim *sim, const struct line *line)
{
    node_retain(sim, node_at(sim, line, 1), (int64_t)number_at(line, 2) * USEC_PER_MSEC);
}

/* backup N, and later restore N */
static void backup(struct sim *sim, const struct line *line)
{
    disk_back_up_or_restore(sim, node_at(sim, line, 1));
}

/* clone N M: node N gets a copy of node M's disk, and its identity with it. */
static void clone(struct sim *sim, const struct line *line)
{
    struct node *node = node_at(sim, line, 1), *original = node_at(sim, line, 2);

    sim_trace(sim, "%d: gets a copy of %d's state directory", node->number, original->number);
    disk_free(&node->disk);
    disk_copy(&node->disk, &original->disk);
    node->identity = original->number;
}

/* when N sends FRAME kill|pause|power M: once. */
static void when(struct sim *sim, const struct line *line)
{
    if (line->count != 6)
        bad_line(line, "when N sends FRAME kill|pause|power M");
    sim->trap = (struct trap){.node = node_at(sim, line, 1)->number,
                              .victim = node_at(sim, line, 5)->number,
                              .kind = line->words[4][0] == 'k'   ? TRAP_KILL
                                      : line->words[4][1] == 'a' ? TRAP_PAUSE
                                                                 : TRAP_POWER};
    snprintf(sim->trap.frame, sizeof(sim->trap.frame), "%s", line->words[3]);
}

/* ---- the story ---- */

/* end: it is healed, at rest, and everything holds. `end except N`: of a clone nothing is asked. */
static void end(struct sim *sim, const struct line *line)
{
    (void)line;
    sim_run(sim, sim->now + 3 * USEC_PER_SEC);
    if (!sim->failed)
        checkers_ended(sim);
}

static const struct {
    const char *name;
    void (*play)(struct sim *sim, const struct line *line);
} verbs[] = {
    {"start", start},    {"await", await},      {"run", run},          {"send", send},
    {"elect", command},  {"leave", command},    {"join", command},     {"refresh", command},
    {"kill", kill_node}, {"power", power},      {"pause", pause_node}, {"resume", resume},
    {"hang", hang},      {"unhang", unhang},    {"split", split},      {"cut", cut},
    {"heal", heal},      {"clock", clock_step}, {"backup", backup},    {"restore", backup},
    {"retain", retain},  {"clone", clone},      {"when", when},        {"end", end},
};

static void play_line(struct sim *sim, struct line *line)
{
    if (strcmp(line->words[0], "nodes") == 0) {
        long nodes = number_at(line, 1);

        if (nodes < 1 || nodes > NODES_MAX)
            bad_line(line, "1 to 256 nodes");
        sim_begin_story(sim, (size_t)nodes);
        return;
    }
    if (sim->nodes_count == 0)
        bad_line(line, "a story begins with: nodes N");
    for (size_t i = 0; i < ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].name, line->words[0]) == 0) {
            verbs[i].play(sim, line);
            return;
        }
    }
    bad_line(line, "no such command");
}

bool story_play(struct sim *sim, const char *path)
{
    FILE *file = fopen(path, "re");
    struct line line = {0};
    char text[300];

    check(file != NULL);
    while (!sim->failed && fgets(text, sizeof(text), file)) {
        char *rest = text;

        line.number++;
        text[strcspn(text, "\n")] = '\0';
        if (text[0] == '#') {
            printf("%s\n", text);
            continue;
        }
        line.count = 0;
        for (char *word; (word = strsep(&rest, " ")) && line.count < WORDS_MAX;) {
            if (*word)
                line.words[line.count++] = word;
        }
        if (line.count > 0)
            play_line(sim, &line);
    }
    fclose(file);
    return !sim->failed;
}
