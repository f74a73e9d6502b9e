#pragma once

/* What the parts of the journal share. */

#include <stdarg.h>

#include "journal-ids.h" /* MESSAGE_ID_…, made from the catalog */
#include "journal.h"

/* What is the same of all lines of a kind. */
struct journal_row {
    enum topic topic;
    int priority;
    const char *message_id; /* NULL: a debug line */
};

/* The topics as the tables of lines and events name them. */
#define TOPIC_chat TOPIC_CHAT
#define TOPIC_ring TOPIC_RING
#define TOPIC_election TOPIC_ELECTION
#define TOPIC_heartbeat TOPIC_HEARTBEAT
#define TOPIC_discovery TOPIC_DISCOVERY
#define TOPIC_store TOPIC_STORE
#define TOPIC_control TOPIC_CONTROL
#define TOPIC_security TOPIC_SECURITY

/* Debug lines have no id; all others must have one. */
#define ROW_ID_DEBUG(name) NULL
#define ROW_ID_INFO(name) MESSAGE_ID_##name
#define ROW_ID_NOTICE(name) MESSAGE_ID_##name
#define ROW_ID_WARNING(name) MESSAGE_ID_##name
#define ROW_ID_ERR(name) MESSAGE_ID_##name
#define ROW_ID_CRIT(name) MESSAGE_ID_##name

#define JOURNAL_ROW(name, topic_, priority_)                                                       \
    {                                                                                              \
        .topic = TOPIC_##topic_, .priority = LOG_##priority_,                                      \
        .message_id = ROW_ID_##priority_(name)                                                     \
    }

/* Writes a line, if it is wanted and comes not too often. `peer` may be NULL. */
__attribute__((format(printf, 4, 0))) void journal_write(struct journal *journal,
                                                         const struct journal_row *row,
                                                         const char *peer, const char *format,
                                                         va_list arguments);

__attribute__((format(printf, 4, 5))) void journal_write_peer(struct journal *journal,
                                                              const struct journal_row *row,
                                                              const char *peer, const char *format,
                                                              ...);
