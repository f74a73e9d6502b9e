#include "dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "common/util.h"

/* The wait before the next address is tried: a LAN answers in less. */
#define NEXT_ATTEMPT_USEC 30000

/* After this nothing more is expected; the core has given up long before. */
#define DIAL_TIMEOUT_SEC 3

struct attempt {
    struct dial *dial;
    struct ring_address address;
    int fd;
    struct event *event;
};

struct dial {
    struct event_base *base;
    struct event *timer;
    dial_done done;
    void *userdata;
    size_t count, next, failed;
    bool refused; /* so far */
    struct attempt attempts[ADDRESSES_MAX * 2];
};

void dial_free(struct dial *dial)
{
    if (!dial)
        return;
    for (size_t i = 0; i < dial->count; i++) {
        if (dial->attempts[i].event)
            event_free(dial->attempts[i].event);
        if (dial->attempts[i].fd >= 0)
            close(dial->attempts[i].fd);
    }
    if (dial->timer)
        event_free(dial->timer);
    free(dial);
}

static void finish(struct dial *dial, struct attempt *winner)
{
    struct ring_address remote = winner ? winner->address : (struct ring_address){0};
    dial_done done = dial->done;
    void *userdata = dial->userdata;
    bool refused = dial->refused;
    int fd = -1;

    if (winner) {
        fd = winner->fd;
        winner->fd = -1;
    }
    dial_free(dial);
    done(userdata, fd, &remote, refused);
}

static void arm(struct dial *dial, long usec)
{
    struct timeval wait = {.tv_sec = usec / (long)USEC_PER_SEC,
                           .tv_usec = usec % (long)USEC_PER_SEC};

    event_add(dial->timer, &wait);
}

/* Notes a failure; the next address need not wait. */
static void attempt_failed(struct attempt *attempt, int error)
{
    struct dial *dial = attempt->dial;

    if (attempt->event)
        event_free(attempt->event);
    attempt->event = NULL;
    if (attempt->fd >= 0)
        close(attempt->fd);
    attempt->fd = -1;
    dial->failed++;
    dial->refused = dial->refused && error == ECONNREFUSED;
    if (dial->failed == dial->count || dial->next < dial->count)
        arm(dial, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
    struct attempt *attempt = userdata;
    socklen_t size = sizeof(int);
    int error = 0;

    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error)
        attempt_failed(attempt, error);
    else
        finish(attempt->dial, attempt);
}

static int begin(struct attempt *attempt)
{
    struct sockaddr_storage to;
    socklen_t size = address_to_socket(&attempt->address, &to);

    attempt->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (attempt->fd < 0)
        return errno;
    if (connect(attempt->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
        return errno;
    attempt->event = event_new(attempt->dial->base, attempt->fd, EV_WRITE, on_writable, attempt);
    return attempt->event && event_add(attempt->event, NULL) == 0 ? 0 : ENOMEM;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
    struct dial *dial = userdata;
    struct attempt *attempt;
    int error;

    (void)fd, (void)what;
    if (dial->failed == dial->count || dial->next == dial->count) {
        if (dial->failed < dial->count)
            dial->refused = false;
        finish(dial, NULL);
        return;
    }
    attempt = &dial->attempts[dial->next++];
    arm(dial, dial->next < dial->count ? NEXT_ATTEMPT_USEC : DIAL_TIMEOUT_SEC * (long)USEC_PER_SEC);
    error = begin(attempt);
    if (error)
        attempt_failed(attempt, error);
}

struct dial *dial_new(struct event_base *base, const struct ring_address *addresses, size_t count,
                      dial_done done, void *userdata)
{
    struct dial *dial = calloc(1, sizeof(*dial));

    if (!dial)
        return NULL;
    dial->base = base;
    dial->done = done;
    dial->userdata = userdata;
    dial->refused = count > 0;
    dial->count = MIN(count, ELEMENTS(dial->attempts));
    for (size_t i = 0; i < dial->count; i++)
        dial->attempts[i] = (struct attempt){.dial = dial, .address = addresses[i], .fd = -1};
    dial->timer = evtimer_new(base, on_timer, dial);
    if (!dial->timer) {
        dial_free(dial);
        return NULL;
    }
    arm(dial, 0);
    return dial;
}
