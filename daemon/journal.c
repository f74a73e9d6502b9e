/* The fields are ours; where in the code a line was made says nothing to an operator. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/util.h"
#include "engine.h"
#include "journal-internal.h"
#include "journal-limit.h"

/* Lines that wait for the journal: a second of debug output under load. */
#define QUEUE_LINES_MAX 8192

#define VIEW_TEXT_MAX 64

/* How long the end waits for a journal that does not read. */
#define END_WAIT_SEC 1

static const char *const topic_names[TOPICS] = {
    [TOPIC_CHAT] = "chat",           [TOPIC_RING] = "ring",           [TOPIC_ELECTION] = "election",
    [TOPIC_HEARTBEAT] = "heartbeat", [TOPIC_DISCOVERY] = "discovery", [TOPIC_STORE] = "store",
    [TOPIC_CONTROL] = "control",     [TOPIC_SECURITY] = "security",
};

#define ALL_TOPICS ((1U << TOPICS) - 1)

/* The modes of the log. Texts of messages are logged only where the topic chat is named. */
static const struct mode {
    const char *name;
    unsigned topics;
} modes[] = {
    {"normal", 0},
    {"heartbeat", 1U << TOPIC_HEARTBEAT},
    {"debug", ALL_TOPICS & ~(1U << TOPIC_CHAT)},
};

static const struct journal_row rows[LINES] = {
#define LINE(name, topic, priority) [LINE_##name] = JOURNAL_ROW(name, topic, priority),
#include "journal-line.def"
#undef LINE
};

static const struct journal_row debug_rows[TOPICS] = {
    [TOPIC_CHAT] = JOURNAL_ROW(, chat, DEBUG),
    [TOPIC_RING] = JOURNAL_ROW(, ring, DEBUG),
    [TOPIC_ELECTION] = JOURNAL_ROW(, election, DEBUG),
    [TOPIC_HEARTBEAT] = JOURNAL_ROW(, heartbeat, DEBUG),
    [TOPIC_DISCOVERY] = JOURNAL_ROW(, discovery, DEBUG),
    [TOPIC_STORE] = JOURNAL_ROW(, store, DEBUG),
    [TOPIC_CONTROL] = JOURNAL_ROW(, control, DEBUG),
    [TOPIC_SECURITY] = JOURNAL_ROW(, security, DEBUG),
};

/* Where and when a line belongs. */
struct context {
    uint64_t epoch;
    char view[VIEW_TEXT_MAX], leader[NAME_BYTES_MAX + 1];
};

struct line {
    struct line *next;
    const struct journal_row *row;
    char *text, *peer;
    struct context context;
};

struct journal {
    bool to_journal;
    unsigned topics; /* those that are logged in full */
    struct context context;
    struct journal_limit limit;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    bool stopping;
    struct context dropped_context; /* of the last line that was dropped */
    struct line *first, **last;
    size_t count, dropped;
};

/* ---- the thread ---- */

static void line_free(struct line *line)
{
    free(line->text);
    free(line->peer);
    free(line);
}

static void write_text(const struct journal_row *row, const char *text)
{
    dprintf(STDERR_FILENO, "%s: %s\n", topic_names[row->topic], text);
}

static void write_fields(const struct journal_row *row, const struct context *context,
                         const char *peer, const char *text)
{
    /* The list ends at the first NULL. */
    const char *id = row->message_id, *end = peer ? "RINGCHAT_PEER=%s" : NULL;

    sd_journal_send("MESSAGE=%s", text, "PRIORITY=%i", row->priority, "RINGCHAT_TOPIC=%s",
                    topic_names[row->topic], "RINGCHAT_EPOCH=%llu",
                    (unsigned long long)context->epoch, "RINGCHAT_VIEW=%s", context->view,
                    "RINGCHAT_LEADER=%s", context->leader, id ? "MESSAGE_ID=%s" : end,
                    id ? id : peer, id ? end : NULL, peer, NULL);
}

/* Takes all that waits; NULL: the journal is being closed. */
static struct line *take_lines(struct journal *journal, size_t *ret_dropped,
                               struct context *ret_context)
{
    struct line *lines;

    pthread_mutex_lock(&journal->mutex);
    while (!journal->first && !journal->stopping)
        pthread_cond_wait(&journal->work, &journal->mutex);
    lines = journal->first;
    journal->first = NULL;
    journal->last = &journal->first;
    journal->count = 0;
    *ret_dropped = journal->dropped;
    *ret_context = journal->dropped_context;
    journal->dropped = 0;
    pthread_mutex_unlock(&journal->mutex);
    return lines;
}

static void write_line(const struct journal *journal, const struct journal_row *row,
                       const struct context *context, const char *peer, const char *text)
{
    if (journal->to_journal)
        write_fields(row, context, peer, text);
    else
        write_text(row, text);
}

static void write_dropped(const struct journal *journal, size_t dropped,
                          const struct context *context)
{
    char text[64];

    snprintf(text, sizeof(text), "%zu lines of the log were dropped", dropped);
    write_line(journal, &rows[LINE_LINES_DROPPED], context, NULL, text);
}

static void *journal_thread(void *userdata)
{
    struct journal *journal = userdata;
    struct context context;
    struct line *line;
    size_t dropped;

    while ((line = take_lines(journal, &dropped, &context)) != NULL) {
        while (line) {
            struct line *next = line->next;

            write_line(journal, line->row, &line->context, line->peer, line->text);
            line_free(line);
            line = next;
        }
        if (dropped)
            write_dropped(journal, dropped, &context);
    }
    return NULL;
}

/* ---- the loop ---- */

