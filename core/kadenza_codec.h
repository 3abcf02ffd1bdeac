/* kadenza_codec.h: the neutral message, and the interface of encodings, for an
 * application with an encoding of its own.
 *
 * Fill in a `struct kad_codec` and set `codec` of `struct kad_config`, or of
 * `struct kad_policy`, to it. Without one, a node speaks KRPC. */
#ifndef KADENZA_CODEC_H
#define KADENZA_CODEC_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_TRANSACTION_MAX = 32, /* bytes of a transaction id that a node echoes */
  KAD_TOKEN_MAX = 64,       /* bytes of a write token that a node accepts */
  KAD_WHY_MAX = 32,         /* bytes of `why` in a store */
  KAD_MESSAGE_CONTACTS = 64,
  KAD_MESSAGE_PEERS = 160,
  KAD_MESSAGE_ERRORS = KAD_RECORDS_PER_MESSAGE
};

/* Kind of a datagram. */
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
  KAD_METHOD_STORE,
  KAD_METHOD_GET,              /* BEP 44 */
  KAD_METHOD_PUT,              /* BEP 44 */
  KAD_METHOD_SAMPLE_INFOHASHES /* BEP 51 */
};

/* Why a record of a store was rejected. */
struct kad_record_error {
  uint32_t index; /* of the record in the store, from 0 */
  int code;
  struct kad_slice reason;
};

/* The neutral message: the content of a datagram, whatever its encoding. A
 * codec converts between it and bytes; the engine knows nothing else.
 *
 * It takes about 11 KiB, lives on the stack, and is never cleared as a whole:
 * of an array, only the items that its count includes are set. Slices borrow
 * the datagram, or memory of the sender of the message. */
struct kad_message {
  enum kad_message_kind kind;
  struct kad_slice transaction; /* 1 … KAD_TRANSACTION_MAX bytes */
  struct kad_slice version;     /* `v`; empty: none */
  struct kad_address observed;  /* `ip`: the receiver's address, as the sender
                                   sees it; family 0: none */
  bool read_only;               /* `ro`, BEP 43 */

  /* Queries. */
  enum kad_method_id method;
  struct kad_slice name; /* of the query, as sent */
  struct kad_slice args; /* the bencoded arguments, one dictionary; empty: none.
                            Encoded for custom queries only, with `id` added,
                            and with `target` added if it has none */
  bool has_target;
  struct kad_id target; /* target, info_hash or key */
  bool want4, want6;    /* BEP 32; both false: the sender's family */
  bool has_port;
  uint16_t port;     /* announce_peer; never 0 if has_port */
  bool implied_port; /* the peer's port is the one that the query came from. Set
                        `port` too: old nodes read only that */
  uint32_t skip;     /* find_value: number of values to skip */
  bool seed;   /* announce_peer: the peer has all of the torrent. BEP 33 */
  bool scrape; /* get_peers: Bloom filters are wanted. BEP 33 */
  bool noseed; /* get_peers: peers that are no seeds are wanted. BEP 33 */
  bool has_cas;
  int64_t cas; /* put: the sequence number of the item to replace. BEP 44 */

  /* Queries and replies. */
  bool has_id;
  struct kad_id id;       /* the sender's */
  struct kad_slice token; /* of an error, too: the sender of the query sends it
                             again with this token, if that is a custom one */
  struct kad_slice type;  /* find_value, store: name of the record type */
  bool has_ttl;
  uint32_t ttl;         /* store: seconds */
  struct kad_slice why; /* store: "republish", "handoff" or "cache"; empty or
                           anything else: a new record */
  bool has_seq;
  int64_t seq;         /* get: the value is wanted if its sequence number is
                          higher; reply to get: that of the item held, with or
                          without the item. BEP 44 */
  size_t record_count; /* store: to be held; find_value: held; put, and reply
                          to get: 1, the item. Records of a decoded reply, and
                          of a put, have no key and type: they are those of the
                          query, and follow from the item. The value of an item
                          is bencoded: any bencoded value in its only form. An
                          item without publisher is immutable */
  struct kad_record records[KAD_RECORDS_PER_MESSAGE];

