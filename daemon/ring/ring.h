#pragma once

/* The protocol core: a ring of nodes as a state machine without sockets, clock, disk or threads.
 *
 * The shell around it turns what happens into inputs, gives each to ring_step(), and then applies
 * the list of outputs in its order. The same inputs give the same outputs, byte for byte. What
 * depends on a write appears only in the step that takes its STORED. ringchat-protocol(7) tells the
 * protocol. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bounds.h"
#include "message.h"
#include "packet.h"

/* The versions of the wire format that a node speaks, lowest and highest. A ring speaks the highest
 * version that all its members know, so its hosts can be upgraded one at a time. */
#define RING_WIRE_VERSION_MIN 1
#define RING_WIRE_VERSION 1

/* ---- names for things ---- */

struct ring_address {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t ip[16]; /* network order; IPv4 in the first four bytes */
    uint16_t port;  /* host order */
    uint32_t scope; /* interface index of a link-local address, on this host only; not sent */
};

/* Where a node can be reached, best first. */
struct ring_addresses {
    uint8_t count;
    struct ring_address list[ADDRESSES_MAX];
};

/* The same addresses in the same order, whatever their scopes. */
bool ring_addresses_equal(const struct ring_addresses *a, const struct ring_addresses *b);

/* The identity of a view and of the formation that made it. Formations rank by epoch, then
 * initiator; the tag, random, tells equal ones apart and marks the frames of the view. */
struct ring_formation_id {
    uint64_t epoch;
    struct ring_id initiator;
    uint64_t tag;
};

/* A connection. Numbers of connections dialled by the core are even and chosen by the core; those
 * of connections accepted by the shell are odd and chosen by the shell. A number is never used
 * twice. */
typedef uint64_t ring_link;

/* Something the core will be told about, or tell about, later. 0 is never used. */
typedef uint64_t ring_ticket;

/* ---- what the store holds at start ---- */

struct ring_interval {
    uint64_t from, to; /* seq, both included, of one run */
    uint64_t sum;      /* of ring_id_hash() over its message ids, wrapping; 0: not known */
};

/* What the store has of one origin. Both lists ascend, and their intervals neither touch nor
 * overlap. */
struct ring_held {
    struct ring_id origin;
    size_t count;
    const struct ring_interval *intervals; /* ever stored, what was pruned since included */
    size_t pruned_count;
    const struct ring_interval *pruned; /* a part of the above; no sums */
};

/* The node's durable state, written as one. */
struct ring_state {
    uint64_t run;       /* the last run used: 31 bits, 0 before the first start */
    uint64_t epoch;     /* the highest epoch of an installed view */
    uint64_t hlc_bound; /* no key above it was ever given */
    uint64_t horizon;   /* an hlc: messages below it are not kept; 0: all are */
};

struct ring_config {
    struct ring_id id;               /* the node's, made at first start */
    uint64_t instance;               /* random, new at every start of the process */
    struct bytes name;               /* display name */
    struct bytes ring;               /* ring name: nodes of other ring names are ignored */
    struct ring_addresses addresses; /* this node's own */
    uint64_t heartbeat_interval, heartbeat_timeout, link_timeout; /* µs */
    uint64_t entropy; /* seeds the core's random numbers */
    uint8_t version;  /* the highest wire version to speak; 0: RING_WIRE_VERSION */
    bool networked;   /* false: stay a ring of one and send nothing (no key) */
};

/* ---- inputs ---- */

enum ring_input_type {
    RING_START,        /* first, and once */
    RING_LINK_UP,      /* a connection is open: dialled by the core, or accepted */
    RING_LINK_DOWN,    /* an open connection ended, reset or closed by the other side */
    RING_FRAME,        /* one whole frame of an open link */
    RING_DATAGRAM,     /* one datagram, opened and not sent by this process itself */
    RING_DIAL_FAILED,  /* a dialled connection could not be opened */
    RING_TIMER,        /* ring_deadline() has come (calling it early is harmless) */
    RING_COMMAND,      /* somebody local wants something */
    RING_STORED,       /* every write up to this ticket is on disk */
    RING_STORE_FAILED, /* writes from this ticket on are not, and will not be */
    RING_FETCHED,      /* the answer to a FETCH */
    RING_CONFIG,    /* new times, and addresses (which the others learn by a formation); networked
                     * from now on; the rest is ignored */
    RING_RETENTION, /* how far back this node wants to keep the history */
    RING_PRUNED,    /* the store has removed messages below the horizon */
};

