#pragma once

/* The core's state, shared by its files. Nobody outside daemon/ring includes this.
 *
 * Running out of memory anywhere sets `broken`: functions then return early, ring_step() drops the
 * outputs and fails, for good. So an allocation's failure needs no unwinding. */

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
    TIMER_LINK_BROKE,     /* a link of the formation broke: start the next one */
    TIMER_OUTBOX,         /* queued messages have waited long enough to be worth a write */
    TIMER_LEAVE,          /* leaving takes too long */
    TIMER_REPAIR_REPORT,  /* history repair has been quiet for a moment */
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
    uint64_t peer_timeout; /* after this much silence the other side gives the link up, µs */
    struct packet *first;  /* sent as soon as the link is up */
};

/* ---- messages in memory ---- */

/* Somebody waits for a message. */
struct waiter {
    struct waiter *next;
    ring_ticket ticket;
};

/* A message of which something is still to be done: not stable, not delivered, or not keyed. */
struct held_message {
    struct list list; /* origin->messages by seq, or ring->queue, or ring->repaired */
    struct message_key key;
    struct ring_id id;
    struct packet *packet;
    ring_ticket stored; /* the write that has it; 0: none yet */
    bool settled, delivered, repaired;
    bool waits;             /* own: keyed, and DATA has not been sent */
    bool from_outbox; /* it has, or will have, an outbox row */
    bool accepted;    /* its waiters have been told ACCEPTED */
    uint64_t queued_at;
    uint64_t repair_tag; /* the view in which it came by repair */
    struct waiter *waiters;
};

/* What is known of one origin. */
struct origin {
    struct ring_id id;
    struct intervals held;           /* received, and given to the store */
    struct intervals repairable;     /* held at START, or repaired since */
    struct intervals successor_held; /* the successor's HAVE, and what was sent since */
    uint64_t last;                   /* live traffic: the highest seq received in this view */
    struct list messages;            /* unsettled or undelivered, ascending seq */
    struct packet *seal;             /* a SEAL that waits for this disk */
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
    struct ring_id broken; /* the successor whose link just broke; zeros: none */
    struct ring_id next;   /* who was given the token, or is asked to take it */
    bool probing;
    unsigned probe_round;
    /* from INSTALL on */
    struct install install;
    ring_ticket state_written;
    ring_ticket unsettled_written; /* everything of U is in writes up to this; 0: not all here */
    ring_ticket progress_reported;
    uint64_t progress_at;
    bool filled; /* something came by FILL since the last report */
    enum sync_state sync;
    struct ranges successor_wants;
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
};

/* ---- the whole ---- */

struct ring {
    bool broken, started;
    struct ring_outbox *out; /* of the step that runs */
    uint64_t now, wall;
    uint64_t expected; /* the deadline as of the end of the last step */
    uint64_t timers[TIMERS];
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
    ring_ticket last_ticket, stored_ticket, last_fetch;

    /* messages */
    size_t origins_count, origins_allocated;
    struct origin **origins; /* by id */
    struct origin *self;
    struct list queue; /* local, not keyed */
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
    struct merge *merges;                  /* that wait to be taken in */
    uint64_t merge_after;                  /* asks nobody before */
    uint64_t merge_wait, merge_wait_until; /* takes nobody in before; the wait doubles */

    /* leaving */
    bool leaving, leave_asked;
    ring_ticket leave_ticket;
    size_t leavers_count; /* members that asked to leave */
    struct ring_id leavers[MEMBERS_MAX];

    /* repair */
    struct fetch *fetches;
    bool successor_have; /* the whole HAVE of the successor is here */
    bool repair_fetching;
    size_t repair_unacknowledged; /* bytes sent to the successor */
    uint64_t repair_received;     /* messages, since the last report */
    struct packet **early_have;   /* frames that came before START */
    size_t early_have_count;

    struct ring_status counters;
};

/* ---- ring.c: outputs, timers, random numbers ---- */

