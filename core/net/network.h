/* What the networks share: members (nodes with their addresses), users' timers,
 * and when it is safe to free a node.
 *
 *     kadenza.h ──► network.c ──► methods: udp.c, sim.c
 *                       ▲             │
 *                       └─ kad_member_receive, kad_network_tick_due, …
 *
 * The deadline of a node may move whenever somebody calls into it, and a user
 * does so without asking the network. But whatever plans something reads the
 * clock first: a member whose clock was read is `touched`, and its deadline is
 * asked again before the network waits. */
#ifndef KAD_NET_NETWORK_H
#define KAD_NET_NETWORK_H

#include "base/map.h"
#include "base/wheel.h"
#include "net/user_timers.h"

enum {
  KAD_MEMBER_ADDRESSES = 8,        /* addresses of a node at most */
  KAD_NETWORK_DATAGRAM_MAX = 1500, /* longer datagrams are not sent */
  KAD_RESOLVE_MAX = 16             /* addresses of a name */
};

/* A node in a network. A network embeds it in a struct of its own. */
struct kad_member {
  struct kad_network *network;
  struct kad_node *node; /* NULL until it is made */
  struct kad_map_entry entry;
  struct kad_deadline deadline;    /* when the node is to be ticked */
  kad_time_ms ticked_at;           /* it was ticked last; 0 for never */
  struct kad_member *next;         /* in the list of members, or of leavers */
  struct kad_member *back;         /* in the list of members */
  struct kad_member *next_touched; /* in the list of touched ones */
  struct kad_address addresses[KAD_MEMBER_ADDRESSES]; /* as bound; via is 0 */
  size_t address_count;
  bool touched;   /* its deadline is to be asked again */
  bool leaving;   /* closed: the node is freed when no callback runs */
  bool carried;   /* it has no sockets: see carrier.h */
  bool own_clock; /* `member_now`, `member_wall` and `due` are to be asked */
};

/* What one kind of network does. `member` is one that its `open` made. */
struct kad_network_methods {
  /* Frees the network; there is no member left. */
  void (*free)(struct kad_network *network);
  /* Makes a member, bound to `listen`; `next`, `node` and the like are the
   * caller's to fill in. Returns 0 or what kad_network_open_node does. */
  int (*open)(struct kad_network *network, const struct kad_address *listen,
              size_t count, struct kad_member **member);
  /* Stops receiving: nothing is heard of the addresses from now on. */
  void (*unbind)(struct kad_member *member);
  /* Frees an unbound member, now or when its sockets allow it. */
  void (*release)(struct kad_member *member);
  /* The least that a timer waits, and a node between two ticks, so that what is
   * done at once, again and again, cannot keep the clock from going on. 0 where
   * it goes on by itself. */
  kad_time_ms shortest_ms;
  /* Returns the time of the present turn. */
  kad_time_ms (*now)(struct kad_network *network);
  /* Reads the clock again amid a turn; NULL where it stands still. */
  void (*refresh)(struct kad_network *network);
  /* Gives the user random bytes. */
  void (*random)(struct kad_network *network, uint8_t *out, size_t len);
  /* Looks up the address of `host` (at most 255 bytes, a NUL behind) and calls
   * kad_network_resolved. NULL where there are no names. Returns 0,
   * KAD_ENOMEM or KAD_ERESOLVE. */
  int (*resolve)(struct kad_network *network, const char *host, uint16_t port,
                 kad_resolved_fn found, void *data);
  /* As the public functions; NULL does nothing. */
  int (*on_signal)(struct kad_network *network, int number,
                   void (*fire)(void *data), void *data);
  void (*run)(struct kad_network *network, kad_time_ms duration_ms);
  void (*stop)(struct kad_network *network);
  int (*fd)(const struct kad_network *network);
  int (*timeout)(const struct kad_network *network);
  void (*step)(struct kad_network *network);
  uint64_t (*trace_hash)(const struct kad_network *network);
  /* Returns the seconds since 1970 UTC. */
  int64_t (*wall_clock)(const struct kad_network *network);
  /* The node's environment; `state` is its member. */
  void (*member_random)(void *state, uint8_t *out, size_t len);
  /* For a member with its own clock: what its clocks show, and when in the
   * network's time its deadline `at` will have come. */
  kad_time_ms (*member_now)(struct kad_member *member);
  int64_t (*member_wall)(const struct kad_member *member);
  kad_time_ms (*due)(const struct kad_member *member, kad_time_ms at);
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
};

/* What is the same in every network, which embeds it as its first part. */
struct kad_network {
  const struct kad_network_methods *methods;
  struct kad_allocator allocator;
  struct kad_user_timers timers;
  struct kad_wheel deadlines; /* of members */
  struct kad_map by_node;     /* members by the address of their node */
  struct kad_member *members;
  struct kad_member *touched;
  struct kad_member *leavers;
  struct kad_resolved_name *answered_names; /* waiting to be told, a list */
  uint64_t turn;  /* counts what kad_network_turn says */
  uint64_t ticks; /* nodes ticked so far */
  unsigned depth; /* nodes, callbacks and hooks that are being called */
  bool running;   /* inside kad_network_run or kad_network_step */
  bool stopped;   /* kad_network_run is to end */
  bool freeing;
};

/* Prepares what is shared. */
void kad_network_init(struct kad_network *network,
                      const struct kad_network_methods *methods,
                      const struct kad_allocator *allocator);

/* Frees what is shared. There is no member left. */
void kad_network_deinit(struct kad_network *network);

/* Forgets the resolutions that were not told yet. */
void kad_network_forget_names(struct kad_network *network);

/* Returns the member of `node`, or NULL. */
struct kad_member *kad_network_find_member(const struct kad_network *network,
                                           const struct kad_node *node);

/* Says that a call into a node or of a callback begins. */
static inline void kad_network_enter(struct kad_network *network) {
  network->depth++;
}

/* Says that it has ended. Frees the nodes closed meanwhile after the outermost
 * one: a member may be gone then. */
void kad_network_leave(struct kad_network *network);

/* Notes that the deadline of `member` may have moved. */
void kad_member_touch(struct kad_member *member);

/* Takes `member` off the list of those, if it is there. */
void kad_member_untouch(struct kad_member *member);

/* Gives the member's node a datagram, as kad_node_receive. */
void kad_member_receive(struct kad_member *member,
                        const struct kad_address *from,
                        struct kad_slice datagram);

/* Returns the index of the address that a datagram to `to` leaves from:
 * that of `to->via`, or the first of its family. -1 when there is none. */
int kad_member_way(const struct kad_member *member,
                   const struct kad_address *to);

/* Asks the touched members for their deadlines. */
void kad_network_settle(struct kad_network *network);

/* Returns when a timer or a member's deadline is due, if all is settled. */
kad_time_ms kad_network_next(const struct kad_network *network);

/* Fires the timers that are due at `now`, then ticks the nodes that are; those
 * that come due meanwhile wait for the next turn. Ends early when stopped. */
void kad_network_fire_due(struct kad_network *network, kad_time_ms now);
void kad_network_tick_due(struct kad_network *network, kad_time_ms now);

#endif
