/* Doctor: why another host is not seen, checked one thing after the other; and the warnings of
 * Status that need a look at the network, the disk, or what happened lately. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/text.h"
#include "common/time-format.h"
#include "common/util.h"
#include "control-method.h"
#include "hearing.h"
#include "keys.h"
#include "listen.h"

/* How long the datagrams that a Doctor sends have to come back. */
#define PROBE_USEC (500 * USEC_PER_MSEC)

/* Leaders announce themselves every 2 s: who has been silent for so long is not heard. */
#define SILENCE_USEC (30 * USEC_PER_SEC)

/* A member that failed so often within RECENT_USEC comes and goes. */
#define FLAPS_MIN 3

/* Below either, the disk is nearly full. */
#define DISK_PARTS 20 /* a twentieth */
#define DISK_BYTES_MIN (64ULL * 1024 * 1024)

/* Texts and cures are a line or two. */
#define SENTENCE_MAX 512

enum result { RESULT_OK, RESULT_WARNING, RESULT_FAILED };

struct doctor {
    struct control *control;
    const struct ring_view *view;
    const struct hearing *hearing;
    const struct interfaces *interfaces;
    uint64_t now; /* monotonic */
    uint64_t probed;
    bool networked, explained; /* explained: it is known why others are not seen */
    struct json_object *checks;
};

