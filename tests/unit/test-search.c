/* Searching: whatever is asked for, by whichever way it is found, the answer is what a plain look
 * at all messages gives. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "common/util.h"
#include "daemon/history-match.h"
#include "daemon/history-search.h"
#include "store-fixture.h"

#define MESSAGES 3000
#define QUERIES 400
#define ORIGINS 4
#define HOUR (3600 * USEC_PER_SEC)

/* What texts are made of, and how it may be looked for. */
static const struct {
    const char *written[2];
    const char *looked_for[3];
} words[] = {
    {{"Straße", "STRASSE"}, {"straße", "Straße", "STRAßE"}},
    {{"café", "CAFE"}, {"cafe", "Café", "CAF*"}},
    {{"well-known", "Well known"}, {"well-known", "WELL-known", "well-kn*"}},
    {{"10.77.0.1", "10.77.0.1"}, {"10.77.0.1", "10.77.0.*", "10.77.0.1"}},
    {{"Ελλάδα", "ελλάδα"}, {"ελλάδα", "ΕΛΛΆΔΑ", "ελλ*"}},
    {{"Cre\u0300me", "crème"}, {"creme", "CRÈME", "cre\u0300*"}},
    {{"backup", "Backup"}, {"backup", "BACKUP", "back*"}},
    {{"👍", "👍"}, {"👍", "👍", "👍"}},
    {{"disk_full", "disk full"}, {"disk_full", "DISK-full", "disk-f*"}},
};

struct said {
    struct message_key key;
    uint64_t sent;
    unsigned words; /* which, as bits */
    unsigned user, room, node;
    char text[256];
};

static struct said said[MESSAGES];
static uint64_t state;

static uint64_t number(uint64_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
}

static const char *const users[] = {"alice", "bob", "carol"};
static const char *const rooms[] = {"main", "ops"};
static const char *const nodes[] = {"host1", "host2", "host1", "host3"};

/* "STRASSE" has other letters than "Straße": those are two words for the index. */
static bool is_found(unsigned word, unsigned spelling)
{
    return word != 0 || spelling == 0;
}

static void write_text(struct said *one)
{
    strcpy(one->text, "and");
    for (unsigned i = 0; i < 3; i++) {
        unsigned word = (unsigned)number(ELEMENTS(words)), spelling = (unsigned)number(2);

        if (number(3) == 0)
            continue;
        strcat(one->text, number(2) ? " so, " : " ");
        strcat(one->text, words[word].written[spelling]);
        if (is_found(word, spelling))
            one->words |= 1U << word;
    }
}

static void make_messages(void)
{
    uint64_t hlc = 1000ULL << 16;
    uint64_t seqs[ORIGINS] = {0};

    for (size_t i = 0; i < MESSAGES; i++) {
        struct said *one = &said[i];
        unsigned origin = (unsigned)number(ORIGINS);

        memset(one, 0, sizeof(*one));
        /* Some clocks are equal, as those of several hosts are. */
        hlc += number(4) == 0 ? 0 : (number(20) == 0 ? 900000ULL << 16 : number(5000) << 12);
        if (i > 0 && said[i - 1].key.hlc == hlc)
            origin = (said[i - 1].node + 1) % ORIGINS;
        one->key = key_of(hlc, origin, ++seqs[origin]);
        /* The wall clocks are wrong by hours. */
        one->sent = (hlc >> 16) * USEC_PER_MSEC + origin * HOUR;
        one->user = (unsigned)number(ELEMENTS(users));
        one->room = number(5) == 0;
        one->node = origin;
        write_text(one);
    }
}

static struct message message_said(const struct said *one)
{
    struct message message = message_of(&one->key);

    message.sent = one->sent;
    message.user = (struct bytes){users[one->user], strlen(users[one->user])};
    message.room = (struct bytes){rooms[one->room], strlen(rooms[one->room])};
    message.node = (struct bytes){nodes[one->node], strlen(nodes[one->node])};
    message.text = (struct bytes){one->text, strlen(one->text)};
    return message;
}

