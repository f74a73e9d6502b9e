/* The Varlink stream, the interface, and messages as JSON. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bounds.h"
#include "common/errors.h"
#include "common/message.h"
#include "common/text.h"
#include "common/varlink.h"

/* Feeds the bytes in slices of that size, and counts the objects; a negative errno ends it. */
static int feed(const char *data, size_t size, size_t slice, bool *ret_in_lines)
{
    _cleanup_(json_stream_freep) struct json_stream *stream = json_stream_new(JSON_CALL_BYTES_MAX);
    int count = 0;

    for (size_t at = 0; at < size;) {
        struct json_object *object = NULL;
        size_t piece = size - at < slice ? size - at : slice, used = 0;
        int result = json_stream_feed(stream, data + at, piece, &used, &object);

        if (result < 0)
            return result;
        at += result == 0 ? piece : used;
        count += result;
        json_object_put(object);
    }
    if (ret_in_lines)
        *ret_in_lines = json_stream_in_lines(stream);
    return count;
}

static void test_objects_are_cut_alike_in_slices_of_any_size(void **unused)
{
    static const char calls[] = "{\"method\":\"a.B\"}\0{\"a\":{\"b\":[1,\"}\\u0041\\n\"]}}\0{}";
    bool in_lines;

    (void)unused;
    for (size_t slice = 1; slice <= sizeof(calls); slice++) {
        assert_int_equal(feed(calls, sizeof(calls), slice, &in_lines), 3);
        assert_false(in_lines);
    }
}

static void test_a_newline_behind_an_object_ends_it_too(void **unused)
{
    static const char lines[] = "{\"a\":1}\n{\"b\":\n2}\n";
    bool in_lines;

    (void)unused;
    for (size_t slice = 1; slice < sizeof(lines); slice++) {
        assert_int_equal(feed(lines, sizeof(lines) - 1, slice, &in_lines), 2);
        assert_true(in_lines);
    }
}

static void test_hostile_input_is_refused(void **unused)
{
#define INPUT(text)                                                                                \
    {                                                                                              \
        text, sizeof(text)                                                                         \
    } /* with its NUL */
    static const struct {
        const char *data;
        size_t size;
    } inputs[] = {
        INPUT("hello"),
        INPUT("[1]"),
        INPUT("{]"),
        INPUT("{\"a\":\"\xff\"}"),
        INPUT("12"),
        INPUT("{\"a\":\"\\u0000\"}"),
        INPUT("{\"a\":1}x"),
        INPUT("{\"a\":"),
        INPUT("{\"a\":\"\t\"}"),
        INPUT("{\"a\":1,}"),
        INPUT("{\"a\":\xc3\xa9}"),
        INPUT("{\"a\":\"\xed\xa0\x80\"}"),
    };
    char deep[200];

    (void)unused;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        assert_int_equal(feed(inputs[i].data, inputs[i].size, 100, NULL), -EBADMSG);
    }
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(feed(deep, sizeof(deep), 7, NULL), -EBADMSG);
}

/* A long string is not looked at byte by byte: whatever ends or spoils it is seen at every place.
 */
static void test_nothing_in_a_long_string_is_overlooked(void **unused)
{
    static const struct {
        const char *bytes;
        int count; /* of objects, or an error */
    } pieces[] = {{"\"", -EBADMSG},
                  {"\\n", 1},
                  {"\n", -EBADMSG},
                  {"\x1f", -EBADMSG},
                  {"\x7f", 1},
                  {"\\\"", 1},
                  {"\\q", -EBADMSG},
                  {"\xff", -EBADMSG},
                  {"\x80", -EBADMSG},
                  {"\xed\xa0\x80", -EBADMSG},
                  {"\xf0\x9f\x98\x80", 1},
                  {"\\u0000", -EBADMSG}};

    (void)unused;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (size_t at = 0; at <= 140; at++) {
            char text[200] = "{\"text\":\"";
            size_t head = strlen(text), length = strlen(pieces[i].bytes);

            memset(text + head, 'x', 140 + length);
            memcpy(text + head + at, pieces[i].bytes, length);
            strcpy(text + head + 140 + length, "\"}");
            for (size_t slice = 1; slice <= sizeof(text); slice += 33) {
                if (feed(text, strlen(text) + 1, slice, NULL) != pieces[i].count)
                    fail_msg("%s at %zu in slices of %zu", pieces[i].bytes, at, slice);
            }
        }
    }
}

