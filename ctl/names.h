#pragma once

/* Names of hosts as they are shown beside messages: hosts of one name are told apart by digits of
 * their ids ("web~3f2a"), as the daemon does it for members. A message has the plain name. */

#include "context.h"

/* Zeros are none known. */
struct names {
    struct json_object *origins; /* each name with the id that it was first seen with */
    struct json_object *shared;  /* names of more than one host, as keys */
};

/* Learns the members, and who went from the ring lately; nothing where JSON is printed. Where the
 * daemon cannot be asked, what the messages say must do. */
void names_ask(struct names *names, const struct context *context);

/* Learns what the method Members has answered. */
void names_learn(struct names *names, struct json_object *reply);

/* The name of a message's host, made visible; to be freed. Learns it too. */
char *names_show(struct names *names, struct json_object *message);

void names_done(struct names *names);
