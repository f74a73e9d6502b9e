/* Topics of the log, and the texts of events. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "daemon/journal-limit.h"
#include "daemon/journal.h"

static void assert_topics(struct journal *journal, const char *set, const char *shown)
{
    _cleanup_free_ char *topics = NULL;

    assert_int_equal(journal_set_topics(journal, set), 0);
    topics = journal_get_topics(journal);
    assert_string_equal(topics, shown);
}

static void test_modes_and_topics_are_shown_as_they_were_set(void **unused)
{
    struct journal *journal = journal_new();

    (void)unused;
    assert_topics(journal, "normal", "normal");
    assert_topics(journal, "heartbeat", "heartbeat");
    assert_topics(journal, "debug", "debug");
    assert_topics(journal, "store, ring", "ring store");
    assert_topics(journal, "", "normal");
    journal_free(journal);
}

static void test_an_unknown_topic_changes_nothing(void **unused)
{
    struct journal *journal = journal_new();

    (void)unused;
    assert_topics(journal, "store", "store");
    assert_int_equal(journal_set_topics(journal, "store noise"), -EINVAL);
    assert_true(journal_wants(journal, TOPIC_STORE, LOG_DEBUG));
    assert_false(journal_wants(journal, TOPIC_RING, LOG_DEBUG));
    journal_free(journal);
}

static void test_debug_shows_all_but_the_texts_of_messages(void **unused)
{
    struct journal *journal = journal_new();

    (void)unused;
    assert_int_equal(journal_set_topics(journal, "debug"), 0);
    assert_true(journal_wants(journal, TOPIC_ELECTION, LOG_DEBUG));
    assert_false(journal_wants(journal, TOPIC_CHAT, LOG_DEBUG));
    assert_int_equal(journal_set_topics(journal, "debug chat"), 0);
    assert_true(journal_wants(journal, TOPIC_CHAT, LOG_DEBUG));
    journal_free(journal);
}

static void test_an_event_is_told_with_its_fields(void **unused)
{
    struct ring_event event = {.type = RING_EVENT_JOINED,
                               .peer_name = "host2",
                               .address = {.family = 4, .ip = {10, 0, 0, 2}, .port = 7263}};
    _cleanup_free_ char *text = journal_event_text(&event);

    (void)unused;
    assert_string_equal(text, "host2 joined from 10.0.0.2:7263");
}

static void test_a_hostile_name_cannot_drive_the_terminal(void **unused)
{
    struct ring_event event = {.type = RING_EVENT_FAILED, .peer_name = "\033[2Jx"};
    _cleanup_free_ char *text = journal_event_text(&event);

    (void)unused;
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "\\x1b[2Jx failed"));
}

static void test_every_event_has_a_text(void **unused)
{
    (void)unused;
    for (int type = 0; type < RING_EVENT_TYPES; type++) {
        struct ring_event event = {.type = (enum ring_event_type)type, .reason = "reason"};
        _cleanup_free_ char *text = journal_event_text(&event);

        assert_true(strlen(text) > 5);
        assert_null(strchr(text, '%'));
    }
}

static void test_a_line_that_comes_too_often_is_counted_and_then_reported(void **unused)
{
    struct journal_limit limit = {0};
    uint64_t now = 5;
    size_t left_out;
    const char *text;

    (void)unused;
    for (unsigned i = 0; i < LIMIT_BURST; i++)
        assert_true(journal_limit_pass(&limit, 1, "again", now++));
    assert_false(journal_limit_pass(&limit, 1, "the first too many", now++));
    assert_false(journal_limit_pass(&limit, 1, "and one more", now++));
    assert_true(journal_limit_pass(&limit, 2, "something else", now));
    assert_false(journal_limit_report(&limit, now, &left_out, &text));
    assert_true(journal_limit_report(&limit, now + LIMIT_WINDOW, &left_out, &text));
    assert_int_equal(left_out, 2);
    assert_string_equal(text, "the first too many");
    assert_false(journal_limit_report(&limit, now + LIMIT_WINDOW, &left_out, &text));
    assert_true(journal_limit_pass(&limit, 1, "again", now + LIMIT_WINDOW));
}

static void test_lines_of_another_kind_are_not_left_out_with_it(void **unused)
{
    struct journal_limit limit = {0};

    (void)unused;
    for (unsigned i = 0; i < 10 * LIMIT_BURST; i++)
        journal_limit_pass(&limit, 0, "a flood", 5);
    for (uint64_t key = 1; key < LIMIT_PLACES; key++) {
        for (unsigned i = 0; i < LIMIT_BURST; i++)
            assert_true(journal_limit_pass(&limit, key << 32, "another", 5));
        assert_false(journal_limit_pass(&limit, key << 32, "another", 5));
    }
    /* There is no place left for one more; it shares one. */
    assert_false(journal_limit_pass(&limit, 77, "one more", 5));
    assert_false(journal_limit_pass(&limit, 0, "a flood", 5));
}

static void test_a_line_that_comes_seldom_always_passes(void **unused)
{
    struct journal_limit limit = {0};

    (void)unused;
    for (unsigned i = 1; i < 10 * LIMIT_BURST; i++)
        assert_true(journal_limit_pass(&limit, 1, "now and then", i * LIMIT_WINDOW / LIMIT_BURST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_and_topics_are_shown_as_they_were_set),
        cmocka_unit_test(test_an_unknown_topic_changes_nothing),
        cmocka_unit_test(test_debug_shows_all_but_the_texts_of_messages),
        cmocka_unit_test(test_an_event_is_told_with_its_fields),
        cmocka_unit_test(test_a_hostile_name_cannot_drive_the_terminal),
        cmocka_unit_test(test_every_event_has_a_text),
        cmocka_unit_test(test_a_line_that_comes_too_often_is_counted_and_then_reported),
        cmocka_unit_test(test_lines_of_another_kind_are_not_left_out_with_it),
        cmocka_unit_test(test_a_line_that_comes_seldom_always_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
