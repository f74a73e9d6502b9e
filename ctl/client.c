#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"

/* What is read at once. */
#define READ_BYTES (64 * 1024)

/* And what is gathered before it is written. */
#define QUEUE_BYTES (64 * 1024)

struct client {
    int fd;
    struct json_stream *stream;
    size_t begin, end; /* bytes read and not fed yet */
    char buffer[READ_BYTES];
    char *queue; /* calls that are not written yet */
    size_t queued;
};

void client_free(struct client *client)
{
    if (!client)
        return;
    if (client->fd >= 0)
        close(client->fd);
    json_stream_free(client->stream);
    free(client->queue);
    free(client);
}

int client_connect(const char *path, struct client **ret)
{
    _cleanup_(client_freep) struct client *client = calloc(1, sizeof(*client));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!client)
        return -ENOMEM;
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return -errno;
    client->stream = json_stream_new(JSON_REPLY_BYTES_MAX);
    if (!client->stream)
        return -ENOMEM;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret = steal_pointer(client);
    return 0;
}

void client_set_timeout(const struct client *client, uint64_t usec)
{
    struct timeval timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                              .tv_usec = (suseconds_t)(usec % USEC_PER_SEC)};

    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = send(fd, data, size, MSG_NOSIGNAL);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EPIPE ? -ECONNRESET : -errno;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

int client_call(struct client *client, const char *method, struct json_object *parameters,
                bool more)
{
    _cleanup_(json_object_putp) struct json_object *call =
        varlink_call_new(method, parameters, more);
    const char *text;
    size_t size;

    text = call ? varlink_text(call, &size) : NULL;
    /* The NUL behind the text ends the call. */
    return text ? write_all(client->fd, text, size + 1) : -ENOMEM;
}

int client_flush(struct client *client)
{
    size_t size = client->queued;

    client->queued = 0;
    return write_all(client->fd, client->queue, size);
}

int client_queue(struct client *client, const char *method, struct json_object *parameters)
{
    _cleanup_(json_object_putp) struct json_object *call =
        varlink_call_new(method, parameters, false);
    const char *text;
    size_t size;
    int result = 0;

    text = call ? varlink_text(call, &size) : NULL;
    if (text && !client->queue)
        client->queue = malloc(QUEUE_BYTES);
    if (!text || !client->queue)
        return -ENOMEM;
    size++; /* the NUL */
    if (client->queued + size > QUEUE_BYTES)
        result = client_flush(client);
    if (result == 0 && size > QUEUE_BYTES)
        return write_all(client->fd, text, size);
    if (result == 0) {
        memcpy(client->queue + client->queued, text, size);
        client->queued += size;
    }
    return result;
}

static int read_more(struct client *client, int flags)
{
    ssize_t size;

    do {
        size = recv(client->fd, client->buffer, sizeof(client->buffer), flags);
    } while (size < 0 && errno == EINTR);
    if (size <= 0)
        return size < 0 ? -errno : -ECONNRESET;
    client->begin = 0;
    client->end = (size_t)size;
    return 0;
}

static int take_reply(struct client *client, int flags, struct varlink_reply *ret)
{
    struct json_object *object = NULL;
    const char *reason;
    int result = 0;

    while (result == 0) {
        size_t used;

        if (client->begin == client->end) {
            result = read_more(client, flags);
            if (result < 0)
                return result;
        }
        result = json_stream_feed(client->stream, client->buffer + client->begin,
                                  client->end - client->begin, &used, &object);
        client->begin = result == 0 ? client->end : client->begin + used;
    }
    if (result < 0)
        return result;
    if (varlink_reply_parse(object, ret, &reason) < 0) {
        json_object_put(object);
        return -EBADMSG;
    }
    return 0;
}

int client_reply(struct client *client, struct varlink_reply *ret)
{
    return take_reply(client, 0, ret);
}

int client_try_reply(struct client *client, struct varlink_reply *ret)
{
    return take_reply(client, MSG_DONTWAIT, ret);
}

int client_fd(const struct client *client)
{
    return client->fd;
}

bool client_has_input(const struct client *client)
{
    struct pollfd poller = {.fd = client->fd, .events = POLLIN};

    return client->begin < client->end || poll(&poller, 1, 0) > 0;
}
