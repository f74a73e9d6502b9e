#include "channel.h"

#include <errno.h>
#include <stdlib.h>

struct channel_call {
    struct channel_call *next;
    channel_handler handler;
    void *context;
};

void channel_open(struct channel *channel, struct client *client, void *userdata)
{
    *channel = (struct channel){.client = client, .userdata = userdata};
    channel->last = &channel->first;
}

void channel_close(struct channel *channel)
{
    struct channel_call *next;

    for (struct channel_call *call = channel->first; call; call = next) {
        next = call->next;
        free(call);
    }
    client_free(channel->client);
    channel->client = NULL;
    channel->first = NULL;
    channel->last = &channel->first;
}

int channel_call(struct channel *channel, const char *method, struct json_object *parameters,
                 bool more, channel_handler handler, void *context)
{
    struct channel_call *call = calloc(1, sizeof(*call));

    if (!call || !channel->client) {
        json_object_put(parameters);
        free(call);
        return call ? -ENOTCONN : -ENOMEM;
    }
    *call = (struct channel_call){.handler = handler, .context = context};
    *channel->last = call;
    channel->last = &call->next;
    return client_call(channel->client, method, parameters, more);
}

/* The call that the next reply belongs to leaves the list with its last reply. */
static void hand_out(struct channel *channel, const struct varlink_reply *reply)
{
    struct channel_call *call = channel->first;
    channel_handler handler = call->handler;
    void *context = call->context;

    if (!reply->continues) {
        channel->first = call->next;
        if (!channel->first)
            channel->last = &channel->first;
        free(call);
    }
    handler(channel->userdata, context, reply);
}

int channel_take(struct channel *channel, bool (*stop)(void *userdata))
{
    while (channel->client && !(stop && stop(channel->userdata))) {
        struct varlink_reply reply;
        int result = client_try_reply(channel->client, &reply);

        if (result == -EAGAIN || result == -EWOULDBLOCK)
            return 0;
        if (result < 0)
            return result;
        if (!channel->first) {
            varlink_reply_done(&reply);
            return -EBADMSG;
        }
        hand_out(channel, &reply);
        varlink_reply_done(&reply);
    }
    return 0;
}
