#include "store-progress.h"

#include "common/util.h"

/* 100 is for what is done: after the last step comes the commit, whose share nobody knows. */
#define PERCENT_BEFORE_END 99

static bool tell(struct store_progress *progress, int percent)
{
    enum store_work work = progress->upgrading ? STORE_UPGRADE : STORE_CHECK;

    progress->told = true;
    return !progress->working || progress->working(progress->userdata, work, percent) ||
           progress->to_the_end;
}

static int percent_of(const struct store_progress *progress)
{
    if (progress->total == 0)
        return STORE_PERCENT_UNKNOWN;
    return (int)MIN(progress->done * 100 / progress->total, (uint64_t)PERCENT_BEFORE_END);
}

bool store_progress_advance(struct store_progress *progress)
{
    progress->done = MIN(progress->done + STORE_PROGRESS_STEPS, progress->bound);
    return tell(progress, percent_of(progress));
}

bool store_progress_check(struct store_progress *progress)
{
    return tell(progress, STORE_PERCENT_UNKNOWN);
}

static int on_progress(void *userdata)
{
    return !store_progress_advance(userdata);
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
