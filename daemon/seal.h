#pragma once

/* Sealed datagrams: nobody without a ring key can read, forge or change one.
 *
 *   4 bytes   id of the key, in the clear
 *   12 bytes  random nonce
 *   the datagram, encrypted by AES-256-GCM
 *   16 bytes  tag
 *
 * The key is derived from the ring key (derive.h); ring name, version and key id are associated
 * data. What was opened a short while ago is not opened again; what is older than that the protocol
 * bears, since any datagram may come late and twice. A random nonce is safe for 2^32 datagrams of
 * one key: a ring that sends a hundred each second needs more than a year for them. */

#include <stddef.h>
#include <stdint.h>

#include "common/keyring.h"

/* What a seal adds; see DATAGRAM_BYTES_MAX. */
#define SEAL_BYTES 32

struct seal;

/* Seals and opens with the keys of a ring; they are copied in derived form. NULL: out of memory. */
struct seal *seal_new(const struct keyring *keys, const char *ring_name);
void seal_free(struct seal *seal); /* NULL is allowed */

/* New keys; what was seen is remembered. 0 or -ENOMEM (nothing changed). */
int seal_set_keys(struct seal *seal, const struct keyring *keys);

/* Seals with the key of that id, or where that is unknown with the key in use. `ret` has room for
 * `size` + SEAL_BYTES. 0 or -ENOMEM. */
int seal_close(struct seal *seal, uint32_t key_id, const uint8_t *data, size_t size, uint8_t *ret);

/* Opens; `ret` has room for `size`, and gets `size` - SEAL_BYTES. `ret_key_id` is set in every case
 * but the first. 0; -EBADMSG: too short; -ENOKEY: a key that is not here; -EKEYREJECTED: forged,
 * damaged, or of a ring of another name; -EALREADY: a copy. */
int seal_open(struct seal *seal, const uint8_t *data, size_t size, uint8_t *ret,
              uint32_t *ret_key_id);
