/* Look-ups of names by the system's resolver, each in a thread of its own.
 *
 * The resolver (getaddrinfo) blocks for as long as its servers do not answer,
 * and cannot be stopped. A thread that is still blocked when its network ends
 * is left alone: it ends by itself later, and nothing waits for it. All that it
 * uses belongs to it or is shared and counted, and comes from
 * kad_allocator_default: the network's allocator may be gone by then.
 *
 *     start ──► thread: getaddrinfo ──► the loop is woken ──► take
 *                                  └──► freed, if the network has ended
 */
#ifndef KAD_NET_UDP_NAME_LOOKUP_H
#define KAD_NET_UDP_NAME_LOOKUP_H

#include "net/network.h"

#include <uv.h>

enum {
  KAD_NAME_THREADS_MAX = 64, /* of a network */
  KAD_NAME_LOOKUP_MS = 15000 /* after which a name has failed */
};

/* What the threads of a network share with it. */
struct kad_name_lookups;

/* A look-up. When it has ended, the thread does not use it any more. */
struct kad_name_lookup {
  struct kad_name_lookups *lookups;
  struct kad_name_lookup *next;
  char host[KAD_NAME_MAX + 1];
  int status; /* as of kad_resolved_fn */
  size_t count;
  struct kad_address addresses[KAD_RESOLVE_MAX]; /* without ports */
  bool ended;                                    /* it was taken */
};

/* Makes the look-ups of a network. A thread wakes the loop of `async`, which
 * the caller has initialised. Returns NULL when out of memory. */
struct kad_name_lookups *kad_name_lookups_new(uv_async_t *async);

/* Ends the look-ups of a network: `async` is not used any more, and may be
 * closed. Threads that still run are left alone. Ignores NULL. */
void kad_name_lookups_free(struct kad_name_lookups *lookups);

/* Starts a look-up of `host`, of at most KAD_NAME_MAX bytes. Returns 0, or
 *   KAD_ENOMEM  out of memory
 *   KAD_EBUSY   too many threads run, or the system gives none */
KAD_MUST_CHECK int kad_name_lookup_start(struct kad_name_lookups *lookups,
                                         const char *host,
                                         struct kad_name_lookup **lookup);

/* Returns a look-up that has ended, or NULL. Free with kad_name_lookup_free. */
struct kad_name_lookup *kad_name_lookup_take(struct kad_name_lookups *lookups);

/* Gives a look-up back that was taken: the next kad_name_lookup_take returns
 * it, and the loop is woken. */
void kad_name_lookup_give_back(struct kad_name_lookups *lookups,
                               struct kad_name_lookup *lookup);

/* Frees a look-up that was taken. Ignores NULL. */
void kad_name_lookup_free(struct kad_name_lookup *lookup);

/* Copies the distinct addresses of `info`, at most KAD_RESOLVE_MAX, in their
 * order. If there are more, both families have a share. Returns the number. */
size_t kad_name_addresses(const struct addrinfo *info,
                          struct kad_address addresses[KAD_RESOLVE_MAX]);

#endif
