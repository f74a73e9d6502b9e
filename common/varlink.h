#pragma once

/* The messages of the Varlink protocol (https://varlink.org): calls, replies and errors as JSON
 * objects, for both sides. No sockets: json-stream.h cuts the bytes, who uses this moves them. */

#include <json-c/json.h>
#include <stdbool.h>

#include "common/idl.h"
#include "common/json-stream.h"

#define VARLINK_INTERFACE "org.ringchat"

/* ---- the interface ---- */

/* The text of the interface org.ringchat, as common/ringchat.varlink has it. */
extern const char varlink_interface_text[];

/* That text, parsed; to be freed with idl_free(). NULL: out of memory. */
struct idl *varlink_interface_new(void);

/* ---- calls ---- */

struct varlink_call {
    struct json_object *message;    /* owned: the other fields point into it */
    const char *method;             /* "org.ringchat.Send" */
    struct json_object *parameters; /* an object; NULL: there are none */
    bool more;                      /* the caller takes several replies */
    bool oneway;                    /* the caller takes none */
};

/* A call to be sent. `parameters` are taken over and may be NULL. NULL: out of memory. */
struct json_object *varlink_call_new(const char *method, struct json_object *parameters, bool more);

/* Reads a call. 0: `ret` owns `message`. -EBADMSG: no call, with a sentence in `ret_reason`;
 * `message` stays the caller's. */
int varlink_call_parse(struct json_object *message, struct varlink_call *ret,
                       const char **ret_reason);
void varlink_call_done(struct varlink_call *call);

/* ---- replies ---- */

struct varlink_reply {
    struct json_object *message;    /* owned: the other fields point into it */
    const char *error;              /* "org.ringchat.NotInRing", or NULL */
    struct json_object *parameters; /* an object; NULL: there are none */
    bool continues;                 /* more replies to the same call follow */
};

/* A reply to be sent. `parameters` are taken over and may be NULL. NULL: out of memory. */
struct json_object *varlink_reply_new(struct json_object *parameters, bool continues);
struct json_object *varlink_error_new(const char *error, struct json_object *parameters);

/* As varlink_call_parse(). */
int varlink_reply_parse(struct json_object *message, struct varlink_reply *ret,
                        const char **ret_reason);
void varlink_reply_done(struct varlink_reply *reply);

/* ---- bytes ---- */

/* The text of a message, without the byte that ends it: the shortest form, keys in their order.
 * Valid until the object changes or goes. NULL: out of memory. */
const char *varlink_text(struct json_object *message, size_t *ret_size);