enum ring_command {
    RING_SEND_MESSAGE, /* `message`; answered ACCEPTED when it is on this disk, DONE when stable */
    RING_ELECT,        /* make `node` the leader */
    RING_LEAVE,        /* leave the ring in good order; DONE when left (at the latest after 3 s) */
    RING_JOIN,         /* come back after RING_LEAVE */
    RING_IMPORT,  /* `message` with its key, from a backup: DONE when it is on this disk (with 0
                     members where it was there before, or is no longer kept), BUSY while the
                     ring is being formed, or where live traffic will bring it */
    RING_REFRESH, /* a fresh member list by a lap (hop times); DONE when it is back */
    RING_RELAY,   /* `bytes` to every other member's shell; DONE when all have PASS_ON'd them */
    RING_PASS_ON, /* `ticket` is that of a RELAYED: done with it. Not answered */
};

struct ring_input {
    enum ring_input_type type;
    uint64_t now;  /* monotonic µs; never falls */
    uint64_t wall; /* µs UTC; may be anything */
    union {
        struct {
            const struct ring_config *config; /* copied, strings too */
            struct ring_state state;
            struct message_key top; /* the highest key in the store; zeros: none */
            size_t held_count;
            const struct ring_held *held; /* everything stored, as intervals */
            size_t outbox_count;
            struct packet *const
                *outbox; /* accepted and not keyed, in order; made by message_pack() */
        } start;
        struct {
            ring_link link;
            struct ring_address remote; /* where it leads to, or comes from */
        } link_up;
        struct {
            ring_link link;
        } link_down;
        struct {
            ring_link link;
            struct packet *packet; /* the core takes references of its own */
        } frame;
        struct {
            struct ring_address from;
            const uint8_t *data;
            size_t size;
        } datagram;
        struct {
            ring_link link;
            bool refused; /* there is a host, and nobody listens */
        } dial_failed;
        struct {
            enum ring_command command;
            ring_ticket ticket;            /* chosen by the shell */
            const struct message *message; /* its id, sent, kind, user, room, text (for RING_IMPORT
                                              everything); copied */
            struct ring_id node;
            struct bytes bytes; /* at most RELAY_BYTES_MAX; copied */
        } command;
        struct {
            ring_ticket ticket;
        } stored, store_failed;
        struct {
            ring_ticket ticket;
            size_t count;                  /* 0: nothing of the range is held */
            struct packet *const *packets; /* ascending by seq; made by message_pack() */
        } fetched;
        struct {
            const struct ring_config *config;
        } config;
        struct {
            /* The core takes as much of it as is delivered, and has it written with the state; then
             * the store may remove what is below. It never falls. */
            uint64_t horizon;
        } retention;
        struct {
            struct ring_id origin;
            struct ring_interval
                interval; /* all that was stored of it is gone; the sum is ignored */
        } pruned;
    };
};

/* ---- outputs ---- */

enum ring_output_type {
    RING_DIAL,   /* open a connection to a node; answered by LINK_UP or DIAL_FAILED */
    RING_HANGUP, /* send what is queued, then close; no LINK_DOWN follows */
    RING_SEND,   /* append a frame to a link's queue; dropped if the link is down */
    RING_SEND_DATAGRAM,
    RING_STORE,   /* a write, first in first out; answered by STORED or STORE_FAILED */
    RING_FETCH,   /* a read that sees all earlier writes; answered by FETCHED */
    RING_DELIVER, /* a message has its place in the history now */
    RING_RELAYED, /* a member's bytes for this shell; to be answered by RING_PASS_ON */
    RING_REPLY,   /* to a command */
    RING_EVENT,   /* for the journal and for those who watch */
};