/* Appends an output and returns it to be filled; on failure the ring is broken and the returned
 * place is a dummy. */
struct ring_output *ring_emit(struct ring *ring, enum ring_output_type type);
struct ring_event *ring_emit_event(struct ring *ring, enum ring_event_type type);
/* The same about a node: its name and address are looked up in the view. */
struct ring_event *ring_emit_event_about(struct ring *ring, enum ring_event_type type,
                                         const struct ring_id *peer);
void ring_emit_reply(struct ring *ring, ring_ticket ticket, enum ring_reply reply);
void ring_arm(struct ring *ring, enum timer timer, uint64_t delay);
void ring_disarm(struct ring *ring, enum timer timer);
uint64_t ring_random(struct ring *ring);
/* `delay` times 1 … 1 + `spread` percent. */
uint64_t ring_jitter(struct ring *ring, uint64_t delay, unsigned spread);
/* malloc and calloc that break the ring when they fail. */
void *ring_allocate(struct ring *ring, size_t count, size_t size);
/* Makes room for one more element in a growing array; false: the ring is broken. */
bool ring_grow(struct ring *ring, void **list, size_t count, size_t *allocated, size_t size);

/* ---- dispatch.c ---- */

int frame_received(struct ring *ring, ring_link number, struct packet *packet);

/* ---- link-state.c ---- */

struct link *link_find(const struct ring *ring, ring_link number);
/* Dials a node; `first` (owned) goes out right behind the HELLO. NULL: the ring is broken. */
struct link *link_dial(struct ring *ring, enum link_role role, const struct ring_id *peer,
                       const struct ring_addresses *addresses, struct packet *first);
/* Sends a frame; takes the reference. NULL packet: the ring is broken, nothing happens. A NULL link
 * drops the packet. */
void link_send(struct ring *ring, struct link *link, struct packet *packet);
/* Closes; the link is freed. NULL is allowed. */
void link_hang_up(struct ring *ring, struct link *link);
void link_up(struct ring *ring, const struct ring_input *in);
void link_down(struct ring *ring, struct link *link, const char *reason);
/* A HELLO; false: the link was hung up. */
bool link_hello(struct ring *ring, struct link *link, const struct packet *packet);
void link_ping_tick(struct ring *ring);
void links_done(struct ring *ring);

/* ---- clock.c ---- */

/* The hlc for a new key; above every key sent or received. */
uint64_t clock_next(struct ring *ring);
/* Whether a new key would be within the durable bound; asks for a higher bound when it is near. */
bool clock_may_give(struct ring *ring);
void clock_received(struct ring *ring, uint64_t hlc);
/* Writes run, epoch and a fresh bound, or this bound; the ticket of the write. */
ring_ticket state_write(struct ring *ring);
ring_ticket state_write_bound(struct ring *ring, uint64_t bound);
uint64_t run_for_start(uint64_t last, uint64_t wall);

/* ---- delivery.c ---- */

struct origin *origin_find(const struct ring *ring, const struct ring_id *id);
/* The same, made if it is new; NULL: the ring is broken. */
struct origin *origin_get(struct ring *ring, const struct ring_id *id);
/* Takes a message in: memory, clock, a write. The packet is referenced. NULL: broken. */
struct held_message *message_take(struct ring *ring, struct origin *origin,
                                  const struct message *message, struct packet *packet);
/* Marks everything of the origin up to seq as settled. */
void messages_settle(struct ring *ring, struct origin *origin, uint64_t seq);
/* Delivers what can be delivered in order. */
void messages_deliver(struct ring *ring);
/* At START: everything is settled, delivered in key order, late where it must be. */
void messages_settle_all(struct ring *ring);
/* The same without the ordered delivery of live traffic: for repair. */
struct held_message *message_new(struct ring *ring, const struct message *message,
                                 struct packet *packet);
