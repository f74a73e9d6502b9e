#include "store-progress.h"

#include "common/util.h"

/* 100 is for what is done: after the last step comes the commit, whose share nobody knows. */
#define PERCENT_BEFORE_END 99

static void tell(struct store_progress *progress, int percent)
{
    progress->told = true;
    if (progress->working)
        progress->working(progress->userdata, progress->upgrading ? STORE_UPGRADE : STORE_CHECK,
                          percent);
}

static int percent_of(const struct store_progress *progress)
{
    if (progress->total == 0)
        return STORE_PERCENT_UNKNOWN;
    return (int)MIN(progress->done * 100 / progress->total, (uint64_t)PERCENT_BEFORE_END);
}

void store_progress_advance(struct store_progress *progress)
{
    progress->done = MIN(progress->done + STORE_PROGRESS_STEPS, progress->bound);
    tell(progress, percent_of(progress));
}

static int on_progress(void *userdata)
{
    store_progress_advance(userdata);
    return 0;
}

void store_progress_attach(struct store_progress *progress, sqlite3 *database)
{
    if (progress->working)
        sqlite3_progress_handler(database, STORE_PROGRESS_STEPS, on_progress, progress);
}

void store_progress_detach(sqlite3 *database)
{
    sqlite3_progress_handler(database, 0, NULL, NULL);
}

void store_progress_begin(struct store_progress *progress, uint64_t total)
{
    progress->total = total;
    progress->done = progress->bound = 0;
    progress->upgrading = true;
    progress->told = false;
}

void store_progress_end(struct store_progress *progress)
{
    /* What took no time is told to nobody. */
    if (progress->told)
        tell(progress, 100);
    progress->total = progress->done = progress->bound = 0;
    progress->upgrading = false;
}

void store_progress_begin_part(struct store_progress *progress, uint64_t steps)
{
    progress->bound = MIN(progress->done + steps, progress->total);
}

void store_progress_end_part(struct store_progress *progress)
{
    progress->done = progress->bound;
}
