/* What anybody on the network may send: nothing of it opens, and what was sealed opens once and
 * only as it was. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "daemon/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal *make_seal(void)
{
    static const struct keyring ring = {.count = 1, .keys = {{.id = 0x01020304, .secret = {1}}}};
    struct seal *seal = seal_new(&ring, "ringchat");

    if (!seal)
        abort();
    return seal;
}

/* The first two bytes choose a bit to be flipped. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seal *seal;
    uint8_t sealed[DATAGRAM_BYTES_MAX + SEAL_BYTES], opened[DATAGRAM_BYTES_MAX + SEAL_BYTES];
    uint32_t key_id;
    size_t bit;

    if (!seal)
        seal = make_seal();
    if (size < 2 || size > DATAGRAM_BYTES_MAX)
        return 0;
    if (seal_open(seal, data, size, opened, &key_id) == 0)
        abort();
    if (seal_close(seal, 0, data, size, sealed) < 0)
        abort();
    bit = (size_t)(data[0] | data[1] << 8) % (8 * (size + SEAL_BYTES));
    sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (seal_open(seal, sealed, size + SEAL_BYTES, opened, &key_id) == 0)
        abort();
    sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    if (seal_open(seal, sealed, size + SEAL_BYTES, opened, &key_id) != 0 ||
        memcmp(opened, data, size) != 0)
        abort();
    if (seal_open(seal, sealed, size + SEAL_BYTES, opened, &key_id) != -EALREADY)
        abort();
    return 0;
}
