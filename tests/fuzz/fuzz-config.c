/* Configuration files: whatever is in them, what is bad is a warning, and what is left can be used.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    FILE *file;

    if (size == 0)
        return 0;
    file = fmemopen((void *)data, size, "r");
    if (!file || config_init(&config) < 0)
        abort();
    if (config_read_file(&config, file, "file") < 0)
        abort();
    if (!*config.ring_name || strlen(config.ring_name) > RING_NAME_BYTES_MAX || !config.key ||
        config.port == 0 || config.message_bytes_max == 0 ||
        config.message_bytes_max > TEXT_BYTES_MAX || config.heartbeat_interval < 100000 ||
        config.link_timeout < 100000)
        abort();
    config_done(&config);
    fclose(file);
    return 0;
}
