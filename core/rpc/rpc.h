/* Transactions: queries that we sent, until they are answered or given up.
 *
 *     sent ──reply or error from the endpoint asked──► REPLY, ERROR
 *      ├──soft timeout──► SOFT (still waiting; a reply still counts)
 *      └──hard timeout──► TIMEOUT
 *
 * A reply counts only from the exact endpoint asked and with the id expected.
 * Source: BEP 5 "KRPC Protocol"; features of others that match by transaction
 * id alone are how they are spoofed. */
#ifndef KAD_RPC_RPC_H
#define KAD_RPC_RPC_H

#include "base/map.h"
#include "engine/timer.h"
#include "wire/message.h"

enum kad_query_event {
  KAD_QUERY_SOFT,    /* slow; the query goes on */
  KAD_QUERY_REPLY,   /* the message is the reply */
  KAD_QUERY_ERROR,   /* the message is the error */
  KAD_QUERY_TIMEOUT, /* nobody answered, or with another id, or with nonsense */
};

struct kad_query;
struct kad_query_owner;

/* Told what becomes of a query: SOFT, at most once for each time it was sent,
 * then one of the others, after which the query is gone. `message` is NULL but
 * for REPLY and ERROR. */
typedef void (*kad_query_fn)(struct kad_node *node, struct kad_query *query,
                             enum kad_query_event event,
                             const struct kad_message *message);

struct kad_query {
  struct kad_map_entry entry; /* by transaction */
  struct kad_timer timer;
  uint32_t transaction;
  struct kad_contact to;
  bool expects_id; /* the answer must come from to.id */
  bool custom;     /* its reply may have any form */
  bool soft;       /* the soft timeout has passed */
  bool resent;     /* its time says nothing of the round trip */
  kad_time_ms sent_at;
  kad_time_ms hard_at;
  kad_query_fn handler;
  struct kad_query_owner *owner; /* or NULL */
  struct kad_query *next;        /* of the owner's */
  struct kad_query **link;       /* the pointer to this one in that list */
  uint32_t tag;                  /* the handler's */
};

/* The queries of an owner, embedded in its struct; a handler finds that by
 * kad_container_of(query->owner, …). Zero-initialised there are none. */
struct kad_query_owner {
  struct kad_query *first;
};

/* A smoothed round-trip time, as RFC 6298 has it. */
struct kad_rtt {
  uint32_t mean_ms; /* 0 until the first sample */
  uint32_t deviation_ms;
};

/* The transactions of a node. */
struct kad_rpc {
  struct kad_map pending;
  struct kad_rtt rtt; /* over all contacts: for those not yet known */
};

/* Begins without any query. */
void kad_rpc_init(struct kad_node *node);

/* Frees every query without telling anybody. */
void kad_rpc_deinit(struct kad_node *node);

/* Returns true if the id of `contact` names it. All zero, it stands for an id
 * that we do not know: a stranger who claims it is nobody. */
bool kad_rpc_is_named(const struct kad_contact *contact);

/* Sends `message` (a query; its transaction, id, version and read_only are
 * filled in here) to `to`. When `to` is not named, any id may answer. The
 * caller may set the tag of `*query`.
 * Returns 0, KAD_ENOMEM, KAD_EFAMILY when we have no socket of that family,
 * KAD_EMARTIAN for an address that we would not hear an answer of, or what the
 * codec says: KAD_ETOOBIG or KAD_EINVAL. `*query` may be NULL. */
KAD_MUST_CHECK int kad_rpc_send(struct kad_node *node,
                                const struct kad_contact *to,
                                struct kad_message *message,
                                kad_query_fn handler,
                                struct kad_query_owner *owner,
                                struct kad_query **query);

/* Sends `message`, which says the same as before, once more as `query`: whoever
 * has the first one already knows it by its transaction. The soft timeout
 * begins anew, the hard one does not. Returns 0, or what kad_rpc_send does. */
KAD_MUST_CHECK int kad_rpc_resend(struct kad_node *node,
                                  struct kad_query *query,
                                  struct kad_message *message);

/* Gives up a query; nobody is told. */
void kad_rpc_cancel(struct kad_node *node, struct kad_query *query);

/* Separates the queries of `owner` from it: they go on, and what becomes of
 * them still counts for the tables, but no handler is called. The struct of the
 * owner may be freed then. */
void kad_rpc_disown(struct kad_query_owner *owner);

/* Matches a reply or error with its query, and tells the handler. */
void kad_rpc_receive(struct kad_node *node, const struct kad_address *from,
                     const struct kad_message *message);

#endif
