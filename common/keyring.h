#pragma once

/* A ring's keys, and the file that holds them. Secrets are 256 random bits; a key is known by its
 * id, which is random too and tells nothing of the secret. Libc only: ringchatctl works on a file
 * with the same code as the daemon. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bounds.h"

#define KEY_SECRET_BYTES 32

/* "3f2a9c01" */
#define KEY_ID_TEXT_MAX 9

/* "rck1_3f2a9c01_" with 64 digits of the secret, "_", and 8 of a checksum. */
#define KEY_LINE_MAX 96

/* The text of the largest keyring. */
#define KEYRING_TEXT_MAX 2048

struct ring_key {
    uint32_t id;
    uint8_t secret[KEY_SECRET_BYTES];
};

struct keyring {
    uint64_t rotation; /* how often the key in use was changed: the higher one is newer */
    size_t count;
    size_t used; /* position of the key in use; the others are accepted */
    struct ring_key keys[KEYS_MAX];
};

/* Overwrites the secrets. */
void keyring_done(struct keyring *ring);

/* ---- keys as text ---- */

/* A new random key. */
void key_generate(struct ring_key *ret);

void key_format_id(uint32_t id, char ret[KEY_ID_TEXT_MAX]);

/* 0 or -EINVAL. */
int key_parse_id(const char *text, uint32_t *ret);

/* The line to paste on another host, without a newline. */
void key_format(const struct ring_key *key, char ret[KEY_LINE_MAX]);

/* Reads such a line; blanks around it are ignored. 0; -EINVAL: it is no key; -EBADMSG: it was one,
 * and is cut or mistyped. */
int key_parse(const char *line, struct ring_key *ret);

/* ---- keyrings ---- */

/* The key of that id, or NULL. */
const struct ring_key *keyring_find(const struct keyring *ring, uint32_t id);

/* The key in use; NULL: there is none. */
const struct ring_key *keyring_used(const struct keyring *ring);

/* Accepts a key from now on; the first one is used. 0, also where it was there; -EEXIST: another
 * key has this id; -ENOSPC: KEYS_MAX are there. */
int keyring_add(struct keyring *ring, const struct ring_key *key);

/* 0; -ENOENT. */
int keyring_use(struct keyring *ring, uint32_t id);

/* 0; -ENOENT; -EBUSY: it is the one in use. */
int keyring_remove(struct keyring *ring, uint32_t id);

/* Reads the text of a keyring, or one or more plain lines of keys, the first of them to be used.
 * 0; -EBADMSG or -ENOSPC with the number of the bad line in `ret_line`. */
int keyring_parse(const char *text, struct keyring *ret, unsigned *ret_line);

void keyring_format(const struct keyring *ring, char ret[KEYRING_TEXT_MAX]);

/* Reads a file. 0; a negative errno with a sentence in `ret_error` (to be freed): -ENOENT,
 * -EPERM: others than its owner may read it, -EBADMSG: a line makes no sense. */
int keyring_load(const char *path, struct keyring *ret, char **ret_error);

/* The same for a credential of systemd.exec(5): its owner is root, and the list of access by which
 * the service's user may read it shows in the mode as the group's bits. */
int keyring_load_credential(const char *path, struct keyring *ret, char **ret_error);

/* Replaces the file at once, mode 0600; it is on disk when this returns. Errors as above. */
int keyring_save(const char *path, const struct keyring *ring, char **ret_error);
