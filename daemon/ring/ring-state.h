#pragma once

/* The core's state. Nobody outside daemon/ring includes this. */

#include "common/list.h"
#include "interval.h"
#include "ring.h"
#include "wire.h"

/* ---- timers ---- */

enum timer {
    TIMER_PING,           /* pings, and silent links */
    TIMER_HEARTBEAT,      /* the leader's next heartbeat */
    TIMER_HEARTBEAT_LOST, /* no heartbeat came */
    TIMER_DISCOVER,       /* the next DISCOVER of a node that has just started */
    TIMER_ANNOUNCE,       /* the leader's next ANNOUNCE */
    TIMER_CHOOSE_OFFER,   /* offers of a moment are in: ask the best one to merge */
    TIMER_MERGE,          /* merges of a moment are in: start the formation */
    TIMER_MERGE_GIVE_UP,  /* the ring that was asked to merge does nothing */
    TIMER_PROBE,          /* the next round of probes, or their end */
    TIMER_HOP,            /* the token's next holder does not acknowledge */
    TIMER_DEADLINE,       /* the formation makes no progress */
    TIMER_SYNC,           /* this disk has what the formation waits for still to write */
    TIMER_LINK_BROKE,     /* a link of the formation broke: start the next one */
    TIMER_OUTBOX,         /* queued messages have waited long enough to be worth a write */
    TIMER_LEAVE,          /* leaving takes too long */
    TIMER_REPAIR_REST,    /* history repair has let chat pass for long enough */
    TIMER_REPAIR_REPORT,  /* history repair has been quiet for a moment */
    TIMER_STORE,          /* the disk has completed nothing for too long */
    TIMER_CLONE,          /* the listed node of a doubtful merge does not answer */
    TIMERS
};

#define NEVER UINT64_MAX

/* ---- links ---- */

enum link_role {
    LINK_NEW,         /* accepted, nothing known yet */
    LINK_TOKEN_IN,    /* brought the token of the current formation */
    LINK_TOKEN_OUT,   /* dialled to pass the token on */
    LINK_PREDECESSOR, /* of the installed view */
    LINK_SUCCESSOR,
    LINK_PROBE, /* dialled for a probe */
    LINK_MERGE, /* dialled to ask another leader to merge */
};

struct link {
    struct list list; /* ring->links */
    ring_link number;
    enum link_role role;
    bool up, greeted;    /* greeted: its HELLO has come */
    struct ring_id peer; /* dialled: who is meant; accepted: as its HELLO says */
    uint64_t instance;   /* from its HELLO */
    struct ring_address remote;
    uint64_t opened, received, sent; /* µs; when the last frame came, and went */
    unsigned doubts;                 /* how often it has been given more time since that frame */
    uint64_t peer_timeout; /* after this much silence the other side gives the link up, µs */
    struct packet *first;  /* sent as soon as the link is up */
};

/* ---- messages in memory ---- */

/* Somebody waits for a message. */
struct waiter {
    struct waiter *next;
    ring_ticket ticket;
};

/* Lists by which a send finds whether its id is on its way: at most 16 in each, mostly one. */
#define OWN_ID_LISTS 256

/* A message of which something is still to be done: not stable, not delivered, or not keyed. */
struct held_message {
    struct list list;  /* origin->messages by seq, or ring->queue, or ring->repaired */
    struct list by_id; /* this node's own, but for repaired ones: ring->own_ids */
    struct message_key key;
    struct ring_id id;
    struct packet *packet;
    ring_ticket stored; /* the write that has it; 0: none yet */
    bool settled, delivered, repaired;
    bool waits;       /* own: keyed, and DATA has not been sent */
    bool from_outbox; /* it has, or will have, an outbox row */
    bool accepted;    /* its waiters have been told ACCEPTED */
    uint64_t queued_at;
    uint64_t repair_tag;     /* the view in which it came by repair */
    struct ring_id supplier; /* and who sent it, */
    uint64_t missing;        /* and how many that one said were still to come behind it */
    struct waiter *waiters;
};

/* What is known of one origin. */
struct origin {
    struct ring_id id;
    struct intervals held;   /* received and given to the store, pruned since or not; with sums */
    struct intervals pruned; /* a part of it: not in the store any more */
    struct intervals base;   /* held at START, or repaired since: what digests tell */
    struct intervals repairable; /* in the store at START, or repaired since */
    uint64_t digest;             /* of base */
    bool conflict_told;          /* others hold other messages under its seqs, and it was told */
    uint64_t last;               /* live traffic: the highest seq received in this view */
    struct list messages;        /* unsettled or undelivered, ascending seq */
    struct packet *seal;         /* a SEAL that waits for this disk */
    uint64_t seal_seq;
};

