#pragma once

/* What the core's files offer each other. Nobody outside daemon/ring includes this.
 *
 * Running out of memory anywhere sets ring->broken: functions then return early, ring_step() drops
 * the outputs and fails, for good. So an allocation's failure needs no unwinding. */

#include "ring-state.h"

/* ---- output.c, ring.c: outputs, timers, random numbers ---- */

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
/* Answers elect and refresh commands that nobody will finish. */
void commands_abandon(struct ring *ring);
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
/* A formation that cannot end well: the next one will come, or is started after a moment. */
void link_broke_in_formation(struct ring *ring);
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
/* Where a message of this node's own with that id is, if it is queued, unstable or undelivered. */
struct list *own_ids_of(struct ring *ring, const struct ring_id *id);
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
/* The view before is told of no more: this node has left it. */
void view_forget_told(struct ring *ring);

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

/* ---- version.c ---- */

/* What a node says that it knows. */
struct versions {
    uint8_t lowest, highest;
};

/* The highest that this node knows. */
uint8_t version_own(const struct ring *ring);
/* The highest that all members of the view know. */
uint8_t version_of_view(const struct ring *ring);
void versions_write(const struct ring *ring, struct writer *writer);
struct versions versions_read(struct reader *reader);
/* Whether there is one that both know. */
bool versions_meet(const struct ring *ring, const struct versions *versions);
/* Seldom enough. */
void versions_warn(struct ring *ring, const struct ring_address *from,
                   const struct versions *versions);
/* Where the view speaks another version than the one before (0: there was none). */
void version_tell(struct ring *ring, uint8_t before);

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
/* Tells the neighbours in the formation that this node goes on to a higher one, as they will. */
void gather_leave(struct ring *ring, const struct token *higher);
void gather_hop_failed(struct ring *ring, const char *reason);

/* ---- probe.c ---- */

void probe_begin(struct ring *ring);
/* Whatever was asked before: its failure must not count as silence for what is asked now. */
void probes_hang_up(struct ring *ring);
void probe_tick(struct ring *ring);
void probe_answered(struct ring *ring, const struct ring_id *id, uint64_t instance, uint64_t tag);
void probe_silent(struct ring *ring, const struct ring_id *id);
void probe_received(struct ring *ring, struct link *link, struct reader *reader);
void probe_acknowledged(struct ring *ring, struct reader *reader);

/* ---- install.c, sync.c ---- */

void install_begin(struct ring *ring);
int install_received(struct ring *ring, struct packet *packet, struct install *install);
void sync_check(struct ring *ring);
void sync_want(struct ring *ring);
void sync_want_received(struct ring *ring, struct ranges *wants);
int sync_fill_received(struct ring *ring, struct packet *packet, const struct message *message);
void sync_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                  struct packet *const *packets);
void sync_received(struct ring *ring);
void sync_tick(struct ring *ring);
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

/* ---- relay.c ---- */

void relay_command(struct ring *ring, ring_ticket ticket, struct bytes bytes);
int relay_received(struct ring *ring, struct reader *reader, struct packet *frame);
/* The shell has done with the bytes of that RELAYED; of one that is no more it is late. */
void relay_pass_on(struct ring *ring, ring_ticket ticket);
/* The view is another one, or none. */
void relay_abandon(struct ring *ring);
void relays_done(struct ring *ring);

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
/* The rings of the formation that is under way wait before they are taken in again. */
void merge_failed(struct ring *ring);
/* Takes the merge over, that was in doubt for a while: others may have taken its room since. */
void merge_cleared(struct ring *ring, struct link *link, struct merge *merge);
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

/* Cuts this node off from all others: a ring of one, and what was under way is dropped. */
void leave_detach(struct ring *ring);
void leave_return(struct ring *ring);

/* ---- stall.c, flap.c, clone.c: hung disks, flapping members, doubled identities ---- */

