/* What all networks share: members, timers of users, and when it is safe to
 * free a node. A network of UDP sockets (udp_network.c) and a simulated one
 * (sim/sim_network.c) embed a struct kad_network and give it their methods.
 *
 *     kadenza.h ──► network.c, network_resolve.c ──► methods
 *     methods ────► network_turn.c: timers and nodes that are due
 *
 * Tested by tests/unit/net/network_test.c. */
#ifndef KAD_NET_NETWORK_H
#define KAD_NET_NETWORK_H

#include "base/map.h"
#include "base/wheel.h"
#include "kadenza_socket.h"
#include "kadenza_watch.h"
#include "net/user_timers.h"
#include "rpc/datagram.h"

enum {
  KAD_MEMBER_ADDRESSES = 8, /* addresses of a node at most */
  KAD_NAME_MAX = 255,       /* bytes of a name: RFC 1035 §2.3.4 */
  KAD_RESOLVE_MAX = 32      /* addresses of a name */
};

struct kad_member;

/* How a member's datagrams travel: sockets, virtual time, or a transport. */
struct kad_member_methods {
  /* Stops receiving. */
  void (*unbind)(struct kad_member *member);
  /* Frees an unbound member, at once or when its sockets are closed. */
  void (*release)(struct kad_member *member);
  /* `random` and `send` of the node's environment; `state` is the member. */
  void (*random)(void *state, uint8_t *out, size_t len);
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
  /* `find_route` of the node's environment; NULL: everything is reached. */
  int (*find_route)(struct kad_member *member, const struct kad_address *to);
  /* Implements kad_network_socket_stats; NULL: there are no sockets. */
  void (*stats)(const struct kad_member *member, struct kad_socket_stats *stats,
                struct kad_send_failure *failure);
};

/* A node in a network. Each kind of member embeds it in a struct of its own. */
struct kad_member {
  const struct kad_member_methods *methods;
  struct kad_network *network;
  struct kad_node *node; /* NULL until it is made */
  struct kad_map_entry entry;
  struct kad_deadline deadline;  /* of kad_node_tick */
  kad_time_ms ticked_at;         /* last; 0: never */
  struct kad_member *next;       /* in the list of members, or of leavers */
  struct kad_member *previous;   /* in the list of members */
  struct kad_member *next_dirty; /* in the list of dirty members */
  struct kad_address addresses[KAD_MEMBER_ADDRESSES]; /* as bound; via is 0 */
  size_t address_count;
  uint64_t number; /* of the members of its network, from 1; never reused */
  bool dirty;      /* its deadline may have changed */
  bool leaving;    /* closed: the node is freed when no callback runs */
  bool own_clock;  /* its clock is not the network's */
  bool simulated;  /* it is part of a struct kad_sim_member */
};

/* What a kind of network does. A method that is NULL is not supported. */
struct kad_network_methods {
  /* Frees the network, which has no member any more. */
  void (*free)(struct kad_network *network);
  /* Makes a member bound to `listen`, with `methods`, `network` and addresses
   * set. Returns 0 or an error of kad_network_open_node. */
  int (*open)(struct kad_network *network, const struct kad_address *listen,
              size_t count, struct kad_member **member);
  /* The same, on sockets that are bound already. */
  int (*adopt)(struct kad_network *network, const int *sockets, size_t count,
               struct kad_member **member);
  /* The shortest delay of a timer, and between two ticks of a node, so that
   * work that repeats at once cannot stop a virtual clock. 0 for a real one. */
  kad_time_ms shortest_ms;
  /* Returns the time of the current turn. */
  kad_time_ms (*now)(struct kad_network *network);
  /* `turn_us` of a node's environment; `state` is the member. NULL: turns take
   * no time. */
  uint32_t (*turn_us)(void *state);
  /* Reads the clock again within a turn. NULL for a virtual clock. */
  void (*refresh)(struct kad_network *network);
  /* Fills `out` with random bytes for the user. */
  void (*random)(struct kad_network *network, uint8_t *out, size_t len);
  /* Looks up the addresses of `host` (at most 255 bytes, NUL-terminated) and
   * calls `resolved` later. Returns 0, KAD_ENOMEM, or KAD_ERESOLVE, after which
   * `resolved` is not called. */
  int (*resolve)(struct kad_network *network, const char *host, uint16_t port,
                 kad_resolved_fn resolved, void *data);
  /* `resolve` and `is_own` of a node's environment; `state` is the member. */
  int (*resolve_for)(void *state, size_t name, struct kad_slice text);
  bool (*is_own)(void *state, const struct kad_address *address);
  /* Returns true if this machine has the address `ip`. NULL: it has those that
   * its members are bound to. */
  bool (*has_ip)(const struct kad_address *ip);
  /* Implements kad_network_work; NULL: there are no threads. */
  int (*work)(struct kad_network *network, void (*run)(void *data),
              void (*done)(void *data), void *data);
  /* These implement the public function of the same name. */
  int (*on_signal)(struct kad_network *network, int number,
                   void (*fire)(void *data), void *data);
  int (*watch)(struct kad_network *network, int fd, unsigned events,
               void (*ready)(void *data, unsigned events), void *data,
               struct kad_watch **watch);
  void (*run)(struct kad_network *network, kad_time_ms duration_ms);
  /* NULL where `run` reads `stopped`. */
  void (*stop)(struct kad_network *network);
  int (*fd)(const struct kad_network *network);
  int (*timeout)(const struct kad_network *network);
  void (*step)(struct kad_network *network);
  uint64_t (*trace_hash)(const struct kad_network *network);
  int64_t (*wall_clock)(const struct kad_network *network);
  /* For a member with `own_clock`: its clocks, and the network's time at which
   * its clock shows `at`. */
  kad_time_ms (*member_now)(struct kad_member *member);
  int64_t (*member_wall)(const struct kad_member *member);
  kad_time_ms (*member_due)(const struct kad_member *member, kad_time_ms at);
};