enum ring_datagram_target {
    RING_TO_EVERYONE, /* by multicast on all interfaces, and to every configured peer */
    RING_TO_NODE,     /* to all of `addresses` */
};

enum ring_write {
    RING_WRITE_MESSAGE, /* `packet`; `from_outbox`: its outbox row (same id) goes with it */
    RING_WRITE_OUTBOX,  /* `packet`: keep it in the outbox, behind all others */
    RING_WRITE_STATE,   /* `state` */
};

enum ring_reply {
    RING_ACCEPTED,     /* RING_SEND_MESSAGE only, not final: on this disk, will be sent */
    RING_DONE,         /* done; for a send: on disk at `members` members */
    RING_NOT_IN_RING,  /* this node has left, or is leaving */
    RING_BUSY,         /* too much waits already; try again when something is done */
    RING_BAD_NODE,     /* no such member */
    RING_ID_CONFLICT,  /* the message id is in use with another user, room or text */
    RING_STORE_BROKEN, /* the disk does not take it */
    RING_ABANDONED,    /* overtaken by something else: ask again */
};

/* What an event is about: event.def has the rows, with topic and priority for the journal. */
enum ring_event_type {
#define EVENT(name, topic, priority, text) RING_EVENT_##name,
#include "event.def"
#undef EVENT
    RING_EVENT_TYPES
};

struct ring_event {
    enum ring_event_type type;
    struct ring_id peer;                /* the node that it is about; zeros: none */
    char peer_name[NAME_BYTES_MAX + 1]; /* its display name where known, else empty */
    struct ring_address address;        /* its address where known; family 0: none */
    uint64_t epoch;                     /* of the formation or view that it is about */
    uint64_t number, other;             /* as event.def's text says */
    const char *reason;                 /* a constant text, or NULL */
};

struct ring_output {
    enum ring_output_type type;
    union {
        struct {
            ring_link link;
            struct ring_id peer; /* who is meant */
            struct ring_addresses addresses;
        } dial;
        struct {
            ring_link link;
        } hangup;
        struct {
            ring_link link;
            struct packet *packet; /* belongs to the outbox */
        } send;
        struct {
            enum ring_datagram_target target;
            struct ring_addresses addresses;
            struct packet *packet; /* belongs to the outbox */
        } datagram;
        struct {
            ring_ticket ticket; /* ascending from output to output */
            enum ring_write write;
            struct packet *packet; /* belongs to the outbox */
            bool from_outbox;
            bool repaired; /* a message by repair: delivered late, as soon as it is stored */
            struct ring_state state;
        } store;
        struct {
            ring_ticket ticket;
            struct ring_id origin;
            uint64_t from, to; /* seq, both included: the highest that fit `bytes_max` are wanted */
            size_t bytes_max; /* sum of packet sizes; one message is always given if there is one */
        } fetch;
        struct {
            struct packet *packet; /* belongs to the outbox */
            bool late;
        } deliver;
        struct {
            ring_ticket ticket;
            struct packet *packet; /* belongs to the outbox */
        } relayed;
        struct {
            ring_ticket ticket;
            enum ring_reply reply;
            size_t members;
        } reply;
        struct ring_event event;
    };
};

struct ring_outbox {
    size_t count, allocated;
    struct ring_output *outputs;
};

/* Drops all outputs and the references that they hold; the outbox can be used again. */
void ring_outbox_clear(struct ring_outbox *outbox);

/* The same, and frees its memory. */
void ring_outbox_done(struct ring_outbox *outbox);

/* ---- the core ---- */

struct ring;

/* A core that waits for its RING_START; NULL: out of memory. */
struct ring *ring_new(void);

/* NULL is allowed. */
void ring_free(struct ring *ring);

/* Takes one input and appends to `outbox` (which the caller clears) what is to be done.
 *
 * 0: taken. -EBADMSG: a frame or datagram that is malformed, refused without a change of state but
 * for the HANGUP of the link that brought it, and an event. -EINVAL: an input that makes no sense
 * (an unknown link, a second start): no change of state, a bug of the caller unless the input raced
 * with an output. -ENOMEM: no memory: this core is broken, its outputs must be dropped and every
 * further step fails the same way; for the ring it is as if the process had crashed. */
