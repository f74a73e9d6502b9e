/* Events of the core as lines of the log. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "common/cleanup.h"
#include "common/text.h"
#include "journal-internal.h"

static const struct event_row {
    struct journal_row row;
    const char *text;
} rows[] = {
#define EVENT(name, topic, priority, text_)                                                        \
    [RING_EVENT_##name] = {.row = JOURNAL_ROW(name, topic, priority), .text = text_},
#include "ring/event.def"
#undef EVENT
};

/* Texts of messages, for who asks for them. */
static const struct journal_row text_row = JOURNAL_ROW(, chat, DEBUG);

/* The peer's name with what could drive a terminal made visible, or the start of its id. */
static char *peer_text(const struct ring_event *event)
{
    char *text = NULL;

    if (event->peer_name[0])
        return text_visible(event->peer_name, strlen(event->peer_name), NULL);
    if (asprintf(&text, "%02x%02x%02x%02x", event->peer.bytes[0], event->peer.bytes[1],
                 event->peer.bytes[2], event->peer.bytes[3]) < 0)
        return NULL;
    return text;
}

static void print_field(FILE *out, const struct ring_event *event, char field, const char *peer)
{
    char address[ADDRESS_TEXT_MAX];

    switch (field) {
    case 'p':
        fputs(peer, out);
        break;
    case 'a':
        address_format(&event->address, address);
        fputs(address, out);
        break;
    case 'e':
        fprintf(out, "%llu", (unsigned long long)event->epoch);
        break;
    case 'n':
        fprintf(out, "%llu", (unsigned long long)event->number);
        break;
    case 'o':
        fprintf(out, "%llu", (unsigned long long)event->other);
        break;
    case 'r':
        fputs(event->reason ? event->reason : "?", out);
        break;
    }
}

char *journal_event_text(const struct ring_event *event)
{
    _cleanup_free_ char *peer = peer_text(event);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out || !peer) {
        if (out)
            fclose(out);
        free(text);
        return NULL;
    }
    for (const char *at = rows[event->type].text; *at; at++) {
        if (*at == '%' && at[1])
            print_field(out, event, *++at, peer);
        else
            fputc(*at, out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

void journal_log_event(struct journal *journal, const struct ring_event *event)
{
    static const struct ring_id none;
    const struct journal_row *row = &rows[event->type].row;
    _cleanup_free_ char *text = NULL, *peer = NULL;

    if (!journal_wants(journal, row->topic, row->priority))
        return;
    text = journal_event_text(event);
    peer = ring_id_equal(&event->peer, &none) ? NULL : peer_text(event);
    if (text)
        journal_write_peer(journal, row, peer, "%s", text);
}

void journal_log_text(struct journal *journal, const struct message *message, bool late)
{
    _cleanup_free_ char *user = text_visible(message->user.data, message->user.size, NULL);
    _cleanup_free_ char *node = text_visible(message->node.data, message->node.size, NULL);
    _cleanup_free_ char *text = text_visible(message->text.data, message->text.size, NULL);

    if (user && node && text)
        journal_write_peer(journal, &text_row, node, "%s@%s: %s%s", user, node, text,
                           late ? " (late)" : "");
}
