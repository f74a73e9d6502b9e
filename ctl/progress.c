#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/progress-bar.h"
#include "common/time-format.h"
#include "common/util.h"

/* What takes less than this shows nothing; then a bar is drawn so often. */
#define FIRST_USEC (1 * USEC_PER_SEC)
#define BAR_USEC (200 * USEC_PER_MSEC)

/* Lines in a log are for who looks at it later. */
#define LINES_USEC (5 * USEC_PER_SEC)

static uint64_t monotonic_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

void progress_begin(struct progress *progress, const struct context *context, const char *what)
{
    *progress = (struct progress){.what = context->quiet ? NULL : what,
                                  .bar = isatty(STDERR_FILENO) == 1,
                                  .begun = monotonic_usec()};
}

static bool is_due(const struct progress *progress, uint64_t now)
{
    uint64_t first = progress->bar ? FIRST_USEC : LINES_USEC;

    if (!progress->what)
        return false;
    if (!progress->shown)
        return now - progress->begun >= first;
    return now - progress->shown >= (progress->bar ? BAR_USEC : LINES_USEC);
}

void progress_show(struct progress *progress, uint64_t done, uint64_t part, uint64_t total)
{
    uint64_t now = monotonic_usec();
    char left[TIME_TEXT_MAX];

    if (!is_due(progress, now))
        return;
    progress_clear(progress);
    progress->shown = now;
    part = MIN(part, total);
    if (progress->bar && total > 0)
        progress_bar_print(stderr, part, total);
    fprintf(stderr, "%llu %s", (unsigned long long)done, progress->what);
    if (part > 0) {
        time_format_span(
            (uint64_t)((double)(now - progress->begun) * (double)(total - part) / (double)part),
            left);
        fprintf(stderr, ", %.0f%%, %s left", 100.0 * (double)part / (double)total, left);
    }
    if (!progress->bar)
        fputc('\n', stderr);
    fflush(stderr);
}

void progress_clear(const struct progress *progress)
{
    if (progress->bar && progress->shown)
        fputs("\r\033[K", stderr);
}