int ring_step(struct ring *ring, const struct ring_input *in, struct ring_outbox *outbox);

/* When the next RING_TIMER is due, monotonic µs; UINT64_MAX: never. */
uint64_t ring_deadline(const struct ring *ring);

/* Whether a RING_STORED may bring forth outputs before ring_deadline(). Else it may be given later,
 * behind the next input (a RING_TIMER: before it), so that nobody is woken by a write for which
 * nothing waits. */
bool ring_awaits_store(const struct ring *ring);

/* ---- looking at it ---- */

enum ring_phase {
    RING_LIVE,    /* a view is installed and traffic flows */
    RING_FORMING, /* a formation is under way */
    RING_LEFT,    /* left in good order; alone until RING_JOIN */
    RING_STALLED, /* the disk does not answer; alone, acknowledges nothing until it does */
    RING_FAILED,  /* the store failed; nothing is acknowledged any more */
};

struct ring_member {
    struct ring_id id;
    uint64_t instance;
    char name[NAME_BYTES_MAX + 1];
    struct ring_addresses addresses;
    uint16_t version;     /* the highest of the wire format that it knows */
    uint64_t joined;      /* epoch since which it is a member without a break */
    uint64_t since;       /* the same as wall clock, µs UTC */
    uint32_t hop_usec;    /* to its successor, as last measured; 0: not yet */
    int64_t clock_offset; /* its wall clock less the leader's, µs, as seen at the formation */
};

/* The installed view (during a formation: the last one). Members are in ring order: each feeds the
 * next, the last one the first. Valid until the next step. */
struct ring_view {
    struct ring_formation_id formation;
    uint8_t version;            /* of the wire format that this ring speaks */
    size_t count, self, leader; /* positions in `members` */
    const struct ring_member *members;
};

const struct ring_view *ring_get_view(const struct ring *ring);

struct ring_status {
    enum ring_phase phase;
    uint64_t lap_usec; /* the last heartbeat's way round; 0: none yet */
    uint64_t hlc;
    size_t queued;         /* local messages that have no key yet */
    size_t unstable;       /* own messages that have one and are not stable */
    size_t unstable_bytes; /* what they cost of the window */
    size_t undelivered;    /* messages held and not delivered */
    size_t undelivered_bytes;
    size_t links;                               /* open or being opened */
    uint64_t formations;                        /* started or joined since the start */
    uint64_t refused_frames, refused_datagrams; /* malformed, or of another ring */
    uint64_t sent_messages, delivered_messages, late_messages; /* since the start */
    bool cloned; /* another live node has this node's id: this one stays alone */
};

void ring_get_status(const struct ring *ring, struct ring_status *ret);

/* How far the repair of histories is. What a node lacks is known to who gives it, and told with
 * each message: right where one node gives all and neither keeps less than the other, else about so
 * many, since a giver does not know what the other will not keep, or gets from a third one. */
struct ring_repair {
    uint64_t received; /* messages that came, since none was missing; 0: no repair is under way */
    uint64_t missing;  /* messages that are still to come; 0: none, or it was not told */
    uint64_t lacking;  /* messages that others want from this node, at most; grows as they ask */
};

void ring_get_repair(const struct ring *ring, struct ring_repair *ret);

/* The first structural invariant that does not hold, as a constant text; NULL: all hold. For tests
 * after every step. */
const char *ring_broken_invariant(const struct ring *ring);

/* ---- frames, for the shell ---- */

/* The bytes that every frame begins with, enough for ring_frame_size(). */
#define RING_FRAME_HEADER_BYTES 16

/* The whole size of the frame that begins with these RING_FRAME_HEADER_BYTES bytes, or -EBADMSG
 * when no such frame is allowed (the link must be closed). */
int64_t ring_frame_size(const uint8_t *header);

/* The name of the frame's or datagram's type for a debug log ("DATA"); "?" if there is none. */
const char *ring_frame_name(const uint8_t *data, size_t size);
