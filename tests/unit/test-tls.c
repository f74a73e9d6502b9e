/* Links: who gets through a handshake, and who does not. Both ends in one process, without a
 * network: what one writes the other reads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "daemon/tls.h"

#define ROUNDS_MAX 10

static const struct ring_id alice = {{1}}, bob = {{2}}, carol = {{3}};

static struct keyring make_ring(uint32_t id, uint8_t secret)
{
    struct keyring ring = {.count = 1, .keys = {{.id = id}}};

    memset(ring.keys[0].secret, secret, sizeof(ring.keys[0].secret));
    return ring;
}

static struct tls *make_node(const struct ring_id *id, const char *ring_name,
                             const struct keyring *keys)
{
    struct tls_self self = {.id = *id, .instance = id->bytes[0], .ring_name = ring_name};
    struct tls *tls = tls_new(&self, keys);

    assert_non_null(tls);
    return tls;
}

/* Joins both ends and lets them talk until neither gets on. */
static void shake(SSL *dialling, SSL *accepting)
{
    BIO *one, *other;

    assert_true(BIO_new_bio_pair(&one, 0, &other, 0) > 0);
    SSL_set_bio(dialling, one, one);
    SSL_set_bio(accepting, other, other);
    SSL_set_connect_state(dialling);
    SSL_set_accept_state(accepting);
    for (int i = 0; i < ROUNDS_MAX; i++) {
        SSL_do_handshake(dialling);
        SSL_do_handshake(accepting);
    }
    ERR_clear_error();
}

struct outcome {
    bool dialling, accepting; /* each side's verdict */
    uint32_t key_id;
};

static struct outcome meet(struct tls *from, struct tls *to, uint32_t key_id,
                           const struct ring_id *target)
{
    SSL *dialling = tls_dial(from, key_id, target), *accepting = tls_accept(to);
    struct outcome outcome;
    uint32_t own;

    assert_non_null(dialling);
    assert_non_null(accepting);
    shake(dialling, accepting);
    outcome.dialling = tls_is_authentic(dialling, &own);
    outcome.accepting = tls_is_authentic(accepting, &outcome.key_id);
    SSL_free(dialling);
    SSL_free(accepting);
    return outcome;
}

static void two_holders_of_a_key_get_through(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *from = make_node(&alice, "ringchat", &keys);
    struct tls *to = make_node(&bob, "ringchat", &keys);
    struct outcome outcome = meet(from, to, 7, &bob);

    (void)state;
    assert_true(outcome.dialling);
    assert_true(outcome.accepting);
    assert_int_equal(outcome.key_id, 7);
    tls_free(from);
    tls_free(to);
}

static void assert_refused(struct outcome outcome)
{
    assert_false(outcome.dialling);
    assert_false(outcome.accepting);
}

static void another_secret_under_the_same_id_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11), others = make_ring(7, 0x12);
    struct tls *from = make_node(&alice, "ringchat", &others);
    struct tls *to = make_node(&bob, "ringchat", &keys);

    (void)state;
    assert_refused(meet(from, to, 7, &bob));
    tls_free(from);
    tls_free(to);
}

static void an_unknown_key_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11), others = make_ring(8, 0x11);
    struct tls *from = make_node(&alice, "ringchat", &others);
    struct tls *to = make_node(&bob, "ringchat", &keys);

    (void)state;
    assert_refused(meet(from, to, 8, &bob));
    tls_free(from);
    tls_free(to);
}

static void the_same_key_in_a_ring_of_another_name_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *from = make_node(&alice, "others", &keys);
    struct tls *to = make_node(&bob, "ringchat", &keys);

    (void)state;
    assert_refused(meet(from, to, 7, &bob));
    tls_free(from);
    tls_free(to);
}

static void any_accepted_key_is_taken(void **state)
{
    struct keyring old = make_ring(7, 0x11), both = make_ring(7, 0x11);
    struct keyring fresh = make_ring(9, 0x22);
    struct tls *from, *to;

    (void)state;
    assert_int_equal(keyring_add(&both, &fresh.keys[0]), 0);
    assert_int_equal(keyring_use(&both, 9), 0);
    from = make_node(&alice, "ringchat", &old);
    to = make_node(&bob, "ringchat", &both);
    assert_true(meet(from, to, 7, &bob).accepting);
    assert_refused(meet(to, from, 9, &alice));
    assert_true(meet(to, from, 7, &alice).dialling);
    tls_free(from);
    tls_free(to);
}

static void a_handshake_sent_back_to_its_sender_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *node = make_node(&alice, "ringchat", &keys);

    (void)state;
    assert_refused(meet(node, node, 7, &bob));
    assert_refused(meet(node, node, 7, &alice));
    tls_free(node);
}

static void a_handshake_passed_on_to_another_member_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *from = make_node(&alice, "ringchat", &keys);
    struct tls *to = make_node(&carol, "ringchat", &keys);

    (void)state;
    assert_refused(meet(from, to, 7, &bob));
    tls_free(from);
    tls_free(to);
}

/* ---- servers and clients that are no nodes ---- */

static void give_certificate(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"bob", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_true(SSL_CTX_use_certificate(context, certificate) > 0);
    assert_true(SSL_CTX_use_PrivateKey(context, key) > 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void a_server_with_a_certificate_of_its_own_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *from = make_node(&alice, "ringchat", &keys);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *dialling = tls_dial(from, 7, &bob), *accepting;
    uint32_t key_id;

    (void)state;
    give_certificate(context);
    accepting = SSL_new(context);
    shake(dialling, accepting);
    assert_false(SSL_is_init_finished(dialling));
    assert_false(tls_is_authentic(dialling, &key_id));
    SSL_free(dialling);
    SSL_free(accepting);
    SSL_CTX_free(context);
    tls_free(from);
}

static void a_client_without_a_key_is_refused(void **state)
{
    struct keyring keys = make_ring(7, 0x11);
    struct tls *to = make_node(&bob, "ringchat", &keys);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *dialling = SSL_new(context), *accepting = tls_accept(to);
    uint32_t key_id;

    (void)state;
    shake(dialling, accepting);
    assert_false(tls_is_authentic(accepting, &key_id));
    assert_false(SSL_is_init_finished(dialling));
    SSL_free(dialling);
    SSL_free(accepting);
    SSL_CTX_free(context);
    tls_free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_holders_of_a_key_get_through),
        cmocka_unit_test(another_secret_under_the_same_id_is_refused),
        cmocka_unit_test(an_unknown_key_is_refused),
        cmocka_unit_test(the_same_key_in_a_ring_of_another_name_is_refused),
        cmocka_unit_test(any_accepted_key_is_taken),
        cmocka_unit_test(a_handshake_sent_back_to_its_sender_is_refused),
        cmocka_unit_test(a_handshake_passed_on_to_another_member_is_refused),
        cmocka_unit_test(a_server_with_a_certificate_of_its_own_is_refused),
        cmocka_unit_test(a_client_without_a_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
