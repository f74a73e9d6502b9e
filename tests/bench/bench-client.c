/* Loads on the control sockets of running daemons: pipelined Send calls, and tails that tell when
 * each message is delivered. */

#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define INPUT_BYTES (1024 * 1024)
#define CONNECTIONS_MAX 256

/* Deliveries that are awaited at once; by number modulo this. */
#define OPEN_MAX 65536

struct connection {
    int fd;
    size_t member; /* the socket's number */
    char *input;
    size_t input_size;
    char *output;
    size_t output_size, output_sent, output_allocated;
    size_t in_flight;
    double *begun; /* of the calls in flight, a circle */
    size_t first;
};

static void connection_open(struct connection *connection, const struct bench_options *options,
                            size_t member)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = options->sockets[member];

    if (strlen(path) >= sizeof(address.sun_path))
        die("%s: the path is too long", path);
    strcpy(address.sun_path, path);
    *connection = (struct connection){.fd = socket(AF_UNIX, SOCK_STREAM, 0), .member = member};
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("%s: %s", path, strerror(errno));
    connection->output_allocated = (options->size + 400) * (options->pipeline + 1);
    connection->input = malloc(INPUT_BYTES);
    connection->output = malloc(connection->output_allocated);
    connection->begun = calloc(options->pipeline + 1, sizeof(double));
    if (!connection->input || !connection->output || !connection->begun)
        die("no memory");
}

static void connection_close(struct connection *connection)
{
    close(connection->fd);
    free(connection->input);
    free(connection->output);
    free(connection->begun);
}

/* ---- calls ---- */

static void call(struct connection *connection, const char *text, size_t size)
{
    if (connection->output_size + size + 1 > connection->output_allocated)
        die("a call is too long");
    memcpy(connection->output + connection->output_size, text, size);
    connection->output_size += size;
    connection->output[connection->output_size++] = '\0';
}

static void call_send(struct connection *connection, const struct bench_options *options,
                      uint64_t number, double begun)
{
    static char padding[1024 * 1024];
    char *text = NULL;
    int head = snprintf(NULL, 0, "%llu ", (unsigned long long)number);
    size_t rest = options->size > (size_t)head ? options->size - (size_t)head : 0;
    int size;

    if (rest >= sizeof(padding))
        die("--size is too large");
    if (padding[0] == '\0')
        memset(padding, 'x', sizeof(padding) - 1);
    size = asprintf(&text,
                    "{\"method\":\"org.ringchat.Send\",\"parameters\":{\"timeout_usec\":0,"
                    "\"text\":\"%llu %.*s\"}}",
                    (unsigned long long)number, (int)rest, padding);
    if (size < 0)
        die("no memory");
    call(connection, text, (size_t)size);
    free(text);
    connection->begun[(connection->first + connection->in_flight) % options->pipeline] = begun;
    connection->in_flight++;
}

