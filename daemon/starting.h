#pragma once

/* A start that takes long: the upgrade, or the check, of a large history. The journal (or a bar on
 * a terminal) and systemd are told how far it is, and so is a file beside the control socket, which
 * is not there yet: ringchatctl finds it locked as long as the start is under way, and says so in
 * place of "ringchatd is not running". */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "journal.h"
#include "store-progress.h"

struct starting {
    uint64_t begun;    /* monotonic µs; 0: nothing has taken time yet */
    uint64_t shown_at; /* monotonic µs, when systemd was told last */
    enum store_work work;
    int percent;
    bool told;        /* to the journal, */
    int logged;       /* with this percent */
    bool bar;         /* there is one on the terminal */
    bool stopped;     /* by a signal */
    sigset_t signals; /* that were blocked before */
    char *path;       /* of the file; NULL: there is none */
    int fd;
};

/* From here on until it is over a signal to stop waits, and ends what takes long. */
void starting_begin(struct starting *starting);

/* To be called often meanwhile. `socket_path`: as the option, may be NULL. False: it is to stop. */
bool starting_working(struct starting *starting, const char *socket_path, struct journal *journal,
                      enum store_work work, int percent);

/* The start is over, well or not; removes the file. */
void starting_done(struct starting *starting);
