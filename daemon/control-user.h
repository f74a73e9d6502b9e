#pragma once

/* Who calls: login names by number, looked up in a thread of its own, since the name service may
 * block for seconds on a network that is cut off; and the groups of a connection's other end. */

#include <stdbool.h>
#include <sys/types.h>

#include <event2/event.h>

#include "common/bounds.h"

struct user_names;

/* Finds the login name of a user: 0, or a negative errno. Called in the thread. */
typedef int (*user_lookup)(uid_t uid, char ret[USER_BYTES_MAX + 1]);

/* By getpwuid_r(3). */
int user_lookup_system(uid_t uid, char ret[USER_BYTES_MAX + 1]);

/* Starts the thread. `found` is called in the loop when names were found or are not waited for any
 * more. 0 or a negative errno. */
int user_names_new(struct event_base *base, user_lookup lookup, void (*found)(void *userdata),
                   void *userdata, struct user_names **ret);

/* Does not wait for a lookup that hangs: its thread ends by itself. NULL is allowed. */
void user_names_free(struct user_names *names);

/* The user's login name, or the number as text where the name is not to be had in time. false: not
 * known yet; `found` comes within USER_LOOKUP_USEC. */
bool user_names_get(struct user_names *names, uid_t uid, char ret[USER_BYTES_MAX + 1]);

/* Whether the other end of a connection is in the group, by its own or a supplementary one. */
bool peer_in_group(int fd, gid_t primary, gid_t group);
