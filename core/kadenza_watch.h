/* kadenza_watch.h: file descriptors in the loop of a network.
 *
 * A program that serves something beside its nodes, such as a console or HTTP,
 * needs no second loop and no thread: the network waits for its descriptors,
 * too. Only networks of UDP sockets can. */
#ifndef KADENZA_WATCH_H
#define KADENZA_WATCH_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a watch waits for, and what is the case. */
enum {
  KAD_WATCH_READ = 1, /* a read would not block, or the peer has closed */
  KAD_WATCH_WRITE = 2 /* a write would not block */
};

struct kad_watch;

/* Calls `ready(data, events)` in each turn in which `fd` is ready for some of
 * `events`, KAD_WATCH_… values combined by |; 0: none for now. `fd` becomes
 * non-blocking, and stays the caller's, who ends the watch before closing it. A
 * descriptor that has failed is ready for both, and `ready` is not called
 * again: reading it tells the error. `ready` may end this watch and others, and
 * do anything but free the network. Sets `*watch`.
 *
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL if the system cannot wait for `fd` (it
 * is closed, a file, or watched already), or the network has no UDP sockets. */
KAD_API KAD_MUST_CHECK int kad_network_watch(
    struct kad_network *network, int fd, unsigned events,
    void (*ready)(void *data, unsigned events), void *data,
    struct kad_watch **watch);

/* Changes what a watch waits for. Returns 0, or KAD_EINVAL. */
KAD_API int kad_watch_change(struct kad_watch *watch, unsigned events);

/* Ends a watch; `ready` is not called again. NULL is allowed. The network ends
 * those that are left when it is freed. */
KAD_API void kad_watch_end(struct kad_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
