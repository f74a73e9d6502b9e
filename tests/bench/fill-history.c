/* Fills a state directory with messages of a year, as several hosts would have sent them:
 *
 *   fill-history STATE-DIRECTORY COUNT
 *
 * They are written by the daemon's own store, which then has the time to index them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "daemon/store-load.h"
#include "daemon/store-schema.h"
#include "daemon/store.h"

#define ORIGINS 5
#define WORDS 4000

/* 2025-11-26, and a year. */
#define BEGIN_MS 1764115200000ULL
#define YEAR_MS (365ULL * 86400 * 1000)

/* Writes that wait for the disk. */
#define GROUP 2000

static uint64_t state = 1;

static uint64_t number(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
}

/* Some words are frequent, most are rare, as in any language. */
static size_t add_word(char *text)
{
    uint64_t word = number(number(WORDS) + 1);

    return (size_t)sprintf(text, "w%llux ", (unsigned long long)word * 7919 % 100000);
}

static void put_be(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < sizeof(value); i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static struct message make_message(size_t place, size_t count, char text[256])
{
    static uint64_t seqs[ORIGINS];
    unsigned origin = (unsigned)number(ORIGINS);
    uint64_t ms = BEGIN_MS + (uint64_t)((double)place / (double)count * (double)YEAR_MS);
    struct message message = {.key = {.hlc = ms << 16 | (place & 0xffff)},
                              .sent = ms * USEC_PER_MSEC,
                              .user = {"alice", 5},
                              .node = {"host1", 5},
                              .room = {"main", 4}};
    size_t size = 0, words = 4 + number(12);

    for (size_t i = 0; i < words; i++)
        size += add_word(text + size);
    message.text = (struct bytes){text, size - 1};
    memset(message.key.origin.bytes, 0x40 + (int)origin, sizeof(message.key.origin.bytes));
    message.key.seq = 1ULL << 32 | ++seqs[origin];
    /* Ascending, as those that the daemon makes. */
    put_be(message.id.bytes, ms << 16 | 0x7000);
    put_be(message.id.bytes + 8, 1ULL << 63 | number(1ULL << 31) << 24 | (place & 0xffffff));
    return message;
}

static ring_ticket done;

static void on_stored(void *userdata, ring_ticket ticket)
{
    (void)userdata;
    done = MAX(done, ticket);
}

static void on_failed(void *userdata, ring_ticket ticket, const char *error)
{
    (void)userdata, (void)ticket;
    fprintf(stderr, "%s\n", error);
    exit(1);
}

static void write_all(struct event_base *base, struct store *store, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[256];
        struct message message = make_message(i, count, text);
        struct ring_output output = {.type = RING_STORE};

        output.store.ticket = i + 1;
        output.store.write = RING_WRITE_MESSAGE;
        output.store.packet = message_pack(&message);
        check(output.store.packet && store_submit(store, &output) == 0);
        packet_unref(output.store.packet);
        while (i + 1 - done > GROUP || (i + 1 == count && done < count))
            event_base_loop(base, EVLOOP_ONCE);
    }
}

static int64_t missing_in_index(sqlite3 *database)
{
    int64_t missing = 0;

    check(store_read_number(database,
                            "SELECT (SELECT total(last - first + 1) FROM held)"
                            " - (SELECT total(last - first + 1) FROM indexed)",
                            &missing) == SQLITE_OK);
    return missing;
}

int main(int argc, char **argv)
{
    static const struct store_callbacks callbacks = {.stored = on_stored, .failed = on_failed};
    struct event_base *base = event_base_new();
    struct timeval moment = {.tv_usec = 100000};
    char *error = NULL, path[4096];
    struct store *store;
    sqlite3 *database;

    if (argc != 3)
        return 2;
    if (store_open(argv[1], base, &callbacks, NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    write_all(base, store, strtoul(argv[2], NULL, 10));
    snprintf(path, sizeof(path), "%s/" STORE_FILE, argv[1]);
    check(store_schema_open_reader(path, &database) == 0);
    while (missing_in_index(database) > 0) {
        event_base_loopexit(base, &moment);
        event_base_dispatch(base);
    }
    sqlite3_close(database);
    store_close(store);
    event_base_free(base);
    return 0;
}