/* Gives the message to the store. */
void message_write(struct ring *ring, struct held_message *message);
void message_deliver(struct ring *ring, struct held_message *message, bool late);
void message_answer(struct ring *ring, struct held_message *message, enum ring_reply reply);
void message_free(struct held_message *message);
bool is_stored(const struct ring *ring, ring_ticket ticket);
void delivery_done(struct ring *ring);

/* ---- live.c ---- */

/* The last n of a run that is given; the next formation takes a new run. */
#define RUN_LENGTH_MAX 0xF0000000U

void live_send_command(struct ring *ring, const struct ring_input *in);
void live_pump(struct ring *ring);
void live_stored(struct ring *ring);
/* The handlers of frames return 0, or -EBADMSG where a frame makes no sense. */
int live_data(struct ring *ring, struct packet *packet, const struct message *message);
int live_seal(struct ring *ring, struct reader *reader, struct packet *packet);
int live_stable(struct ring *ring, struct reader *reader, struct packet *packet);
void live_reset(struct ring *ring);
void outbox_tick(struct ring *ring);
void outbox_load(struct ring *ring, struct packet *const *packets, size_t count);
/* Answers every sender that waits. */
void live_answer_all(struct ring *ring, enum ring_reply reply);
void queue_done(struct ring *ring);

/* ---- view.c ---- */

struct ring_member *view_member(const struct ring *ring, const struct ring_id *id);
bool view_is_leader(const struct ring *ring);
bool view_is_alone(const struct ring *ring);
const struct ring_member *view_successor(const struct ring *ring);
/* Makes the members of an INSTALL (taken from it) the view. */
void view_install(struct ring *ring, const struct ring_formation_id *id, struct install *install);
/* A view of this node alone, of a new epoch. */
void view_alone(struct ring *ring);
struct candidate candidate_of(const struct ring_member *member);
void view_describe_self(struct ring *ring, struct ring_member *ret);
/* Tells who joined, left and failed since the view that went live before this one. */
void view_tell_changes(struct ring *ring);

/* ---- token.c: GATHER's and INSTALL's contents ---- */

void token_done(struct token *token);
void install_done(struct install *install);
struct packet *token_write(const struct token *token);
/* Fills `ret`, which the caller clears with token_done() in any case. 0, -EBADMSG or -ENOMEM. */
int token_read(struct packet *packet, struct token *ret);
struct packet *install_write(const struct install *install, uint64_t tag);
int install_read(struct packet *packet, struct install *ret);
int ranges_add(struct ranges *ranges, const struct ring_id *origin, uint64_t from, uint64_t to);
void ranges_done(struct ranges *ranges);
void ranges_write(struct writer *writer, const struct ranges *ranges);
int ranges_read(struct reader *reader, struct ranges *ret);
struct candidate *token_candidate(const struct token *token, const struct ring_id *id);
struct entry *token_entry(const struct token *token, const struct ring_id *id);
bool token_has_base(const struct token *token, const struct ring_formation_id *id);
void candidate_write(struct writer *writer, const struct candidate *candidate);
struct candidate candidate_read(struct reader *reader);

/* ---- formation.c ---- */

struct formation_cause {
    const char *reason;
    const struct merge *merges; /* to take in */
    struct ring_id elect;
    const struct ring_id *broken; /* the successor whose link just broke, or NULL */
    bool without_newcomers;       /* drop those of the formation before */
};

void formation_start(struct ring *ring, const struct formation_cause *cause);
/* Leaves the formation before, freezes, and takes part in this one: the token is taken over and
 * gets this node's entry. false: the ring is broken. */
bool formation_join(struct ring *ring, struct token *token);
void formation_arm_deadline(struct ring *ring);
void formation_no_progress(struct ring *ring);
void formation_link_broke(struct ring *ring);
void formation_free(struct ring *ring);
void elect_command(struct ring *ring, ring_ticket ticket, const struct ring_id *node);

/* ---- gather.c ---- */

void gather_pass_token(struct ring *ring);
void gather_received(struct ring *ring, struct link *link, struct token *token);
void gather_acknowledged(struct ring *ring, struct link *link);
void gather_refused(struct ring *ring, struct link *link, struct reader *reader);
void gather_hop_failed(struct ring *ring, const char *reason);

