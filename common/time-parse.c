#include "time-parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"

/* ---- lengths of time ---- */

static const struct unit {
    const char *name;
    uint64_t factor;
} time_units[] = {
    {"us", 1},
    {"usec", 1},
    {"ms", USEC_PER_MSEC},
    {"msec", USEC_PER_MSEC},
    {"", USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"sec", USEC_PER_SEC},
    {"second", USEC_PER_SEC},
    {"seconds", USEC_PER_SEC},
    {"m", 60 * USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"minute", 60 * USEC_PER_SEC},
    {"minutes", 60 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"hr", 3600 * USEC_PER_SEC},
    {"hour", 3600 * USEC_PER_SEC},
    {"hours", 3600 * USEC_PER_SEC},
    {"d", 86400 * USEC_PER_SEC},
    {"day", 86400 * USEC_PER_SEC},
    {"days", 86400 * USEC_PER_SEC},
    {"w", 7 * 86400 * USEC_PER_SEC},
    {"week", 7 * 86400 * USEC_PER_SEC},
    {"weeks", 7 * 86400 * USEC_PER_SEC},
    {"month", 2629800 * USEC_PER_SEC},
    {"months", 2629800 * USEC_PER_SEC},
    {"y", 31557600 * USEC_PER_SEC},
    {"year", 31557600 * USEC_PER_SEC},
    {"years", 31557600 * USEC_PER_SEC},
};

static const struct unit *find_unit(const char *name, size_t size)
{
    for (size_t i = 0; i < ELEMENTS(time_units); i++) {
        if (strlen(time_units[i].name) == size && strncmp(time_units[i].name, name, size) == 0)
            return &time_units[i];
    }
    return NULL;
}

int span_parse(const char *text, uint64_t *ret_usec)
{
    double sum = 0;

    text += strspn(text, " \t");
    if (*text == '\0')
        return -EINVAL;
    while (*text) {
        const struct unit *unit;
        double number;
        size_t size;
        char *end;

        if (!isdigit((unsigned char)*text))
            return -EINVAL;
        number = strtod(text, &end);
        end += strspn(end, " \t");
        for (size = 0; isalpha((unsigned char)end[size]); size++)
            ;
        unit = find_unit(end, size);
        if (!unit)
            return -EINVAL;
        sum += number * (double)unit->factor;
        text = end + size;
        text += strspn(text, " \t");
    }
    if (!(sum < (double)INT64_MAX))
        return -EINVAL;
    *ret_usec = (uint64_t)(sum + 0.5);
    return 0;
}

/* ---- points in time ---- */

/* The beginning of the day that is so many days after the one of `now`. */
static int day_at(uint64_t now, int days, struct tm *ret)
{
    time_t seconds = (time_t)(now / USEC_PER_SEC);

    if (!localtime_r(&seconds, ret))
        return -EINVAL;
    ret->tm_mday += days;
    ret->tm_hour = ret->tm_min = ret->tm_sec = 0;
    ret->tm_isdst = -1;
    return 0;
}

static int to_usec(struct tm *parts, bool utc, uint64_t fraction, uint64_t *ret)
{
    time_t seconds = utc ? timegm(parts) : mktime(parts);

    if (seconds < 0)
        return -EINVAL;
    *ret = (uint64_t)seconds * USEC_PER_SEC + fraction;
    return 0;
}

static int parse_word(const char *text, uint64_t now, uint64_t *ret)
{
    static const struct {
        const char *word;
        int days;
    } words[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};
    struct tm parts;

    if (strcmp(text, "now") == 0) {
        *ret = now;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTS(words); i++) {
        if (strcmp(text, words[i].word) == 0 && day_at(now, words[i].days, &parts) == 0)
            return to_usec(&parts, false, 0, ret);
    }
    return -EINVAL;
}

/* "-1h", "+5min", "2 days ago", "3h left" */
static int parse_relative(const char *text, uint64_t now, uint64_t *ret)
{
    static const char *const ends[] = {" ago", " left"};
    size_t size = strlen(text);
    char copy[64];
    uint64_t span;
    bool back = *text == '-';

    if (size >= sizeof(copy))
        return -EINVAL;
    strcpy(copy, text);
    if (*text == '-' || *text == '+')
        memmove(copy, copy + 1, size);
    for (size_t i = 0; *text != '-' && *text != '+'; i++) {
        size_t length;

        if (i == ELEMENTS(ends))
            return -EINVAL;
        length = strlen(ends[i]);
        if (size > length && strcmp(text + size - length, ends[i]) == 0) {
            back = i == 0;
            copy[size - length] = '\0';
            break;
        }
    }
    if (span_parse(copy, &span) < 0 || (back && span > now))
        return -EINVAL;
    *ret = back ? now - span : now + span;
    return 0;
}