void stall_watch(struct ring *ring);
void stall_begin(struct ring *ring);
void stall_stored(struct ring *ring);
void flap_joined(struct ring *ring, const struct ring_id *id);
void flap_lost(struct ring *ring, const struct ring_id *id);
void flap_merge_failed(struct ring *ring, const struct ring_id *leader);
/* How long the node is still held off, µs. */
uint64_t flap_wait(struct ring *ring, const struct ring_id *id);
bool clone_suspected(struct ring *ring, struct link *link, struct merge *merge);
void clone_cleared(struct ring *ring);
void clone_stop(struct ring *ring);
void clone_isolate(struct ring *ring);
void clone_probe_answered(struct ring *ring, const struct ring_id *id, uint64_t instance,
                          uint64_t tag);
void clone_probe_silent(struct ring *ring, const struct ring_id *id);
int clone_received(struct ring *ring, struct reader *reader);

/* ---- repair.c, digest.c, supply.c, retention.c: the history of the others ---- */

void repair_started(struct ring *ring);
void repair_stopped(struct ring *ring);
/* `trailer`: bytes at the frame's end that are not looked at. */
int repair_received(struct ring *ring, struct packet *packet, const struct message *message,
                    const struct ring_id *supplier, size_t trailer);
/* A message from a backup. */
void repair_import(struct ring *ring, ring_ticket ticket, const struct message *message);
int repair_far_received(struct ring *ring, struct packet *packet, const struct message *message);
void repair_stored(struct ring *ring);
void repair_report(struct ring *ring);
void repair_done(struct ring *ring);

/* What this node had at START, told to its predecessor, and what came before START. */
void digest_tell(struct ring *ring);
/* The same of what it has now, to see that a repair made it the same. */
void digest_send(struct ring *ring);
/* This node's horizon rose: what it will not keep for those it supplies, others must supply. */
void digest_horizon_rose(struct ring *ring);
void digest_early(struct ring *ring, struct packet *packet);
void digest_drop_early(struct ring *ring);
int digest_received(struct ring *ring, struct packet *packet);
int origin_digests_received(struct ring *ring, struct packet *packet);
int have_received(struct ring *ring, struct packet *packet);
int conflict_received(struct ring *ring, struct reader *reader, struct packet *packet);

/* A new supply for what the target lacks; until its HAVE says otherwise, it had the same as this
 * node. NULL: the ring is broken. */
struct supply *supply_new(struct ring *ring, const struct ring_id *target);
/* NULL is allowed. */
void supply_drop(struct ring *ring, struct supply *supply);
/* Whether the target has got all that it wants from here. */
bool supply_is_done(const struct ring *ring, const struct supply *supply);
/* Messages that targets lack, as far as they have told, and get from here unless they are older
 * than what they keep. */
uint64_t supplies_lacking(const struct ring *ring);
struct supply *supply_find(const struct ring *ring, const struct ring_id *target);
/* The part for an origin, made with nothing had if it is new; NULL: the ring is broken. */
struct supply_origin *supply_origin_get(struct ring *ring, struct supply *supply,
                                        const struct ring_id *id);
/* The node itself has got this origin's message by repair: others may lack it too. */
void supply_repaired(struct ring *ring, const struct ring_id *origin);
void supplies_pump(struct ring *ring);
void supplies_done(struct ring *ring);
void supply_fetched(struct ring *ring, const struct fetch *fetch, size_t count,
                    struct packet *const *packets);
/* Reads whom a frame from a target to its supplier is for. 1: for this node, as part of the
 * returned supply; 0: it has been passed on; -EBADMSG. */
int supply_addressed(struct ring *ring, struct reader *reader, struct packet *packet,
                     struct supply **ret);
int repair_acknowledged(struct ring *ring, struct reader *reader, struct packet *packet);

void retention_wanted(struct ring *ring, uint64_t horizon);
void retention_pruned(struct ring *ring, const struct ring_id *id,
                      const struct ring_interval *interval);

struct fetch *fetch_begin(struct ring *ring, enum fetch_purpose purpose, uint64_t tag,
                          const struct range *range, size_t bytes_max);
void fetched(struct ring *ring, const struct ring_input *in);