/* ---- probe.c ---- */

void probe_begin(struct ring *ring);
void probe_tick(struct ring *ring);
void probe_answered(struct ring *ring, const struct ring_id *id, uint64_t instance);
void probe_silent(struct ring *ring, const struct ring_id *id);
void probe_received(struct ring *ring, struct link *link, struct reader *reader);
void probe_acknowledged(struct ring *ring, struct reader *reader);

/* ---- install.c, sync.c ---- */

void install_begin(struct ring *ring);
int install_received(struct ring *ring, struct packet *packet, struct install *install);
void sync_check(struct ring *ring);
void sync_want(struct ring *ring);
void sync_want_received(struct ring *ring, struct ranges *wants);
void sync_fill_received(struct ring *ring, struct packet *packet, const struct message *message);
void sync_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                  struct packet *const *packets);
void sync_received(struct ring *ring);
void sync_progress_received(struct ring *ring, struct reader *reader, struct packet *packet);
void sync_go(struct ring *ring);

/* ---- heartbeat.c ---- */

void heartbeat_started(struct ring *ring);
void heartbeat_tick(struct ring *ring);
void heartbeat_lost(struct ring *ring);
int heartbeat_received(struct ring *ring, struct link *link, struct reader *reader,
                       enum frame_type type);
void heartbeat_acknowledged(struct ring *ring, struct reader *reader);
void heartbeat_refresh(struct ring *ring, ring_ticket ticket);

/* ---- discovery.c, merge.c ---- */

void discovery_begin(struct ring *ring);
void discovery_tick(struct ring *ring);
void announce_tick(struct ring *ring);
/* A view went live: others shall hear of it soon. */
void discovery_view_started(struct ring *ring);
int discovery_received(struct ring *ring, const struct ring_input *in);
/* A datagram with its common fields written, to be completed by the caller. */
void datagram_begin(struct ring *ring, struct writer *writer, enum frame_type type);
void datagram_send(struct ring *ring, struct writer *writer, const struct ring_addresses *to);
/* Whether this ring should ask that one to merge. */
bool merge_wanted(const struct ring *ring, const struct offer *offer);
void merge_consider(struct ring *ring, const struct offer *offer);
void merge_choose(struct ring *ring);
int merge_received(struct ring *ring, struct link *link, struct reader *reader);
void merge_refused(struct ring *ring, struct link *link, struct reader *reader);
void merge_begin(struct ring *ring);
void merge_give_up(struct ring *ring);
void merge_failed(struct ring *ring);
void merges_free(struct merge *merges);

/* ---- leave.c ---- */

void leave_command(struct ring *ring, ring_ticket ticket);
void leave_check(struct ring *ring);
int leave_received(struct ring *ring, struct reader *reader);
void leave_let_go(struct ring *ring);
void leave_now(struct ring *ring);
/* With everything on disk, a node that has left settles what it holds. */
void leave_settle(struct ring *ring);
void leave_join(struct ring *ring, ring_ticket ticket);
bool leaver_is(const struct ring *ring, const struct ring_id *id);

/* ---- repair.c ---- */

void repair_started(struct ring *ring);
void repair_stopped(struct ring *ring);
int repair_have_received(struct ring *ring, struct packet *packet);
void repair_have_early(struct ring *ring, struct packet *packet);
void repair_pump(struct ring *ring);
void repair_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                    struct packet *const *packets);
void repair_received(struct ring *ring, struct packet *packet, const struct message *message);
void repair_acknowledged(struct ring *ring, struct reader *reader);
void repair_stored(struct ring *ring);
void repair_report(struct ring *ring);
void repair_done(struct ring *ring);
struct fetch *fetch_begin(struct ring *ring, enum fetch_purpose purpose, uint64_t tag,
                          const struct range *range, size_t bytes_max);
void fetched(struct ring *ring, const struct ring_input *in);
