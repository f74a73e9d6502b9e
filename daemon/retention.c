#include "retention.h"

#include "common/util.h"

static uint64_t horizon_of_age(const struct retention *retention, uint64_t wall)
{
    if (retention->usec == 0 || wall <= retention->usec)
        return 0;
    return (wall - retention->usec) / USEC_PER_MSEC << 16;
}

/* As many of the oldest messages as the database is too large by, if they take as much as others.
 */
static uint64_t horizon_of_size(struct history *history, const struct retention *retention)
{
    struct history_size size;
    uint64_t messages, excess;

    if (retention->bytes == 0 || history_get_size(history, &size) < 0 ||
        size.used_bytes <= retention->bytes || size.is_pruning)
        return 0;
    messages = history_count(history);
    excess = (uint64_t)((double)messages * (double)(size.used_bytes - retention->bytes) /
                        (double)size.used_bytes);
    return history_oldest(history, MIN(excess + 1, (uint64_t)RETENTION_STEP_MESSAGES));
}

uint64_t retention_horizon(struct history *history, const struct retention *retention,
                           uint64_t wall)
{
    uint64_t by_age = horizon_of_age(retention, wall);

    return MAX(by_age, horizon_of_size(history, retention));
}
