#pragma once

/* Where the daemon keeps its state and its control socket, if nothing says otherwise. */

/* The state directory, made if it is not there; to be freed. `given` (may be NULL) wins, then
 * systemd's $STATE_DIRECTORY, then /var/lib/ringchat for root, then $XDG_STATE_HOME/ringchat. 0, or
 * a negative errno with a sentence in `ret_error` (to be freed). */
int paths_state(const char *given, char **ret, char **ret_error);

/* The control socket's path, its directory made if it is not there; to be freed. `given` (may be
 * NULL) wins, then systemd's $RUNTIME_DIRECTORY, then /run/ringchat for root, then
 * $XDG_RUNTIME_DIR/ringchat. Errors as above. */
int paths_socket(const char *given, char **ret, char **ret_error);
