#pragma once

/* Keys for one purpose from a ring key: HKDF-SHA256 (RFC 5869) over the secret, with the purpose,
 * the version of the wire and the ring's name in its info. So a key that two rings share, or that
 * two purposes do, is not the same key there. */

#include <stddef.h>

#include "common/keyring.h"

#define DERIVED_KEY_BYTES 32

/* `label` tells the purpose, `context` (may be empty) whom it is for. 0 or -ENOMEM. */
int derive_key(const struct ring_key *key, const char *ring_name, const char *label,
               const char *context, unsigned char ret[DERIVED_KEY_BYTES]);
