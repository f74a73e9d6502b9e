#include "packet.h"

struct packet *packet_new(size_t size)
{
    struct packet *packet = malloc(sizeof(*packet) + size);

    if (!packet)
        return NULL;
    packet->references = 1;
    packet->size = size;
    return packet;
}

struct packet *packet_ref(struct packet *packet)
{
    __atomic_fetch_add(&packet->references, 1, __ATOMIC_RELAXED);
    return packet;
}

void packet_unref(struct packet *packet)
{
    if (packet && __atomic_sub_fetch(&packet->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(packet);
}
