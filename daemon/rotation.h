#pragma once

/* Changes of the keyring, here and at every member of a live ring: an order goes round by the
 * core's relay, and comes back when all have it on disk. A key is used only after all accept it; so
 * nobody is cut off, and who is away meanwhile gets in as long as the old key is accepted. Loop
 * thread only. */

#include "engine.h"
#include "keys.h"

struct rotation;

/* 0: done by all; -EAGAIN: the ring changed meanwhile; -ETIMEDOUT: a member has not stored it. In
 * both cases it holds here, and doing it again is harmless. Called from the loop, once. */
typedef void (*rotation_done)(void *userdata, int result);

/* All must live longer. NULL: out of memory. */
struct rotation *rotation_new(struct event_base *base, struct engine *engine, struct keys *keys,
                              struct journal *journal);
void rotation_free(struct rotation *rotation); /* NULL is allowed */

/* Accepts a key; on a ring of one it is used at once. 0: `done` follows. Else a negative errno, and
 * nothing has changed: -EINPROGRESS: another change is under way; -EEXIST: another key has this id;
 * -ENOSPC: there are KEYS_MAX; -EIO: the file cannot be written, or no port is to be had:
 * `ret_error` (to be freed) tells. */
int rotation_accept(struct rotation *rotation, const struct ring_key *key, rotation_done done,
                    void *userdata, char **ret_error);

/* Uses a key that is accepted here. Errors as above, and -ENOENT. */
int rotation_use(struct rotation *rotation, uint32_t id, rotation_done done, void *userdata,
                 char **ret_error);

/* Accepts a key no more, and soon after closes the links that rest on it. Errors as above, and
 * -ENOENT, and -EBUSY: it is in use. */
int rotation_remove(struct rotation *rotation, uint32_t id, rotation_done done, void *userdata,
                    char **ret_error);

/* `done` will not be called with this any more; the change goes on. */
void rotation_forget(struct rotation *rotation, const void *userdata);