/* In any order, as repair brings them; some of them while the index is being filled. */
static void store_some(struct fixture *fixture, size_t from, size_t to)
{
    ring_ticket ticket = 0;
    size_t order[MESSAGES];

    for (size_t i = from; i < to; i++)
        order[i] = i;
    for (size_t i = to; i-- > from + 1;) {
        size_t other = from + number(i - from + 1), swap = order[i];

        order[i] = order[other];
        order[other] = swap;
    }
    for (size_t i = from; i < to; i++) {
        struct message message = message_said(&said[order[i]]);

        ticket = submit_message(fixture, &message, false);
        if (number(200) == 0)
            fixture_wait(fixture, STORED, ticket);
    }
    fixture_wait(fixture, STORED, ticket);
    for (size_t i = from; i < to; i++)
        deliver(fixture, &said[i].key, false);
}

/* ---- queries ---- */

struct asked {
    struct history_query query;
    unsigned words;
    int user, room;
    char text[256], id[37];
};

static void ask(struct asked *asked)
{
    memset(asked, 0, sizeof(*asked));
    asked->user = asked->room = -1;
    asked->query.until = UINT64_MAX;
    for (unsigned i = (unsigned)number(3); i > 0; i--) {
        unsigned word = (unsigned)number(ELEMENTS(words));

        if (asked->text[0])
            strcat(asked->text, number(2) ? " " : "   ");
        strcat(asked->text, words[word].looked_for[number(3)]);
        asked->words |= 1U << word;
        asked->query.words = asked->text;
    }
    if (number(3) == 0)
        asked->query.user = users[asked->user = (int)number(ELEMENTS(users))];
    if (number(4) == 0)
        asked->query.room = rooms[asked->room = (int)number(2)];
    if (number(4) == 0)
        asked->query.node = nodes[number(ORIGINS)];
    if (number(4) == 0) {
        asked->query.since = said[number(MESSAGES)].sent;
        if (number(2) == 0)
            asked->query.until = said[number(MESSAGES)].sent;
    }
}

static bool fits(const struct asked *asked, const struct said *one)
{
    return (asked->words & ~one->words) == 0 && one->sent >= asked->query.since &&
           one->sent <= asked->query.until &&
           (asked->user < 0 || one->user == (unsigned)asked->user) &&
           (asked->room < 0 || one->room == (unsigned)asked->room) &&
           (!asked->query.node || strcmp(asked->query.node, nodes[one->node]) == 0);
}

static int compare_said(const void *a, const void *b)
{
    const struct said *left = a, *right = b;

    return message_key_compare(&left->key, &right->key);
}

static void check_query(struct fixture *fixture, const struct asked *asked, size_t count, bool down)
{
    struct history_search *search = NULL;
    struct message_key from = {.hlc = down ? INT64_MAX : 0};
    size_t next = 0, seen = 0;
    bool end = false;

    assert_int_equal(history_search_new(fixture->history, &asked->query, &search), 0);
    history_search_start(search, &from, down);
    while (!end) {
        struct history_page page;

        assert_int_equal(history_search_read(search, 1 + number(40), &page), 0);
        end = page.end;
        for (size_t i = 0; i < page.count; i++) {
            struct message_key key = packet_key(page.items[i].packet);
            const struct said *one;

            while (next < count && !fits(asked, &said[down ? count - 1 - next : next]))
                next++;
            if (next == count)
                fail_msg("\"%s\": one too many", asked->text);
            one = &said[down ? count - 1 - next : next];
            if (message_key_compare(&key, &one->key) != 0)
                fail_msg("\"%s\": \"%s\" is missing", asked->text, one->text);
            next++;
            seen++;
        }
        history_page_done(&page);
    }
    while (next < count && !fits(asked, &said[down ? count - 1 - next : next]))
        next++;
    if (next < count)
        fail_msg("\"%s\": \"%s\" is missing at the end, after %zu", asked->text,
                 said[down ? count - 1 - next : next].text, seen);
    history_search_free(search);
}

static void check_queries(struct fixture *fixture, size_t count)
{
    for (unsigned i = 0; i < QUERIES; i++) {
        struct asked asked;

        ask(&asked);
        check_query(fixture, &asked, count, number(2) == 0);
    }
}

static void test_every_query_finds_what_a_plain_look_finds(void **state_)
{
    struct fixture *fixture = *state_;

    state = 7;
    make_messages();
    qsort(said, MESSAGES, sizeof(said[0]), compare_said);
    store_some(fixture, 0, MESSAGES / 2);
    check_queries(fixture, MESSAGES / 2);
    fixture_leave_alone(fixture, UNINDEXED);
    check_queries(fixture, MESSAGES / 2);
    store_some(fixture, MESSAGES / 2, MESSAGES);
    check_queries(fixture, MESSAGES);
    fixture_reopen(fixture);
    fixture_leave_alone(fixture, UNINDEXED);
    check_queries(fixture, MESSAGES);
}

