#pragma once

/* A world of nodes in one process, under virtual time: everything that happens is drawn from one
 * seed, so that a run can be replayed exactly. The nodes are the real core (daemon/ring); network,
 * disks, clocks and processes are simulated, with their faults. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ring/ring.h"

#define NODES_MAX 9
#define MESSAGES_MAX 8192
#define FAILURE_TEXT_MAX 400

/* ---- events of the virtual time ---- */

enum event_kind {
    EVENT_INPUT,  /* gives `input` to a node */
    EVENT_TIMER,  /* the node's timer, if it is still armed for now */
    EVENT_COMMIT, /* a node's disk has done its first `count` requests */
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
};

/* ---- network ---- */

/* One side of a connection. */
struct side {
    int node;
    unsigned life;
    ring_link link;
    bool open;
    uint64_t last; /* when the last thing that it sent arrives: nothing overtakes */
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

/* What survives a crash. */
struct disk {
    struct ring_state state;
    struct packet **messages;
    size_t count, allocated;
    struct packet **outbox;
    size_t outbox_count, outbox_allocated;
};

/* ---- nodes ---- */

struct node {
    int number;
    unsigned life;
    bool running, host_up, paused;
    struct ring *ring;
    struct disk disk;
    struct request *requests; /* not yet on the disk */
    size_t requests_count, requests_allocated;
    bool committing;
    struct event **inbox; /* while it is paused */
    size_t inbox_count, inbox_allocated;
    uint64_t timer;
    int64_t clock_skew; /* µs off the world's clock */
    ring_ticket last_ticket, last_fetch;
    ring_link last_link;
    int crash_after; /* crash behind this many further outputs; -1: not */

    /* what a reader of its history and its tail has seen */
    bool seen[MESSAGES_MAX];
    bool has_last;
    struct message_key last; /* the highest key that came unmarked */
};

/* ---- messages ---- */

struct sent {
    int sender;
    bool acknowledged; /* a send returned success */
    bool accepted;     /* or was told that it will be sent */
    size_t size;       /* of the text */
};

/* ---- the world ---- */

struct sim {
    uint64_t seed, random, now;
    bool tracing;
    struct event **events;
    size_t events_count, events_allocated;
    uint64_t events_made;
    size_t nodes_count;
    struct node nodes[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX];          /* from, to */
    unsigned datagram_loss, datagram_copies; /* percent */
    struct connection *connections;
    size_t connections_count, connections_allocated;
    ring_link last_accepted;
    uint64_t commit_usec;
    struct ring_outbox outbox;
    size_t messages_count;
    struct sent messages[MESSAGES_MAX];
    uint64_t formations; /* ended lives' */
    bool failed;
    char failure[FAILURE_TEXT_MAX];
    /* statistics */
    uint64_t heal_usec, formations_after_heal, acknowledgements, late;
};

/* world.c */
void sim_begin(struct sim *sim, uint64_t seed, size_t nodes);
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
struct ring_address network_address(int node);

/* disk.c */
void disk_submit(struct sim *sim, struct node *node, const struct ring_output *output);
void disk_commit(struct sim *sim, struct node *node, size_t count);
void disk_lose_requests(struct node *node);
void disk_free(struct disk *disk);
bool disk_has(const struct disk *disk, int message);
bool disk_has_in_outbox(const struct disk *disk, int message);

/* node.c */
void node_start(struct sim *sim, struct node *node);
/* With `power` the host goes down too, and nothing tells the others. */
void node_crash(struct sim *sim, struct node *node, bool power);
void node_pause(struct sim *sim, struct node *node);
void node_resume(struct sim *sim, struct node *node);
void node_take(struct sim *sim, struct event *event);
void node_send_message(struct sim *sim, struct node *node);
void node_free(struct sim *sim, struct node *node);
/* The number of the message in a packet; -1: it is none of this run. */
int message_number(const struct packet *packet);

/* fault.c */
void fault_random(struct sim *sim);
void fault_heal_all(struct sim *sim);

/* run.c */
/* One seed: faults under load, then healing, then every check. */
void run_seed(struct sim *sim, uint64_t seed, size_t nodes);
bool run_is_one_ring(const struct sim *sim);

/* ---- checkers: one file each; what is NULL is not called ---- */

struct checker {
    const char *name;
    void (*stepped)(struct sim *sim, const struct node *node);
    void (*output)(struct sim *sim, struct node *node, const struct ring_output *output);
    void (*delivered)(struct sim *sim, struct node *node, const struct message *message, int number,
                      bool late);
    void (*answered)(struct sim *sim, const struct node *node, int number, enum ring_reply reply);
    void (*started)(struct sim *sim, struct node *node); /* before the core's START */
    void (*ended)(struct sim *sim);                      /* healed, and at rest */
};

extern const struct checker check_order, check_once, check_durability, check_integrity,
    check_convergence, check_outputs;

/* checkers.c: calls them all. */
void checkers_stepped(struct sim *sim, const struct node *node);
void checkers_output(struct sim *sim, struct node *node, const struct ring_output *output);
void checkers_delivered(struct sim *sim, struct node *node, const struct packet *packet, bool late);
void checkers_answered(struct sim *sim, const struct node *node, int number, enum ring_reply reply);
void checkers_started(struct sim *sim, struct node *node);
void checkers_ended(struct sim *sim);
