#pragma once

/* Calls to the daemon whose replies come when they come: one connection, and for each call on its
 * way what is to be done with the reply. */

#include "client.h"

struct channel_call;

struct channel {
    struct client *client; /* NULL: not connected */
    struct channel_call *first, **last;
    void *userdata;
};

/* Called with each reply; `context` is that of the call. */
typedef void (*channel_handler)(void *userdata, void *context, const struct varlink_reply *reply);

/* Takes over the connection. `userdata` is given to all handlers. */
void channel_open(struct channel *channel, struct client *client, void *userdata);

/* Drops the connection and all calls. */
void channel_close(struct channel *channel);

/* Sends a call, taking over the parameters. 0 or a negative errno, after which the channel is of no
 * use. */
int channel_call(struct channel *channel, const char *method, struct json_object *parameters,
                 bool more, channel_handler handler, void *context);

/* Gives the replies that are there to their handlers, until there are no more or `stop` (may be
 * NULL) says so. 0 or a negative errno: the connection is lost. */
int channel_take(struct channel *channel, bool (*stop)(void *userdata));