/* Whether stderr is the journal: see JOURNAL_STREAM in systemd.exec(5). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

struct journal *journal_new(void)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (!journal)
        return NULL;
    journal->to_journal = stderr_is_journal();
    journal->last = &journal->first;
    pthread_mutex_init(&journal->mutex, NULL);
    pthread_cond_init(&journal->work, NULL);
    if (pthread_create(&journal->thread, NULL, journal_thread, journal) != 0) {
        journal_free(journal);
        return NULL;
    }
    journal->running = true;
    return journal;
}

/* False: the journal does not read, and the thread is left to the end of the process. */
static bool end_thread(struct journal *journal)
{
    struct timespec until;

    pthread_mutex_lock(&journal->mutex);
    journal->stopping = true;
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->mutex);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_WAIT_SEC;
    return pthread_timedjoin_np(journal->thread, NULL, &until) == 0;
}

void journal_free(struct journal *journal)
{
    if (!journal || (journal->running && !end_thread(journal)))
        return;
    pthread_mutex_destroy(&journal->mutex);
    pthread_cond_destroy(&journal->work);
    free(journal);
}

static int parse_word(const char *word, size_t size, unsigned *topics)
{
    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        if (strlen(modes[i].name) == size && strncmp(modes[i].name, word, size) == 0) {
            *topics |= modes[i].topics;
            return 0;
        }
    }
    for (unsigned i = 0; i < TOPICS; i++) {
        if (strlen(topic_names[i]) == size && strncmp(topic_names[i], word, size) == 0) {
            *topics |= 1U << i;
            return 0;
        }
    }
    return -EINVAL;
}

int journal_set_topics(struct journal *journal, const char *topics)
{
    const char *separators = " \t,";
    unsigned set = 0;

    for (const char *at = topics + strspn(topics, separators); *at;) {
        size_t size = strcspn(at, separators);

        if (parse_word(at, size, &set) < 0)
            return -EINVAL;
        at += size;
        at += strspn(at, separators);
    }
    journal->topics = set;
    return 0;
}

char *journal_get_topics(const struct journal *journal)
{
    char *text = NULL;
    size_t size;
    FILE *out;

    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        if (modes[i].topics == journal->topics)
            return strdup(modes[i].name);
    }
    out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (unsigned i = 0; i < TOPICS; i++) {
        if (journal->topics & 1U << i)
            fprintf(out, "%s%s", ftell(out) > 0 ? " " : "", topic_names[i]);
    }
    fclose(out);
    return text;
}

bool journal_wants(const struct journal *journal, enum topic topic, int priority)
{
    return priority <= LOG_INFO || journal->topics & 1U << topic;
}

static void copy_text(char *place, size_t capacity, const char *text)
{
    snprintf(place, capacity, "%s", text ? text : "");
}

void journal_set_context(struct journal *journal, const struct journal_context *context)
{
    journal->context.epoch = context->epoch;
    copy_text(journal->context.view, VIEW_TEXT_MAX, context->view);
    copy_text(journal->context.leader, NAME_BYTES_MAX + 1, context->leader);
}

static void enqueue(struct journal *journal, struct line *line)
{
    pthread_mutex_lock(&journal->mutex);
    if (journal->count < QUEUE_LINES_MAX) {
        *journal->last = line;
        journal->last = &line->next;
        journal->count++;
        line = NULL;
        pthread_cond_signal(&journal->work);
    } else {
        journal->dropped++;
        journal->dropped_context = line->context;
    }
    pthread_mutex_unlock(&journal->mutex);
    if (line)
        line_free(line);
}

/* FNV-1a of the kind of line and the peer: what repeats itself. */
static uint64_t limit_key(const struct journal_row *row, const char *peer)
{
    uint64_t hash = 0xcbf29ce484222325 ^ (uint64_t)(uintptr_t)row;

    for (const char *at = peer ? peer : ""; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    return hash * 0x100000001b3;
}

/* Takes over `text`, which may be NULL. */
static void add_line(struct journal *journal, const struct journal_row *row, const char *peer,
                     char *text)
{
    struct line *line = text ? calloc(1, sizeof(*line)) : NULL;

    if (!line) {
        free(text);
        return;
    }
    line->row = row;
    line->context = journal->context;
    line->peer = peer ? strdup(peer) : NULL;
    line->text = text;
    enqueue(journal, line);
}

void journal_write(struct journal *journal, const struct journal_row *row, const char *peer,
                   const char *format, va_list arguments)
{
    char *text;

    if (!journal_wants(journal, row->topic, row->priority))
        return;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    if (row->priority == LOG_DEBUG ||
        journal_limit_pass(&journal->limit, limit_key(row, peer), text, engine_monotonic()))
        add_line(journal, row, peer, text);
    else
        free(text);
}

void journal_write_peer(struct journal *journal, const struct journal_row *row, const char *peer,
                        const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    journal_write(journal, row, peer, format, arguments);
    va_end(arguments);
}

void journal_log(struct journal *journal, enum journal_line line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    journal_write(journal, &rows[line], NULL, format, arguments);
    va_end(arguments);
}

void journal_log_peer(struct journal *journal, enum journal_line line, const char *peer,
                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    journal_write(journal, &rows[line], peer, format, arguments);
    va_end(arguments);
}

void journal_debug(struct journal *journal, enum topic topic, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    journal_write(journal, &debug_rows[topic], NULL, format, arguments);
    va_end(arguments);
}

void journal_tick(struct journal *journal)
{
    const char *like;
    size_t left_out;

    while (journal_limit_report(&journal->limit, engine_monotonic(), &left_out, &like)) {
        char *text;

        if (asprintf(&text, "%zu more lines like this were left out: %s", left_out, like) >= 0)
            add_line(journal, &rows[LINE_LINES_ALIKE], NULL, text);
    }
}
