/* The neutral message: what a datagram says, whatever its encoding. A codec
 * fills it from bytes and makes bytes of it; the engine knows nothing else.
 *
 * It is a few kilobytes, lives on the stack, and is never cleared as a whole:
 * only the parts that counts and flags declare are meaningful. Slices borrow
 * the datagram, or what the sender of the message gave. */
#ifndef KAD_WIRE_MESSAGE_H
#define KAD_WIRE_MESSAGE_H

#include "kadenza.h"

enum {
  KAD_TRANSACTION_MAX = 32, /* bytes of a transaction id that we echo */
  KAD_TOKEN_MAX = 64,       /* bytes of a write token that we accept */
  KAD_MESSAGE_CONTACTS = 64,
  KAD_MESSAGE_PEERS = 160,
  KAD_MESSAGE_ERRORS = KAD_RECORDS_PER_MESSAGE
};

enum kad_message_kind {
  KAD_MESSAGE_QUERY,
  KAD_MESSAGE_REPLY,
  KAD_MESSAGE_ERROR
};

/* The queries that the core serves itself. */
enum kad_method_id {
  KAD_METHOD_CUSTOM, /* any other; see `name` */
  KAD_METHOD_PING,
  KAD_METHOD_FIND_NODE,
  KAD_METHOD_GET_PEERS,
  KAD_METHOD_ANNOUNCE_PEER,
  KAD_METHOD_FIND_VALUE,
  KAD_METHOD_STORE
};

/* Why a record of a store was not taken. */
struct kad_record_error {
  uint32_t index;
  int code;
  struct kad_slice reason;
};

struct kad_message {
  enum kad_message_kind kind;
  struct kad_slice transaction; /* 1 … KAD_TRANSACTION_MAX bytes */
  struct kad_slice version;     /* `v`, empty for none */
  struct kad_address observed;  /* `ip`: how the other node sees us; family 0
                                   for none */
  bool read_only;               /* `ro`, BEP 43 */

  /* Queries. */
  enum kad_method_id method;
  struct kad_slice name; /* of the query, as sent */
  struct kad_slice args; /* the bencoded arguments, one dictionary. Written for
                            custom queries alone, `id` put in, and `target`
                            where it has none; empty for none */
  bool has_target;
  struct kad_id target; /* target, info_hash or key */
  bool want4, want6;    /* BEP 32; both false: the family of the sender */
  bool has_port;
  uint16_t port;     /* announce_peer; never 0 when has_port */
  bool implied_port; /* then the port that the query came from counts. Give a
                        `port` all the same: old nodes look at it alone */
  uint32_t skip;     /* find_value: values to pass over */

  /* Both ways. */
  bool has_id;
  struct kad_id id; /* the sender's */
  struct kad_slice token;
  struct kad_slice type; /* find_value, store: the record type's name */
  bool has_ttl;
  uint32_t ttl;        /* store: seconds */
  size_t record_count; /* store: to hold; find_value: held. What is read from a
                          reply has no key and no type: who asked knows them */
  struct kad_record records[KAD_RECORDS_PER_MESSAGE];

  /* Replies. */
  struct kad_slice reply; /* the bencoded reply, one dictionary. Written, `id`
                             put in, and `nodes` and `nodes6` where it has
                             none, instead of the other fields below; empty for
                             those */
  bool misfit; /* a key of the core's replies has a form that they do not give
                  it, and reads as absent. Only who asked can judge: malformed
                  unless the query was a custom one */
  bool has_nodes, has_nodes6; /* write `nodes`, `nodes6`, even if empty */
  size_t contact_count;       /* of both families */
  struct kad_contact contacts[KAD_MESSAGE_CONTACTS];
  size_t peer_count;
  struct kad_address peers[KAD_MESSAGE_PEERS];
  bool has_total;
  uint32_t total; /* find_value: values there are */
  bool has_stored;
  uint32_t stored; /* store: records taken */
  size_t error_count;
  struct kad_record_error errors[KAD_MESSAGE_ERRORS];

  /* Errors. */
  int code;
  struct kad_slice text;
};

/* Makes `message` an empty one of `kind`: every count 0, every flag false,
 * every slice empty. Leaves the arrays as they are. */
void kad_message_init(struct kad_message *message, enum kad_message_kind kind);

/* Returns the method that `name` names; KAD_METHOD_CUSTOM for any other. */
enum kad_method_id kad_method_find(struct kad_slice name);

/* Returns true if `name` has a meaning in BitTorrent's DHT that the core may
 * take up: no policy can answer it. */
bool kad_method_is_reserved(struct kad_slice name);

/* Returns the name of `method`; an empty slice for KAD_METHOD_CUSTOM. */
struct kad_slice kad_method_name(enum kad_method_id method);

#endif
