/* What was delivered last, for tails that have seen everything before it: they are shown it without
 * a read of the database.
 *
 * Rule: the items are what the database would show, above any key from `start` on, to a tail that
 * has been shown all late deliveries that can be. So a page from here is the same as one from
 * there, with the same positions. What it rests on:
 *
 * Order. An unmarked delivery lies above all before it, so it is the last item, and no other ever
 * comes between: what is stored below the top and not delivered will be delivered late.
 *
 * Disk. A delivery follows STORED: the position after it leads to the same place after a crash.
 *
 * Late deliveries. One that can be shown goes before all that follows, so the items begin anew
 * there. While the number of one is unknown all readers go to the database, which will tell it.
 *
 * Second keys. A message whose id was stored under another key may have been shown. Only the store
 * knows: it counts such messages before it completes their writes. All that was given to it before
 * the count was seen to rise is looked for in the database when it is delivered. What is an item
 * had the only key of its id, and goes before one that comes later, as in the database.
 *
 * Retention. What it has removed is not shown: the items begin anew.
 *
 * So they do on whatever else is out of order, which would be a bug elsewhere. */

#include "common/util.h"
#include "history-internal.h"

static struct history_recent_item *item_at(struct history_recent *recent, size_t place)
{
    return &recent->items[(recent->first + place) % TAIL_RECENT_MESSAGES];
}

static void forget_first(struct history_recent *recent)
{
    struct history_recent_item *item = item_at(recent, 0);

    recent->start = item->key;
    recent->bytes -= item->packet->size;
    packet_unref(item->packet);
    recent->first = (recent->first + 1) % TAIL_RECENT_MESSAGES;
    recent->count--;
}

void history_recent_clear(struct history *history)
{
    while (history->recent.count > 0)
        forget_first(&history->recent);
    history->recent.start = history->top;
}

void history_recent_suspect(struct history *history, uint64_t twins)
{
    struct history_recent *recent = &history->recent;

    if (twins != recent->twins)
        recent->suspect = recent->given;
    recent->twins = twins;
}

void history_recent_take(struct history *history, const struct message_key *key,
                         struct packet *packet)
{
    struct history_recent *recent = &history->recent;
    bool in_order = message_key_compare(key, &history->top) > 0;

    if (in_order)
        history->top = *key;
    if (!in_order || message_key_compare(key, &recent->suspect) <= 0) {
        history_recent_clear(history);
        return;
    }
    while (recent->count == TAIL_RECENT_MESSAGES ||
           (recent->count > 0 && recent->bytes + packet->size > TAIL_RECENT_BYTES))
        forget_first(recent);
    *item_at(recent, recent->count++) =
        (struct history_recent_item){.key = *key, .packet = packet_ref(packet)};
    recent->bytes += packet->size;
}

/* How many items the position has behind it; -1: it is none of these. */
static ssize_t find(struct history *history, const struct history_position *position)
{
    struct history_recent *recent = &history->recent;
    size_t low = 0, high = recent->count;

    if (position->late != history->late_shown ||
        message_key_compare(&position->from, &position->upto) < 0)
        return -1;
    if (message_key_compare(&position->key, &recent->start) == 0)
        return 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (message_key_compare(&item_at(recent, middle)->key, &position->key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == recent->count ||
        message_key_compare(&item_at(recent, low)->key, &position->key) != 0)
        return -1;
    return (ssize_t)low + 1;
}

bool history_recent_read(struct history *history, const struct history_position *position,
                         size_t count, struct history_page *page)
{
    struct history_recent *recent = &history->recent;
    ssize_t place = history->late.count == 0 ? find(history, position) : -1;

    if (place < 0)
        return false;
    for (; (size_t)place < recent->count && !history_page_is_full(page, count); place++) {
        const struct history_recent_item *item = item_at(recent, (size_t)place);
        struct history_item *added = history_page_add(page, packet_ref(item->packet));

        added->position = *position;
        added->position.key = item->key;
    }
    page->end = (size_t)place == recent->count;
    return true;
}