/* ---- formation ---- */

struct candidate {
    struct ring_id id;
    uint64_t instance;
    struct ring_addresses addresses;
    bool newcomer; /* of a ring that merges into this one */
    bool failed;
    bool heard;    /* answered the probe (not sent) */
    uint64_t held; /* the highest seq of it that anyone holds */
};

/* What a node says of itself when the token passes it. */
struct entry {
    struct ring_member member; /* hop_usec unused; clock_offset: its wall clock, µs */
    struct ring_formation_id view;
    uint64_t seq, epoch, hlc;
    uint64_t heartbeat_interval, heartbeat_timeout; /* used if it leads */
};

struct range {
    struct ring_id origin;
    struct ring_interval interval;
};

struct ranges {
    size_t count, allocated;
    struct range *list;
};

struct token {
    struct ring_formation_id id;
    bool merge;
    struct ring_id incumbent; /* the leader until now */
    struct ring_id elect;     /* zeros: nobody in particular */
    size_t leavers_count, bases_count, candidates_count, entries_count;
    struct ring_id *leavers;
    struct ring_formation_id *bases;
    struct candidate *candidates;
    struct entry *entries;
    struct ranges unsettled;
};

struct install {
    struct ring_id leader;
    uint64_t heartbeat_interval, heartbeat_timeout, hlc, wall;
    size_t count;
    struct ring_member *members;
    uint64_t *cuts; /* a seq for each member */
    size_t leavers_count;
    struct ring_id *leavers;
    struct ranges unsettled;
};

enum sync_state {
    SYNC_NONE,
    SYNC_MINE, /* the initiator's to begin */
    SYNC_HOLD, /* it came, and is held until everything is on disk */
    SYNC_LAP,  /* the initiator's is back */
};

struct formation {
    struct token token;
    bool installed;
    struct link *out, *in; /* the links that the token used */
    bool out_acknowledged;
    uint64_t passed_at, hop_usec; /* when the token went on, and how long it took; 0: not known */
    bool outranked;               /* a neighbour has gone on to a higher one */
    struct ring_id broken;        /* the successor whose link just broke; zeros: none */
    struct ring_id next;          /* who was given the token, or is asked to take it */
    bool probing;
    unsigned probe_round;
    size_t merging_count;
    struct ring_id *merging; /* at the initiator: the leaders of the rings to take in */
    /* from INSTALL on */
    struct install install;
    ring_ticket state_written;
    ring_ticket unsettled_written; /* everything of U is in writes up to this; 0: not all here */
    ring_ticket progress_reported;
    uint64_t progress_at;
    bool filled; /* something came by FILL since the last report */
    enum sync_state sync;
    struct ranges successor_wants;
    bool wanted;                /* the predecessor has been asked: it has INSTALL */
    struct ranges pruned_wants; /* the successor's, not here any more, and still to be asked for */
};

/* ---- other rings ---- */

/* What an OFFER or ANNOUNCE says of a ring. */
struct offer {
    struct ring_formation_id view;
    struct ring_id leader;
    uint64_t instance;
    struct ring_addresses addresses;
    char name[NAME_BYTES_MAX + 1];
    size_t members;
};

/* A ring that asks to be merged into this one. */
struct merge {
    struct merge *next;
    struct ring_formation_id view;
    uint64_t epoch;
    struct ring_id leader;
    size_t count;
    struct candidate members[];
};

/* A node that joined, or led a ring that could not be taken in; see flap.c. */
struct flap {
    struct ring_id id;
    unsigned count;                       /* how often it was lost at once */
    uint64_t merged_at, held_until, wait; /* µs */
    uint64_t merge_wait;                  /* after its ring's last merge that failed, µs */
};

/* ---- fetches ---- */

enum fetch_purpose {
    FETCH_FILL,   /* for the successor's WANT */
    FETCH_REPAIR, /* for history repair */
};

struct fetch {
    struct fetch *next;
    ring_ticket ticket;
    enum fetch_purpose purpose;
    uint64_t tag; /* of the view or formation that it is for */
    struct range range;
    struct ring_id target; /* of repair: who is supplied */
};

/* ---- history repair ---- */

struct supply_origin {
    struct ring_id id;
    struct intervals had; /* the target's, and what was sent since */
    bool told;            /* its HAVE names the origin; else it had the same as this node */
};

/* Another member that is sent what it lacks of the history: the successor, or one further on that
 * keeps what those between do not. */