static void test_every_letter_arrives_as_it_was_written(void **unused)
{
    static const char text[] = "{\"a\":\"A \xc3\xa9 \xe2\x82\xac \xef\xbf\xbf \xf0\x9f\x98\x80 "
                               "\xf4\x8f\xbf\xbf \\u00e9 \\ud83d\\ude00 \\\\ \\\"\"}";
    _cleanup_(json_stream_freep) struct json_stream *stream = json_stream_new(JSON_CALL_BYTES_MAX);
    _cleanup_(json_object_putp) struct json_object *object = NULL;
    struct json_object *value;
    size_t used;

    (void)unused;
    assert_int_equal(json_stream_feed(stream, text, sizeof(text), &used, &object), 1);
    assert_true(json_object_object_get_ex(object, "a", &value));
    assert_string_equal(json_object_get_string(value),
                        "A \xc3\xa9 \xe2\x82\xac \xef\xbf\xbf \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf "
                        "\xc3\xa9 \xf0\x9f\x98\x80 \\ \"");
}

static void test_an_object_over_the_limit_is_refused(void **unused)
{
    size_t size = JSON_CALL_BYTES_MAX + 10;
    char *data = malloc(size);

    (void)unused;
    assert_non_null(data);
    memset(data, 'x', size);
    memcpy(data, "{\"a\":\"", 6);
    assert_int_equal(feed(data, size, 65536, NULL), -EBADMSG);
    free(data);
}

static struct json_object *parse(const char *text)
{
    struct json_object *object = json_tokener_parse(text);

    assert_non_null(object);
    return object;
}

static int check_send(const char *text, const char **ret_field)
{
    struct idl *idl = varlink_interface_new();
    _cleanup_(json_object_putp) struct json_object *object = parse(text);
    static char field[64];
    const char *found = "";
    int result = idl_check(&idl_find(idl, IDL_METHOD, "Send")->input, object, &found);

    strncpy(field, found, sizeof(field) - 1);
    *ret_field = field;
    idl_free(idl);
    return result;
}

static void test_parameters_are_checked_against_the_interface(void **unused)
{
    const char *field;

    (void)unused;
    assert_int_equal(check_send("{\"text\":\"hi\"}", &field), 0);
    assert_int_equal(check_send("{\"text\":\"hi\",\"room\":null}", &field), 0);
    assert_int_equal(check_send("{}", &field), -EINVAL);
    assert_string_equal(field, "text");
    assert_int_equal(check_send("{\"text\":5}", &field), -EINVAL);
    assert_string_equal(field, "text");
    assert_int_equal(check_send("{\"text\":\"hi\",\"kind\":\"song\"}", &field), -EINVAL);
    assert_string_equal(field, "kind");
    assert_int_equal(check_send("{\"text\":\"hi\",\"user\":\"root\"}", &field), -EINVAL);
    assert_string_equal(field, "user");
}

static void test_every_error_of_the_interface_has_a_sentence(void **unused)
{
    struct idl *idl = varlink_interface_new();
    const struct idl_member *members;
    size_t count, errors = 0;

    (void)unused;
    members = idl_members(idl, &count);
    for (size_t i = 0; i < count; i++) {
        char name[100];

        if (members[i].kind != IDL_ERROR)
            continue;
        snprintf(name, sizeof(name), "org.ringchat.%s", members[i].name);
        assert_true(error_find(name) < ERRORS);
        errors++;
    }
    assert_true(errors > 5);
    idl_free(idl);
}

