/* Stories: short scripts whose whole trace is kept as text (tests/golden). A line is a command,
 * told at its function. Times are even, so that the traces can be read: 100 µs a hop, 1 ms a
 * commit. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "sim.h"

#define AWAIT_MAX (20 * USEC_PER_SEC)

#define WORDS_MAX 80

/* Of a message where the story does not say. */
#define TEXT_BYTES 20

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

static bool word_is(const struct line *line, size_t at, const char *word)
{
    return at < line->count && strcmp(line->words[at], word) == 0;
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

/* await N… [within MS]: until exactly these are one ring. */
static void await(struct sim *sim, const struct line *line)
{
    bool within = line->count > 3 && word_is(line, line->count - 2, "within");
    uint64_t end = sim->now + (within ? (uint64_t)number_at(line, line->count - 1) * USEC_PER_MSEC
                                      : AWAIT_MAX);
    bool wanted[NODES_MAX] = {false};

    for (size_t i = 1; i < line->count - (within ? 2 : 0); i++)
        wanted[node_at(sim, line, i)->number] = true;
    while (!sim->failed && sim->now < end && !are_ring(sim, wanted))
        sim_run(sim, sim->now + 100);
    if (!sim->failed && !are_ring(sim, wanted))
        sim_fail(sim, "story", "line %u: they do not become one ring", line->number);
}

/* run MS */
static void run(struct sim *sim, const struct line *line)
{
    sim_run(sim, sim->now + (uint64_t)number_at(line, 1) * USEC_PER_MSEC);
}

/* ---- what people do ---- */

/* start N… */
static void start(struct sim *sim, const struct line *line)
{
    for (size_t i = 1; i < line->count; i++)
        node_start(sim, node_at(sim, line, i));
}

/* send N [TIMES [BYTES]] */
static void send(struct sim *sim, const struct line *line)
{
    long times = line->count > 2 ? number_at(line, 2) : 1;
    long bytes = line->count > 3 ? number_at(line, 3) : TEXT_BYTES;

    for (long i = 0; i < times && !sim->failed; i++)
        node_send_text(sim, node_at(sim, line, 1), (size_t)bytes);
}

/* elect N TARGET, leave N, join N, refresh N, relay N */
static void command(struct sim *sim, const struct line *line)
{
    static const struct {
        const char *name;
        enum ring_command command;
    } commands[] = {{"elect", RING_ELECT},
                    {"leave", RING_LEAVE},
                    {"join", RING_JOIN},
                    {"refresh", RING_REFRESH},
                    {"relay", RING_RELAY}};
    struct node *node = node_at(sim, line, 1);

    for (size_t i = 0; i < ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, line->words[0]) == 0)
            node_command(sim, node, commands[i].command,
                         line->count > 2 ? (uint64_t)node_at(sim, line, 2)->number : 0);
    }
}

