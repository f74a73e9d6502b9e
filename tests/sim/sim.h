#pragma once

/* A world of nodes in one process, under virtual time: everything that happens is drawn from one
 * seed, so that a run can be replayed exactly. The nodes are the real core (daemon/ring); network,
 * disks, clocks and processes are simulated, with their faults. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ring/ring.h"

#define NODES_MAX 256
#define MESSAGES_MAX 8192
#define FAILURE_TEXT_MAX 400

/* ---- events of the virtual time ---- */

enum event_kind {
    EVENT_INPUT,  /* gives `input` to a node */
    EVENT_TIMER,  /* the node's timer, if it is still armed for now */
    EVENT_COMMIT, /* a node's disk has done its first `count` requests */
    EVENT_STARVE, /* a starved process gets its share of the processor, or loses it */
};

struct event {
    uint64_t time, number; /* the number keeps those of one time in order */
    enum event_kind kind;
    int node;
    unsigned life; /* of the node: an event for an earlier life is void */
    struct ring_input input;
    size_t connection; /* + 1; 0: it does not come over one */
    size_t count;
    struct packet *packet;   /* owned: a frame or a datagram */
    struct packet **packets; /* owned: what was fetched */
    bool garbled;            /* it may be refused */
};

/* ---- network ---- */

/* One side of a connection. */
struct side {
    int node;
    unsigned life;
    ring_link link;
    bool open;
    size_t on_the_way; /* bytes sent and not taken by the other side */
    uint64_t last;     /* when the last thing that it sent arrives: nothing overtakes */
};

struct connection {
    struct side sides[2];
    bool stalled; /* something was lost: TCP does not go on in this run */
};

/* ---- disks ---- */

enum request_kind { REQUEST_MESSAGE, REQUEST_OUTBOX, REQUEST_STATE, REQUEST_FETCH };

struct request {
    enum request_kind kind;
    ring_ticket ticket;
    struct packet *packet; /* owned */
    bool from_outbox;
    struct ring_state state;
    struct ring_id origin;
    uint64_t from, to;
    size_t bytes_max;
};

/* What a disk has of a message. */
enum presence { NEVER_HAD, HAS, PRUNED };

/* A message on a disk, with what is looked for. */
struct record {
    struct packet *packet; /* NULL: it was pruned */
    struct message_key key;
    struct ring_id id;
    int number;
};

/* What survives a crash. */
struct disk {
    struct ring_state state;
    struct record *messages;
    size_t count, allocated;
    uint8_t *has; /* enum presence by number; MESSAGES_MAX of them, or NULL */
    struct packet **outbox;
    size_t outbox_count, outbox_allocated;
};

/* ---- faults ---- */

enum fault_class {
    FAULT_KILL,
    FAULT_POWER,
    FAULT_IN_STEP, /* dies between two outputs of a step */
    FAULT_MEMORY,  /* an allocation fails */
    FAULT_PAUSE,
    FAULT_RESET,
    FAULT_CUT,
    FAULT_ONE_WAY,
    FAULT_PARTITION,
    FAULT_CLOCK,
    FAULT_DATAGRAMS, /* lost, doubled, and late */
    FAULT_DISK_HANG,
    FAULT_DISK_FAIL,
    FAULT_DISK_FULL,
    FAULT_SUSPEND,
    FAULT_STARVE,
    FAULT_MOVE,   /* a host comes back under another name or address */
    FAULT_CLONE,  /* the last node starts with a copy of another's disk */
    FAULT_BACKUP, /* a node comes back with an older copy of its disk */
    FAULT_ELECT,  /* no faults, but as disturbing */
    FAULT_REFRESH,
    FAULT_LEAVE,
    FAULT_RETENTION, /* a node keeps less of the history from now on */
    FAULT_RETRY,     /* a client sends again what it got no answer to */
    FAULT_IMPORT,    /* somebody brings messages of an export */
    FAULT_RELOAD,    /* other settings, and a key where there was none */
    FAULT_STRANGER,  /* datagrams and connections of others */
    FAULT_GARBLE,    /* a member sends a frame that is too short */
    FAULT_CLASSES
};

/* ---- nodes ---- */

#define RELAYED_MAX 64

/* What was relayed to a node's shell. */
struct relayed {
    ring_ticket ticket; /* of the origin's command */
    uint64_t done;      /* when the shell has done with it */
};

