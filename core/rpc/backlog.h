/* The backlog: work for other nodes that waits for its turn. Who has much work
 * waits for it alone: the subnets that have some take turns, and so do the
 * addresses of a subnet, each with one item at a time, the oldest first.
 *
 *     struct thing {
 *       struct kad_backlog_item item;
 *       …
 *     };
 *     thing->item.resume = resume_thing;
 *     thing->item.refuse = refuse_thing;
 *     error = kad_backlog_add(&backlog, &from, &thing->item, KAD_BACKLOG_NEW,
 *                             &refused);
 *
 * At most KAD_BACKLOG_MAX items wait. Then the newest one of the address that
 * has the most, in the subnet that has the most, is refused: a flood takes no
 * place from others. The order depends on the calls only. */
#ifndef KAD_RPC_BACKLOG_H
#define KAD_RPC_BACKLOG_H

#include "base/map.h"

enum {
  KAD_BACKLOG_MAX = 512
};

struct kad_backlog_item;
struct kad_backlog_party;

typedef void (*kad_backlog_fn)(struct kad_node *node,
                               struct kad_backlog_item *item);

/* Something that waits, embedded in a struct of its owner. When it waits no
 * more, one of its functions runs, once. */
struct kad_backlog_item {
  struct kad_backlog_item *next;
  kad_backlog_fn resume; /* does the work */
  kad_backlog_fn refuse; /* there is no room for it, or the node closes */
};

/* Addresses, or subnets, in the order of their turns. */
struct kad_backlog_turns {
  struct kad_backlog_party *first;
  struct kad_backlog_party *last;
};

struct kad_backlog {
  struct kad_allocator allocator;
  struct kad_map parties; /* subnets and addresses, by their bytes */
  struct kad_backlog_turns subnets;
  size_t count;
  bool allow_local; /* local addresses count by themselves, not by subnet */
};

/* Where an item waits among those of its address. */
enum kad_backlog_place {
  KAD_BACKLOG_NEW,  /* behind the others */
  KAD_BACKLOG_BEGUN /* before them: it had its turn, but has not ended */
};

/* Begins empty. Copies: `allocator`, `secret` of KAD_MAP_SECRET_SIZE bytes. */
void kad_backlog_init(struct kad_backlog *backlog,
                      const struct kad_allocator *allocator,
                      const uint8_t *secret, bool allow_local);

/* Frees the memory. Nothing waits any more. */
void kad_backlog_deinit(struct kad_backlog *backlog);

/* Lets `item` of `from` wait. Sets `*refused` to the item that leaves for it,
 * which the caller refuses, or to NULL. Returns 0, or, with nothing changed,
 *   KAD_EFULL   no other address has more items
 *   KAD_ENOMEM  out of memory */
KAD_MUST_CHECK int kad_backlog_add(struct kad_backlog *backlog,
                                   const struct kad_address *from,
                                   struct kad_backlog_item *item,
                                   enum kad_backlog_place place,
                                   struct kad_backlog_item **refused);

/* Takes the item whose turn it is; NULL if nothing waits. */
struct kad_backlog_item *kad_backlog_take(struct kad_backlog *backlog);

#endif
