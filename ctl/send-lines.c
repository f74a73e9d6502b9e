/* ringchatctl send --each-line: lines in, calls out, answers in, each as many at once as there are.
 * Nothing that was read waits for more lines: a line that comes alone is sent at once. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/util.h"
#include "output.h"
#include "send.h"

/* Lines that are on their way at once: what the daemon takes from one client. */
#define PIPELINE_MAX CLIENT_CALLS_MAX

/* A longer line is no message. */
#define LINE_BYTES_MAX (TEXT_BYTES_MAX + 1)

struct pipeline {
    const struct context *context;
    const struct send_options *options;
    struct client *client;
    size_t in_flight;
    unsigned long line; /* its number */
    int exit_code;      /* the first that is not 0 */
};

static int take_answer(struct pipeline *pipeline)
{
    struct varlink_reply reply;
    int result = client_reply(pipeline->client, &reply);

    if (result < 0)
        return context_unreachable(pipeline->context, -ECONNRESET);
    pipeline->in_flight--;
    if (reply.error) {
        result = context_error(pipeline->context, &reply);
        if (pipeline->exit_code == 0)
            pipeline->exit_code = result;
    } else if (pipeline->context->json) {
        print_json(pipeline->context, reply.parameters);
    }
    varlink_reply_done(&reply);
    return 0;
}

/* What has been queued goes out, and answers that are there already are taken, so that neither side
 * waits for the other. */
static int exchange(struct pipeline *pipeline)
{
    int result = 0;

    if (client_flush(pipeline->client) < 0)
        return context_unreachable(pipeline->context, -ECONNRESET);
    while (result == 0 && pipeline->in_flight > 0 && client_has_input(pipeline->client))
        result = take_answer(pipeline);
    return result;
}

/* Half of the answers are waited for, so that as many lines go out in one piece. */
static int make_room(struct pipeline *pipeline)
{
    int result = exchange(pipeline);

    while (result == 0 && pipeline->in_flight > PIPELINE_MAX / 2)
        result = take_answer(pipeline);
    return result;
}

static int send_line(struct pipeline *pipeline, const char *line, size_t size)
{
    int result = 0;

    pipeline->line++;
    if (size == 0)
        return 0;
    if (send_check_text(line, size) != 0) {
        pipeline->exit_code = EXIT_USAGE;
        return complain(EXIT_USAGE, "line %lu was not sent; the lines before it were",
                        pipeline->line);
    }
    if (pipeline->in_flight == PIPELINE_MAX)
        result = make_room(pipeline);
    if (result == 0 && client_queue(pipeline->client, VARLINK_INTERFACE ".Send",
                                    send_parameters(pipeline->options, line, size)) < 0)
        result = context_unreachable(pipeline->context, -ECONNRESET);
    pipeline->in_flight += result == 0;
    return result;
}

/* Sends the whole lines of a piece of input; at the end of it also what lacks its newline. Sets how
 * many bytes that were. */
static int send_piece(struct pipeline *pipeline, const char *data, size_t size, bool last,
                      size_t *ret_used)
{
    size_t used = 0;
    int result = 0;

    while (result == 0 && used < size) {
        const char *end = memchr(data + used, '\n', size - used);
        size_t length = end ? (size_t)(end - data) - used : size - used;

        if (!end && !last)
            break;
        result = send_line(pipeline, data + used, length);
        used += length + (end != NULL);
    }
    *ret_used = used;
    return result;
}

static int send_all(struct pipeline *pipeline)
{
    _cleanup_free_ char *input = malloc(LINE_BYTES_MAX + 1);
    size_t size = 0, used;
    int result = 0;

    if (!input)
        return complain(EXIT_FAILED, "out of memory");
    while (result == 0) {
        ssize_t got = read(STDIN_FILENO, input + size, LINE_BYTES_MAX + 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return complain(EXIT_FAILED, "standard input cannot be read: %s", strerror(errno));
        size += (size_t)got;
        result = send_piece(pipeline, input, size, got == 0, &used);
        if (result == 0)
            result = exchange(pipeline);
        if (got == 0)
            break;
        size -= used;
        memmove(input, input + used, size);
        if (result == 0 && size == LINE_BYTES_MAX + 1)
            result = complain(EXIT_USAGE,
                              "line %lu is longer than any message; the lines before it were sent",
                              pipeline->line + 1);
    }
    return result;
}

int send_lines(const struct context *context, const struct send_options *options)
{
    _cleanup_(client_freep) struct client *client = NULL;
    struct pipeline pipeline = {.context = context, .options = options};
    int result = context_connect(context, &client);

    if (result != 0)
        return result;
    pipeline.client = client;
    result = send_all(&pipeline);
    if (result != 0 && result != EXIT_USAGE && result != EXIT_FAILED)
        return result;
    if (client_flush(client) < 0)
        return context_unreachable(context, -ECONNRESET);
    while (pipeline.in_flight > 0) {
        int taken = take_answer(&pipeline);

        if (taken != 0)
            return taken;
    }
    return result ? result : pipeline.exit_code;
}