struct supply {
    struct supply *next;
    struct ring_id target;
    bool ready; /* its whole HAVE is here */
    bool fetching;
    size_t unacknowledged;   /* bytes sent */
    uint64_t floor, ceiling; /* it wants floor <= hlc < ceiling from here */
    uint64_t digest;         /* of all that it had */
    size_t count, allocated;
    struct supply_origin *origins; /* by id */
};

/* ---- the whole ---- */

struct ring {
    bool broken, started;
    struct ring_outbox *out; /* of the step that runs */
    uint64_t now, wall;
    uint64_t expected; /* the deadline as of the end of the last step */
    uint64_t timers[TIMERS];
    unsigned doubts[TIMERS]; /* how often it has been given more time since it was armed */
    uint64_t random;

    /* this node */
    struct ring_config config;
    char name[NAME_BYTES_MAX + 1], ring_name[RING_NAME_BYTES_MAX + 1];
    enum ring_phase phase;
    struct ring_state state;        /* as last given to the store */
    struct ring_state stored_state; /* as is on disk */
    struct {
        ring_ticket ticket;
        struct ring_state state;
    } state_writes[8]; /* in flight, oldest first */
    size_t state_writes_count;
    uint64_t seq;           /* the last one given */
    uint64_t highest_epoch; /* seen anywhere */

    /* clock.c */
    uint64_t hlc;
    uint64_t physical_ms, physical_at; /* the logical clock's reading at a monotonic time */

    /* writes */
    bool disk_hung; /* told so, and not yet that it is back */
    ring_ticket last_ticket, stored_ticket, last_fetch;

    /* messages */
    size_t origins_count, origins_allocated;
    struct origin **origins; /* by id */
    struct origin *self;
    struct list queue; /* local, not keyed */
    struct list own_ids[OWN_ID_LISTS];
    size_t queue_count, queue_bytes;
    size_t window_count, window_bytes; /* own, keyed and unstable */
    uint64_t seal_in_flight;           /* own seq; 0: none */
    size_t waiting_count;              /* own messages that wait to be sent */
    struct held_message **undelivered; /* heap by key */
    size_t undelivered_count, undelivered_allocated, undelivered_bytes;
    struct message_key top_delivered; /* the highest delivered unmarked */
    struct list repaired;             /* by repair, not yet on disk */

    /* view and links */
    struct ring_view view;
    struct ring_member *members; /* view.members */
    struct ring_view told;       /* the last view that went live, as told in events */
    struct ring_member *told_members;
    uint64_t heartbeat_interval, heartbeat_timeout; /* the leader's */
    uint64_t view_since;
    struct list links;
    struct link *successor, *predecessor;
    ring_link last_link;
    uint64_t lap_started, lap_usec, heartbeat_number, hop_usec;
    ring_ticket refresh_ticket;
    struct list relays;       /* that wait for the shell, see relay.c */
    ring_ticket last_relay;   /* the last ticket of a RELAYED */
    ring_ticket relay_ticket; /* of the own one under way; 0: none */

    /* formation.c and its steps */
    struct formation *formation;
    ring_ticket elect_ticket;
    struct ring_id elect_node;

    /* discovery and merging */
    unsigned discover_round;
    uint64_t redirected_at; /* when a foreign node was last sent to the leader */
    uint64_t version_warned_at;
    bool offer_pending;
    struct offer best_offer;
    struct link *merge_link;
    struct merge *merges; /* that wait to be taken in */
    uint64_t merge_after; /* asks nobody before */
    size_t flaps_count;
    struct flap flaps[32];
    struct merge *doubtful_merge; /* brings an id that is a member's; see clone.c */
    ring_link doubtful_link;      /* that brought it */
    ring_link doubtful_probe;     /* that asks the member; 0: none does */
    size_t doubtful_at;           /* which of its members is asked about */
    uint64_t doubtful_tag;        /* of the probes that ask the member */

    /* leaving */
    bool leaving, leave_asked;
    ring_ticket leave_ticket;
    size_t leavers_count; /* members that asked to leave */
    struct ring_id leavers[MEMBERS_MAX];

    /* repair */
    struct fetch *fetches;
    struct supply *supplies;  /* the successor's first */
    uint64_t chat_at;         /* when the last live message was given its key, or came; µs */
    uint64_t supply_begun;    /* when the chunk that is under way was */
    uint64_t supply_rest;     /* until then, while chat flows */
    uint64_t base_digest;     /* of all origins' bases */
    uint64_t repair_received; /* messages, since the last report */
    uint64_t repair_missing;  /* that are still to come, as is told by */
    struct ring_id repair_missing_at;
    struct packet **early_digest; /* frames that came before START */
    size_t early_digest_count;

    struct ring_status counters;
};
