/* kadenza_names.h: names, and those through which a node joins. kadenza.h
 * includes it.
 *
 * A bootstrap name is a text "host:port". It stays with its node, and each join
 * resolves it again, so that a node follows a name whose address changes, and
 * joins when a name server that was missing is there. Joins that fail repeat
 * with back-off, and the names with them.
 *
 *     const struct kad_slice names[] = {kad_slice_of("dht.example:6881")};
 *     error = kad_network_bootstrap(network, node, names, 1, done, data, NULL);
 *
 * An environment of one's own (struct kad_env) may set two functions. `resolve`
 * begins to resolve the name `name`, a number, and returns 0 or an error; later
 * it calls kad_node_name_resolved. `is_own` tells whether an address is one of
 * the node itself, which does not join through it. */
#ifndef KADENZA_NAMES_H
#define KADENZA_NAMES_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_NAMES_MAX = 64,         /* names of a node */
  KAD_NAME_TEXT_MAX = 261,    /* bytes of "host:port" */
  KAD_NAME_ADDRESSES_MAX = 32 /* addresses of a name that are used */
};

/* Is called once, unless the network is freed before, with up to 32 addresses
 * of a name, or with status KAD_ERESOLVE: there is no such name, or
 * KAD_ETIMEOUT: no name server answers, or KAD_ESYSTEM: too many open files.
 * Borrowed during the call. */
typedef void (*kad_resolved_fn)(void *data, int status,
                                const struct kad_address *addresses,
                                size_t count);

/* Resolves "host:port" without blocking, by the system's resolver; in a
 * simulated network the host must be an address. Calls `resolved`, never from
 * inside this call.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL for a text without a port. */
KAD_API KAD_MUST_CHECK int kad_network_resolve(struct kad_network *network,
                                               struct kad_slice text,
                                               kad_resolved_fn resolved,
                                               void *data);

/* A bootstrap name of a node. */
struct kad_name_info {
  struct kad_slice text;
  /* Of the latest resolution: 0; KAD_EBUSY: the first one has not ended;
   * KAD_ERESOLVE: no such name; KAD_ETIMEOUT: no name server answers;
   * KAD_ESYSTEM: too many open files. */
  int status;
  /* Those of the latest resolution that succeeded. */
  const struct kad_address *addresses;
  size_t count;
};

/* Joins like kad_node_bootstrap, through addresses and names. All are tried at
 * once: a name that does not resolve delays nothing else. The node keeps the
 * latest KAD_NAMES_MAX names of all calls.
 * Returns 0, an error of kad_node_bootstrap, or
 *   KAD_EINVAL  the node is of another network, or a text has no port or is
 *               malformed: see kad_network_check_name
 * Ends like kad_node_bootstrap, or with
 *   KAD_ERESOLVE  no name could be resolved, and there was no address */
KAD_API KAD_MUST_CHECK int kad_network_bootstrap(struct kad_network *network,
                                                 struct kad_node *node,
                                                 const struct kad_slice *texts,
                                                 size_t count, kad_done_fn done,
                                                 void *data,
                                                 kad_operation_id *operation);

/* Checks "host:port" without resolving it. A host is an address, or a name of
 * at most 255 printable ASCII bytes. Returns 0 or KAD_EINVAL. */
KAD_API int kad_network_check_name(struct kad_slice text);

/* Adds a name to those of the node, unless it has it. For an environment of
 * one's own: kad_network_bootstrap does it. Copies: `text`.
 * Returns 0, or
 *   KAD_EINVAL    the text is empty, or longer than KAD_NAME_TEXT_MAX
 *   KAD_ENOMEM    out of memory
 *   KAD_EBUSY     all names that there is room for are being resolved
 *   KAD_ERESOLVE  the environment cannot resolve names */
KAD_API KAD_MUST_CHECK int kad_node_add_name(struct kad_node *node,
                                             struct kad_slice text);

/* Tells the node what the environment has found for the name `index`, after
 * kad_env.resolve has returned 0. `status` is as in kad_name_info. Copies:
 * `addresses`, at most KAD_NAME_ADDRESSES_MAX. Not from inside `resolve`. */
KAD_API void kad_node_name_resolved(struct kad_node *node, size_t index,
                                    int status,
                                    const struct kad_address *addresses,
                                    size_t count);

/* Sets `*info` to the name `index`, from 0. It borrows the node until the next
 * call that may change it. Returns false if there is no such name. */
KAD_API bool kad_node_name(const struct kad_node *node, size_t index,
                           struct kad_name_info *info);

/* Calls `changed` when the first resolution of a name has ended, and when a
 * later one has another status or other addresses. NULL: nothing is called.
 * `changed` may do what a callback of an operation may. */
KAD_API void kad_node_watch_names(struct kad_node *node,
                                  void (*changed)(void *data, size_t index),
                                  void *data);

/* Tells whether the node can send queries to an address. Returns 0, or
 *   KAD_EOWNID    it is an address of the node itself
 *   KAD_EFAMILY   the node has no socket of its family
 *   KAD_EMARTIAN  it is a local address, and `allow_local` is off, or no
 *                 address of another node
 *   KAD_EBLOCKED  it is blocked
 *   KAD_ENOROUTE  no socket of the node has a route to it now */
KAD_API int kad_node_check_address(const struct kad_node *node,
                                   const struct kad_address *address);

#ifdef __cplusplus
}
#endif

#endif
