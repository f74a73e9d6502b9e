#include "store-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <sqlite3.h>
#include <time.h>

#include "common/byteorder.h"
#include "daemon/history-search.h"

/* Nothing here takes longer, not even under valgrind. */
#define DEADLINE_SEC 60

#define COMPLETIONS_MAX 65536

static struct completion *add_completion(void *userdata, int type, ring_ticket ticket)
{
    struct fixture *fixture = userdata;
    struct completion *completion = &fixture->completions[fixture->count++];

    assert_true(fixture->count < COMPLETIONS_MAX);
    *completion = (struct completion){.type = type, .ticket = ticket};
    return completion;
}

static void on_stored(void *userdata, ring_ticket ticket)
{
    struct fixture *fixture = userdata;

    add_completion(userdata, STORED, ticket);
    if (fixture->kept)
        fixture->kept(ticket);
}

static void on_failed(void *userdata, ring_ticket ticket, const char *error)
{
    add_completion(userdata, FAILED, ticket)->error = strdup(error);
}

static void on_fetched(void *userdata, ring_ticket ticket, size_t count,
                       struct packet *const *packets)
{
    struct completion *completion = add_completion(userdata, FETCHED, ticket);

    completion->count = count;
    completion->packets = calloc(count + 1, sizeof(struct packet *));
    for (size_t i = 0; i < count; i++)
        completion->packets[i] = packet_ref(packets[i]);
}

static void on_pruned(void *userdata, const struct store_pruned *pruned)
{
    struct fixture *fixture = userdata;

    add_completion(userdata, PRUNED, 0)->count = 0;
    history_pruned(fixture->history, pruned->messages);
    fixture->pruned += pruned->messages;
}

static void on_counted(void *userdata)
{
    struct fixture *fixture = userdata;

    add_completion(userdata, COUNTED, ++fixture->has_counted);
}

static void on_checked(void *userdata, const char *error)
{
    struct completion *completion = add_completion(userdata, CHECKED, 0);

    completion->error = error ? strdup(error) : NULL;
}

static bool on_working(void *userdata, enum store_work work, int percent)
{
    struct fixture *fixture = userdata;

    assert_true(fixture->worked < WORKED_MAX);
    assert_true(work == STORE_UPGRADE || percent == STORE_PERCENT_UNKNOWN);
    fixture->percents[fixture->worked++] = percent;
    return fixture->worked != fixture->stop_at;
}

static const struct store_callbacks callbacks = {.stored = on_stored,
                                                 .failed = on_failed,
                                                 .fetched = on_fetched,
                                                 .pruned = on_pruned,
                                                 .counted = on_counted,
                                                 .checked = on_checked,
                                                 .working = on_working};

int fixture_try_open(struct fixture *fixture)
{
    char *error = NULL;
    int result =
        store_open(fixture->directory, fixture->base, &callbacks, fixture, &fixture->store, &error);

    free(error);
    return result;
}

void fixture_open(struct fixture *fixture)
{
    char *error = NULL;
    int result =
        store_open(fixture->directory, fixture->base, &callbacks, fixture, &fixture->store, &error);

    if (result < 0)
        fail_msg("%s", error);
    assert_null(error);
    fixture->node = store_get_contents(fixture->store)->node;
    assert_int_equal(history_open(fixture->directory, &fixture->history), 0);
}

void fixture_close(struct fixture *fixture)
{
    history_close(fixture->history);
    store_close(fixture->store);
    while (fixture->packet_count > 0)
        packet_unref(fixture->packets[--fixture->packet_count]);
    fixture->history = NULL;
    fixture->store = NULL;
}

