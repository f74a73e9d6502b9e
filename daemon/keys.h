#pragma once

/* What this node has to prove itself to others, and to know them by: the keyring in its file, and
 * what is derived from it for links (tls.h) and datagrams (seal.h). Also what is noticed of
 * strangers, with lines of the log that are limited in number. Loop thread only. */

#include "common/keyring.h"
#include "journal.h"
#include "seal.h"
#include "tls.h"

/* The name of the credential that seeds an empty keyring, see systemd.exec(5). */
#define KEYS_CREDENTIAL "ringchat.key"

struct keys;

enum keys_mode {
    KEYS_MISSING, /* there is none: this node stays alone */
    KEYS_PRESENT,
    KEYS_CLEAR, /* Key=none: talk in the clear */
};

/* Reads the keyring: `setting` is Key= ("none", a path, or empty: "keyring" in the state
 * directory, where it may be seeded from a credential). 0, or a negative errno with a sentence in
 * `ret_error` (to be freed). `journal` must live longer. */
int keys_open(const char *setting, const char *state_directory, struct journal *journal,
              struct keys **ret, char **ret_error);
void keys_free(struct keys *keys); /* NULL is allowed */

/* Before the first use of tls and seal. 0 or -ENOMEM. */
int keys_identify(struct keys *keys, const struct tls_self *self);

enum keys_mode keys_get_mode(const struct keys *keys);
const struct keyring *keys_get_ring(const struct keys *keys);
const char *keys_get_path(const struct keys *keys); /* "" for Key=none */

/* NULL but for KEYS_PRESENT. */
struct tls *keys_get_tls(const struct keys *keys);
struct seal *keys_get_seal(const struct keys *keys);

/* Makes this the keyring, on disk before it is used. 0, or a negative errno with a sentence in
 * `ret_error` and nothing changed. */
int keys_store(struct keys *keys, const struct keyring *ring, char **ret_error);

/* ---- peers ---- */

/* The id of the key to begin with towards that address: what it last proved itself by, or the key
 * in use. */
uint32_t keys_for(const struct keys *keys, const struct ring_address *address);

/* The other end at that address has proved itself by that key. */
void keys_note(struct keys *keys, const struct ring_address *address, uint32_t key_id);

/* Whether a link came up by a key that is not in use any more, since the last call: its other end
 * should be told the new one. */
bool keys_take_behind(struct keys *keys);

/* ---- strangers ---- */

enum stranger {
    STRANGER_LINK,         /* a connection that did not prove itself */
    STRANGER_OTHER_KEY,    /* a datagram sealed with a key that is not here */
    STRANGER_FORGED,       /* one that does not open */
    STRANGER_IN_THE_CLEAR, /* one that is not sealed */
    STRANGERS
};

/* Counts; one line of the log per kind and minute says how many. `key_id`: for OTHER_KEY. */
void keys_stranger(struct keys *keys, enum stranger kind, const struct ring_address *from,
                   uint32_t key_id);

uint64_t keys_count_strangers(const struct keys *keys, enum stranger kind);

/* A key that others use and this node does not have, heard of in the last minute; false: none. */
bool keys_heard_other(const struct keys *keys, uint32_t *ret_key_id, struct ring_address *ret_from);
