/* Keyrings, and lines of keys that people paste: what is read can be written, and is then the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[KEYRING_TEXT_MAX], line[KEY_LINE_MAX];
    struct keyring ring, again;
    struct ring_key key;
    unsigned number;
    char *copy;

    copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    if (key_parse(copy, &key) == 0) {
        key_format(&key, line);
        if (!strstr(copy, line))
            abort();
    }
    if (keyring_parse(copy, &ring, &number) == 0) {
        keyring_format(&ring, text);
        if (keyring_parse(text, &again, &number) < 0 || again.count != ring.count ||
            again.rotation != ring.rotation || (ring.count > 0 && again.used != ring.used) ||
            memcmp(again.keys, ring.keys, ring.count * sizeof(ring.keys[0])) != 0)
            abort();
    }
    free(copy);
    return 0;
}