void fixture_reopen(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->completions = calloc(COMPLETIONS_MAX, sizeof(*fixture->completions));
    assert_non_null(fixture->completions);
    strcpy(fixture->directory, "/tmp/ringchat-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->base = event_base_new();
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    event_base_free(fixture->base);
    for (size_t i = 0; i < fixture->count; i++) {
        struct completion *completion = &fixture->completions[i];

        for (size_t k = 0; k < completion->count; k++)
            packet_unref(completion->packets[k]);
        free(completion->packets);
        free(completion->error);
    }
    free(fixture->completions);
    free(fixture->packets);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

const char *fixture_path(struct fixture *fixture, const char *file)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", fixture->directory, file);
    return path;
}

void fixture_sql(struct fixture *fixture, const char *text)
{
    sqlite3 *database;
    char *error = NULL;

    assert_int_equal(sqlite3_open(fixture_path(fixture, "history.db"), &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 10000);
    if (sqlite3_exec(database, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_close(database);
}

int fixture_number(struct fixture *fixture, const char *text)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    int number;

    assert_int_equal(sqlite3_open(fixture_path(fixture, "history.db"), &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static struct completion *find_completion(struct fixture *fixture, int type, ring_ticket ticket)
{
    for (size_t i = 0; i < fixture->count; i++) {
        struct completion *completion = &fixture->completions[i];

        if ((int)completion->type == type &&
            (completion->ticket == ticket ||
             (type == STORED && ticket != 0 && completion->ticket > ticket)))
            return completion;
    }
    return NULL;
}

struct completion *fixture_wait(struct fixture *fixture, int type, ring_ticket ticket)
{
    time_t deadline = time(NULL) + DEADLINE_SEC;
    struct timeval second = {.tv_sec = 1};
    struct completion *found;

    while (!(found = find_completion(fixture, type, ticket))) {
        if (time(NULL) > deadline)
            fail_msg("no completion %d of ticket %llu", type, (unsigned long long)ticket);
        event_base_loopexit(fixture->base, &second);
        event_base_loop(fixture->base, EVLOOP_ONCE);
    }
    return found;
}

void fixture_leave_alone(struct fixture *fixture, const char *query)
{
    time_t deadline = time(NULL) + DEADLINE_SEC;
    struct timeval moment = {.tv_usec = 10000};

    while (fixture_number(fixture, query) != 0) {
        if (time(NULL) > deadline)
            fail_msg("\"%s\" is never 0", query);
        event_base_loopexit(fixture->base, &moment);
        event_base_dispatch(fixture->base);
    }
}

void fixture_set_horizon(struct fixture *fixture, uint64_t horizon)
{
    struct ring_state kept = {.horizon = horizon};

    fixture_wait(fixture, STORED, submit_state(fixture, &kept));
    fixture_leave_alone(fixture, ANYTHING_BELOW);
    /* What the store has to say of it comes before the answer to a later write. */
    fixture_wait(fixture, STORED, submit_state(fixture, &kept));
}

const struct ring_held *held_of(struct fixture *fixture, unsigned origin)
{
    const struct store_contents *contents = store_get_contents(fixture->store);
    struct ring_id id = origin_of(origin);

    for (size_t i = 0; i < contents->held_count; i++) {
        if (ring_id_equal(&contents->held[i].origin, &id))
            return &contents->held[i];
    }
    return NULL;
}

/* ---- messages ---- */

struct ring_id origin_of(unsigned number)
{
    struct ring_id id = {{0}};

    /* The database's numbers and the ids are in different orders. */
    id.bytes[0] = (uint8_t)(255 - number);
    id.bytes[15] = (uint8_t)number;
    return id;
}

struct message_key key_of(uint64_t hlc, unsigned origin, uint64_t n)
{
    return (struct message_key){
        .hlc = hlc, .origin = origin_of(origin), .seq = n >> 32 ? n : (1ULL << 32 | n)};
}

struct message message_of(const struct message_key *key)
{
    struct message message = {.key = *key,
                              .sent = key->hlc * 1000,
                              .user = {"alice", 5},
                              .node = {"host", 4},
                              .room = {"main", 4},
                              .text = {"how are you?", 12}};

    put_le64(message.id.bytes, key->hlc);
    put_le64(message.id.bytes + 8, key->seq ^ (uint64_t)key->origin.bytes[15] << 56);
    return message;
}

struct message message_of_id(const struct message_key *key, unsigned id)
{
    static char text[LONG_TEXT];
    struct message message = message_of(key);

    message.id = (struct ring_id){{(uint8_t)id, (uint8_t)(id >> 8), 1}};
    if (id % 3 == 0)
        message.room = (struct bytes){"ops", 3};
    if (id % 5 == 0)
        message.kind = MESSAGE_NOTICE;
    if (id % 12 == 0) {
        memset(text, 'a' + (int)(id % 26), sizeof(text));
        message.text = (struct bytes){text, sizeof(text)};
    }
    return message;
}

static ring_ticket submit(struct fixture *fixture, struct ring_output *output,
                          struct packet *packet)
{
    output->type = RING_STORE;
    output->store.ticket = ++fixture->next_ticket;
    output->store.packet = packet;
    assert_int_equal(store_submit(fixture->store, output), 0);
    packet_unref(packet);
    return output->store.ticket;
}

/* What was handed to the store, until it is delivered. */
static void remember(struct fixture *fixture, struct packet *packet)
{
    fixture->packets =
        realloc(fixture->packets, (fixture->packet_count + 1) * sizeof(struct packet *));
    assert_non_null(fixture->packets);
    fixture->packets[fixture->packet_count++] = packet_ref(packet);
}

static struct packet *recall(struct fixture *fixture, const struct message_key *key)
{
    for (size_t i = 0; i < fixture->packet_count; i++) {
        struct packet *packet = fixture->packets[i];
        struct message_key found = packet_key(packet);

        if (message_key_compare(&found, key) != 0)
            continue;
        fixture->packets[i] = fixture->packets[--fixture->packet_count];
        return packet;
    }
    fail_msg("what was not handed to the store is delivered");
    return NULL;
}

ring_ticket submit_message(struct fixture *fixture, const struct message *message, bool repaired)
{
    struct ring_output output = {0};
    struct packet *packet;

    output.store.write = RING_WRITE_MESSAGE;
    output.store.repaired = repaired;
    assert_int_equal(history_stored(fixture->history, &message->key), 0);
    packet = message_pack(message);
    remember(fixture, packet);
    return submit(fixture, &output, packet);
}

ring_ticket submit_key(struct fixture *fixture, const struct message_key *key, bool repaired)
{
    struct message message = message_of(key);

    return submit_message(fixture, &message, repaired);
}

ring_ticket submit_outbox(struct fixture *fixture, const struct message *message)
{
    struct ring_output output = {0};

    output.store.write = RING_WRITE_OUTBOX;
    return submit(fixture, &output, message_pack(message));
}

ring_ticket submit_state(struct fixture *fixture, const struct ring_state *state)
{
    struct ring_output output = {0};

    output.store.write = RING_WRITE_STATE;
    output.store.state = *state;
    return submit(fixture, &output, NULL);
}

ring_ticket submit_fetch(struct fixture *fixture, unsigned origin, uint64_t from, uint64_t to,
                         size_t bytes_max)
{
    struct ring_output output = {.type = RING_FETCH};

    output.fetch.ticket = ++fixture->next_ticket;
    output.fetch.origin = origin_of(origin);
    output.fetch.from = from >> 32 ? from : (1ULL << 32 | from);
    output.fetch.to = to >> 32 ? to : (1ULL << 32 | to);
    output.fetch.bytes_max = bytes_max;
    assert_int_equal(store_submit(fixture->store, &output), 0);
    return output.fetch.ticket;
}

void count_rooms(struct fixture *fixture)
{
    assert_int_equal(store_submit_rooms(fixture->store), 0);
    fixture_wait(fixture, COUNTED, ++fixture->counted);
}

void deliver_untold(struct fixture *fixture, const struct message_key *key, bool late)
{
    struct packet *packet = recall(fixture, key);

    assert_int_equal(history_delivered(fixture->history, packet, late, store_twins(fixture->store)),
                     0);
    packet_unref(packet);
}

void deliver(struct fixture *fixture, const struct message_key *key, bool late)
{
    deliver_untold(fixture, key, late);
    if (late)
        assert_int_equal(store_submit_late(fixture->store, key), 0);
    else
        store_delivered(fixture->store, key);
}

void say(struct fixture *fixture, const struct message_key *key)
{
    fixture_wait(fixture, STORED, submit_key(fixture, key, false));
    deliver(fixture, key, false);
}

void repair(struct fixture *fixture, const struct message_key *key)
{
    fixture_wait(fixture, STORED, submit_key(fixture, key, true));
    deliver(fixture, key, true);
}

unsigned packet_id(const struct packet *packet)
{
    struct message message = {0};

    assert_int_equal(message_unpack(packet, &message), 0);
    return message.id.bytes[0] | (unsigned)message.id.bytes[1] << 8;
}

struct message_key packet_key(const struct packet *packet)
{
    struct message message = {0};

    assert_int_equal(message_unpack(packet, &message), 0);
    return message.key;
}

void assert_page_has(struct history_page *page, assert_number *is, uint64_t first, uint64_t last)
{
    assert_int_equal(page->count, last - first + 1);
    for (size_t i = 0; i < page->count; i++)
        is(page->items[i].packet, first + i);
    history_page_done(page);
}

void assert_found(struct fixture *fixture, const char *words, assert_number *is, uint64_t first,
                  uint64_t last)
{
    struct history_query query = {.until = UINT64_MAX, .words = words};
    struct history_search *search;
    struct history_page page;
    uint64_t next = first;

    assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
    history_search_start(search, &(struct message_key){0}, false);
    for (bool end = false; !end;) {
        assert_int_equal(history_search_read(search, 1000, &page), 0);
        end = page.end;
        next += page.count;
        assert_page_has(&page, is, next - page.count, next - 1);
    }
    assert_int_equal(next, last + 1);
    history_search_free(search);
}
