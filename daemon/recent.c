#include "recent.h"

#include <string.h>

#include "address.h"
#include "common/bounds.h"
#include "common/util.h"

static void take_gone(struct recent *recent, const struct ring_event *event, uint64_t now)
{
    struct recent_gone *gone;

    if (recent->gone_count == RECENT_GONE_MAX)
        memmove(recent->gone, recent->gone + 1, --recent->gone_count * sizeof(*gone));
    gone = &recent->gone[recent->gone_count++];
    *gone = (struct recent_gone){.id = event->peer,
                                 .address = event->address,
                                 .time = now,
                                 .failed = event->type == RING_EVENT_FAILED};
    memcpy(gone->name, event->peer_name, sizeof(gone->name));
}

/* Whether both are about the same: a ring is heard at several addresses of its leader. */
static bool is_same(const struct recent_stranger *stranger, const struct ring_event *event)
{
    if (event->type == RING_EVENT_OTHER_RING)
        return strcmp(stranger->ring, event->peer_name) == 0;
    return address_same_host(&stranger->address, &event->address);
}

/* One entry each: the newest. */
static void take_stranger(struct recent *recent, const struct ring_event *event, uint64_t now)
{
    struct recent_stranger *stranger = NULL;

    for (size_t i = 0; i < recent->strangers_count; i++) {
        if (is_same(&recent->strangers[i], event))
            stranger = &recent->strangers[i];
    }
    if (!stranger) {
        if (recent->strangers_count == RECENT_STRANGERS_MAX)
            memmove(recent->strangers, recent->strangers + 1,
                    --recent->strangers_count * sizeof(*stranger));
        stranger = &recent->strangers[recent->strangers_count++];
    }
    *stranger =
        (struct recent_stranger){.address = event->address, .time = now, .version = event->number};
    if (event->type == RING_EVENT_OTHER_RING)
        memcpy(stranger->ring, event->peer_name, sizeof(stranger->ring));
}

void recent_take(struct recent *recent, const struct ring_event *event, uint64_t now)
{
    if (event->type == RING_EVENT_FAILED || event->type == RING_EVENT_LEFT)
        take_gone(recent, event, now);
    if (event->type == RING_EVENT_OTHER_RING || event->type == RING_EVENT_OTHER_VERSION)
        take_stranger(recent, event, now);
}

/* Clocks are set: what seems to be of the future is not kept for ever. */
static bool is_old(uint64_t time, uint64_t now)
{
    return time > now + RECENT_USEC || now > time + RECENT_USEC;
}

void recent_expire(struct recent *recent, uint64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < recent->gone_count; i++) {
        if (!is_old(recent->gone[i].time, now))
            recent->gone[kept++] = recent->gone[i];
    }
    recent->gone_count = kept;
    kept = 0;
    for (size_t i = 0; i < recent->strangers_count; i++) {
        if (!is_old(recent->strangers[i].time, now))
            recent->strangers[kept++] = recent->strangers[i];
    }
    recent->strangers_count = kept;
}

size_t recent_failures(const struct recent *recent, const struct ring_id *id)
{
    size_t count = 0;

    for (size_t i = 0; i < recent->gone_count; i++)
        count += recent->gone[i].failed && memcmp(&recent->gone[i].id, id, sizeof(*id)) == 0;
    return count;
}
