#include "texts-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "common/util.h"

/* ---- messages ---- */

struct message_key key_number(uint64_t n)
{
    return key_of(n << 16, n % 2, n);
}

/* Each goes to a segment by itself; the seventh fills more than one. */
static size_t size_number(uint64_t n)
{
    return n % 10 == 7 ? TEXT_BYTES_LONGEST : STORE_TEXTS_GROUP_BYTES + n % 5 * 3001;
}

struct message message_number(uint64_t n, char text[TEXT_BYTES_LONGEST])
{
    struct message_key key = key_number(n);
    struct message message = message_of(&key);
    size_t size = size_number(n);
    int head = snprintf(text, size, "findable %llu ", (unsigned long long)n);

    for (size_t i = (size_t)head; i < size; i++)
        text[i] = i % 8 ? (char)('a' + (i * (n + 3) >> 3) % 26) : ' ';
    message.text = (struct bytes){text, size};
    return message;
}

void say_number(struct fixture *fixture, uint64_t n)
{
    static char text[TEXT_BYTES_LONGEST];
    struct message message = message_number(n, text);

    fixture_wait(fixture, STORED, submit_message(fixture, &message, false));
    deliver(fixture, &message.key, false);
}

void say_numbers(struct fixture *fixture, uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n <= last; n++)
        say_number(fixture, n);
}

void assert_is_number(const struct packet *packet, uint64_t n)
{
    static char text[TEXT_BYTES_LONGEST];
    struct message expected = message_number(n, text), found;

    assert_int_equal(message_unpack(packet, &found), 0);
    assert_int_equal(message_key_compare(&found.key, &expected.key), 0);
    assert_int_equal(found.text.size, expected.text.size);
    assert_memory_equal(found.text.data, text, found.text.size);
}

/* By every way to read. */
void assert_all_there(struct fixture *fixture, uint64_t first, uint64_t last)
{
    struct history_position position;
    struct history_page page;

    assert_int_equal(history_read(fixture->history, &(struct message_key){0}, 1000, &page), 0);
    assert_page_has(&page, assert_is_number, first, last);
    assert_int_equal(history_last(fixture->history, last - first + 1, &page, &position), 0);
    assert_page_has(&page, assert_is_number, first, last);
    assert_found(fixture, "findable", assert_is_number, first, last);
    for (uint64_t n = first; n <= last; n++) {
        struct message_key key = key_number(n);
        struct packet *packet;
        struct completion *fetched;

        assert_int_equal(history_find_key(fixture->history, &key, &packet), 0);
        assert_is_number(packet, n);
        packet_unref(packet);
        fetched = fixture_wait(fixture, FETCHED, submit_fetch(fixture, n % 2, n, n, SIZE_MAX));
        assert_int_equal(fetched->count, 1);
        assert_is_number(fetched->packets[0], n);
    }
}

/* ---- files ---- */

/* The path of the n-th file (from 0) of the segments, in their order; to be freed. NULL: there are
 * not so many. */
char *segment_file(struct fixture *fixture, const char *database, size_t n)
{
    char pattern[64];
    glob_t found;
    char *path = NULL;

    snprintf(pattern, sizeof(pattern), "%s-texts/*", database);
    if (glob(fixture_path(fixture, pattern), 0, NULL, &found) == 0 && n < found.gl_pathc)
        path = strdup(found.gl_pathv[n]);
    globfree(&found);
    return path;
}

int count_files(struct fixture *fixture)
{
    int count = 0;
    char *path;

    while ((path = segment_file(fixture, "history.db", (size_t)count))) {
        free(path);
        count++;
    }
    return count;
}