/* Digits behind a point, as µs. */
static int parse_fraction(const char **text, uint64_t *ret)
{
    uint64_t unit = USEC_PER_SEC / 10;

    *ret = 0;
    if (**text != '.')
        return 0;
    (*text)++;
    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    for (; isdigit((unsigned char)**text); (*text)++, unit /= 10)
        *ret += (uint64_t)(**text - '0') * unit;
    return 0;
}

static int parse_epoch(const char *text, uint64_t *ret)
{
    uint64_t seconds = 0, fraction;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    for (; isdigit((unsigned char)*text); text++) {
        seconds = 10 * seconds + (uint64_t)(*text - '0');
        if (seconds > INT64_MAX / USEC_PER_SEC - 1)
            return -EINVAL;
    }
    if (parse_fraction(&text, &fraction) < 0 || *text != '\0')
        return -EINVAL;
    *ret = seconds * USEC_PER_SEC + fraction;
    return 0;
}

static bool in_range(const struct tm *parts)
{
    struct tm copy = *parts;

    /* The 31st of February would be taken for one of March. */
    return parts->tm_hour >= 0 && parts->tm_hour < 24 && parts->tm_min >= 0 && parts->tm_min < 60 &&
           parts->tm_sec >= 0 && parts->tm_sec <= 60 && timegm(&copy) != (time_t)-1 &&
           copy.tm_mday == parts->tm_mday && copy.tm_mon == parts->tm_mon;
}

/* "HH:MM", "HH:MM:SS", "HH:MM:SS.FRACTION"; leaves `*text` behind it. */
static int parse_clock(const char **text, struct tm *parts, uint64_t *ret_fraction)
{
    int used = 0;

    *ret_fraction = 0;
    if (sscanf(*text, "%2d:%2d%n", &parts->tm_hour, &parts->tm_min, &used) < 2 || used < 3)
        return -EINVAL;
    *text += used;
    if (**text != ':')
        return 0;
    if (sscanf(*text, ":%2d%n", &parts->tm_sec, &used) < 1)
        return -EINVAL;
    *text += used;
    return parse_fraction(text, ret_fraction);
}

static const char *skip_weekday(const char *text)
{
    static const char *const days[] = {"Monday",   "Tuesday", "Wednesday", "Thursday", "Friday",
                                       "Saturday", "Sunday",  "Mon",       "Tue",      "Wed",
                                       "Thu",      "Fri",     "Sat",       "Sun"};

    for (size_t i = 0; i < ELEMENTS(days); i++) {
        size_t size = strlen(days[i]);

        if (strncasecmp(text, days[i], size) == 0 && text[size] == ' ')
            return text + size + strspn(text + size, " ");
    }
    return text;
}

static int parse_date(const char *text, uint64_t now, uint64_t *ret)
{
    int year, month, day, used = 0;
    uint64_t fraction = 0;
    bool utc = false, clock = true;
    struct tm parts;

    if (day_at(now, 0, &parts) < 0)
        return -EINVAL;
    text = skip_weekday(text);
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used > 0) {
        parts.tm_year = year - 1900;
        parts.tm_mon = month - 1;
        parts.tm_mday = day;
        text += used;
        clock = (*text == ' ' || *text == 'T') && isdigit((unsigned char)text[1]);
        text += clock;
    }
    if (clock && parse_clock(&text, &parts, &fraction) < 0)
        return -EINVAL;
    if (strcmp(text, " UTC") == 0 || strcmp(text, "Z") == 0) {
        utc = true;
        text = "";
    }
    return *text == '\0' && in_range(&parts) ? to_usec(&parts, utc, fraction, ret) : -EINVAL;
}

int time_parse(const char *text, uint64_t now, uint64_t *ret_usec)
{
    uint64_t usec;

    if (parse_word(text, now, &usec) < 0 && parse_relative(text, now, &usec) < 0 &&
        (*text != '@' || parse_epoch(text + 1, &usec) < 0) && parse_date(text, now, &usec) < 0)
        return -EINVAL;
    *ret_usec = usec;
    return 0;
}
