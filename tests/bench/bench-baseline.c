/* What the ring is compared with: a plain TCP ring, and SQLite alone. */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the TCP ring ---- */

#define READ_BYTES (256 * 1024)

static int listen_anywhere(struct sockaddr_in *ret)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof(*ret);

    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)ret, &size) < 0)
        die("listen: %s", strerror(errno));
    return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        die("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written <= 0)
            die("write: %s", strerror(errno));
        data += written;
        size -= (size_t)written;
    }
}

/* A node that forwards what it reads, until its predecessor closes. */
static void forward(int in, int out)
{
    char *buffer = malloc(READ_BYTES);
    ssize_t got;

    while (buffer && (got = read(in, buffer, READ_BYTES)) > 0)
        write_all(out, buffer, (size_t)got);
    free(buffer);
    _exit(0);
}

static void lap(int out, int in, char *frame, size_t size)
{
    write_all(out, frame, size);
    for (size_t got = 0; got < size;) {
        ssize_t part = read(in, frame, size - got);

        if (part <= 0)
            die("read: %s", strerror(errno));
        got += (size_t)part;
    }
}

/* The children's sockets are this process's too until they are closed. */
static void make_ring(size_t nodes, int *ret_out, int *ret_in)
{
    struct sockaddr_in addresses[64];
    int listeners[64];

    if (nodes < 2 || nodes > 64)
        die("--nodes: 2 to 64");
    for (size_t i = 0; i < nodes; i++)
        listeners[i] = listen_anywhere(&addresses[i]);
    for (size_t i = 1; i < nodes; i++) {
        if (fork() == 0) {
            int out = connect_to(&addresses[(i + 1) % nodes]), on = 1;
            int in = accept(listeners[i], NULL, NULL);

            setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            forward(in, out);
        }
    }
    *ret_out = connect_to(&addresses[1]);
    *ret_in = accept(listeners[0], NULL, NULL);
    for (size_t i = 0; i < nodes; i++)
        close(listeners[i]);
}

void bench_tcp_ring(const struct bench_options *options)
{
    size_t size = options->size, group = size * options->pipeline;
    char *frames = calloc(1, group);
    struct samples laps;
    double begin, end;
    uint64_t count = 0;
    int out, in;

    if (!frames || group > READ_BYTES / 2)
        die("--size times --pipeline is too large");
    make_ring(options->nodes, &out, &in);
    samples_init(&laps);
    begin = now_usec();
    end = begin + options->seconds / 2 * 1e6;
    while (now_usec() < end) {
        double start = now_usec();

        lap(out, in, frames, size);
        samples_add(&laps, now_usec() - start);
    }
    begin = now_usec();
    for (end = begin + options->seconds / 2 * 1e6; now_usec() < end; count += options->pipeline)
        lap(out, in, frames, group);
    printf("{\"bench\": \"tcp-ring\", \"nodes\": %zu, \"size\": %zu, \"rate\": %.0f",
           options->nodes, size, (double)count / (now_usec() - begin) * 1e6);
    samples_print(&laps, "lap_usec");
    puts("}");
    samples_done(&laps);
    free(frames);
    close(out);
    close(in);
    while (wait(NULL) > 0)
        ;
}

/* ---- SQLite ---- */

static void run(sqlite3 *database, const char *text)
{
    if (sqlite3_exec(database, text, NULL, NULL, NULL) != SQLITE_OK)
        die("%s: %s", text, sqlite3_errmsg(database));
}

void bench_sqlite(const struct bench_options *options)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *insert = NULL;
    char *text = calloc(1, options->size + 1);
    double begin;

    if (!text || sqlite3_open(options->path, &database) != SQLITE_OK)
        die("%s: cannot be opened", options->path);
    memset(text, 'x', options->size);
    run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                  "CREATE TABLE message(key INTEGER PRIMARY KEY, id BLOB, origin INTEGER,"
                  "    seq INTEGER, text TEXT);"
                  "CREATE UNIQUE INDEX message_id ON message(id);"
                  "CREATE UNIQUE INDEX message_seq ON message(origin, seq);");
    if (sqlite3_prepare_v2(database, "INSERT INTO message VALUES(?1, ?2, ?3, ?1, ?4)", -1, &insert,
                           NULL) != SQLITE_OK)
        die("%s", sqlite3_errmsg(database));
    begin = now_usec();
    for (uint64_t i = 0; i < options->count; i++) {
        uint64_t id[2] = {__builtin_bswap64(i), i * 0x9e3779b97f4a7c15ULL};

        if (i % options->pipeline == 0)
            run(database, i ? "COMMIT; BEGIN" : "BEGIN");
        sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 2, id, sizeof(id), SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, (sqlite3_int64)(i % 5));
        sqlite3_bind_text(insert, 4, text, (int)options->size, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            die("%s", sqlite3_errmsg(database));
        sqlite3_reset(insert);
    }
    run(database, "COMMIT");
    printf("{\"bench\": \"sqlite\", \"size\": %zu, \"group\": %zu, \"rate\": %.0f}\n",
           options->size, options->pipeline, (double)options->count / (now_usec() - begin) * 1e6);
    sqlite3_finalize(insert);
    sqlite3_close(database);
    free(text);
}
