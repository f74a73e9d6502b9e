/* Clones: two live nodes with one id, as after a state directory was copied to a second host.
 *
 * Rule: a leader to which a node comes under an id of its view, and another instance, asks the
 * listed one by a probe. Silent, refused or another instance: the newcomer is that node restarted.
 * Answered: the newcomer is told CLONE, stays alone from then on, and says so. It fails if the
 * listed node is cut off in this moment: then it is replaced, and is the newcomer when it comes
 * back. */

#include "ring-internal.h"

#include <errno.h>

#include "common/util.h"

/* What the listed node gets to answer: the same as for any probe of a formation. */
#define CLONE_PROBE_TIME (150 * USEC_PER_MSEC)

static struct packet *clone_frame(const struct ring_id *id, uint64_t instance)
{
    struct writer writer;

    writer_begin(&writer, FRAME_CLONE, 0);
    write_id(&writer, id);
    write_u64(&writer, instance);
    return writer_end(&writer);
}

/* The first candidate of the merge, from that place on, that is a member here, or this node, under
 * another instance. */
static const struct candidate *find_double(const struct ring *ring, const struct merge *merge,
                                           size_t from)
{
    for (size_t i = from; i < merge->count; i++) {
        const struct ring_member *member = view_member(ring, &merge->members[i].id);

        if (member && member->instance != merge->members[i].instance)
            return &merge->members[i];
    }
    return NULL;
}

/* Nothing more is asked: a later end of the connection must not count as the silence of whoever is
 * asked by then. */
static void hang_up_probe(struct ring *ring)
{
    link_hang_up(ring, link_find(ring, ring->doubtful_probe));
    ring->doubtful_probe = 0;
}

void clone_stop(struct ring *ring)
{
    hang_up_probe(ring);
    merges_free(steal_pointer(ring->doubtful_merge));
    ring_disarm(ring, TIMER_CLONE);
}

static void refuse_clone(struct ring *ring, struct link *link, const struct candidate *candidate)
{
    ring_emit_event_about(ring, RING_EVENT_CLONE, &candidate->id);
    link_send(ring, link, clone_frame(&candidate->id, candidate->instance));
}

static void send_probes(struct ring *ring, const struct ring_member *listed)
{
    struct ring_formation_id id = {.initiator = ring->config.id, .tag = ring->doubtful_tag};
    struct writer writer;
    struct link *link;

    datagram_begin(ring, &writer, FRAME_PROBE_DATAGRAM);
    write_formation_id(&writer, &id);
    datagram_send(ring, &writer, &listed->addresses);
    writer_begin(&writer, FRAME_PROBE, 0);
    write_formation_id(&writer, &id);
    link = link_dial(ring, LINK_PROBE, &listed->id, &listed->addresses, writer_end(&writer));
    ring->doubtful_probe = link ? link->number : 0;
}

/* Whether the merge has to wait, or is refused, for a double from that place on; it is taken over
 * then. */
static bool suspect(struct ring *ring, struct link *link, struct merge *merge, size_t from)
{
    const struct candidate *candidate = find_double(ring, merge, from);

    if (!candidate)
        return false;
    if (ring_id_equal(&candidate->id, &ring->config.id)) {
        refuse_clone(ring, link, candidate);
        merges_free(merge);
        return true;
    }
    clone_stop(ring);
    ring->doubtful_merge = merge;
    ring->doubtful_link = link->number;
    ring->doubtful_at = (size_t)(candidate - merge->members);
    ring->doubtful_tag = ring_random(ring);
    ring_arm(ring, TIMER_CLONE, CLONE_PROBE_TIME);
    send_probes(ring, view_member(ring, &candidate->id));
    return true;
}

bool clone_suspected(struct ring *ring, struct link *link, struct merge *merge)
{
    return suspect(ring, link, merge, 0);
}

/* The listed node is not there: the newcomer is the same node, restarted. Others of its ring may
 * still be doubles of members that are. */
void clone_cleared(struct ring *ring)
{
    struct merge *merge = steal_pointer(ring->doubtful_merge);
    struct link *link = link_find(ring, ring->doubtful_link);

    hang_up_probe(ring);
    ring_disarm(ring, TIMER_CLONE);
    if (!merge || !link)
        merges_free(merge);
    else if (!suspect(ring, link, merge, ring->doubtful_at + 1))
        merge_cleared(ring, link, merge);
}

static bool is_doubtful(const struct ring *ring, const struct ring_id *id)
{
    return ring->doubtful_merge &&
           ring_id_equal(&ring->doubtful_merge->members[ring->doubtful_at].id, id);
}

void clone_probe_answered(struct ring *ring, const struct ring_id *id, uint64_t instance,
                          uint64_t tag)
{
    const struct ring_member *listed = view_member(ring, id);
    const struct candidate *candidate;

    if (!is_doubtful(ring, id) || tag != ring->doubtful_tag)
        return;
    candidate = &ring->doubtful_merge->members[ring->doubtful_at];
    if (!listed || listed->instance != instance) {
        clone_cleared(ring);
        return;
    }
    refuse_clone(ring, link_find(ring, ring->doubtful_link), candidate);
    clone_stop(ring);
}

void clone_probe_silent(struct ring *ring, const struct ring_id *id)
{
    if (is_doubtful(ring, id))
        clone_cleared(ring);
}

/* From here on alone, until somebody has cleared up which host is which. */
void clone_isolate(struct ring *ring)
{
    if (ring->phase != RING_LIVE && ring->phase != RING_FORMING)
        return;
    leave_detach(ring);
    ring->config.networked = false;
    ring->counters.cloned = true;
    ring->phase = RING_STALLED;
    stall_stored(ring);
}

/* This node is the clone, or a member of the ring that it leads. */
int clone_received(struct ring *ring, struct reader *reader)
{
    struct ring_id id = read_id(reader);
    uint64_t instance = read_u64(reader);
    const struct ring_member *member = view_member(ring, &id);

    if (reader->failed)
        return -EBADMSG;
    if (!member || member->instance != instance)
        return 0;
    ring_emit_event_about(ring, RING_EVENT_CLONE, &id);
    if (!ring_id_equal(&id, &ring->config.id)) {
        link_dial(ring, LINK_PROBE, &id, &member->addresses, clone_frame(&id, instance));
        return 0;
    }
    clone_isolate(ring);
    return 0;
}
