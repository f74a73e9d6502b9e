#include "pager.h"

#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t pager_start(const struct context *context)
{
    const char *pager = getenv("PAGER");
    int ends[2];
    pid_t child;

    if (!context->terminal || context->no_pager || context->json)
        return -1;
    if (!pager || !*pager)
        pager = "less";
    if (pipe(ends) < 0)
        return -1;
    child = fork();
    if (child == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        /* As systemd's tools have it: quit if one screen, colours pass, long lines are cut. */
        setenv("LESS", "FRSXMK", 0);
        execlp("sh", "sh", "-c", pager, NULL);
        _exit(127);
    }
    if (child > 0) {
        dup2(ends[1], STDOUT_FILENO);
        /* Who leaves the pager has seen enough; a write tells that it is gone. */
        signal(SIGPIPE, SIG_IGN);
    }
    close(ends[0]);
    close(ends[1]);
    return child;
}

void pager_end(pid_t child)
{
    if (child < 0)
        return;
    /* What nobody wants to see is no failure. */
    if (fflush(stdout) != 0)
        __fpurge(stdout);
    close(STDOUT_FILENO);
    waitpid(child, NULL, 0);
}
