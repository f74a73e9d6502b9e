#include "seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/check.h"
#include "common/util.h"
#include "derive.h"
#include "ring/ring.h"

#define ID_BYTES 4
#define NONCE_BYTES 12
#define TAG_BYTES 16

_Static_assert(ID_BYTES + NONCE_BYTES + TAG_BYTES == SEAL_BYTES, "what a seal adds");

/* Datagrams that are known not to be new: some seconds of a busy ring. Each falls into one place by
 * its nonce, and is forgotten when another comes there. */
#define SEEN_MAX 4096

struct seal_key {
    uint32_t id;
    unsigned char secret[DERIVED_KEY_BYTES];
};

struct seal {
    EVP_CIPHER_CTX *context;
    char *ring_name;
    size_t count, used;
    struct seal_key keys[KEYS_MAX];
    uint8_t seen[SEEN_MAX][NONCE_BYTES];
};

int seal_set_keys(struct seal *seal, const struct keyring *keys)
{
    struct seal_key derived[KEYS_MAX];

    for (size_t i = 0; i < keys->count; i++) {
        derived[i].id = keys->keys[i].id;
        if (derive_key(&keys->keys[i], seal->ring_name, "datagram", "", derived[i].secret) < 0)
            return -ENOMEM;
    }
    memcpy(seal->keys, derived, sizeof(derived));
    explicit_bzero(derived, sizeof(derived));
    seal->count = keys->count;
    seal->used = keys->used;
    return 0;
}

struct seal *seal_new(const struct keyring *keys, const char *ring_name)
{
    struct seal *seal = calloc(1, sizeof(*seal));

    if (!seal)
        return NULL;
    seal->context = EVP_CIPHER_CTX_new();
    seal->ring_name = strdup(ring_name);
    if (!seal->context || !seal->ring_name || seal_set_keys(seal, keys) < 0) {
        seal_free(seal);
        return NULL;
    }
    return seal;
}

void seal_free(struct seal *seal)
{
    if (!seal)
        return;
    EVP_CIPHER_CTX_free(seal->context);
    free(seal->ring_name);
    explicit_bzero(seal, sizeof(*seal));
    free(seal);
}

static const struct seal_key *find_key(const struct seal *seal, uint32_t id)
{
    for (size_t i = 0; i < seal->count; i++) {
        if (seal->keys[i].id == id)
            return &seal->keys[i];
    }
    return NULL;
}

/* Sets key and nonce, and takes what is bound and not sent. */
static bool begin(const struct seal *seal, const struct seal_key *key, const uint8_t *nonce,
                  bool closing)
{
    char bound[RING_NAME_BYTES_MAX + 40];
    int size = snprintf(bound, sizeof(bound), "ringchat %d %08x %s", RING_WIRE_VERSION, key->id,
                        seal->ring_name),
        written;

    check(size > 0 && (size_t)size < sizeof(bound));
    return EVP_CipherInit_ex(seal->context, EVP_aes_256_gcm(), NULL, key->secret, nonce, closing) >
               0 &&
           EVP_CipherUpdate(seal->context, NULL, &written, (const unsigned char *)bound, size) > 0;
}

int seal_close(struct seal *seal, uint32_t key_id, const uint8_t *data, size_t size, uint8_t *ret)
{
    const struct seal_key *key = find_key(seal, key_id);
    uint8_t *nonce = ret + ID_BYTES, *body = nonce + NONCE_BYTES;
    int written, rest;

    if (!key)
        key = &seal->keys[seal->used];
    put_le32(ret, key->id);
    check(RAND_bytes(nonce, NONCE_BYTES) > 0);
    if (!begin(seal, key, nonce, true) ||
        EVP_CipherUpdate(seal->context, body, &written, data, (int)size) <= 0 ||
        EVP_CipherFinal_ex(seal->context, body + written, &rest) <= 0 ||
        EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, body + size) <= 0)
        return -ENOMEM;
    return 0;
}

/* Whether this nonce was seen; it is from now on. */
static bool is_copy(struct seal *seal, const uint8_t *nonce)
{
    uint8_t *place = seal->seen[get_le32(nonce) % SEEN_MAX];

    if (memcmp(place, nonce, NONCE_BYTES) == 0)
        return true;
    memcpy(place, nonce, NONCE_BYTES);
    return false;
}

int seal_open(struct seal *seal, const uint8_t *data, size_t size, uint8_t *ret,
              uint32_t *ret_key_id)
{
    const uint8_t *nonce = data + ID_BYTES, *body = nonce + NONCE_BYTES;
    const struct seal_key *key;
    uint8_t tag[TAG_BYTES];
    int written, rest;

    if (size < SEAL_BYTES)
        return -EBADMSG;
    *ret_key_id = get_le32(data);
    key = find_key(seal, *ret_key_id);
    if (!key)
        return -ENOKEY;
    size -= SEAL_BYTES;
    memcpy(tag, body + size, sizeof(tag));
    if (!begin(seal, key, nonce, false) ||
        EVP_CipherUpdate(seal->context, ret, &written, body, (int)size) <= 0 ||
        EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) <= 0 ||
        EVP_CipherFinal_ex(seal->context, ret + written, &rest) <= 0)
        return -EKEYREJECTED;
    return is_copy(seal, nonce) ? -EALREADY : 0;
}
