#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/history-internal.h"
#include "daemon/tail-page.h"
#include "tail-paths.h"

/* As history_read_after(), with nothing in memory. */
static void read_database(struct history *history, const struct history_position *position,
                          size_t count, struct history_page *ret)
{
    const struct history_recent recent = history->recent;
    uint64_t reads = history_tail_reads(history);

    history->recent.count = 0;
    history->recent.start = (struct message_key){.hlc = UINT64_MAX};
    assert_int_equal(history_read_after(history, position, count, ret), 0);
    assert_int_equal(history_tail_reads(history), reads + 1);
    history->recent = recent;
    history->tail_reads = reads;
}

static bool is_same_line(const struct history *history, const struct history_item *a,
                         const struct history_item *b)
{
    struct tail_line line = {.packet = a->packet, .late = a->late, .position = a->position};
    struct tail_line other = {.packet = b->packet, .late = b->late, .position = b->position};
    struct packet *text = tail_line_text(history, &line);
    struct packet *expected = tail_line_text(history, &other);
    bool same = text->size == expected->size && memcmp(text->data, expected->data, text->size) == 0;

    packet_unref(text);
    packet_unref(expected);
    return same;
}

/* `page` is from memory. */
static const char *compare(const struct history *history, size_t count,
                           const struct history_page *page, const struct history_page *stored)
{
    if (page->count != stored->count)
        return "not as many lines from memory as from the database";
    if (!page->end && stored->end)
        return "there is no end in memory";
    if (page->end && !stored->end && !history_page_is_full(stored, count))
        return "there is an end in memory";
    for (size_t i = 0; i < page->count; i++) {
        if (!is_same_line(history, &page->items[i], &stored->items[i]))
            return "another line from memory than from the database";
    }
    return NULL;
}

const char *tail_paths_compare(struct history *history, const struct history_position *position,
                               size_t count, bool *ret_from_memory)
{
    uint64_t reads = history_tail_reads(history);
    struct history_page page, stored;
    const char *wrong = NULL;

    assert_int_equal(history_read_after(history, position, count, &page), 0);
    *ret_from_memory = history_tail_reads(history) == reads;
    if (*ret_from_memory) {
        read_database(history, position, count, &stored);
        wrong = compare(history, count, &page, &stored);
        history_page_done(&stored);
    }
    history_page_done(&page);
    return wrong;
}