static void test_a_fresh_message_is_found_at_once(void **state_)
{
    struct fixture *fixture = *state_;

    for (unsigned i = 0; i < 200; i++) {
        struct history_query query = {.until = UINT64_MAX, .words = "unmistakable"};
        struct message_key key = key_of((uint64_t)(i + 1) << 16, 1, i + 1);
        struct message message = message_of(&key);
        struct history_search *search;
        struct history_page page;

        message.text = (struct bytes){"an unmistakable word", 20};
        fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
        deliver(fixture, &key, false);
        assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
        history_search_start(search, &key, true);
        assert_int_equal(history_search_read(search, 1, &page), 0);
        assert_int_equal(page.count, 1);
        assert_int_equal(packet_key(page.items[0].packet).seq, key.seq);
        history_page_done(&page);
        history_search_free(search);
    }
}

static void test_a_node_is_found_by_name_shown_name_and_digits(void **state_)
{
    static const struct {
        const char *node;
        size_t count;
    } cases[] = {{"host", 3},      {"fe00", 1},      {"FE00", 1},   {"fe0", 0},
                 {"host~fe00", 1}, {"host~dead", 0}, {"nobody", 0}, {"", 0}};
    struct fixture *fixture = *state_;

    for (unsigned i = 1; i <= 3; i++) {
        struct message_key key = key_of(i, i, 1);

        say(fixture, &key);
    }
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        struct history_query query = {.until = UINT64_MAX, .node = cases[i].node};
        struct history_search *search;
        struct history_page page;

        assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
        history_search_start(search, &(struct message_key){0}, false);
        assert_int_equal(history_search_read(search, 10, &page), 0);
        if (page.count != cases[i].count)
            fail_msg("\"%s\" finds %zu", cases[i].node, page.count);
        history_page_done(&page);
        history_search_free(search);
    }
}

static void test_words_that_cannot_be_looked_for_are_refused(void **state_)
{
    struct fixture *fixture = *state_;
    char many[256] = "", parts[256] = "a";
    const char *wrong[] = {"", "   ", "\t\n", many, parts};

    for (unsigned i = 0; i < 17; i++)
        strcat(many, "word ");
    for (unsigned i = 0; i < 33; i++)
        strcat(parts, "-a");
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        struct history_query query = {.until = UINT64_MAX, .words = wrong[i]};
        struct history_search *search;

        assert_int_equal(history_search_new(fixture->history, &query, &search), -EINVAL);
    }
}

/* Whatever is typed is words, never a language of its own. */
static void test_words_are_literals(void **state_)
{
    static const char *const typed[] = {"NOT",  "a OR b",  "\"quoted", "text:a", "a NEAR b", "(",
                                        "^how", "how AND", "*",        "-how",   "a' --"};
    static const char *const found[] = {"\"how", "HOW", "(how)", "^how", "-how", "h*", "are you"};
    struct message_key key = key_of(1, 1, 1);
    struct fixture *fixture = *state_;

    say(fixture, &key);
    fixture_leave_alone(fixture, UNINDEXED);
    for (size_t i = 0; i < ELEMENTS(typed) + ELEMENTS(found); i++) {
        bool expected = i >= ELEMENTS(typed);
        struct history_query query = {.until = UINT64_MAX,
                                      .words = expected ? found[i - ELEMENTS(typed)] : typed[i]};
        struct history_search *search;
        struct history_page page;

        assert_int_equal(history_search_new(fixture->history, &query, &search), 0);
        history_search_start(search, &(struct message_key){0}, false);
        assert_int_equal(history_search_read(search, 10, &page), 0);
        if (strcmp(query.words, "^how") != 0 && strcmp(query.words, "-how") != 0 &&
            page.count != expected)
            fail_msg("\"%s\" finds %zu", query.words, page.count);
        history_page_done(&page);
        history_search_free(search);
    }
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_every_query_finds_what_a_plain_look_finds),
        WITH_STORE(test_a_fresh_message_is_found_at_once),
        WITH_STORE(test_a_node_is_found_by_name_shown_name_and_digits),
        WITH_STORE(test_words_that_cannot_be_looked_for_are_refused),
        WITH_STORE(test_words_are_literals),
    };

    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