struct node {
    int number;
    int identity;               /* the number that its id is made of: another's for a clone */
    uint64_t instance, started; /* of this life */
    unsigned life;
    bool running, host_up, paused, suspended;
    struct ring *ring;
    struct disk disk;
    struct request *requests; /* not yet on the disk */
    size_t requests_count, requests_allocated;
    bool committing, disk_hangs, disk_broken, disk_full;
    size_t commit_count, commit_due; /* requests of the commit under way; held up by a hung disk */
    struct event **inbox;            /* while it is paused */
    size_t inbox_count, inbox_allocated;
    uint64_t timer;
    uint64_t horizon;                   /* as last given to the disk */
    int64_t clock_skew;                 /* µs off the world's clock */
    uint64_t asleep_since, asleep_usec; /* suspended: its monotonic clock stood still */
    unsigned renamed, moved;            /* how often its host got another name, or address */
    bool starved;
    uint64_t starved_until;
    uint64_t heartbeat_interval, heartbeat_timeout, link_timeout; /* its settings */
    uint64_t commit_usec; /* what a commit takes at least; 0: as everywhere */
    ring_ticket last_ticket, last_fetch;
    ring_ticket unheard; /* its disk has written up to there, and it has not been told; 0: it has */
    ring_link last_link;
    int crash_after;      /* crash behind this many further outputs; -1: not */
    long fail_allocation; /* the allocation that fails, counted from now; 0: none */
    int commands;         /* not answered */
    size_t relayed_count;
    struct relayed relayed[RELAYED_MAX]; /* the last ones that its shell was given */
    bool restored;                       /* from an older backup */
    bool forgot;                         /* has lost with its disk what it has shown */
    bool keyless;                        /* it has no key, and is not in the network */
    bool excepted;                       /* a clone: nothing is asked of it at the end */
    uint64_t checked_view, checked_epoch, checked_formation;
    uint64_t last_delivery, longest_gap; /* of unmarked ones */
    uint64_t live_view, view_before; /* tags of the last two views that went live in this life */

    /* what a reader of its history and its tail has seen */
    bool seen[MESSAGES_MAX];
    bool has_last;
    struct message_key last; /* the highest key that came unmarked */
    struct message_key top;  /* the highest key seen at all */
};

/* ---- messages ---- */

struct sent {
    int sender;
    bool acknowledged;          /* a send returned success */
    bool accepted;              /* or was told that it will be sent */
    bool refused;               /* it was not taken */
    bool excused;               /* it was only on a disk that was lost */
    bool from_backup;           /* its sender had lost its clock with a disk */
    unsigned life;              /* of the sender */
    int answers;                /* final ones */
    size_t size;                /* of the text */
    uint64_t hlc, seq;          /* its key; 0: never stored */
    struct message_key seen;    /* the highest key that its sender had seen */
    uint64_t sent_in, shown_in; /* views: keyed in; shown unmarked in, right behind that */
};

/* ---- the world ---- */

/* The world begins at a time that is no special number. */
#define BEGIN_USEC 1000000

/* The wall clock at that time: 2025-11-23. */
#define WALL_BEGIN_MSEC 1763900000000LL

/* What happens to `victim` when `node` sends, or is about to take, such a frame. */
struct trap {
    enum trap_kind { TRAP_NONE, TRAP_KILL, TRAP_POWER, TRAP_PAUSE, TRAP_CUT, TRAP_RESET } kind;
    bool takes;
    unsigned skip; /* so many such frames go by first */
    int node, victim;
    char frame[24];
};

#define TRAPS_MAX 4

/* Numbers of messages by their origin and seq, a hash table. */
#define KEY_SLOTS (2 * MESSAGES_MAX)

/* Frames that were sent, by what for. */
enum frame_use {
    USE_CHAT,      /* DATA, SEAL, STABLE */
    USE_UPKEEP,    /* pings and heartbeats */
    USE_FORMATION, /* and all else */
    USES
};

struct cost {
    uint64_t frames, bytes;
};

struct seen_view {
    uint64_t tag, hash;
};

struct sim {
    uint64_t seed, random, now;
    bool tracing;
    struct event **events;
    size_t events_count, events_allocated;
    uint64_t events_made;
    size_t nodes_count;
    bool classes[FAULT_CLASSES];
    bool story;        /* even times, and a trace without signs of life */
    bool inputs_first; /* a resumed process takes what has arrived before its late timer */
    struct trap traps[TRAPS_MAX];
    uint64_t hop_usec, hop_spread;
    bool floods;                             /* bursts of large messages */
    bool cut[NODES_MAX][NODES_MAX];          /* from, to */
    unsigned datagram_loss, datagram_copies; /* percent */
    unsigned datagrams_late;                 /* percent: overtaken by later ones */
    uint64_t slowest_timeout;                /* of all nodes' settings */
    struct connection *connections;
    size_t connections_count, connections_allocated;
    ring_link last_accepted;
    uint64_t commands;
    bool counting; /* what is sent; seeds have no use for it */
    struct cost costs[USES];
    size_t on_the_way_max; /* the most bytes that ever waited in a connection */
    uint64_t commit_usec;
    struct seen_view *views;
    size_t views_count, views_allocated;
    bool doubled;        /* clones gave one number twice: told, and not mended */
    int keys[KEY_SLOTS]; /* message + 1, or 0 */
    struct packet *heard_datagram, *heard_hello; /* the last ones */
    bool garbling;                               /* frames are garbled from now on */
    bool has_backup;
    int backup_node;
    uint64_t backup_time;
    struct disk backup;
    struct ring_outbox outbox;
    size_t messages_count;
    uint64_t formations; /* ended lives' */
    bool failed;
    char failure[FAILURE_TEXT_MAX];
    /* statistics */
    uint64_t heal_usec, formations_after_heal, acknowledgements, late;

