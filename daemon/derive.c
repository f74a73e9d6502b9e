#include "derive.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "ring/ring.h"

/* Label, version, ring name and context, each ended by a newline, which none of them contains but
 * perhaps the name, whose length is told. */
#define INFO_BYTES_MAX 256

int derive_key(const struct ring_key *key, const char *ring_name, const char *label,
               const char *context, unsigned char ret[DERIVED_KEY_BYTES])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *derivation = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char info[INFO_BYTES_MAX];
    int size = snprintf(info, sizeof(info), "ringchat %s\n%d\n%zu %s\n%s", label, RING_WIRE_VERSION,
                        strlen(ring_name), ring_name, context);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key->secret,
                                          sizeof(key->secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)size),
        OSSL_PARAM_construct_end(),
    };
    int done;

    check(size > 0 && (size_t)size < sizeof(info));
    done = derivation && EVP_KDF_derive(derivation, ret, DERIVED_KEY_BYTES, parameters) > 0;
    EVP_KDF_CTX_free(derivation);
    EVP_KDF_free(kdf);
    return done ? 0 : -ENOMEM;
}
