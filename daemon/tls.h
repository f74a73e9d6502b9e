#pragma once

/* Links as TLS 1.3 (RFC 8446) with the ring key as external PSK and ephemeral Diffie-Hellman: who
 * does not hold the key gets nowhere, and who learns it later cannot read what was recorded.
 *
 * The PSK's identity says which key it is, which process dials, and which node it means to reach;
 * the PSK itself is derived from the ring key for just that identity. So a handshake sent back to
 * who began it, or on to another member, fails (RFC 9257, section 4.1). There are no certificates,
 * no tickets and no resumption. */

#include <openssl/ssl.h>

#include "common/keyring.h"
#include "ring/message.h"

struct tls;

/* Who this node is, to others. */
struct tls_self {
    struct ring_id id;
    uint64_t instance;
    const char *ring_name; /* copied */
};

/* NULL: out of memory. */
struct tls *tls_new(const struct tls_self *self, const struct keyring *keys);
void tls_free(struct tls *tls); /* NULL is allowed */

/* New keys, for links from now on; copied. */
void tls_set_keys(struct tls *tls, const struct keyring *keys);

/* One end of a link to come, to be given to a bufferevent. NULL: out of memory. `tls` must live
 * longer. For tls_dial(): with the key of that id, to that node. */
SSL *tls_accept(struct tls *tls);
SSL *tls_dial(struct tls *tls, uint32_t key_id, const struct ring_id *target);

/* After the handshake: whether the other end holds a key of this ring; which. Without this check
 * anyone with a certificate would do. */
bool tls_is_authentic(const SSL *ssl, uint32_t *ret_key_id);