static void flush_calls(struct connection *connection)
{
    while (connection->output_sent < connection->output_size) {
        ssize_t sent = send(connection->fd, connection->output + connection->output_sent,
                            connection->output_size - connection->output_sent, MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            die("send: %s", strerror(errno));
        connection->output_sent += (size_t)sent;
    }
    connection->output_size -= connection->output_sent;
    memmove(connection->output, connection->output + connection->output_sent,
            connection->output_size);
    connection->output_sent = 0;
}

/* Reads what is there and gives each whole reply to `take`. */
static void read_replies(struct connection *connection, void *userdata,
                         void (*take)(struct connection *connection, const char *reply,
                                      void *userdata))
{
    ssize_t got = recv(connection->fd, connection->input + connection->input_size,
                       INPUT_BYTES - connection->input_size, MSG_DONTWAIT);
    char *begin = connection->input, *end;

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("a daemon closed the connection");
    connection->input_size += (size_t)got;
    while (
        (end = memchr(begin, '\0', connection->input_size - (size_t)(begin - connection->input)))) {
        if (strstr(begin, "\"error\""))
            die("a call failed: %.200s", begin);
        take(connection, begin, userdata);
        begin = end + 1;
    }
    connection->input_size -= (size_t)(begin - connection->input);
    memmove(connection->input, begin, connection->input_size);
}

static void wait_for_any(struct connection *connections, size_t count, int timeout)
{
    struct pollfd polls[CONNECTIONS_MAX];

    for (size_t i = 0; i < count; i++)
        polls[i] =
            (struct pollfd){.fd = connections[i].fd,
                            .events = (short)(POLLIN | (connections[i].output_size ? POLLOUT : 0))};
    poll(polls, count, timeout);
}

/* ---- flood ---- */

struct flood {
    const struct bench_options *options;
    uint64_t acknowledged, next;
    double end;
    struct samples latency;
};

static void take_acknowledgement(struct connection *connection, const char *reply, void *userdata)
{
    struct flood *flood = userdata;

    (void)reply;
    samples_add(&flood->latency, now_usec() - connection->begun[connection->first]);
    connection->first = (connection->first + 1) % flood->options->pipeline;
    connection->in_flight--;
    flood->acknowledged++;
}

static size_t fill(struct connection *connections, size_t count, struct flood *flood)
{
    double now = now_usec();
    size_t in_flight = 0;

    for (size_t i = 0; i < count; i++) {
        while (now < flood->end && connections[i].in_flight < flood->options->pipeline)
            call_send(&connections[i], flood->options, flood->next++, now);
        flush_calls(&connections[i]);
        in_flight += connections[i].in_flight;
    }
    return in_flight;
}

void bench_flood(const struct bench_options *options)
{
    struct connection connections[CONNECTIONS_MAX];
    struct flood flood = {.options = options};
    size_t senders = options->senders, count = 0;
    double begin, cpu = own_cpu_usec();

    if (senders > options->sockets_count || senders * options->connections > CONNECTIONS_MAX)
        die("more senders than sockets, or too many connections");
    for (size_t i = 0; i < senders; i++) {
        for (size_t k = 0; k < options->connections; k++)
            connection_open(&connections[count++], options, i);
    }
    samples_init(&flood.latency);
    begin = now_usec();
    flood.end = begin + options->seconds * 1e6;
    while (fill(connections, count, &flood) > 0) {
        wait_for_any(connections, count, 1000);
        for (size_t i = 0; i < count; i++)
            read_replies(&connections[i], &flood, take_acknowledgement);
    }
    printf("{\"bench\": \"flood\", \"senders\": %zu, \"size\": %zu, \"messages\": %llu, "
           "\"seconds\": %.3f, \"rate\": %.0f, \"load_cpu_usec\": %.0f",
           senders, options->size, (unsigned long long)flood.acknowledged,
           (now_usec() - begin) / 1e6, (double)flood.acknowledged / (now_usec() - begin) * 1e6,
           own_cpu_usec() - cpu);
    samples_print(&flood.latency, "ack_usec");
    puts("}");
    samples_done(&flood.latency);
    for (size_t i = 0; i < count; i++)
        connection_close(&connections[i]);
}

/* ---- latency ---- */

/* Connection 0 sends; 1 and on are tails, one a socket. */
struct latency {
    const struct bench_options *options;
    double begun[OPEN_MAX];
    size_t missing[OPEN_MAX]; /* tails that have not shown it */
    uint64_t acknowledged, delivered, started;
    size_t ready; /* tails that have said that they follow */
    struct samples ack, delivery;
};

static void take_reply(struct connection *connection, const char *reply, void *userdata)
{
    struct latency *latency = userdata;
    const char *text = strstr(reply, "\"text\":");
    uint64_t number;

    if (connection->in_flight > 0) {
        samples_add(&latency->ack, now_usec() - connection->begun[connection->first]);
        connection->first = (connection->first + 1) % latency->options->pipeline;
        connection->in_flight--;
        latency->acknowledged++;
        return;
    }
    if (!text) {
        latency->ready++;
        return;
    }
    number = strtoull(text + strcspn(text, "0123456789"), NULL, 10) % OPEN_MAX;
    if (latency->missing[number] > 0 && --latency->missing[number] == 0) {
        samples_add(&latency->delivery, now_usec() - latency->begun[number]);
        latency->delivered++;
    }
}

static void open_tails(struct connection *connections, struct latency *latency)
{
    static const char tail[] = "{\"method\":\"org.ringchat.Tail\",\"more\":true,"
                               "\"parameters\":{\"follow\":true,\"lines\":0}}";
    size_t tails = latency->options->sockets_count;

    for (size_t i = 1; i <= tails; i++) {
        connection_open(&connections[i], latency->options, i - 1);
        call(&connections[i], tail, sizeof(tail) - 1);
        flush_calls(&connections[i]);
    }
    while (latency->ready < tails) {
        wait_for_any(connections + 1, tails, 1000);
        for (size_t i = 1; i <= tails; i++)
            read_replies(&connections[i], latency, take_reply);
    }
}

/* Whether the next message is due. */
static bool is_due(const struct latency *latency, double begin, double now)
{
    const struct bench_options *options = latency->options;

    if (latency->started == options->count)
        return false;
    if (options->rate > 0)
        return now >= begin + (double)latency->started / options->rate * 1e6 &&
               latency->started - latency->acknowledged < options->pipeline;
    return latency->acknowledged == latency->started && latency->delivered == latency->started;
}

void bench_latency(const struct bench_options *options)
{
    struct latency *latency = calloc(1, sizeof(*latency));
    struct connection connections[1 + SOCKETS_MAX];
    size_t count = 1 + options->sockets_count;
    double begin;

    if (!latency)
        die("no memory");
    latency->options = options;
    samples_init(&latency->ack);
    samples_init(&latency->delivery);
    connection_open(&connections[0], options, 0);
    open_tails(connections, latency);
    begin = now_usec();
    while (latency->acknowledged < options->count || latency->delivered < options->count) {
        double now = now_usec();

        while (is_due(latency, begin, now)) {
            uint64_t number = latency->started++;

            latency->begun[number % OPEN_MAX] = now;
            latency->missing[number % OPEN_MAX] = options->sockets_count;
            call_send(&connections[0], options, number, now);
        }
        flush_calls(&connections[0]);
        wait_for_any(connections, count, options->rate > 0 ? 1 : 1000);
        for (size_t i = 0; i < count; i++)
            read_replies(&connections[i], latency, take_reply);
    }
    printf("{\"bench\": \"latency\", \"size\": %zu, \"rate\": %.0f, \"seconds\": %.3f",
           options->size, options->rate, (now_usec() - begin) / 1e6);
    samples_print(&latency->ack, "ack_usec");
    samples_print(&latency->delivery, "delivery_usec");
    puts("}");
    samples_done(&latency->ack);
    samples_done(&latency->delivery);
    for (size_t i = 0; i < count; i++)
        connection_close(&connections[i]);
    free(latency);
}