    /* large, and only as much of it is cleared as is used */
    struct sent messages[MESSAGES_MAX];
    struct node nodes[NODES_MAX];
};

/* world.c */
void sim_begin(struct sim *sim, uint64_t seed, size_t nodes);
void sim_begin_story(struct sim *sim, size_t nodes);
/* The original's long times instead of the defaults. */
void node_set_slow(struct sim *sim, struct node *node);
void node_set_usual(struct node *node);
void sim_end(struct sim *sim);
uint64_t sim_random(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t bound);
bool sim_chance(struct sim *sim, unsigned percent);
/* An event for a node after `delay`, to be completed and given to sim_push(). */
struct event *sim_event(struct sim *sim, int node, uint64_t delay, enum event_kind kind);
void sim_push(struct sim *sim, struct event *event);
void event_free(struct event *event);
/* Lets the world go on until that time, or a failure. */
void sim_run(struct sim *sim, uint64_t until);
__attribute__((format(printf, 2, 3))) void sim_trace(struct sim *sim, const char *format, ...);
/* The run is over: what `checker` demands does not hold. */
__attribute__((format(printf, 3, 4))) void sim_fail(struct sim *sim, const char *checker,
                                                    const char *format, ...);

/* trace.c */
void trace_event(struct sim *sim, const struct node *node, const struct ring_event *event);
void trace_frame(struct sim *sim, const struct node *node, int to, const struct packet *packet);

/* story.c: plays a script; false: a check failed. */
bool story_play(struct sim *sim, const char *path);

/* measure.c: prints what it finds; false: it could not, or it is not fair. */
bool measure_scale(struct sim *sim);
bool measure_fairness(struct sim *sim);

/* network.c */
void network_dial(struct sim *sim, struct node *node, const struct ring_output *output);
void network_hang_up(struct sim *sim, struct node *node, ring_link link);
void network_send(struct sim *sim, struct node *node, const struct ring_output *output);
void network_datagram(struct sim *sim, struct node *node, const struct ring_output *output);
/* Whether an event that came over a connection arrives. */
bool network_arrives(struct sim *sim, const struct event *event);
/* The process is gone: its kernel resets the connections. */
void network_process_gone(struct sim *sim, const struct node *node);
void network_reset(struct sim *sim, const struct node *node);
/* Resets all connections between two nodes. */
void network_reset_between(struct sim *sim, const struct node *a, const struct node *b);
struct ring_address network_address(const struct node *node);

/* disk.c */
void disk_submit(struct sim *sim, struct node *node, const struct ring_output *output);
void disk_commit(struct sim *sim, struct node *node, size_t count);
void disk_copy(struct disk *to, const struct disk *from);
void disk_hang(struct sim *sim, struct node *node);
void disk_go_on(struct sim *sim, struct node *node);
void disk_break(struct sim *sim, struct node *node);
void disk_fill(struct sim *sim, struct node *node);
void disk_tell_failed(struct sim *sim, struct node *node, ring_ticket ticket);
void disk_back_up_or_restore(struct sim *sim, struct node *node);
void disk_lose_requests(struct node *node);
void disk_free(struct disk *disk);
bool disk_has(const struct disk *disk, int message);
/* The same, or it had it until its retention ended. */
bool disk_had(const struct disk *disk, int message);
/* Whether that message is in each history that keeps it, or nobody has it any more. */
bool history_is_whole(const struct sim *sim, int message);
bool disk_has_in_outbox(const struct disk *disk, int message);

/* life.c */
/* The process gets the processor now and then only. */
void node_starve(struct sim *sim, struct node *node);
/* Turn by turn; whoever else stopped or resumed the process has ended this. */
void node_starve_tick(struct sim *sim, struct node *node);
void node_start(struct sim *sim, struct node *node);
/* With `power` the host goes down too, and nothing tells the others. */
void node_crash(struct sim *sim, struct node *node, bool power);
void node_free(struct sim *sim, struct node *node);
struct ring_id node_id(size_t number);
int node_number(const struct ring_id *id);
/* The one that a view means: its id may be another's, too. */
struct node *node_of(struct sim *sim, const struct ring_member *member);

