/* Transactions: the queries that we sent, until they are answered or have
 * failed.
 *
 *     (waits ─►) sent ──reply or error──► REPLY, ERROR
 *                 ├──soft timeout──► SOFT (the query goes on; a reply counts)
 *                 └──hard timeout──► TIMEOUT
 *
 * A query waits if the pace of its address demands it (pacer.h); the timeouts
 * begin when it is sent, but SOFT comes, too, if it has waited so long. If the
 * contact is alive, and we send it so much that silence may be its limit, the
 * query waits and is sent again instead of SOFT; a custom query never is: it
 * may change something at the contact each time.
 *
 * A reply counts only if it comes from exactly the address that was asked and
 * has the expected id. Implementations that match replies by the transaction id
 * alone can be spoofed. Source: BEP 5 "KRPC Protocol". */
#ifndef KAD_RPC_RPC_H
#define KAD_RPC_RPC_H

#include "base/map.h"
#include "engine/timer.h"
#include "rpc/pacer.h"
#include "wire/message.h"

enum kad_query_event {
  KAD_QUERY_SOFT,   /* the soft timeout passed; the query goes on */
  KAD_QUERY_REPLY,  /* the message is the reply */
  KAD_QUERY_ERROR,  /* the message is the error */
  KAD_QUERY_TIMEOUT /* no reply, a malformed one, or the message, which is that
                       of another id */
};

struct kad_query;
struct kad_query_owner;

/* Receives the events of a query: SOFT at most once for each time that it was
 * sent, then one of the others, after which the query is freed. `message` is
 * NULL without one. */
typedef void (*kad_query_fn)(struct kad_node *node, struct kad_query *query,
                             enum kad_query_event event,
                             const struct kad_message *message);

struct kad_query {
  struct kad_map_entry entry; /* by transaction */
  struct kad_timer timer;
  uint32_t transaction;
  struct kad_contact to;
  bool expects_id; /* the reply must have to.id */
  bool cold;       /* we had not heard from it for KAD_HOLE_MS, as far as the
                      table knows */
  bool custom;     /* the reply may have any form */
  bool soft;       /* the soft timeout has passed */
  bool resent;     /* a reply gives no round-trip time */
  bool sent;       /* at least once */
  bool waits;      /* for its pace */
  bool unasked;    /* we had sent nothing to the host for a while */
  bool in_flight;  /* it counts for its pace: until the soft timeout */
  enum kad_query_class class;
  enum kad_method_id method;
  uint8_t tries;       /* times that it was sent because it may be limited */
  kad_time_ms sent_at; /* first */
  kad_time_ms hard_at;
  struct kad_pace *pace;          /* or NULL */
  struct kad_query *waits_before; /* the next one that waits */
  kad_query_fn handler;
  struct kad_query_owner *owner; /* or NULL */
  struct kad_query *next;        /* of the owner's */
  struct kad_query **link;       /* the pointer to this one in that list */
  uint32_t tag;                  /* the handler's */
  size_t len;                    /* bytes of `datagram` */
  uint8_t datagram[];            /* to send it later or again */
};

/* The queries of an owner, embedded in its struct; a handler finds that by
 * kad_container_of(query->owner, …). Zero-initialised there are none. */
struct kad_query_owner {
  struct kad_query *first;
  bool user;    /* an operation of the user: see pacer.h */
  bool hurried; /* SOFT comes as soon as most contacts would have answered */
};

/* A smoothed round-trip time. Source: RFC 6298. */
struct kad_rtt {
  uint32_t mean_ms; /* 0 until the first sample */
  uint32_t deviation_ms;
};

/* The transactions of a node. */
struct kad_rpc {
  struct kad_map pending; /* queries by transaction */
  struct kad_pacer pacer;
  struct kad_rtt rtt; /* of all contacts; used for unknown ones */
};

/* Initialises the transactions of a node: there are none. */
void kad_rpc_init(struct kad_node *node);

/* Frees every query without calling handlers. */
void kad_rpc_deinit(struct kad_node *node);

/* Finds out whether a query can be sent to `to`. Costs some system calls: only
 * for addresses that a user gives.
 * Returns 0, or
 *   KAD_EFAMILY   the node has no socket of that family
 *   KAD_EMARTIAN  no reply could come from this address
 *   KAD_EBLOCKED  the address is blocked
 *   KAD_ENOROUTE  no socket has a route to it */
KAD_MUST_CHECK int kad_rpc_find_route(const struct kad_node *node,
                                      const struct kad_address *to);

/* Sends `message`, a query, to `to`, now or when its pace allows it. Fills in
 * its transaction, id, version and read_only. If the id of `to` is not known,
 * any id may answer. `owner` and `query` may be NULL. `*query` is valid until
 * its last event; the caller may set its tag.
 * Returns 0, or
 *   KAD_ENOMEM    out of memory
 *   KAD_EFAMILY   the node has no socket of that family
 *   KAD_EMARTIAN  no reply could come from this address
 *   KAD_EBLOCKED  the address is blocked
 *   KAD_EBUSY     max_waiting queries wait, or no free transaction was found:
 *                 the random source is broken
 * or an error of kad_datagram_send. */
KAD_MUST_CHECK int kad_rpc_send(struct kad_node *node,
                                const struct kad_contact *to,
                                struct kad_message *message,
                                kad_query_fn handler,
                                struct kad_query_owner *owner,
                                struct kad_query **query);

/* Sends `query` again, unless it waits. The contact recognises a copy by its
 * transaction. The soft timeout starts again, the hard one does not. Returns 0,
 * or KAD_EBUSY if max_waiting queries wait. */
KAD_MUST_CHECK int kad_rpc_resend(struct kad_node *node,
                                  struct kad_query *query);

/* Separates the queries of `owner` from it: those in flight go on, and what
 * becomes of them still counts for the tables, but no handler is called. Those
 * that wait are not sent. The struct of the owner may be freed then. */
void kad_rpc_disown(struct kad_node *node, struct kad_query_owner *owner);

/* Matches a reply or error from `from` with its query, and calls the handler.
 * Counts it as unmatched if there is no such query. */
void kad_rpc_receive(struct kad_node *node, const struct kad_address *from,
                     const struct kad_message *message);

#endif