/* A network. Each kind embeds it as its first member. */
struct kad_network {
  const struct kad_network_methods *methods;
  struct kad_allocator allocator;
  struct kad_user_timers timers;
  struct kad_wheel deadlines; /* of members */
  struct kad_map by_node;     /* members, by the pointer to their node */
  struct kad_member *members;
  struct kad_member *dirty;
  struct kad_member *leavers;
  struct kad_resolved_name *resolved_names; /* for the next turn */
  struct kad_system_failure failure;        /* of the last `open` */
  struct kad_name_request *name_requests;   /* of members */
  uint64_t last_number;                     /* of a member */
  uint64_t turn;                            /* what kad_network_turn returns */
  uint64_t ticks;                           /* calls of kad_node_tick */
  unsigned depth; /* calls (into nodes, of callbacks, of hooks) that run */
  bool running;   /* inside kad_network_run or kad_network_step */
  bool stopped;   /* kad_network_run is to end */
  bool freeing;
  bool simulated; /* it is part of a struct kad_sim */
};

/* Initialises what is shared. Copies: `allocator`. */
void kad_network_init(struct kad_network *network,
                      const struct kad_network_methods *methods,
                      const struct kad_allocator *allocator);

/* Frees what is shared. The network has no member any more. */
void kad_network_deinit(struct kad_network *network);

/* Makes the node of `member`, which `methods->open` or a transport has made,
 * and adds the member to the network. If that fails, the member is released.
 * Returns 0 or an error of kad_node_new. */
KAD_MUST_CHECK int kad_network_add_member(struct kad_network *network,
                                          struct kad_member *member,
                                          const struct kad_config *config,
                                          struct kad_node **node);

/* Returns the member of `node`, or NULL. */
struct kad_member *kad_network_find_member(const struct kad_network *network,
                                           const struct kad_node *node);

/* Begins a call into a node or of a callback. */
static inline void kad_network_enter(struct kad_network *network) {
  network->depth++;
}

/* Ends it. After the outermost, frees the nodes that were closed meanwhile: a
 * member may be gone then. */
void kad_network_leave(struct kad_network *network);

/* Passes a datagram to the node of `member`. */
void kad_network_deliver(struct kad_member *member,
                         const struct kad_address *from,
                         struct kad_slice datagram);

/* Plans the dirty members by their deadlines. */
void kad_network_reschedule(struct kad_network *network);

/* Returns when a timer or a member is due; all members must be settled. */
kad_time_ms kad_network_next(const struct kad_network *network);

/* Fires the timers, or ticks the nodes, that are due at `now`. What is planned
 * meanwhile waits for the next turn. Ends early if the network is stopped. */
void kad_network_fire_due(struct kad_network *network, kad_time_ms now);
void kad_network_tick_due(struct kad_network *network, kad_time_ms now);

/* Returns true if `addresses` may be those of a member: 1 …
 * KAD_MEMBER_ADDRESSES, of family 4 or 6. */
bool kad_network_takes_addresses(const struct kad_address *addresses,
                                 size_t count);

/* Calls `run(data)` on another thread, then `done(data)` on that of the
 * network, in a turn or while the network is freed. Where there are no threads,
 * calls both at once. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_network_work(struct kad_network *network,
                                    void (*run)(void *data),
                                    void (*done)(void *data), void *data);

/* `resolve_for` of struct kad_network_methods. */
int kad_network_resolve_for(void *state, size_t name, struct kad_slice text);

/* `is_own` of struct kad_network_methods. */
bool kad_network_is_own(void *state, const struct kad_address *address);

/* Frees what kad_network_resolve_for has asked for; before kad_network_deinit.
 */
void kad_network_free_requests(struct kad_network *network);

/* Frees the names not reported yet; before kad_network_deinit. */
void kad_network_free_names(struct kad_network *network);

/* Adds `member` to the front of `list`. */
void kad_member_link(struct kad_member **list, struct kad_member *member);

/* Removes `member` from `list`. */
void kad_member_unlink(struct kad_member **list, struct kad_member *member);

/* Adds `member` to the list `dirty`, unless it is there. */
void kad_member_mark_dirty(struct kad_member **dirty,
                           struct kad_member *member);

/* Removes `member` from the list `dirty`, if it is there. */
void kad_member_clear_dirty(struct kad_member **dirty,
                            struct kad_member *member);

/* Returns the index of the address that a datagram to `to` leaves from: that of
 * `to->via`, or the first of its family. Returns -1 if there is none. */
int kad_member_source(const struct kad_member *member,
                      const struct kad_address *to);

#endif
