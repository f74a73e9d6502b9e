/* What keys cost one processor: a link's handshake, both ends of it, and a datagram sealed and
 * opened. Prints the median of several rounds, in microseconds. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/util.h"
#include "daemon/seal.h"
#include "daemon/tls.h"

#define ROUNDS 15
#define REPETITIONS 200
#define DATAGRAM_BYTES 384

static double now_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return (first > second) - (first < second);
}

static void report(const char *what, double *rounds)
{
    qsort(rounds, ROUNDS, sizeof(*rounds), compare);
    printf("%-40s %8.1f us (%.1f to %.1f)\n", what, rounds[ROUNDS / 2] / REPETITIONS,
           rounds[0] / REPETITIONS, rounds[ROUNDS - 1] / REPETITIONS);
}

static void shake(struct tls *from, struct tls *to, const struct ring_key *key,
                  const struct ring_id *target)
{
    SSL *dialling = tls_dial(from, key->id, target), *accepting = tls_accept(to);
    BIO *one, *other;
    uint32_t key_id;

    check(dialling && accepting && BIO_new_bio_pair(&one, 0, &other, 0) > 0);
    SSL_set_bio(dialling, one, one);
    SSL_set_bio(accepting, other, other);
    SSL_set_connect_state(dialling);
    SSL_set_accept_state(accepting);
    for (int i = 0; i < 4; i++) {
        SSL_do_handshake(dialling);
        SSL_do_handshake(accepting);
    }
    check(tls_is_authentic(dialling, &key_id) && tls_is_authentic(accepting, &key_id));
    SSL_free(dialling);
    SSL_free(accepting);
}

static void measure_handshakes(const struct keyring *ring)
{
    const struct tls_self self = {.id = {{1}}, .instance = 1, .ring_name = "ringchat"};
    const struct tls_self peer = {.id = {{2}}, .instance = 2, .ring_name = "ringchat"};
    struct tls *from = tls_new(&self, ring), *to = tls_new(&peer, ring);
    double rounds[ROUNDS];

    check(from && to);
    for (int i = 0; i < ROUNDS; i++) {
        double begun = now_usec();

        for (int k = 0; k < REPETITIONS; k++)
            shake(from, to, &ring->keys[0], &peer.id);
        rounds[i] = now_usec() - begun;
    }
    report("handshake of a link, both ends", rounds);
    tls_free(from);
    tls_free(to);
}

static void measure_datagrams(const struct keyring *ring)
{
    struct seal *seal = seal_new(ring, "ringchat");
    uint8_t data[DATAGRAM_BYTES] = {0}, sealed[DATAGRAM_BYTES + SEAL_BYTES];
    double rounds[ROUNDS];
    uint32_t key_id;

    check(seal != NULL);
    for (int i = 0; i < ROUNDS; i++) {
        double begun = now_usec();

        for (int k = 0; k < REPETITIONS; k++) {
            check(seal_close(seal, 0, data, sizeof(data), sealed) == 0);
            check(seal_open(seal, sealed, sizeof(sealed), data, &key_id) == 0);
        }
        rounds[i] = now_usec() - begun;
    }
    report("datagram, sealed and opened", rounds);
    seal_free(seal);
}

int main(void)
{
    struct keyring ring = {.count = 1};

    key_generate(&ring.keys[0]);
    measure_handshakes(&ring);
    measure_datagrams(&ring);
    return 0;
}
