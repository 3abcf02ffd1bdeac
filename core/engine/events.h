/* Events: what lower rooms report to higher ones. A room calls only functions
 * of its own and of lower rooms. Where it has to tell a higher one that
 * something happened, it emits an event:
 *
 *     node->events->contact_failed(node, &contact);
 *
 * node/events.c sets the functions. They run at once, before the event returns,
 * and none is NULL. Add an event here, with the room that emits it, and what it
 * does to node/events.c. */
#ifndef KAD_ENGINE_EVENTS_H
#define KAD_ENGINE_EVENTS_H

#include "kadenza.h"

struct kad_events {
  /* From engine. The machine was suspended. */
  void (*resumed)(struct kad_node *node);

  /* From rpc. `contact` answered a query after `rtt_ms`; if `cold`, the query
   * had no hole of a NAT to come through. */
  void (*contact_answered)(struct kad_node *node,
                           const struct kad_contact *contact, uint32_t rtt_ms,
                           bool cold);

  /* From rpc. The host at `from`, to which we had sent nothing for a while,
   * answered a query that no user asked for. */
  void (*unasked_answered)(struct kad_node *node,
                           const struct kad_address *from);

  /* From rpc and operations. `contact` left a query unanswered, or its reply is
   * malformed or has a bad signature, or another id answered. */
  void (*contact_failed)(struct kad_node *node,
                         const struct kad_contact *contact);

  /* From rpc. Another id answers at the address of `contact`, which has left
   * its table. */
  void (*contact_replaced)(struct kad_node *node,
                           const struct kad_contact *contact);

  /* From rpc. `reporter`, which answered a query, sees us at `observed`; its
   * family is 0 if the reply does not say. */
  void (*address_observed)(struct kad_node *node,
                           const struct kad_contact *reporter,
                           const struct kad_address *observed);

  /* From membership. We have moved to another id. */
  void (*id_moved)(struct kad_node *node);

  /* From membership. No stranger reaches us over a family: there we are
   * read-only from now on. */
  void (*became_read_only)(struct kad_node *node);

  /* From membership. It is time to join again through the `known` addresses. */
  void (*rejoin_due)(struct kad_node *node, const struct kad_address *known,
                     size_t count);

  /* From membership. A bootstrap name has been resolved, or has failed: then
   * `count` is 0. */
  void (*name_resolved)(struct kad_node *node,
                        const struct kad_address *addresses, size_t count);

  /* From membership. `contact` has become a neighbour. */
  void (*neighbour_joined)(struct kad_node *node,
                           const struct kad_contact *contact);

  /* From membership. `contact`, which was a neighbour, is none any more. */
  void (*neighbour_left)(struct kad_node *node,
                         const struct kad_contact *contact);

  /* From replication. A record is due: stores it at its k closest, within the
   * store budget; if it is our `publication`, here as well. Returns 0, after
   * which `done` is called once, or the error of kad_node_put. */
  int (*republish)(struct kad_node *node, const struct kad_record *record,
                   bool publication, kad_done_fn done, void *data);
};

#endif