/* Adds a check; `interface` and `cure` may be NULL. */
__attribute__((format(printf, 6, 7))) static void add(struct doctor *doctor, const char *check,
                                                      const char *interface, enum result result,
                                                      const char *cure, const char *format, ...)
{
    static const char *const results[] = {"ok", "warning", "failed"};
    struct json_object *object = json_object_new_object();
    char text[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_object_object_add(object, "check", json_object_new_string(check));
    if (interface)
        json_object_object_add(object, "interface", json_object_new_string(interface));
    json_object_object_add(object, "result", json_object_new_string(results[result]));
    json_object_object_add(object, "text", report_text(text));
    if (cure)
        json_object_object_add(object, "cure", report_text(cure));
    json_object_array_add(doctor->checks, object);
}

/* ---- this host ---- */

static void check_key(struct doctor *doctor)
{
    const struct keys *keys = doctor->control->options.keys;
    char address[ADDRESS_TEXT_MAX];
    struct ring_address from;
    uint32_t id;

    if (!doctor->networked) {
        add(doctor, "key", NULL, RESULT_FAILED,
            "on a first host: ringchatctl key generate; on others, what key show prints there goes "
            "into: ringchatctl key add",
            "there is no ring key: this host talks to nobody");
        doctor->explained = true;
        return;
    }
    if (keys && keys_heard_other(keys, &id, &from)) {
        address_format(&from, address);
        add(doctor, "key", NULL, RESULT_FAILED,
            "run there: ringchatctl key show, and here: ringchatctl key add",
            "%s uses key %08x, which this host does not have", address, id);
        doctor->explained = true;
    } else if (keys && keys_count_strangers(keys, STRANGER_IN_THE_CLEAR) > 0) {
        add(doctor, "key", NULL, RESULT_WARNING,
            "give it the ring's key: ringchatctl key show here, and key add there",
            "a host was heard that talks in the clear");
    } else if (keys && keys_get_mode(keys) == KEYS_CLEAR) {
        add(doctor, "key", NULL, RESULT_WARNING,
            "take Key=none out of the configuration, then: ringchatctl key generate",
            "messages travel in the clear; hosts with a key are not understood");
    } else {
        add(doctor, "key", NULL, RESULT_OK, NULL, "the ring's key is here, no other one is heard");
    }
}

static void check_ring(struct doctor *doctor)
{
    struct ring_status status;
    char shown[SHOWN_NAME_MAX];

    engine_get_status(doctor->control->engine, &status);
    member_shown_name(doctor->view, doctor->view->leader, shown);
    if (status.phase == RING_LEFT) {
        add(doctor, "ring", NULL, RESULT_FAILED, "ringchatctl join", "this host has left the ring");
        doctor->explained = true;
    } else if (status.cloned) {
        add(doctor, "ring", NULL, RESULT_FAILED, "see IDENTITY in ringchatd(8)",
            "another live host has this host's identity, so this one stays alone");
        doctor->explained = true;
    } else if (status.phase == RING_STALLED || status.phase == RING_FAILED) {
        add(doctor, "ring", NULL, RESULT_FAILED, "journalctl -k; journalctl -u ringchatd",
            "the disk of this host does not work, so it is out of the ring");
        doctor->explained = true;
    } else if (doctor->view->count == 1) {
        add(doctor, "ring", NULL, RESULT_WARNING, NULL, "this host is alone");
    } else {
        add(doctor, "ring", NULL, RESULT_OK, NULL, "%zu members, led by %s", doctor->view->count,
            shown);
    }
}

/* ---- strangers ---- */

static void check_strangers(struct doctor *doctor)
{
    const struct recent *recent = &doctor->control->recent;
    const struct keys *keys = doctor->control->options.keys;
    bool other_ring = false, other_version = false;

    for (size_t i = 0; i < recent->strangers_count; i++) {
        const struct recent_stranger *stranger = &recent->strangers[i];
        char address[ADDRESS_TEXT_MAX];

        address_format(&stranger->address, address);
        if (*stranger->ring) {
            add(doctor, "ring_name", NULL, RESULT_WARNING,
                "if it should be one ring, set the same Name= in section [Ring] on both",
                "%s belongs to a ring of another name: %s", address, stranger->ring);
            other_ring = true;
        } else {
            add(doctor, "version", NULL, RESULT_FAILED, "upgrade the older of the two",
                "%s speaks version %" PRIu64 " of the protocol, this host another", address,
                stranger->version);
            other_version = true;
        }
    }
    /* The ring's name is a part of the seal. */
    if (keys && keys_count_strangers(keys, STRANGER_FORGED) > 0) {
        add(doctor, "ring_name", NULL, RESULT_WARNING,
            "if a host is to be in this ring, set the same Name= in section [Ring] on both",
            "datagrams were heard that are sealed with the key of this ring and do not open: of a "
            "ring of another name, or forged");
        other_ring = true;
    }
    if (!other_ring)
        add(doctor, "ring_name", NULL, RESULT_OK, NULL, "no ring of another name is heard");
    if (!other_version)
        add(doctor, "version", NULL, RESULT_OK, NULL, "no other version is heard");
    doctor->explained |= other_ring || other_version;
}

static void check_clocks(struct doctor *doctor)
{
    size_t wrong = 0;

    for (size_t i = 0; i < doctor->view->count; i++) {
        int64_t offset = doctor->view->members[i].clock_offset;
        char shown[SHOWN_NAME_MAX];

        if (offset > -CLOCK_OFFSET_MAX && offset < CLOCK_OFFSET_MAX)
            continue;
        wrong++;
        member_shown_name(doctor->view, i, shown);
        add(doctor, "clock", NULL, RESULT_WARNING, "set it, or let it be set from the network",
            "the clock of %s is %" PRId64 " s off the leader's", shown,
            offset / (int64_t)USEC_PER_SEC);
    }
    if (wrong == 0)
        add(doctor, "clock", NULL, RESULT_OK, NULL, "the members' clocks agree");
}

/* ---- interfaces ---- */

static void check_out(struct doctor *doctor, const struct interface *interface,
                      const struct hearing_interface *row)
{
    if (row && row->error)
        add(doctor, "multicast_out", interface->name, RESULT_FAILED,
            "look at: ip route get 239.255.114.99; a default route, or one for 239.0.0.0/8, is "
            "needed",
            "datagrams cannot be sent: %s", strerror(row->error));
    else if (!row || row->sent < doctor->probed)
        add(doctor, "multicast_out", interface->name, RESULT_FAILED,
            "look at: ip address; and at Interfaces= in ringchatd.conf", "no datagram was sent");
    else
        add(doctor, "multicast_out", interface->name, RESULT_OK, NULL, "datagrams go out");
}

static void check_in(struct doctor *doctor, const struct interface *interface,
                     const struct hearing_interface *row)
{
    bool alone = doctor->view->count == 1;
    bool leader = doctor->view->leader == doctor->view->self;
    char span[TIME_TEXT_MAX];

    if (!row || row->echoed < doctor->probed) {
        add(doctor, "firewall", interface->name, RESULT_FAILED,
            "allow UDP and TCP to port " RING_PORT_TEXT " in, as with: "
            "nft insert rule inet filter input udp dport " RING_PORT_TEXT " accept",
            "this host's own datagrams do not come back: a firewall of this host drops them");
        doctor->explained = true;
    } else {
        add(doctor, "firewall", interface->name, RESULT_OK, NULL, "datagrams come in");
    }
    if (row && row->heard && doctor->now - row->heard < SILENCE_USEC) {
        time_format_span(doctor->now - row->heard, span);
        add(doctor, "multicast_in", interface->name, RESULT_OK, NULL,
            "another host was heard %s ago", span);
    } else if (!alone && leader) {
        add(doctor, "multicast_in", interface->name, RESULT_OK, NULL,
            "no other leader is heard, as should be: this host leads");
    } else {
        add(doctor, "multicast_in", interface->name, RESULT_WARNING,
            "does ringchatd run on another host of this network? A switch may filter multicast: "
            "then name a host in Peers= of ringchatd.conf",
            "no other host is heard here");
    }
}

static void check_interfaces(struct doctor *doctor)
{
    bool heard = false;

    if (doctor->interfaces->count == 0)
        add(doctor, "interface", NULL, RESULT_FAILED,
            "look at: ip address; and at Listen= and Interfaces= in ringchatd.conf",
            "no interface is usable");
    for (size_t i = 0; i < doctor->interfaces->count; i++) {
        const struct interface *interface = &doctor->interfaces->list[i];
        const struct hearing_interface *row = hearing_find(doctor->hearing, interface->index);

        check_out(doctor, interface, row);
        check_in(doctor, interface, row);
        heard |= row && row->heard && doctor->now - row->heard < SILENCE_USEC;
    }
    if (heard && doctor->view->count == 1 && !doctor->explained)
        add(doctor, "firewall", NULL, RESULT_FAILED,
            "open TCP and UDP port " RING_PORT_TEXT " on both hosts",
            "another host is heard, and there is no ring with it: answers do not come through");
}

static struct json_object *report_checks(struct call *call, uint64_t probed)
{
    struct control *control = call->client->control;
    struct doctor doctor = {.control = control,
                            .view = engine_get_view(control->engine),
                            .hearing = engine_get_hearing(control->engine),
                            .interfaces = engine_get_interfaces(control->engine),
                            .now = engine_monotonic(),
                            .probed = probed,
                            .networked = engine_port(control->engine) != 0,
                            .checks = json_object_new_array()};

    recent_expire(&control->recent, engine_wall());
    check_ring(&doctor);
    check_key(&doctor);
    if (doctor.networked) {
        check_strangers(&doctor);
        check_clocks(&doctor);
        check_interfaces(&doctor);
    }
    return OBJECT({"checks", doctor.checks});
}

void doctor_run(struct call *call)
{
    struct control *control = call->client->control;
    uint64_t *probed = call->data;

    if (!probed && engine_port(control->engine) && !control->goodbye) {
        probed = malloc(sizeof(*probed));
        if (!probed || call_set_timer(call, PROBE_USEC) < 0) {
            free(probed);
            call_out_of_memory(call);
            return;
        }
        *probed = engine_monotonic();
        call->data = probed;
        engine_probe(control->engine);
        return;
    }
    if (!probed || call->timed_out || control->goodbye)
        call_reply(call, report_checks(call, probed ? *probed : 0), false);
}

void doctor_stop(struct call *call)
{
    free(call->data);
}

/* ---- warnings of Status ---- */

static void warn(struct json_object *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(struct json_object *list, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_object_array_add(list, report_text(text));
}

static bool hears_others(const struct hearing *hearing, uint64_t now)
{
    for (size_t i = 0; i < hearing->count; i++) {
        if (hearing->list[i].heard && now - hearing->list[i].heard < SILENCE_USEC)
            return true;
    }
    return false;
}

/* Only leaders are heard by multicast, and a leader of others hears nobody. */
static void warn_of_silence(struct control *control, const struct ring_view *view,
                            struct json_object *list)
{
    const struct hearing *hearing = engine_get_hearing(control->engine);
    uint64_t now = engine_monotonic();
    bool leads_others = view->count > 1 && view->leader == view->self;

    if (engine_port(control->engine) == 0 || leads_others || now - hearing->begun < SILENCE_USEC ||
        hears_others(hearing, now))
        return;
    if (view->count == 1)
        warn(list, "no other host is heard on the network; if there should be one, see: "
                   "ringchatctl doctor");
    else
        warn(list, "multicast is silent: the leader is not heard by it, so new hosts may not find "
                   "the ring; see: ringchatctl doctor");
}

static void warn_of_disk(const struct control *control, struct json_object *list)
{
    const char *path = control->options.state_directory;
    char left[TIME_TEXT_MAX];
    struct statvfs disk;
    uint64_t free_bytes;

    if (!path || statvfs(path, &disk) < 0)
        return;
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= DISK_BYTES_MIN && disk.f_bavail >= disk.f_blocks / DISK_PARTS)
        return;
    size_format(free_bytes, left);
    warn(list,
         "the disk is nearly full: %s are left for %s; make room, or let less of the history be "
         "kept with RetentionBytes=",
         left, path);
}

static void warn_of_flaps(const struct control *control, struct json_object *list)
{
    const struct recent *recent = &control->recent;

    for (size_t i = 0; i < recent->gone_count; i++) {
        const struct recent_gone *gone = &recent->gone[i];
        size_t before = 0, failures = recent_failures(recent, &gone->id);

        /* Told once, with its first failure. */
        for (size_t k = 0; k < i; k++)
            before += memcmp(&recent->gone[k].id, &gone->id, sizeof(gone->id)) == 0;
        if (before == 0 && failures >= FLAPS_MIN)
            warn(list,
                 "%s has failed %zu times within an hour; look at its network, and there at: "
                 "journalctl -u ringchatd",
                 gone->name, failures);
    }
}

void doctor_add_warnings(struct control *control, struct json_object *list)
{
    recent_expire(&control->recent, engine_wall());
    warn_of_disk(control, list);
    warn_of_flaps(control, list);
    warn_of_silence(control, engine_get_view(control->engine), list);
}
