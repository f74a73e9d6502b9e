#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/time-parse.h"
#include "common/util.h"
#include "listen.h"

/* ---- values ---- */

int config_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char suffixes[] = "KMGT";
    uint64_t factor = 1;
    double number;
    char *end;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    number = strtod(text, &end);
    if (*end) {
        const char *suffix = strchr(suffixes, toupper((unsigned char)*end));

        if (!suffix)
            return -EINVAL;
        factor <<= 10 * (suffix - suffixes + 1);
        end++;
    }
    if (*end || !(number * (double)factor < (double)INT64_MAX))
        return -EINVAL;
    *ret_bytes = (uint64_t)(number * (double)factor);
    return 0;
}

static int parse_bool(const char *text, bool *ret)
{
    static const char *const words[][2] = {
        {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < ELEMENTS(words); i++) {
        for (unsigned value = 0; value < 2; value++) {
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret = value;
                return 0;
            }
        }
    }
    return -EINVAL;
}

static int set_text(char **place, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*place);
    *place = copy;
    return 0;
}

/* ---- the keys ---- */

static int set_name(char **place, const char *value, size_t longest)
{
    return *value && strlen(value) <= longest ? set_text(place, value) : -EINVAL;
}

static int set_ring_name(struct config *config, const char *value)
{
    return set_name(&config->ring_name, value, RING_NAME_BYTES_MAX);
}

static int set_display_name(struct config *config, const char *value)
{
    return strlen(value) <= NAME_BYTES_MAX ? set_text(&config->display_name, value) : -EINVAL;
}

static int set_listen(struct config *config, const char *value)
{
    struct ring_address address = {0};

    if (*value && address_parse(value, &address) < 0)
        return -EINVAL;
    config->listen = address;
    if (address.port) {
        config->port = address.port;
        config->port_is_set = true;
    }
    return 0;
}

static int set_port(struct config *config, const char *value)
{
    char *end;
    unsigned long port = strtoul(value, &end, 10);

    if (!isdigit((unsigned char)*value) || *end || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    config->port = (uint16_t)port;
    config->port_is_set = true;
    return 0;
}

static int set_interfaces(struct config *config, const char *value)
{
    return set_text(&config->interfaces, value);
}

static int set_peers(struct config *config, const char *value)
{
    return set_text(&config->peers, value);
}

static int set_group(char **place, const char *value, uint8_t family)
{
    struct ring_address group;

    if (address_parse(value, &group) < 0 || group.family != family || group.port ||
        (family == 4 ? (group.ip[0] & 0xf0) != 0xe0 : group.ip[0] != 0xff))
        return -EINVAL;
    return set_text(place, value);
}

static int set_group4(struct config *config, const char *value)
{
    return set_group(&config->group4, value, 4);
}

static int set_group6(struct config *config, const char *value)
{
    return set_group(&config->group6, value, 6);
}

/* Below a tenth of a second a busy host would be taken for dead; above ten minutes nobody would be.
 */
static int set_span(uint64_t *place, const char *value)
{
    uint64_t span;

    if (span_parse(value, &span) < 0 || span < 100 * USEC_PER_MSEC || span > 600 * USEC_PER_SEC)
        return -EINVAL;
    *place = span;
    return 0;
}

static int set_heartbeat_interval(struct config *config, const char *value)
{
    return set_span(&config->heartbeat_interval, value);
}

static int set_heartbeat_timeout(struct config *config, const char *value)
{
    return set_span(&config->heartbeat_timeout, value);
}

static int set_link_timeout(struct config *config, const char *value)
{
    return set_span(&config->link_timeout, value);
}

static int set_greeting(struct config *config, const char *value)
{
    return parse_bool(value, &config->greeting);
}

static int set_key(struct config *config, const char *value)
{
    return set_text(&config->key, value);
}

static int set_retention_time(struct config *config, const char *value)
{
    config->retention_time = 0;
    return *value ? span_parse(value, &config->retention_time) : 0;
}

static int set_retention_bytes(struct config *config, const char *value)
{
    config->retention_bytes = 0;
    return *value ? config_parse_size(value, &config->retention_bytes) : 0;
}

static int set_message_bytes_max(struct config *config, const char *value)
{
    uint64_t bytes;

    if (config_parse_size(value, &bytes) < 0 || bytes == 0 || bytes > TEXT_BYTES_MAX)
        return -EINVAL;
    config->message_bytes_max = bytes;
    return 0;
}

static int set_control_group(struct config *config, const char *value)
{
    return set_text(&config->group, value);
}

static int set_admin_group(struct config *config, const char *value)
{
    return set_text(&config->admin_group, value);
}

static int set_topics(struct config *config, const char *value)
{
    return set_text(&config->topics, value);
}

static const struct key {
    const char *section, *name;
    int (*set)(struct config *config, const char *value);
    const char *initial;
    const char *expected;
} keys[] = {
    {"Ring", "Name", set_ring_name, "ringchat", "a name of at most 64 bytes"},
    {"Ring", "Listen", set_listen, "", "an address of this host, or ADDRESS:PORT"},
    {"Ring", "Port", set_port, NULL, "a number from 1 to 65535"},
    {"Ring", "Interfaces", set_interfaces, "", "interface names separated by spaces"},
    {"Ring", "Peers", set_peers, "", "HOST or HOST:PORT, separated by spaces"},
    {"Ring", "MulticastGroup", set_group4, "239.255.114.99", "an IPv4 multicast address"},
    {"Ring", "MulticastGroup6", set_group6, "ff12::7263", "an IPv6 multicast address"},
    {"Ring", "HeartbeatIntervalSec", set_heartbeat_interval, "0.5", "a time from 100ms to 10min"},
    {"Ring", "HeartbeatTimeoutSec", set_heartbeat_timeout, "2", "a time from 100ms to 10min"},
    {"Ring", "LinkTimeoutSec", set_link_timeout, "1", "a time from 100ms to 10min"},
    {"Ring", "Greeting", set_greeting, "yes", "yes or no"},
    {"Ring", "Key", set_key, "", "none, or a path"},
    {"Node", "DisplayName", set_display_name, "", "a name of at most 64 bytes"},
    {"History", "RetentionSec", set_retention_time, "", "a time, such as 30d"},
    {"History", "RetentionBytes", set_retention_bytes, "", "a size, such as 1G"},
    {"History", "MaxMessageBytes", set_message_bytes_max, "16K", "a size from 1 to 1020K"},
    {"Control", "Group", set_control_group, "", "the name of a group"},
    {"Control", "AdminGroup", set_admin_group, "", "the name of a group"},
    {"Log", "Topics", set_topics, "normal", "normal, heartbeat, debug, or topics"},
};

int config_set(struct config *config, const char *section, const char *name, const char *value,
               const char **ret_expected)
{
    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        if (strcasecmp(keys[i].section, section) != 0 || strcasecmp(keys[i].name, name) != 0)
            continue;
        *ret_expected = keys[i].expected;
        /* An empty value is the default again, as in systemd. */
        if (*value == '\0' && keys[i].initial)
            value = keys[i].initial;
        return keys[i].set(config, value);
    }
    return -ENOENT;
}

