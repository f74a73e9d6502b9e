#pragma once

/* What one local user may have at once: a script gone wild locks out nobody but itself. */

#include <stdbool.h>
#include <sys/types.h>

#include "common/list.h"

struct call;
struct control;

enum quota {
    QUOTA_CONNECTIONS,
    QUOTA_SENDS, /* that are not answered yet */
    QUOTA_TAILS, /* tails, histories and lists of rooms under way */
    QUOTAS
};

/* A user who has connections. */
struct user {
    struct list list; /* control->users */
    uid_t uid;
    size_t has[QUOTAS];
};

/* The user of a new connection, which counts; NULL: out of memory. */
struct user *user_connected(struct control *control, uid_t uid);

/* One connection less; the last one frees the user. */
void user_disconnected(struct user *user);

/* Whether the user has more connections than allowed. */
bool user_is_over(const struct user *user);

/* Whether the call is to wait until calls of its client that came before it have been answered,
 * since its user has enough of those: who has many under way takes no room from who has few. */
bool quota_must_wait(const struct call *call);

/* Counts the call. false: its user has enough of those, and the call has been answered. */
bool quota_take(struct call *call);
void quota_give_back(struct call *call);

/* Answers that the user has enough of those. */
void quota_refuse(struct call *call, enum quota quota);
