#pragma once

/* The settings of a core that is alone in a test or a fuzz target. */

#include "daemon/ring/ring.h"

static inline struct ring_config config_of(bool networked)
{
    return (struct ring_config){
        .id = {{1}},
        .instance = 11,
        .name = {"host", 4},
        .ring = {"ringchat", 8},
        .addresses = {.count = 1, .list = {{.family = 4, .ip = {127, 0, 0, 1}, .port = 7263}}},
        .heartbeat_interval = 500000,
        .heartbeat_timeout = 2000000,
        .link_timeout = 1000000,
        .entropy = 5,
        .networked = networked,
    };
}
