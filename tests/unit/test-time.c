/* Times as people type them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

#include "common/time-parse.h"
#include "common/util.h"

/* 2026-11-23 10:32:07.25 in Berlin, an hour ahead of UTC. */
#define NOW (1795426327ULL * USEC_PER_SEC + 250000)
#define HOUR (3600 * USEC_PER_SEC)
#define MIDNIGHT ((1795426327ULL - 10 * 3600 - 32 * 60 - 7) * USEC_PER_SEC)

static int in_berlin(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static void test_times_are_read_as_systemd_reads_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } times[] = {
        {"now", NOW},
        {"today", MIDNIGHT},
        {"yesterday", MIDNIGHT - 24 * HOUR},
        {"tomorrow", MIDNIGHT + 24 * HOUR},
        {"-1h", NOW - HOUR},
        {"+5min", NOW + 300 * USEC_PER_SEC},
        {"1h 30min ago", NOW - HOUR - HOUR / 2},
        {"2 days ago", NOW - 48 * HOUR},
        {"3h left", NOW + 3 * HOUR},
        {"@1795426327", 1795426327ULL * USEC_PER_SEC},
        {"@1795426327.5", 1795426327ULL * USEC_PER_SEC + 500000},
        {"2026-11-23", MIDNIGHT},
        {"2026-11-23 10:00", MIDNIGHT + 10 * HOUR},
        {"2026-11-23T10:00:30", MIDNIGHT + 10 * HOUR + 30 * USEC_PER_SEC},
        {"2026-11-23 10:00:30.25", MIDNIGHT + 10 * HOUR + 30250000},
        {"Mon 2026-11-23 10:00", MIDNIGHT + 10 * HOUR},
        {"monday 2026-11-23", MIDNIGHT},
        {"10:00", MIDNIGHT + 10 * HOUR},
        {"10:00:01", MIDNIGHT + 10 * HOUR + USEC_PER_SEC},
        {"2026-11-23 10:00 UTC", MIDNIGHT + 11 * HOUR},
        {"2026-11-23T10:00:00Z", MIDNIGHT + 11 * HOUR},
        /* Summer time ends in between. */
        {"2026-10-24 12:00", MIDNIGHT - 30 * 24 * HOUR + 11 * HOUR},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(times); i++) {
        uint64_t usec = 0;

        if (time_parse(times[i].text, NOW, &usec) < 0 || usec != times[i].usec)
            fail_msg("\"%s\" is taken for %llu, not %llu", times[i].text, (unsigned long long)usec,
                     (unsigned long long)times[i].usec);
    }
}

static void test_what_is_no_time_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "soon",
        "1h",
        "ago",
        "-",
        "@",
        "@x",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "2026-11-23x",
        "25:00",
        "10:61",
        "10:-5",
        "10",
        "10:00:",
        "-99999999d",
        "2026-11-23 ",
        "Foo 2026-11-23",
        "2026-11-23 10:00 CET",
        "1969-12-31",
        "10:00:00.",
        "@99999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        uint64_t usec = 7;

        if (time_parse(wrong[i], NOW, &usec) != -EINVAL || usec != 7)
            fail_msg("\"%s\" is taken for %llu", wrong[i], (unsigned long long)usec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read_as_systemd_reads_them),
        cmocka_unit_test(test_what_is_no_time_is_refused),
    };

    return cmocka_run_group_tests_name("time", tests, in_berlin, NULL);
}
