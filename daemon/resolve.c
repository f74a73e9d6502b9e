#include "resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "address.h"
#include "common/cleanup.h"
#include "common/util.h"

/* Names are looked up again after this: hosts move. Sooner while some are not found. */
#define LOOKUP_AGAIN_SEC 60
#define LOOKUP_RETRY_SEC 5

/* What the thread and the loop share; the last of the two frees it. */
struct lookup {
    pthread_mutex_t mutex;
    unsigned references;
    int wakeup; /* eventfd, the thread's own duplicate */
    char *peers;
    uint16_t default_port;
    size_t count, wanted;
    struct ring_address addresses[PEERS_MAX];
};

struct resolver {
    struct event_base *base;
    char *peers;
    uint16_t default_port;
    resolver_done done;
    void *userdata;
    int wakeup;
    struct event *event, *timer;
    struct lookup *lookup; /* under way */
};

static void lookup_unref(struct lookup *lookup)
{
    bool last;

    pthread_mutex_lock(&lookup->mutex);
    last = --lookup->references == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (!last)
        return;
    pthread_mutex_destroy(&lookup->mutex);
    close(lookup->wakeup);
    free(lookup->peers);
    free(lookup);
}

/* Splits HOST[:PORT] or [V6]:PORT in place. */
static void split(char *peer, char **ret_host, const char **ret_port)
{
    char *colon = strrchr(peer, ':');

    *ret_host = peer;
    *ret_port = NULL;
    if (peer[0] == '[' && strchr(peer, ']')) {
        char *end = strchr(peer, ']');

        *ret_host = peer + 1;
        *ret_port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else if (colon && strchr(peer, ':') == colon) {
        *colon = '\0';
        *ret_port = colon + 1;
    }
}

static void look_up(struct lookup *lookup, char *peer)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
    char port_text[8];
    const char *port;
    char *host;

    split(peer, &host, &port);
    snprintf(port_text, sizeof(port_text), "%u", lookup->default_port);
    lookup->wanted++;
    if (getaddrinfo(host, port ? port : port_text, &hints, &found) != 0)
        return;
    for (const struct addrinfo *at = found; at && lookup->count < PEERS_MAX; at = at->ai_next) {
        if (address_from_socket(at->ai_addr, &lookup->addresses[lookup->count]) == 0)
            lookup->count++;
    }
    freeaddrinfo(found);
}

static void *lookup_thread(void *userdata)
{
    struct lookup *lookup = userdata;
    uint64_t one = 1;
    char *place;

    for (char *peer = strtok_r(lookup->peers, " \t,", &place); peer;
         peer = strtok_r(NULL, " \t,", &place))
        look_up(lookup, peer);
    if (write(lookup->wakeup, &one, sizeof(one)) < 0)
        abort();
    lookup_unref(lookup);
    return NULL;
}

static void arm(struct resolver *resolver, long seconds)
{
    struct timeval wait = {.tv_sec = seconds};

    event_add(resolver->timer, &wait);
}

static struct lookup *lookup_new(const struct resolver *resolver)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (!lookup)
        return NULL;
    pthread_mutex_init(&lookup->mutex, NULL);
    lookup->references = 1;
    lookup->default_port = resolver->default_port;
    lookup->peers = strdup(resolver->peers);
    lookup->wakeup = dup(resolver->wakeup);
    if (!lookup->peers || lookup->wakeup < 0) {
        lookup_unref(lookup);
        return NULL;
    }
    return lookup;
}

static void begin(struct resolver *resolver)
{
    struct lookup *lookup = lookup_new(resolver);
    pthread_attr_t attributes;
    pthread_t thread;

    if (!lookup) {
        arm(resolver, LOOKUP_RETRY_SEC);
        return;
    }
    lookup->references = 2;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, lookup_thread, lookup) == 0) {
        resolver->lookup = lookup;
    } else {
        lookup->references = 1;
        lookup_unref(lookup);
        arm(resolver, LOOKUP_RETRY_SEC);
    }
    pthread_attr_destroy(&attributes);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct resolver *resolver = userdata;

    (void)fd, (void)what;
    if (!resolver->lookup)
        begin(resolver);
}

static void on_wakeup(evutil_socket_t fd, short what, void *userdata)
{
    struct resolver *resolver = userdata;
    struct lookup *lookup = resolver->lookup;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0 || !lookup)
        return;
    resolver->lookup = NULL;
    arm(resolver, lookup->count < lookup->wanted ? LOOKUP_RETRY_SEC : LOOKUP_AGAIN_SEC);
    resolver->done(resolver->userdata, lookup->addresses, lookup->count);
    lookup_unref(lookup);
}

int resolver_new(struct event_base *base, const char *peers, uint16_t default_port,
                 resolver_done done, void *userdata, struct resolver **ret)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver)
        return -ENOMEM;
    *resolver = (struct resolver){
        .base = base, .default_port = default_port, .done = done, .userdata = userdata};
    resolver->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    resolver->peers = strdup(peers);
    resolver->timer = evtimer_new(base, on_timer, resolver);
    if (resolver->wakeup >= 0)
        resolver->event =
            event_new(base, resolver->wakeup, EV_READ | EV_PERSIST, on_wakeup, resolver);
    if (!resolver->peers || !resolver->timer || !resolver->event ||
        event_add(resolver->event, NULL) < 0) {
        resolver_free(resolver);
        return -ENOMEM;
    }
    begin(resolver);
    *ret = resolver;
    return 0;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    if (resolver->lookup)
        lookup_unref(resolver->lookup);
    if (resolver->event)
        event_free(resolver->event);
    if (resolver->timer)
        event_free(resolver->timer);
    if (resolver->wakeup >= 0)
        close(resolver->wakeup);
    free(resolver->peers);
    free(resolver);
}
