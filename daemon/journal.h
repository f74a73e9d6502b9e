#pragma once

/* The log: to the journal with fields where stderr is the journal, else to stderr with the same
 * text. A thread of its own writes, since the journal may block; lines that do not fit its queue
 * are dropped and counted. Lines of priority info and above have a message id, which the catalog
 * explains. Loop thread only. */

#include <stdint.h>
#include <syslog.h>

#include "ring/ring.h"

enum topic {
    TOPIC_CHAT,
    TOPIC_RING,
    TOPIC_ELECTION,
    TOPIC_HEARTBEAT,
    TOPIC_DISCOVERY,
    TOPIC_STORE,
    TOPIC_CONTROL,
    TOPIC_SECURITY,
    TOPICS
};

struct journal;

/* What a line is about, beside its text. */
struct journal_context {
    uint64_t epoch;
    const char *view;   /* NULL: none yet */
    const char *leader; /* display name */
};

/* Starts the thread. NULL: no memory. */
struct journal *journal_new(void);

/* Writes what waits, for a moment at most (the journal may be stopped), and ends. NULL is allowed.
 */
void journal_free(struct journal *journal);

/* "normal", "heartbeat", "debug", or names of topics separated by blanks: what is logged below
 * priority info. 0 or -EINVAL (nothing changed). */
int journal_set_topics(struct journal *journal, const char *topics);

/* The same as text, to be freed; NULL: no memory. */
char *journal_get_topics(const struct journal *journal);

/* Whether a line of this topic and priority would be logged: to spare the work. */
bool journal_wants(const struct journal *journal, enum topic topic, int priority);

/* The current epoch, view and leader, for every line from now on; copied. */
void journal_set_context(struct journal *journal, const struct journal_context *context);

/* The daemon's own lines: journal-line.def. */
enum journal_line {
#define LINE(name, topic, priority) LINE_##name,
#include "journal-line.def"
#undef LINE
    LINES
};

/* A line that an operator acts on. One that comes again and again is left out and counted. */
__attribute__((format(printf, 3, 4))) void
journal_log(struct journal *journal, enum journal_line line, const char *format, ...);

/* The same about a peer, by its name. */
__attribute__((format(printf, 4, 5))) void journal_log_peer(struct journal *journal,
                                                            enum journal_line line,
                                                            const char *peer, const char *format,
                                                            ...);

/* A line that is written where its topic is asked for. */
__attribute__((format(printf, 3, 4))) void journal_debug(struct journal *journal, enum topic topic,
                                                         const char *format, ...);

/* To be called every few seconds: tells how many lines were left out. */
void journal_tick(struct journal *journal);

/* An event of the core, by event.def. */
void journal_log_event(struct journal *journal, const struct ring_event *event);

/* The text of an event, to be freed; NULL: no memory. */
char *journal_event_text(const struct ring_event *event);

/* A delivered message, for the topic chat. */
void journal_log_text(struct journal *journal, const struct message *message, bool late);
