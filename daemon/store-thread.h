#pragma once

/* The store's thread: jobs go in from the event loop, first in first out, and come back done. All
 * writes that wait are committed as one transaction, each read after the writes before it. When
 * nothing waits the thread indexes words and removes what retention does not want, a little at a
 * time. */

#include <event2/event.h>

#include "store-job.h"
#include "store-write.h"

struct store_thread;

/* Starts the thread, which takes the writer over (also on failure). `path` is for error texts and
 * must stay. 0 or a negative errno. */
int store_thread_new(struct event_base *base, struct store_writer *writer, const char *path,
                     const struct store_callbacks *callbacks, void *userdata,
                     struct store_thread **ret);

/* Does what waits, then ends; no callback comes any more. NULL is allowed. */
void store_thread_free(struct store_thread *thread);

/* As store_is_gone(). */
bool store_thread_is_gone(const struct store_thread *thread);

/* As store_twins(). */
uint64_t store_thread_twins(const struct store_thread *thread);

/* The database is damaged: it will not be marked as closed in good order. */
void store_thread_set_damaged(struct store_thread *thread);

/* Takes the job. */
void store_thread_submit(struct store_thread *thread, struct store_job *job);

/* While held, a thread that waits for jobs is not woken by them. */
void store_thread_hold(struct store_thread *thread, bool hold);

/* As store_await() and store_collect(). */
void store_thread_await(struct store_thread *thread, bool await);
void store_thread_collect(struct store_thread *thread);
