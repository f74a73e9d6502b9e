/* The settings: values, files, drop-ins, and what is said about wrong ones. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/time-parse.h"
#include "daemon/config.h"

static void read_text(struct config *config, const char *text)
{
    FILE *file = fmemopen((void *)text, strlen(text), "r");

    assert_non_null(file);
    assert_int_equal(config_init(config), 0);
    assert_int_equal(config_read_file(config, file, "test.conf"), 0);
    fclose(file);
}

static void test_time_spans_are_read_as_systemd_reads_them(void **unused)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } spans[] = {{"2", 2000000},          {"0.5", 500000},    {"500ms", 500000},
                 {"1min 30s", 90000000},  {"2h", 7200000000}, {"1d", 86400000000},
                 {"1.5 min", 90000000ULL}};
    static const char *const wrong[] = {"", "-1", "soon", "5 parsecs", "s", "1e400"};
    uint64_t usec;

    (void)unused;
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        assert_int_equal(span_parse(spans[i].text, &usec), 0);
        assert_int_equal(usec, spans[i].usec);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(span_parse(wrong[i], &usec), -EINVAL);
}

static void test_sizes_take_powers_of_1024(void **unused)
{
    uint64_t bytes;

    (void)unused;
    assert_int_equal(config_parse_size("16K", &bytes), 0);
    assert_int_equal(bytes, 16384);
    assert_int_equal(config_parse_size("1.5M", &bytes), 0);
    assert_int_equal(bytes, 1572864);
    assert_int_equal(config_parse_size("12", &bytes), 0);
    assert_int_equal(bytes, 12);
    assert_int_equal(config_parse_size("K", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("1KB", &bytes), -EINVAL);
    assert_int_equal(config_parse_size("99999999999T", &bytes), -EINVAL);
}

static void test_a_file_sets_values_over_the_defaults(void **unused)
{
    struct config config;

    (void)unused;
    read_text(&config, "# comment\n\n[Ring]\nName = lab \nPort=8000\n; more\n"
                       "Peers=one \\\n  two:7\n[History]\nMaxMessageBytes=32K\n");
    assert_int_equal(config.warnings_count, 0);
    assert_string_equal(config.ring_name, "lab");
    assert_int_equal(config.port, 8000);
    assert_true(config.port_is_set);
    assert_non_null(strstr(config.peers, "two:7"));
    assert_int_equal(config.message_bytes_max, 32768);
    assert_int_equal(config.heartbeat_interval, 500000);
    config_done(&config);
}

static void test_what_cannot_be_used_is_a_warning_with_its_line_and_the_default_stays(void **unused)
{
    struct config config;

    (void)unused;
    read_text(&config, "[Ring]\nPort=many\nColour=red\nwhat is this\n[Ring\nGreeting=maybe\n");
    assert_int_equal(config.port, 7263);
    assert_int_equal(config.warnings_count, 5);
    assert_non_null(strstr(config.warnings[0], "test.conf:2: bad value for Port: \"many\""));
    assert_non_null(strstr(config.warnings[0], "1 to 65535"));
    assert_non_null(strstr(config.warnings[1], "test.conf:3: unknown key Colour"));
    assert_non_null(strstr(config.warnings[2], "test.conf:4: not an assignment"));
    assert_non_null(strstr(config.warnings[3], "test.conf:5: not a section"));
    assert_non_null(strstr(config.warnings[4], "test.conf:6: "));
    config_done(&config);
}

static void test_an_empty_value_is_the_default_again(void **unused)
{
    struct config config;

    (void)unused;
    read_text(&config, "[Ring]\nName=lab\nName=\nLinkTimeoutSec=5\nLinkTimeoutSec=\n");
    assert_int_equal(config.warnings_count, 0);
    assert_string_equal(config.ring_name, "ringchat");
    assert_int_equal(config.link_timeout, 1000000);
    config_done(&config);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_drop_ins_win_over_the_file_in_the_order_of_their_names(void **unused)
{
    char directory[] = "/tmp/ringchat-config-XXXXXX";
    struct config config;

    (void)unused;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(mkdir("r.conf.d", 0700), 0);
    write_file("r.conf", "[Ring]\nName=file\nPort=1000\n");
    write_file("r.conf.d/20.conf", "[Ring]\nName=second\n");
    write_file("r.conf.d/10.conf", "[Ring]\nName=first\nPort=2000\n");
    write_file("r.conf.d/ignored.txt", "[Ring]\nName=ignored\n");
    assert_int_equal(config_init(&config), 0);
    assert_int_equal(config_read(&config, "r.conf", true), 0);
    assert_string_equal(config.ring_name, "second");
    assert_int_equal(config.port, 2000);
    config_done(&config);
    assert_int_equal(unlink("r.conf") | unlink("r.conf.d/20.conf") | unlink("r.conf.d/10.conf") |
                         unlink("r.conf.d/ignored.txt") | rmdir("r.conf.d") | rmdir(directory),
                     0);
}

static void test_a_file_that_is_expected_and_not_there_is_a_warning(void **unused)
{
    struct config config;

    (void)unused;
    assert_int_equal(config_init(&config), 0);
    assert_int_equal(config_read(&config, "/nosuch/ringchatd.conf", false), 0);
    assert_int_equal(config.warnings_count, 0);
    assert_int_equal(config_read(&config, "/nosuch/ringchatd.conf", true), 0);
    assert_int_equal(config.warnings_count, 1);
    assert_string_equal(config.warnings[0],
                        "/nosuch/ringchatd.conf: not there; the defaults are used");
    assert_string_equal(config.ring_name, "ringchat");
    config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_spans_are_read_as_systemd_reads_them),
        cmocka_unit_test(test_sizes_take_powers_of_1024),
        cmocka_unit_test(test_a_file_sets_values_over_the_defaults),
        cmocka_unit_test(test_what_cannot_be_used_is_a_warning_with_its_line_and_the_default_stays),
        cmocka_unit_test(test_an_empty_value_is_the_default_again),
        cmocka_unit_test(test_drop_ins_win_over_the_file_in_the_order_of_their_names),
        cmocka_unit_test(test_a_file_that_is_expected_and_not_there_is_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