  /* Replies. */
  struct kad_slice reply; /* the bencoded reply, one dictionary; empty: none. If
                             it is set, it is encoded in place of the fields
                             below, with `id` added, and with `nodes` and
                             `nodes6` added if it has none */
  bool malformed;         /* a field of the core's replies has another form than
                                    theirs, and reads as absent. The reply is malformed
                                    unless the query was a custom one */
  bool has_item; /* the record is an item of BEP 44, in the reply to a get; not
                    set for a put */
  bool has_nodes, has_nodes6; /* encode `nodes`, `nodes6`, even if empty */
  size_t contact_count;       /* of both families */
  struct kad_contact contacts[KAD_MESSAGE_CONTACTS];
  size_t peer_count;
  struct kad_address peers[KAD_MESSAGE_PEERS];
  bool has_total;
  uint32_t total; /* find_value: number of values held */
  bool has_next;
  uint32_t next; /* find_value: number of values to skip for the next page; has
                    more than those of this page if some were left out */
  bool has_stored;
  uint32_t stored; /* store: number of records accepted */
  size_t error_count;
  struct kad_record_error errors[KAD_MESSAGE_ERRORS];
  struct kad_slice seed_filter; /* scrape: KAD_FILTER_SIZE bytes, a Bloom filter
                                   of the addresses of seeds; empty: none */
  struct kad_slice peer_filter; /* the same for peers that are no seeds */
  bool has_interval;
  uint32_t interval; /* sample_infohashes: seconds until other samples are
                        given. BEP 51 */
  bool has_num;
  uint32_t num; /* sample_infohashes: number of infohashes held. BEP 51 */
  bool has_samples;
  struct kad_slice samples; /* sample_infohashes: keys with peers, one after the
                               other, each as long as an id. BEP 51 */

  /* Errors. */
  int code;
  struct kad_slice text;
};

/* Makes `message` an empty one of `kind`: counts 0, flags false, slices empty.
 * Leaves the arrays as they are. */
KAD_API void kad_message_init(struct kad_message *message,
                              enum kad_message_kind kind);

/* Returns the method named `name`; KAD_METHOD_CUSTOM for any other. */
KAD_API enum kad_method_id kad_method_find(struct kad_slice name);

/* Returns the name of `method`; an empty slice for KAD_METHOD_CUSTOM, and for
 * any other number. */
KAD_API struct kad_slice kad_method_name(enum kad_method_id method);

/* Converts datagrams to messages and back. */
struct kad_codec {
  void *state; /* given to the functions */

  /* Decodes `datagram` into `*message`; begins with kad_message_init. Slices
   * of `*message` borrow the datagram, or bytes written to `scratch`, which has
   * about 4,000 bytes for decoded data that is no part of the datagram; a
   * datagram that needs more is malformed. `id_size` is 20 or 32, the bytes of
   * an id. May leave out what follows from the rest: `method` from `name`; key
   * and type of records from the query's. The engine checks sizes and counts,
   * and that a query has the fields of its method. Returns 0, or KAD_EMALFORMED
   * for what is no message; if it was a query, it sets `transaction`, and the
   * engine replies with error 203. */
  int (*decode)(void *state, struct kad_slice datagram, size_t id_size,
                struct kad_message *message, struct kad_writer *scratch);

  /* Encodes `message` to `writer`. Returns 0, or, and the send fails with it,
   *   KAD_ETOOBIG  it does not fit
   *   KAD_EINVAL   `args` or `reply` is not a dictionary that can be sent (for
   *                KRPC: well-formed, less than KAD_BENCODE_MAX_DEPTH deep) */
  int (*encode)(void *state, const struct kad_message *message, size_t id_size,
                struct kad_writer *writer);
};

/* Returns the built-in codec: KRPC (BEP 5, 32, 33, 43, 44, 51). Always valid.
 */
KAD_API const struct kad_codec *kad_codec_krpc(void);

#ifdef __cplusplus
}
#endif

#endif