int config_init(struct config *config)
{
    *config = (struct config){.port = RING_PORT};
    for (size_t i = 0; i < ELEMENTS(keys); i++) {
        int result = keys[i].initial ? keys[i].set(config, keys[i].initial) : 0;

        check(result == 0 || result == -ENOMEM);
        if (result < 0)
            return result;
    }
    return 0;
}

void config_done(struct config *config)
{
    char **texts[] = {&config->ring_name, &config->interfaces,   &config->peers,
                      &config->group4,    &config->group6,       &config->key,
                      &config->group,     &config->display_name, &config->admin_group,
                      &config->topics};

    for (size_t i = 0; i < ELEMENTS(texts); i++)
        free(*texts[i]);
    for (size_t i = 0; i < MIN(config->warnings_count, CONFIG_WARNINGS_MAX); i++)
        free(config->warnings[i]);
    *config = (struct config){0};
}

void config_warn(struct config *config, const char *format, ...)
{
    char *warning;
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = vasprintf(&warning, format, arguments);
    va_end(arguments);
    if (result < 0)
        return;
    if (config->warnings_count < CONFIG_WARNINGS_MAX)
        config->warnings[config->warnings_count] = warning;
    else
        free(warning);
    config->warnings_count++;
}

int config_add_peer(struct config *config, const char *peer)
{
    char *peers;

    if (asprintf(&peers, "%s%s%s", config->peers, *config->peers ? " " : "", peer) < 0)
        return -ENOMEM;
    free(config->peers);
    config->peers = peers;
    return 0;
}

/* ---- files ---- */

static void closefilep(FILE **file)
{
    if (*file)
        fclose(*file);
}

static int read_path(struct config *config, const char *path, bool expected)
{
    _cleanup_(closefilep) FILE *file = fopen(path, "re");

    if (!file && errno == ENOENT && expected)
        config_warn(config, "%s: not there; the defaults are used", path);
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    return config_read_file(config, file, path);
}

static int is_configuration(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

static int read_drop_ins(struct config *config, const char *path)
{
    _cleanup_free_ char *directory = NULL;
    struct dirent **entries;
    int result = 0, count;

    if (asprintf(&directory, "%s.d", path) < 0) {
        directory = NULL;
        return -ENOMEM;
    }
    count = scandir(directory, &entries, is_configuration, alphasort);
    if (count < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        _cleanup_free_ char *drop_in = NULL;

        if (result == 0 && asprintf(&drop_in, "%s/%s", directory, entries[i]->d_name) < 0) {
            drop_in = NULL;
            result = -ENOMEM;
        }
        if (result == 0)
            result = read_path(config, drop_in, false);
        free(entries[i]);
    }
    free(entries);
    return result;
}

int config_read(struct config *config, const char *path, bool expected)
{
    int result = read_path(config, path, expected);

    return result < 0 ? result : read_drop_ins(config, path);
}
