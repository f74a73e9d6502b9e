#pragma once

/* A connection to the daemon's control socket: calls and their replies, one after the other. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/varlink.h"

struct client;

/* Connects. 0, or a negative errno: -ENOENT or -ECONNREFUSED where no daemon runs, -EACCES where
 * the caller may not. */
int client_connect(const char *path, struct client **ret);
void client_free(struct client *client); /* NULL is allowed */

/* From now on a reply that does not come within `usec` is -EAGAIN. */
void client_set_timeout(const struct client *client, uint64_t usec);

/* Sends a call; the parameters are taken over and may be NULL. Several may be under way: their
 * replies come in their order. 0 or a negative errno. */
int client_call(struct client *client, const char *method, struct json_object *parameters,
                bool more);

/* The same, but the call may be written later, with others: client_flush() writes all. */
int client_queue(struct client *client, const char *method, struct json_object *parameters);
int client_flush(struct client *client); /* 0 or a negative errno */

/* Waits for the next reply. 0: `ret` is to be given back with varlink_reply_done(); -ECONNRESET:
 * the daemon closed the connection; -EBADMSG: it sent what is no reply. */
int client_reply(struct client *client, struct varlink_reply *ret);

/* The same without waiting: -EAGAIN: there is no whole reply yet. */
int client_try_reply(struct client *client, struct varlink_reply *ret);

/* What poll() can wait for; belongs to the client. */
int client_fd(const struct client *client);

/* Whether a reply, or a part of one, can be read without waiting. */
bool client_has_input(const struct client *client);

DEFINE_CLEANUP(struct client *, client_free);
