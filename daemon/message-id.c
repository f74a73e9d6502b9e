#include "message-id.h"

#include <string.h>
#include <uuid/uuid.h>

#include "common/util.h"

void message_id_make(struct ring_id *ret, uint64_t wall)
{
    uint64_t milliseconds = wall / USEC_PER_MSEC;
    uuid_t random;

    uuid_generate_random(random);
    memcpy(ret->bytes, random, sizeof(ret->bytes));
    for (unsigned i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(milliseconds >> (40 - 8 * i));
    ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x70);
}
