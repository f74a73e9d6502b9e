#include "journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/util.h"

/* Lines that wait for the journal: a second of debug output under load. */
#define QUEUE_LINES_MAX 8192

#define VIEW_TEXT_MAX 64

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

struct line {
    struct line *next;
    enum topic topic;
    int priority;
    uint64_t epoch;
    char *text, *peer;
    char view[VIEW_TEXT_MAX], leader[NAME_BYTES_MAX + 1];
};

struct journal {
    bool to_journal;
    unsigned topics; /* those that are logged in full */
    uint64_t epoch;
    char view[VIEW_TEXT_MAX], leader[NAME_BYTES_MAX + 1];
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    bool stopping;
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

static void write_text(const struct line *line)
{
    dprintf(STDERR_FILENO, "%s: %s\n", topic_names[line->topic], line->text);
}

static void write_fields(const struct line *line)
{
    sd_journal_send("MESSAGE=%s", line->text, "PRIORITY=%i", line->priority, "RINGCHAT_TOPIC=%s",
                    topic_names[line->topic], "RINGCHAT_EPOCH=%llu",
                    (unsigned long long)line->epoch, "RINGCHAT_VIEW=%s", line->view,
                    "RINGCHAT_LEADER=%s", line->leader, line->peer ? "RINGCHAT_PEER=%s" : NULL,
                    line->peer, NULL);
}

/* Takes all that waits; NULL: the journal is being closed. */
static struct line *take_lines(struct journal *journal, size_t *ret_dropped)
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
    journal->dropped = 0;
    pthread_mutex_unlock(&journal->mutex);
    return lines;
}

static void write_dropped(const struct journal *journal, size_t dropped)
{
    if (journal->to_journal)
        sd_journal_send("MESSAGE=%zu lines of the log were dropped", dropped, "PRIORITY=%i",
                        LOG_WARNING, "RINGCHAT_TOPIC=control", NULL);
    else
        dprintf(STDERR_FILENO, "control: %zu lines of the log were dropped\n", dropped);
}

static void *journal_thread(void *userdata)
{
    struct journal *journal = userdata;
    struct line *line;
    size_t dropped;

    while ((line = take_lines(journal, &dropped)) != NULL) {
        while (line) {
            struct line *next = line->next;

            if (journal->to_journal)
                write_fields(line);
            else
                write_text(line);
            line_free(line);
            line = next;
        }
        if (dropped)
            write_dropped(journal, dropped);
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

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->running) {
        pthread_mutex_lock(&journal->mutex);
        journal->stopping = true;
        pthread_cond_signal(&journal->work);
        pthread_mutex_unlock(&journal->mutex);
        pthread_join(journal->thread, NULL);
    }
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
    journal->epoch = context->epoch;
    copy_text(journal->view, sizeof(journal->view), context->view);
    copy_text(journal->leader, sizeof(journal->leader), context->leader);
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
    }
    pthread_mutex_unlock(&journal->mutex);
    if (line)
        line_free(line);
}

static void log_line(struct journal *journal, enum topic topic, int priority, const char *peer,
                     const char *format, va_list arguments)
{
    struct line *line;

    if (!journal_wants(journal, topic, priority))
        return;
    line = calloc(1, sizeof(*line));
    if (!line)
        return;
    line->topic = topic;
    line->priority = priority;
    line->epoch = journal->epoch;
    copy_text(line->view, sizeof(line->view), journal->view);
    copy_text(line->leader, sizeof(line->leader), journal->leader);
    line->peer = peer ? strdup(peer) : NULL;
    if (vasprintf(&line->text, format, arguments) < 0) {
        line->text = NULL;
        line_free(line);
        return;
    }
    enqueue(journal, line);
}

void journal_log(struct journal *journal, enum topic topic, int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(journal, topic, priority, NULL, format, arguments);
    va_end(arguments);
}

void journal_log_peer(struct journal *journal, enum topic topic, int priority, const char *peer,
                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(journal, topic, priority, peer, format, arguments);
    va_end(arguments);
}
