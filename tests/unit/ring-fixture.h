#pragma once

/* A core by itself, and what a peer would send it. */

#include "daemon/ring/ring-internal.h"
#include "ring-config.h"

/* The link that the peer has opened to the node. */
#define LINK 1

#define TICKET 7

struct node {
    struct ring *ring;
    struct ring_outbox outbox; /* of the last step */
    uint64_t now;
};

extern const struct ring_id peer_id;

void node_start(struct node *node, bool networked);
void node_stop(struct node *node);
/* A step some µs later; what always holds is checked after it. */
int step(struct node *node, struct ring_input *in);
/* Of the last step, the first of its type; NULL: there is none. */
const struct ring_output *find_output(const struct node *node, enum ring_output_type type);
/* They take the packet. */
int give_frame_on(struct node *node, ring_link link, struct packet *packet);
int give_frame(struct node *node, struct packet *packet);
/* All writes are on disk. */
int stored(struct node *node);

/* A HELLO, and the peer's; link_timeout in ms. */
struct packet *hello_of(const struct ring_id *id, const char *ring_name, uint8_t lowest,
                        uint8_t highest, uint32_t link_timeout);
struct packet *hello(const char *ring_name, uint8_t lowest, uint8_t highest, uint32_t link_timeout);
struct packet *peer_hello(const char *ring_name, uint8_t lowest, uint8_t highest);
void open_link(struct node *node, ring_link link);
void accept_link(struct node *node);
