#include "control-quota.h"

#include <stdlib.h>

#include "control-method.h"

static const struct {
    const char *name;
    size_t most;
} quotas[QUOTAS] = {
    [QUOTA_CONNECTIONS] = {"connections", CLIENTS_PER_USER_MAX},
    [QUOTA_SENDS] = {"unanswered sends", SENDS_PER_USER_MAX},
    [QUOTA_TAILS] = {"tails", TAILS_PER_USER_MAX},
};

struct user *user_connected(struct control *control, uid_t uid)
{
    struct user *user = NULL;

    list_for_each (at, &control->users) {
        if (list_entry(at, struct user, list)->uid == uid)
            user = list_entry(at, struct user, list);
    }
    if (!user) {
        user = calloc(1, sizeof(*user));
        if (!user)
            return NULL;
        user->uid = uid;
        list_append(&control->users, &user->list);
    }
    user->has[QUOTA_CONNECTIONS]++;
    return user;
}

void user_disconnected(struct user *user)
{
    if (!user || --user->has[QUOTA_CONNECTIONS] > 0)
        return;
    list_remove(&user->list);
    free(user);
}

bool user_is_over(const struct user *user)
{
    return user->has[QUOTA_CONNECTIONS] > quotas[QUOTA_CONNECTIONS].most;
}

void quota_refuse(struct call *call, enum quota quota)
{
    call_error(call, ERROR_QUOTA_EXCEEDED,
               OBJECT({"what", json_object_new_string(quotas[quota].name)},
                      {"limit", json_object_new_int64((int64_t)quotas[quota].most)}));
}

bool quota_must_wait(const struct call *call)
{
    const struct client *client = call->client;
    size_t has = client->user->has[QUOTA_SENDS];

    /* The first in line has nothing to wait for: it is taken or refused. */
    if (client->calls.next == &call->list || client->sends == 0)
        return false;
    return has >= SENDS_PER_USER_MAX ||
           (has >= SENDS_PER_USER_MAX / 2 && client->sends >= CLIENT_SENDS_SHARED);
}

bool quota_take(struct call *call)
{
    enum quota quota = call->method->quota;
    struct user *user = call->client->user;

    if (quota == QUOTA_CONNECTIONS)
        return true;
    if (user->has[quota] >= quotas[quota].most) {
        quota_refuse(call, quota);
        return false;
    }
    user->has[quota]++;
    call->client->sends += quota == QUOTA_SENDS;
    call->counted = true;
    return true;
}

void quota_give_back(struct call *call)
{
    if (!call->counted)
        return;
    call->client->user->has[call->method->quota]--;
    call->client->sends -= call->method->quota == QUOTA_SENDS;
    call->counted = false;
}
