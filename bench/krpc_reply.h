#ifndef BENCH_KRPC_REPLY_H
#define BENCH_KRPC_REPLY_H

#include <stddef.h>
#include <stdint.h>

/* The fields of a datagram that the load generator needs. Pointers borrow from
 * the datagram; NULL for a field that it does not have. */
struct krpc_reply {
  uint8_t sort; /* y: 'q', 'r', 'e', or 0 */
  const uint8_t *tid;
  size_t tid_len;
  const uint8_t *id; /* r.id or a.id of 20 bytes */
  const uint8_t *token;
  size_t token_len;
  size_t nodes;  /* contacts in r.nodes, 26 bytes each (BEP 5) */
  size_t values; /* elements of r.values */
  int64_t code;  /* of an error, else 0 */
};

/* Reads one KRPC datagram: query, reply or error. Borrows: `data`.
 *
 * Returns 0, or -1 when it is not one bencoded dictionary with a `t`. */
int krpc_reply_read(const uint8_t *data, size_t len, struct krpc_reply *reply);

#endif