/* trap.c */
/* False: there are too many. */
bool trap_set(struct sim *sim, const struct trap *trap);
void trap_spring(struct sim *sim, struct node *node, const struct packet *packet, bool takes);

/* relay.c */
struct bytes relay_bytes(const ring_ticket *ticket);
void relay_take(struct sim *sim, struct node *node, const struct ring_output *output);
/* The node has been told that all have what it relayed by that command. */
void relay_check(struct sim *sim, struct node *node, ring_ticket ticket);

/* node.c */
void node_step(struct sim *sim, struct node *node, struct ring_input *in);
/* A client asks again for a message that it has no answer to; another text is refused. */
void node_retry(struct sim *sim, struct node *node, bool other_text);
void node_pause(struct sim *sim, struct node *node);
void node_resume(struct sim *sim, struct node *node);
void node_take(struct sim *sim, struct event *event);
void node_send_message(struct sim *sim, struct node *node);
void node_send_text(struct sim *sim, struct node *node, size_t size);
void node_command(struct sim *sim, struct node *node, enum ring_command command, uint64_t target);
/* Somebody brings a message of that number, as another disk has it. */
void node_import(struct sim *sim, struct node *node, const struct record *record);
/* The daemon is told to read its settings again; they may have been changed before. */
void node_reload(struct sim *sim, struct node *node);
/* Its settings as they are, to be given to the core; `name` is the place for its name. */
#define NODE_NAME_MAX 24
struct ring_config node_config(const struct node *node, char *name);
/* The node is to keep the last `usec` of its history; below 0: nothing of what is delivered. */
void node_retain(struct sim *sim, struct node *node, int64_t usec);
/* Asks a node that has left to come back. */
void node_rejoin(struct sim *sim, struct node *node);
/* The host sleeps, and its monotonic clock with it. */
void node_suspend(struct sim *sim, struct node *node);
void node_wake(struct sim *sim, struct node *node);
const char *reply_name(enum ring_reply reply);
/* The number of the message in a packet; -1: it is none of this run. */
int message_number(const struct packet *packet);

/* stranger.c */
/* The packet as it arrives: a reference, or a shorter copy. */
struct packet *stranger_garble(struct sim *sim, struct packet *packet, bool *ret_garbled);
void stranger_hears(struct packet **place, struct packet *packet);
void stranger_comes(struct sim *sim, struct node *node);

/* memory.c: from now on the given allocation fails, the first is 1; 0: none. */
void memory_fail_after(long allocations);
long memory_left(void);

/* fault.c */
void fault_choose_classes(struct sim *sim);
void fault_random(struct sim *sim);
void fault_heal_all(struct sim *sim);

/* run.c */
/* One seed: faults under load, then healing, then every check. */
void run_seed(struct sim *sim, uint64_t seed, size_t nodes);
bool run_is_one_ring(const struct sim *sim);

/* ---- checkers: one file each; what is NULL is not called ---- */

struct checker {
    const char *name;
    void (*stepped)(struct sim *sim, struct node *node);
    void (*output)(struct sim *sim, struct node *node, const struct ring_output *output);
    void (*delivered)(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late);
    void (*answered)(struct sim *sim, struct node *node, int number, enum ring_reply reply);
    void (*stored)(struct sim *sim, struct node *node, const struct message *message, int number);
    void (*started)(struct sim *sim, struct node *node); /* before the core's START */
    void (*ended)(struct sim *sim);                      /* healed, and at rest */
};

extern const struct checker check_order, check_once, check_durability, check_integrity,
    check_convergence, check_outputs, check_membership, check_answers, check_bounds, check_late,
    check_repair;

/* check-durability.c */
void check_imported(struct sim *sim, const struct node *node, int number, enum ring_reply reply);

/* checkers.c: calls them all. */
/* The first node that is not excepted. */
const struct node *sim_first(const struct sim *sim);
void checkers_stepped(struct sim *sim, struct node *node);
void checkers_output(struct sim *sim, struct node *node, const struct ring_output *output);
void checkers_delivered(struct sim *sim, struct node *node, const struct packet *packet, bool late);
void checkers_answered(struct sim *sim, struct node *node, int number, enum ring_reply reply);
void checkers_stored(struct sim *sim, struct node *node, const struct message *message, int number);
void checkers_started(struct sim *sim, struct node *node);
void checkers_ended(struct sim *sim);
