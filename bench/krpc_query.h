#ifndef BENCH_KRPC_QUERY_H
#define BENCH_KRPC_QUERY_H

#include <stddef.h>
#include <stdint.h>

enum {
  KRPC_ID_BYTES = 20,
  KRPC_TID_BYTES = 4,
  KRPC_TOKEN_MAX = 64,
  KRPC_QUERY_MAX = 1452,
  KRPC_SALT_BYTES = 4,
};

enum krpc_kind {
  KRPC_PING,
  KRPC_FIND_NODE,
  KRPC_GET_PEERS,
  KRPC_ANNOUNCE_PEER,
  KRPC_FIND_VALUE,
  KRPC_STORE,
  KRPC_SCRAPE, /* a get_peers for filters (BEP 33) */
  KRPC_SAMPLE, /* BEP 51 */
  KRPC_GET,    /* BEP 44: of an immutable item */
  KRPC_PUT,
  KRPC_GET_MUTABLE,
  KRPC_PUT_MUTABLE, /* the same signature again, as in a republish */
  KRPC_UPDATE,      /* a put with the next sequence number, newly signed */
};

enum {
  KRPC_KINDS = KRPC_UPDATE + 1
};

/* The content of a query. Ignores the fields that its kind does not have. */
struct krpc_query {
  enum krpc_kind kind;
  uint32_t tid;
  const uint8_t *id;     /* the sender's, 20 bytes */
  const uint8_t *target; /* 20 bytes */
  const uint8_t *token;
  size_t token_len; /* at most KRPC_TOKEN_MAX */
  const char *type; /* the record type of find_value and store */
  const uint8_t *value;
  size_t value_len;    /* at most 1,000 */
  uint16_t port;       /* of announce_peer */
  const uint8_t *item; /* the bencoded value of a put */
  size_t item_len;
  const uint8_t *publisher; /* of a put of a mutable item, 32 bytes, */
  const uint8_t *signature; /* 64 bytes, and KRPC_SALT_BYTES */
  const uint8_t *salt;
  uint64_t seq;
  int read_only; /* adds ro = 1 (BEP 43) */
};

/* Writes a query in canonical bencoding into `out`, KRPC_QUERY_MAX bytes.
 *
 * Returns its length. Source: BEP 5, 33, 44, 51; kadenza's find_value and
 * store. */
size_t krpc_query_write(const struct krpc_query *query, uint8_t *out);

/* Writes a reply to the query of transaction `tid` with `id` and no nodes,
 * which answers ping and find_node.
 *
 * `out` has KRPC_QUERY_MAX bytes. `tid_len` is at most 64. Returns the length.
 * Source: BEP 5 "ping", "find_node". */
size_t krpc_answer_write(const uint8_t *id, const uint8_t *tid, size_t tid_len,
                         uint8_t *out);

/* Returns the name of the method, such as "find_node". */
const char *krpc_kind_name(enum krpc_kind kind);

/* Finds the kind by name. Returns 0, or -1 for an unknown name. */
int krpc_kind_find(const char *name, enum krpc_kind *kind);

/* Returns whether queries of this kind are of items, and of mutable ones. */
int krpc_kind_has_item(enum krpc_kind kind);
int krpc_kind_is_mutable(enum krpc_kind kind);

/* Returns the kind of query that stores what one of `kind` reads, or `kind`. */
enum krpc_kind krpc_kind_storing(enum krpc_kind kind);

/* Returns the kind of query that obtains the token for `kind`, or `kind` if it
 * needs none. */
enum krpc_kind krpc_kind_before(enum krpc_kind kind);

#endif
