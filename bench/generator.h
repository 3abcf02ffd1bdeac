#ifndef BENCH_GENERATOR_H
#define BENCH_GENERATOR_H

#include "datagrams.h"
#include "items.h"
#include "krpc_query.h"
#include "latency.h"
#include "server_cpu.h"
#include "source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  GENERATOR_WINDOW_MAX = 4096,
  GENERATOR_SOURCES_MAX = 64,
  GENERATOR_KEYS_MAX = 1000000,
  GENERATOR_ERRORS_MAX = 16,
};

/* The queries to send, and their rate. */
struct generator_options {
  struct sockaddr_in server;
  enum krpc_kind kind;
  uint32_t window;     /* queries in flight, 1 to GENERATOR_WINDOW_MAX */
  uint32_t burst;      /* free slots of a source before it sends queries */
  uint32_t sources;    /* addresses from 127.0.0.2 up */
  uint32_t keys;       /* targets; each source uses all of them, or with
                          `spread` its own share */
  uint32_t value_size; /* bytes, of store and put */
  uint32_t timeout_ms; /* after which a query is lost */
  double seconds;      /* measured, after the warm-up */
  uint64_t seed;       /* of the targets, ids and values */
  const char *type;    /* of find_value and store */
  long server_pid;     /* whose processor time is read, or 0 */
  bool preload;        /* store every key before the measurement */
  bool spread;         /* a key is used by one source only */
  bool echo;           /* the server returns each query as it is */
  bool read_only;      /* queries carry ro = 1 (BEP 43) */
};

/* Replies by error code. */
struct generator_error {
  int64_t code;
  uint64_t count;
};

/* Counters of one pass. */
struct generator_tally {
  uint64_t replies;   /* successful ones */
  uint64_t lost;      /* no reply within the timeout */
  uint64_t malformed; /* not KRPC, or an unknown transaction */
  uint64_t bytes;     /* of the successful replies */
  uint64_t nodes;     /* contacts in them */
  uint64_t values;    /* values in them */
  uint64_t asked;     /* queries that the server sent to the sources */
  uint64_t tokens;    /* replies with a write token */
  double seconds;
  struct server_cpu cpu; /* used in the pass */
  struct latency latency;
  struct generator_error errors[GENERATOR_ERRORS_MAX];
};

struct generator_slot {
  uint64_t sent_ns;
  uint32_t key;
  uint16_t generation;
  uint8_t tries;
  bool busy;
};

struct generator_token {
  uint8_t len;
  uint8_t bytes[KRPC_TOKEN_MAX];
};

/* A closed loop: keeps as many queries in flight as the window admits, and
 * sends a new one for each that is answered or lost. */
struct generator {
  struct generator_options options;
  struct items items; /* of BEP 44, if the kind has them */
  struct source sources[GENERATOR_SOURCES_MAX];
  uint32_t free_slots[GENERATOR_SOURCES_MAX];
  uint32_t next_key[GENERATOR_SOURCES_MAX];
  uint8_t *targets;               /* options.keys of KRPC_ID_BYTES */
  uint8_t *value_bytes;           /* the part that all values share */
  struct generator_token *tokens; /* by source, then key */
  struct generator_slot slots[GENERATOR_WINDOW_MAX];
  struct datagrams received;
  struct datagrams sending;

  /* The pass under way. */
  enum krpc_kind kind;
  bool sweep; /* every key once, instead of until a deadline */
  bool stopped;
  uint64_t now_ns;
  struct generator_tally tally;
};

/* Opens the sources and makes the targets.
 *
 * Copies: `options`. Returns 0, or -1 after a message to standard error. */
int generator_init(struct generator *generator,
                   const struct generator_options *options);

/* Closes the sources and frees the memory, also after a failed init. */
void generator_deinit(struct generator *generator);

/* Prepares the measurement: obtains a token for each source and key if the kind
 * needs one, and with `preload` stores each key.
 *
 * Ends after `limit_ms` at the latest. Returns the sum of the tallies. */
struct generator_tally generator_warm_up(struct generator *generator,
                                         uint64_t limit_ms);

/* Measures for options.seconds. Returns the counters of that time. */
struct generator_tally generator_measure(struct generator *generator);

#endif
