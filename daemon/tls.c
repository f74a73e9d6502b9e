#include "tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/util.h"
#include "derive.h"

/* Both with SHA-256, the hash that the PSK is for; others would make OpenSSL look for a
 * certificate. */
#define CIPHERS "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519"

/* The RFC's number of the first of CIPHERS: the session that stands for the PSK must have one. */
static const unsigned char psk_cipher[] = {0x13, 0x01};

/* "rc1." key "." instance "." target */
#define IDENTITY_MAX (4 + 8 + 1 + 16 + 1 + 32 + 1)
#define TARGET_AT (4 + 8 + 1 + 16 + 1)

struct tls {
    SSL_CTX *dialling, *accepting;
    struct ring_id id;
    uint64_t instance;
    char *ring_name;
    struct keyring keys;
};

/* One end, reached by SSL_get_app_data(). */
struct end {
    struct tls *tls;
    bool dials;
    uint32_t key_id; /* what is used; accepted: as the other end says */
    struct ring_id target;
};

/* ---- identities ---- */

static void format_identity(uint32_t key_id, uint64_t instance, const struct ring_id *target,
                            char ret[IDENTITY_MAX])
{
    size_t at = (size_t)sprintf(ret, "rc1.%08" PRIx32 ".%016" PRIx64 ".", key_id, instance);

    check(at == TARGET_AT);
    for (size_t i = 0; i < sizeof(target->bytes); i++)
        at += (size_t)sprintf(ret + at, "%02x", target->bytes[i]);
}

/* Whether an identity is meant for this node and not its own, and by which key it is. Only what
 * format_identity() would write is taken. */
static bool take_identity(const struct tls *tls, const unsigned char *identity, size_t size,
                          uint32_t *ret_key_id)
{
    char text[IDENTITY_MAX], expected[IDENTITY_MAX];
    uint64_t instance;

    if (size != IDENTITY_MAX - 1)
        return false;
    memcpy(text, identity, size);
    text[size] = '\0';
    if (sscanf(text, "rc1.%8" SCNx32 ".%16" SCNx64 ".", ret_key_id, &instance) != 2 ||
        instance == tls->instance)
        return false;
    format_identity(*ret_key_id, instance, &tls->id, expected);
    return strcmp(text, expected) == 0;
}

static SSL_SESSION *make_session(const struct tls *tls, SSL *ssl, const struct ring_key *key,
                                 const char *identity)
{
    SSL_SESSION *session = SSL_SESSION_new();
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, psk_cipher);
    unsigned char secret[DERIVED_KEY_BYTES];
    bool made = session && cipher &&
                derive_key(key, tls->ring_name, "link", identity, secret) == 0 &&
                SSL_SESSION_set1_master_key(session, secret, sizeof(secret)) > 0 &&
                SSL_SESSION_set_cipher(session, cipher) > 0 &&
                SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) > 0;

    explicit_bzero(secret, sizeof(secret));
    if (made)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

/* ---- OpenSSL asks ---- */

/* The dialling end's PSK. OpenSSL copies the identity at once. */
static int use_session(SSL *ssl, const EVP_MD *digest, const unsigned char **ret_identity,
                       size_t *ret_size, SSL_SESSION **ret)
{
    static _Thread_local char identity[IDENTITY_MAX];
    const struct end *end = SSL_get_app_data(ssl);
    const struct ring_key *key = keyring_find(&end->tls->keys, end->key_id);

    if (!key || (digest && EVP_MD_get_type(digest) != NID_sha256))
        return 0;
    format_identity(end->key_id, end->tls->instance, &end->target, identity);
    *ret = make_session(end->tls, ssl, key, identity);
    *ret_identity = (const unsigned char *)identity;
    *ret_size = strlen(identity);
    return *ret != NULL;
}

/* The accepting end's. Without one the handshake fails, since there is no certificate. */
static int find_session(SSL *ssl, const unsigned char *identity, size_t size, SSL_SESSION **ret)
{
    struct end *end = SSL_get_app_data(ssl);
    char text[IDENTITY_MAX] = "";
    const struct ring_key *key;

    *ret = NULL;
    if (!take_identity(end->tls, identity, size, &end->key_id))
        return 1;
    key = keyring_find(&end->tls->keys, end->key_id);
    if (!key)
        return 1;
    memcpy(text, identity, size);
    *ret = make_session(end->tls, ssl, key, text);
    return *ret != NULL;
}

/* ---- contexts ---- */

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context)
        return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) <= 0 ||
        SSL_CTX_set_ciphersuites(context, CIPHERS) <= 0 ||
        SSL_CTX_set1_groups_list(context, GROUPS) <= 0 ||
        SSL_CTX_set_num_tickets(context, 0) <= 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    /* Frames tell their length, so a connection that ends without a word cuts nothing unnoticed. */
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

struct tls *tls_new(const struct tls_self *self, const struct keyring *keys)
{
    struct tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    tls->id = self->id;
    tls->instance = self->instance;
    tls->ring_name = strdup(self->ring_name);
    tls->dialling = context_new(TLS_client_method());
    tls->accepting = context_new(TLS_server_method());
    if (!tls->ring_name || !tls->dialling || !tls->accepting) {
        tls_free(tls);
        return NULL;
    }
    /* Nobody is trusted for a certificate: the store is empty. */
    SSL_CTX_set_verify(tls->dialling, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_psk_use_session_callback(tls->dialling, use_session);
    SSL_CTX_set_psk_find_session_callback(tls->accepting, find_session);
    tls_set_keys(tls, keys);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->dialling);
    SSL_CTX_free(tls->accepting);
    free(tls->ring_name);
    keyring_done(&tls->keys);
    free(tls);
}

void tls_set_keys(struct tls *tls, const struct keyring *keys)
{
    tls->keys = *keys;
}

/* ---- ends ---- */

static void end_free(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long number,
                     void *pointer)
{
    (void)parent, (void)data, (void)index, (void)number, (void)pointer;
    free(value);
}

/* Where an SSL keeps its end; the end goes with it. */
static int end_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, end_free);
    return index;
}

static SSL *end_new(SSL_CTX *context, const struct end *end)
{
    struct end *copy = malloc(sizeof(*copy));
    SSL *ssl = copy ? SSL_new(context) : NULL;

    if (!ssl || SSL_set_ex_data(ssl, end_index(), copy) <= 0) {
        SSL_free(ssl);
        free(copy);
        return NULL;
    }
    *copy = *end;
    SSL_set_app_data(ssl, copy);
    return ssl;
}

SSL *tls_accept(struct tls *tls)
{
    return end_new(tls->accepting, &(struct end){.tls = tls});
}

SSL *tls_dial(struct tls *tls, uint32_t key_id, const struct ring_id *target)
{
    return end_new(tls->dialling,
                   &(struct end){.tls = tls, .dials = true, .key_id = key_id, .target = *target});
}

bool tls_is_authentic(const SSL *ssl, uint32_t *ret_key_id)
{
    const struct end *end = SSL_get_app_data(ssl);

    *ret_key_id = end->key_id;
    return SSL_is_init_finished(ssl) && SSL_session_reused(ssl) > 0 &&
           SSL_version(ssl) == TLS1_3_VERSION;
}
