#include "common/time-format.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/util.h"

static struct tm local_time(uint64_t usec)
{
    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    struct tm tm = {0};

    /* A time from a peer may be too far away for a calendar: the epoch then, as for 0. */
    if (!localtime_r(&seconds, &tm)) {
        seconds = 0;
        localtime_r(&seconds, &tm);
    }
    return tm;
}

/* strftime() leaves the buffer undefined when the text does not fit (a year of many digits). */
static void check_fits(size_t size, char ret[TIME_TEXT_MAX])
{
    if (size == 0)
        snprintf(ret, TIME_TEXT_MAX, "?");
}

void time_format_clock(uint64_t usec, char ret[TIME_TEXT_MAX])
{
    struct tm tm = local_time(usec);

    check_fits(strftime(ret, TIME_TEXT_MAX, "%H:%M:%S", &tm), ret);
}

void time_format_date(uint64_t usec, char ret[TIME_TEXT_MAX])
{
    struct tm tm = local_time(usec);

    check_fits(strftime(ret, TIME_TEXT_MAX, "%a %Y-%m-%d", &tm), ret);
}

void time_format_full(uint64_t usec, char ret[TIME_TEXT_MAX])
{
    struct tm tm = local_time(usec);

    check_fits(strftime(ret, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm), ret);
}

bool time_same_day(uint64_t a, uint64_t b)
{
    struct tm first = local_time(a), second = local_time(b);

    return first.tm_year == second.tm_year && first.tm_yday == second.tm_yday;
}

void time_format_span(uint64_t usec, char ret[TIME_TEXT_MAX])
{
    uint64_t seconds = usec / USEC_PER_SEC;

    if (usec < USEC_PER_MSEC)
        snprintf(ret, TIME_TEXT_MAX, "%" PRIu64 " us", usec);
    else if (usec < USEC_PER_SEC)
        snprintf(ret, TIME_TEXT_MAX, usec < 100 * USEC_PER_MSEC ? "%.1f ms" : "%.0f ms",
                 (double)usec / USEC_PER_MSEC);
    else if (seconds < 60)
        snprintf(ret, TIME_TEXT_MAX, "%.1f s", (double)usec / USEC_PER_SEC);
    else if (seconds < 60 * 60)
        snprintf(ret, TIME_TEXT_MAX, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    else if (seconds < 24 * 60 * 60)
        snprintf(ret, TIME_TEXT_MAX, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
                 seconds / 60 % 60);
    else
        snprintf(ret, TIME_TEXT_MAX, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                 seconds / 3600 % 24);
}

void size_format(uint64_t bytes, char ret[TIME_TEXT_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(ret, TIME_TEXT_MAX, "%" PRIu64 " B", bytes);
        return;
    }
    for (; value >= 1024 && unit + 1 < ELEMENTS(units); unit++)
        value /= 1024;
    snprintf(ret, TIME_TEXT_MAX, "%.1f %s", value, units[unit]);
}
