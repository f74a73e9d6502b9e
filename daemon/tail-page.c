#include "tail-page.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "common/varlink.h"
#include "control-method.h"

static bool is_same(const struct history_position *a, const struct history_position *b)
{
    return message_key_compare(&a->key, &b->key) == 0 && a->late == b->late &&
           message_key_compare(&a->from, &b->from) == 0 &&
           message_key_compare(&a->upto, &b->upto) == 0;
}

static void clear(struct tail_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        packet_unref(page->lines[i].packet);
        packet_unref(page->lines[i].text);
    }
    page->count = 0;
}

void tail_pages_done(struct tail_pages *pages)
{
    for (size_t i = 0; i < TAIL_PAGES; i++)
        clear(&pages->pages[i]);
}

void tail_pages_delivered(struct tail_pages *pages)
{
    pages->deliveries++;
}

bool tail_page_is_end(const struct tail_pages *pages, const struct tail_page *page)
{
    return page->end && page->deliveries == pages->deliveries;
}

/* A page that another reader of this place has had; NULL: there is none. */
static struct tail_page *find(struct tail_pages *pages, const struct history_position *position)
{
    for (size_t i = 0; i < TAIL_PAGES; i++) {
        struct tail_page *page = &pages->pages[i];

        if (page->count > 0 && is_same(&page->from, position))
            return page;
        if (tail_page_is_end(pages, page) && is_same(&page->after, position)) {
            pages->none = (struct tail_page){
                .from = *position, .after = *position, .end = true, .deliveries = page->deliveries};
            return &pages->none;
        }
    }
    return NULL;
}

/* Takes the items out of the history's page. */
static void take_items(struct tail_page *page, struct history_page *read)
{
    page->after = page->from;
    page->end = read->end;
    for (size_t i = 0; i < read->count; i++) {
        struct history_item *item = &read->items[i];

        page->lines[page->count++] = (struct tail_line){
            .packet = steal_pointer(item->packet), .late = item->late, .position = item->position};
        page->after = item->position;
    }
}

int tail_pages_read(struct tail_pages *pages, struct history *history,
                    const struct history_position *position, struct tail_page **ret)
{
    struct tail_page *page = find(pages, position);
    struct history_page read;
    int result;

    if (page) {
        *ret = page;
        return 0;
    }
    result = history_read_after(history, position, READ_PAGE_MESSAGES, &read);
    if (result < 0)
        return result;
    page = &pages->pages[pages->next];
    pages->next = (pages->next + 1) % TAIL_PAGES;
    clear(page);
    page->from = *position;
    page->deliveries = pages->deliveries;
    take_items(page, &read);
    history_page_done(&read);
    *ret = page;
    return 0;
}

/* ---- as JSON ---- */

static struct json_object *cursor_value(const struct history *history,
                                        const struct history_position *position)
{
    char text[HISTORY_CURSOR_TEXT_MAX];

    history_cursor_format(history, position, text);
    return json_object_new_string(text);
}

struct json_object *tail_report(const struct history *history, const struct packet *packet,
                                bool late, const struct history_position *position)
{
    return OBJECT({"message", report_message(packet)}, {"late", json_object_new_boolean(late)},
                  {"cursor", cursor_value(history, position)});
}

struct packet *tail_line_text(const struct history *history, struct tail_line *line)
{
    _cleanup_(json_object_putp) struct json_object *report = NULL, *reply = NULL;
    const char *text = NULL;
    size_t size;

    if (line->text)
        return line->text;
    report = tail_report(history, line->packet, line->late, &line->position);
    if (report)
        reply = varlink_reply_new(steal_pointer(report), true);
    if (reply)
        text = varlink_text(reply, &size);
    if (text)
        line->text = packet_new(size);
    if (line->text)
        memcpy(line->text->data, text, size);
    return line->text;
}