/* import N MESSAGE FROM: node N is given that message, as node FROM has it on its disk. */
static void import(struct sim *sim, const struct line *line)
{
    const struct disk *disk = &node_at(sim, line, 3)->disk;
    long message = number_at(line, 2);

    for (size_t i = 0; i < disk->count; i++) {
        if (disk->messages[i].number == message)
            node_import(sim, node_at(sim, line, 1), &disk->messages[i]);
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

/* resume N [inputs]: what has arrived comes before a late timer, else behind it. */
static void resume(struct sim *sim, const struct line *line)
{
    sim->inputs_first = word_is(line, 2, "inputs");
    node_resume(sim, node_at(sim, line, 1));
}

/* suspend N, wake N: the whole host, with its monotonic clock. */
static void suspend(struct sim *sim, const struct line *line)
{
    node_suspend(sim, node_at(sim, line, 1));
}

static void wake(struct sim *sim, const struct line *line)
{
    node_wake(sim, node_at(sim, line, 1));
}

static void hang(struct sim *sim, const struct line *line)
{
    disk_hang(sim, node_at(sim, line, 1));
}

static void unhang(struct sim *sim, const struct line *line)
{
    disk_go_on(sim, node_at(sim, line, 1));
}

/* split A… / B… [/ C…]: the groups hear nothing of each other. */
static void split(struct sim *sim, const struct line *line)
{
    unsigned part[NODES_MAX] = {0}, parts = 0;

    for (size_t i = 1; i < line->count; i++) {
        if (word_is(line, i, "/"))
            parts++;
        else
            part[node_at(sim, line, i)->number] = parts;
    }
    sim_trace(sim, "the network is split");
    for (size_t i = 0; i < sim->nodes_count; i++) {
        for (size_t k = 0; k < sim->nodes_count; k++)
            sim->cut[i][k] = part[i] != part[k];
    }
}

/* break N: every write fails from now on. */
static void break_disk(struct sim *sim, const struct line *line)
{
    disk_break(sim, node_at(sim, line, 1));
}

/* lose PERCENT: so many datagrams are lost. */
static void lose(struct sim *sim, const struct line *line)
{
    sim->datagram_loss = (unsigned)number_at(line, 1);
}

/* reset A B: the connections between them. */
static void reset(struct sim *sim, const struct line *line)
{
    network_reset_between(sim, node_at(sim, line, 1), node_at(sim, line, 2));
}

/* rename N, move N: the host has another name, or address, when its daemon starts again. */
static void rename_node(struct sim *sim, const struct line *line)
{
    node_at(sim, line, 1)->renamed++;
}

static void move(struct sim *sim, const struct line *line)
{
    node_at(sim, line, 1)->moved++;
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

/* slow N: long times in its settings. disk N MS: a commit takes so long there. */
static void slow(struct sim *sim, const struct line *line)
{
    node_set_slow(sim, node_at(sim, line, 1));
}

/* hops MS: what a frame takes to the next node, from now on. */
static void hops(struct sim *sim, const struct line *line)
{
    sim->hop_usec = (uint64_t)number_at(line, 1) * USEC_PER_MSEC;
}

static void disk(struct sim *sim, const struct line *line)
{
    node_at(sim, line, 1)->commit_usec = (uint64_t)number_at(line, 2) * USEC_PER_MSEC;
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
    sim->classes[FAULT_CLONE] = true;
}

/* when N sends|takes [K-th] FRAME kill|power|pause|cut|reset M: once. */
static void when(struct sim *sim, const struct line *line)
{
    static const char *const kinds[] = {[TRAP_KILL] = "kill",
                                        [TRAP_POWER] = "power",
                                        [TRAP_PAUSE] = "pause",
                                        [TRAP_CUT] = "cut",
                                        [TRAP_RESET] = "reset"};
    size_t at = line->count == 7 ? 4 : 3;
    struct trap trap = {.node = node_at(sim, line, 1)->number};

    if (line->count < 6 || line->count > 7)
        bad_line(line, "when N sends|takes [K] FRAME kill|power|pause|cut|reset M");
    trap.takes = word_is(line, 2, "takes");
    trap.skip = line->count == 7 ? (unsigned)number_at(line, 3) - 1 : 0;
    trap.victim = node_at(sim, line, at + 2)->number;
    snprintf(trap.frame, sizeof(trap.frame), "%s", line->words[at]);
    for (enum trap_kind kind = TRAP_KILL; kind <= TRAP_RESET; kind++) {
        if (word_is(line, at + 1, kinds[kind]))
            trap.kind = kind;
    }
    if (trap.kind == TRAP_NONE || !trap_set(sim, &trap))
        bad_line(line, "no such trap, or too many");
}

/* ---- what must be so ---- */

static bool message_is(const struct sim *sim, long number, const char *state)
{
    const struct sent *sent = &sim->messages[number];

    if (strcmp(state, "acknowledged") == 0)
        return sent->acknowledged;
    if (strcmp(state, "accepted") == 0)
        return sent->accepted && !sent->acknowledged;
    if (strcmp(state, "refused") == 0)
        return sent->refused;
    if (strcmp(state, "failed") == 0)
        return sent->answers > 0 && !sent->acknowledged && !sent->refused;
    return strcmp(state, "unanswered") == 0 && sent->answers == 0 && !sent->accepted;
}

static bool node_is(const struct node *node, const struct line *line)
{
    const struct ring_view *view = ring_get_view(node->ring);
    struct ring_status status;

    ring_get_status(node->ring, &status);
    if (word_is(line, 3, "leads"))
        return view->leader == view->self && view->count == (size_t)number_at(line, 4);
    if (word_is(line, 3, "epoch"))
        return view->formation.epoch == (uint64_t)number_at(line, 4);
    if (word_is(line, 3, "links"))
        return status.links == (size_t)number_at(line, 4);
    if (word_is(line, 3, "alone"))
        return view->count == 1;
    if (word_is(line, 3, "cloned"))
        return status.cloned;
    if (word_is(line, 3, "stalled"))
        return status.phase == RING_STALLED;
    if (word_is(line, 3, "left"))
        return status.phase == RING_LEFT;
    if (word_is(line, 3, "has"))
        return node->seen[number_at(line, 4)];
    if (word_is(line, 3, "lacks"))
        return !node->seen[number_at(line, 4)];
    if (word_is(line, 3, "pruned"))
        return disk_had(&node->disk, (int)number_at(line, 4)) &&
               !disk_has(&node->disk, (int)number_at(line, 4));
    bad_line(line, "expect node N leads|epoch|links|alone|cloned|stalled|left|has|lacks|pruned …");
    return false;
}

/* expect message M acknowledged|accepted|refused|failed|unanswered
 * expect node N leads COUNT|epoch E|links COUNT|alone|cloned|stalled|left
 * expect node N has MESSAGE|lacks MESSAGE|pruned MESSAGE */
static void expect(struct sim *sim, const struct line *line)
{
    bool holds;

    if (line->count < 4)
        bad_line(line, "expect message M … or expect node N …");
    holds = word_is(line, 1, "message") ? message_is(sim, number_at(line, 2), line->words[3])
                                        : node_is(node_at(sim, line, 2), line);
    if (!holds)
        sim_fail(sim, "story", "line %u: it is not so", line->number);
}

/* ---- the story ---- */

/* quiet, loud: what happens in between is left out of the trace. */
static void quiet(struct sim *sim, const struct line *line)
{
    (void)line;
    sim_trace(sim, "…");
    sim->tracing = false;
}

static void loud(struct sim *sim, const struct line *line)
{
    (void)line;
    sim->tracing = true;
}

/* end [except N…]: at rest everything holds; of the exceptions nothing is asked. */
static void end(struct sim *sim, const struct line *line)
{
    for (size_t i = 2; i < line->count; i++)
        node_at(sim, line, i)->excepted = true;
    sim_run(sim, sim->now + 3 * USEC_PER_SEC);
    if (!sim->failed)
        checkers_ended(sim);
}

static const struct {
    const char *name;
    void (*play)(struct sim *sim, const struct line *line);
} verbs[] = {
    {"start", start},        {"await", await},      {"run", run},       {"send", send},
    {"elect", command},      {"leave", command},    {"join", command},  {"refresh", command},
    {"relay", command},      {"kill", kill_node},   {"power", power},   {"pause", pause_node},
    {"resume", resume},      {"suspend", suspend},  {"wake", wake},     {"hang", hang},
    {"unhang", unhang},      {"break", break_disk}, {"split", split},   {"cut", cut},
    {"lose", lose},          {"reset", reset},      {"heal", heal},     {"clock", clock_step},
    {"rename", rename_node}, {"move", move},        {"backup", backup}, {"restore", backup},
    {"retain", retain},      {"clone", clone},      {"when", when},     {"expect", expect},
    {"quiet", quiet},        {"loud", loud},        {"end", end},       {"slow", slow},
    {"disk", disk},          {"import", import},    {"hops", hops},
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

    if (!file) {
        perror(path);
        exit(2);
    }
    while (!sim->failed && fgets(text, sizeof(text), file)) {
        char *rest = text;

        line.number++;
        text[strcspn(text, "\n")] = '\0';
        if (text[0])
            printf("%s%s\n", text[0] == '#' ? "" : "> ", text);
        if (text[0] == '#')
            continue;
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
