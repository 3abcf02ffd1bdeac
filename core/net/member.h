/* Members: the nodes of a network, with their addresses.
 *
 * A user may change the deadline of a node at any time by calling into it,
 * without the network knowing. But all that plans work reads the clock first.
 * So a member whose clock was read is `touched`, and the network asks for its
 * deadline again before it waits (network_turn.c).
 *
 * Tested by tests/unit/net/network_test.c. */
#ifndef KAD_NET_MEMBER_H
#define KAD_NET_MEMBER_H

#include "base/map.h"
#include "base/wheel.h"

enum {
  KAD_MEMBER_ADDRESSES = 8 /* addresses of a node at most */
};

struct kad_member;

/* How the datagrams of a member travel: by sockets, in virtual time, or by a
 * transport. */
struct kad_member_methods {
  /* Stops receiving. */
  void (*unbind)(struct kad_member *member);
  /* Frees an unbound member, at once or when its sockets are closed. */
  void (*release)(struct kad_member *member);
  /* `random` and `send` of the node's environment; `state` is the member. */
  void (*random)(void *state, uint8_t *out, size_t len);
  void (*send)(void *state, const struct kad_address *to,
               struct kad_slice datagram);
};

/* A node in a network. Each kind of member embeds it in a struct of its own. */
struct kad_member {
  const struct kad_member_methods *methods;
  struct kad_network *network;
  struct kad_node *node; /* NULL until it is made */
  struct kad_map_entry entry;
  struct kad_deadline deadline;    /* of kad_node_tick */
  kad_time_ms ticked_at;           /* last; 0: never */
  struct kad_member *next;         /* in the list of members, or of leavers */
  struct kad_member *previous;     /* in the list of members */
  struct kad_member *next_touched; /* in the list of touched members */
  struct kad_address addresses[KAD_MEMBER_ADDRESSES]; /* as bound; via is 0 */
  size_t address_count;
  bool touched;   /* its deadline may have changed */
  bool leaving;   /* closed: the node is freed when no callback runs */
  bool own_clock; /* its clock is not the network's */
  bool simulated; /* it is part of a struct kad_sim_member */
};

/* Adds `member` to the front of `list`. */
void kad_member_link(struct kad_member **list, struct kad_member *member);

/* Removes `member` from `list`. */
void kad_member_unlink(struct kad_member **list, struct kad_member *member);

/* Adds `member` to the list `touched`, unless it is there. */
void kad_member_touch(struct kad_member **touched, struct kad_member *member);

/* Removes `member` from the list `touched`, if it is there. */
void kad_member_untouch(struct kad_member **touched, struct kad_member *member);

/* Returns the index of the address that a datagram to `to` leaves from: that of
 * `to->via`, or the first of its family. Returns -1 if there is none. */
int kad_member_source(const struct kad_member *member,
                      const struct kad_address *to);

#endif