static void test_a_message_is_the_same_after_json_and_back(void **unused)
{
    struct chat_message message = {
        .id = {1, 2, 3},
        .origin = {4, 5, 6},
        .hlc = 0x0123456789abcdef,
        .seq = 77ULL << 32 | 5,
        .sent = 1795465868402494,
        .user = {"al|ce", 5},
        .node = {"hôst", 5},
        .room = {"main", 4},
        .text = span_of("quotes \" and \\ and \n and \177 and ✓"),
    };
    _cleanup_(json_object_putp) struct json_object *object = message_to_json(&message);
    struct chat_message back;

    (void)unused;
    assert_int_equal(message_from_json(object, &back), 0);
    assert_int_equal(back.hlc, message.hlc);
    assert_int_equal(back.seq, message.seq);
    assert_true(span_equal(back.text, message.text));
    assert_true(span_equal(back.user, message.user));
    assert_string_equal(json_object_get_string(json_object_object_get(object, "seq")), "77-5");
}

static void test_the_order_as_text_sorts_as_the_keys_do(void **unused)
{
    uint8_t low[16] = {1}, high[16] = {2};
    char texts[4][ORDER_TEXT_MAX];

    (void)unused;
    order_format(1, low, 1ULL << 32, texts[0]);
    order_format(1, low, 0xffULL << 32, texts[1]);
    order_format(1, high, 1, texts[2]);
    order_format(1ULL << 40, low, 1, texts[3]);
    for (unsigned i = 1; i < 4; i++)
        assert_true(strcmp(texts[i - 1], texts[i]) < 0);
}

static void test_what_could_drive_a_terminal_is_made_visible(void **unused)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {{"plain ✓", "plain ✓"},        {"\033[31m", "\\x1b[31m"}, {"a\nb", "a\\nb"},
                 {"\xe2\x80\xae", "\\u{202e}"}, {"\xff", "\\xff"},         {"\177", "\\x7f"},
                 {"back\\slash", "back\\slash"}};

    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup_free_ char *shown = text_visible(texts[i].text, strlen(texts[i].text), NULL);

        assert_string_equal(shown, texts[i].shown);
    }
}

static void test_json_carries_the_same_as_escapes(void **unused)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {{"plain ✓", "plain ✓"},
                 {"\xe2\x80\xae\177", "\\u202e\\u007f"},
                 {"a\xc2\x9bz\xf3\xa0\x81\x81", "a\\u009bz\\udb40\\udc41"},
                 {"\xff\xe2\x80", "\\ufffd\\ufffd\\ufffd"}};

    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup_free_ char *shown = NULL;
        size_t size;
        FILE *to = open_memstream(&shown, &size);

        text_put_json(to, texts[i].text, strlen(texts[i].text));
        fclose(to);
        assert_string_equal(shown, texts[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_cut_alike_in_slices_of_any_size),
        cmocka_unit_test(test_a_newline_behind_an_object_ends_it_too),
        cmocka_unit_test(test_hostile_input_is_refused),
        cmocka_unit_test(test_nothing_in_a_long_string_is_overlooked),
        cmocka_unit_test(test_every_letter_arrives_as_it_was_written),
        cmocka_unit_test(test_an_object_over_the_limit_is_refused),
        cmocka_unit_test(test_parameters_are_checked_against_the_interface),
        cmocka_unit_test(test_every_error_of_the_interface_has_a_sentence),
        cmocka_unit_test(test_a_message_is_the_same_after_json_and_back),
        cmocka_unit_test(test_the_order_as_text_sorts_as_the_keys_do),
        cmocka_unit_test(test_what_could_drive_a_terminal_is_made_visible),
        cmocka_unit_test(test_json_carries_the_same_as_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
