/* Versions of the wire format: hosts of one ring can be upgraded one at a time.
 *
 * Rule: every node says which versions it knows, lowest and highest, at the front of its datagrams
 * and of each link, and in its entry of a formation the highest. A view speaks the highest version
 * that all its members know: all of them compute it from the list that INSTALL brings, so it
 * changes only with a view. What is read outside of a view (links, discovery, formation) is in a
 * form that every version reads and that later ones only add to. It fails if a node writes a frame
 * in another version than its view's: the receiver refuses it. */

#include "ring-internal.h"

#include "common/util.h"

#define WARNING_INTERVAL (60 * USEC_PER_SEC)

uint8_t version_own(const struct ring *ring)
{
    return ring->config.version ? ring->config.version : RING_WIRE_VERSION;
}

uint8_t version_of_view(const struct ring *ring)
{
    uint16_t lowest = version_own(ring);

    for (size_t i = 0; i < ring->view.count; i++)
        lowest = MIN(lowest, ring->members[i].version);
    return (uint8_t)lowest;
}

void versions_write(const struct ring *ring, struct writer *writer)
{
    write_u8(writer, RING_WIRE_VERSION_MIN);
    write_u8(writer, version_own(ring));
}

struct versions versions_read(struct reader *reader)
{
    struct versions versions = {.lowest = read_u8(reader)};

    versions.highest = read_u8(reader);
    return versions;
}

bool versions_meet(const struct ring *ring, const struct versions *versions)
{
    return versions->lowest <= version_own(ring) && versions->highest >= RING_WIRE_VERSION_MIN;
}

void versions_warn(struct ring *ring, const struct ring_address *from,
                   const struct versions *versions)
{
    struct ring_event *event;

    if (ring->version_warned_at != 0 && ring->now - ring->version_warned_at < WARNING_INTERVAL)
        return;
    ring->version_warned_at = ring->now;
    event = ring_emit_event(ring, RING_EVENT_OTHER_VERSION);
    event->address = *from;
    event->number = versions->lowest > version_own(ring) ? versions->lowest : versions->highest;
    event->other = version_own(ring);
}

void version_tell(struct ring *ring, uint8_t before)
{
    struct ring_event *event;

    if (before == 0 || before == ring->view.version)
        return;
    event = ring_emit_event(ring, RING_EVENT_WIRE_VERSION);
    event->number = ring->view.version;
    event->other = version_own(ring);
}
