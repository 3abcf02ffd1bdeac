/* kadenza_sim.h: networks in virtual time.
 *
 * A simulated network is a `struct kad_network` whose clock jumps from event to
 * event. It has one seeded queue of events and no sockets: the same seed and
 * the same calls give the same run, byte for byte. Everything in kadenza.h that
 * takes a network works with it.
 *
 * Functions that begin with kad_sim_ return KAD_EINVAL for a network that is
 * not simulated, and for a node that has no sockets in it, such as one opened
 * with kad_network_open_on_transport. */
#ifndef KADENZA_SIM_H
#define KADENZA_SIM_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------- networks -- */

/* How long a datagram takes. All but KAD_SIM_LATENCY_UNIFORM draw the
 * round-trip time of a pair of nodes once; each direction takes half of it. */
enum kad_sim_latency {
  KAD_SIM_LATENCY_UNIFORM,    /* drawn for each datagram: latency_min_ms …
                                 latency_max_ms */
  KAD_SIM_LATENCY_LOG_NORMAL, /* log-normal: rtt_median_ms, rtt_sigma */
  KAD_SIM_LATENCY_QUANTILES,  /* given by `quantiles` */
  KAD_SIM_LATENCY_JIMENEZ     /* as from a node of the mainline DHT to others:
                                 50 % at most 175 ms, 75 % 344 ms, 98 % 1,094 ms
                                 (Jimenez and others 2011) */
};

/* A quantile of round-trip times: `share` of the pairs of nodes have at most
 * `rtt_ms`. Between two quantiles the logarithm of the time is interpolated on
 * a normal distribution; beyond the first and the last it is extrapolated in
 * the same way, so that three quantiles make a plausible curve. 0 and 1 stand
 * for one pair in 10,000; no time beyond these is drawn. */
struct kad_sim_quantile {
  double share;  /* 0 … 1 */
  double rtt_ms; /* more than 0, at most an hour */
};

enum {
  KAD_SIM_QUANTILES_MAX = 64
};

/* How a simulated network behaves. Begin with kad_sim_config_default. */
struct kad_sim_config {
  uint64_t seed;
  enum kad_sim_latency latency;
  uint32_t latency_min_ms; /* one way; 0 counts as 1, so that time advances */
  uint32_t latency_max_ms; /* one way */
  double rtt_median_ms;    /* more than 0, at most an hour */
  double rtt_sigma;        /* standard deviation of the natural logarithm:
                              0 … 4 */
  const struct kad_sim_quantile *quantiles; /* 2 … KAD_SIM_QUANTILES_MAX, both
                                               columns ascending. Copied */
  size_t quantile_count;
  uint32_t jitter_ms;  /* a datagram takes up to so much longer */
  double loss;         /* 0 … 1: share of the datagrams that are lost */
  double duplicate;    /* 0 … 1: share that arrives twice */
  double reorder;      /* 0 … 1: share that is delayed past later ones */
  uint32_t reorder_ms; /* the longest such delay, at least 1 */
  uint64_t bandwidth;  /* of every node: see kad_sim_set_bandwidth */
};

/* Fills `config` with the defaults: seed 1, uniform latency of 10 … 100 ms one
 * way, no loss, duplicates or reordering; rtt_median_ms 80, rtt_sigma 0.6,
 * reorder_ms 200. */
KAD_API void kad_sim_config_default(struct kad_sim_config *config);

/* Makes a simulated network. Copies: `config`. Free with kad_network_free.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL for a field out of its range. */
KAD_API KAD_MUST_CHECK int kad_network_sim_new(
    const struct kad_sim_config *config, struct kad_allocator allocator,
    struct kad_network **network);

/* Returns a hash of every datagram delivered so far: its time, sender, receiver
 * and bytes. Two runs with the same seed and calls have the same hash. Returns
 * 0 for a network that is not simulated. */
KAD_API uint64_t kad_network_trace_hash(const struct kad_network *network);

/* Counters of a simulated network, from its start. Name, text. */
#define KAD_SIM_STATS_MAP(X)                                         \
  X(sent, "datagrams that nodes sent")                               \
  X(sent_bytes, "bytes of these, without headers")                   \
  X(delivered, "datagrams that reached a node")                      \
  X(delivered_bytes, "bytes of these")                               \
  X(duplicated, "datagrams delivered twice")                         \
  X(lost, "datagrams lost at random")                                \
  X(congested, "datagrams lost because a link's queue was full")     \
  X(partitioned, "datagrams between nodes of different groups")      \
  X(suspended, "datagrams to suspended nodes")                       \
  X(filtered, "datagrams that a NAT did not let in")                 \
  X(unreachable, "datagrams to addresses that no node has any more") \
  X(dropped, "datagrams lost because memory ended")                  \
  X(ticks, "calls of kad_node_tick")

struct kad_sim_stats {
#define KAD_SIM_STATS_FIELD(name, text) uint64_t name;
  KAD_SIM_STATS_MAP(KAD_SIM_STATS_FIELD)
#undef KAD_SIM_STATS_FIELD
};

/* Copies the counters of `network` to `stats`. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_sim_read_stats(const struct kad_network *network,
                                              struct kad_sim_stats *stats);

/* --------------------------------------------------------------- links -- */

/* Puts `node` into a group. Datagrams between nodes of different groups are
 * lost, also those already on their way. A node begins in group 0. Returns 0 or
 * KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_sim_set_group(struct kad_network *network,
                                             struct kad_node *node,
                                             uint32_t group);

/* Puts every node into group 0. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_sim_heal(struct kad_network *network);

/* Limits what `node` sends, and what it receives, to `bytes_per_s` each, 28 or
 * 48 bytes of headers a datagram included; 0: no limit. A datagram over the
 * limit waits; one that would wait for more than a second is lost. Returns 0,
 * KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_sim_set_bandwidth(struct kad_network *network,
                                                 struct kad_node *node,
                                                 uint64_t bytes_per_s);

/* Gives `node` other addresses, as if its machine had moved to another network;
 * the node is not told. `listen` has as many addresses as the node, of the same
 * families in the same order; port 0 takes a free one. Mappings and flows of a
 * NAT are lost in any case.
 * Returns 0, or, with nothing changed, KAD_EINVAL or KAD_EADDRINUSE. */
KAD_API KAD_MUST_CHECK int kad_sim_move(struct kad_network *network,
                                        struct kad_node *node,
                                        const struct kad_address *listen,
                                        size_t count);

/* What stands between a node and the network. Each kind but the first gives the
 * node an outer address when it sends; others see that address, and the NAT
 * filters what arrives there. RFC 4787 describes the same kinds by mapping and
 * filtering. Code, name, text. */
#define KAD_SIM_NAT_MAP(X)                                                \
  X(OPEN, "open", "No NAT")                                               \
  X(FULL_CONE, "full_cone", "Lets in every sender")                       \
  X(RESTRICTED, "restricted", "Lets in hosts that the node has sent to")  \
  X(PORT_RESTRICTED, "port_restricted",                                   \
    "Lets in addresses that the node has sent to")                        \
  X(SYMMETRIC, "symmetric",                                               \
    "Has one outer address for each address that the node sends to, and " \
    "lets in only that address")

enum kad_sim_nat_kind {
#define KAD_SIM_NAT_ENUM(code, name, text) KAD_SIM_NAT_KIND_##code,
  KAD_SIM_NAT_MAP(KAD_SIM_NAT_ENUM)
#undef KAD_SIM_NAT_ENUM
};

/* A NAT. */
struct kad_sim_nat {
  enum kad_sim_nat_kind kind;
  uint32_t idle_s; /* a mapping expires when the node has sent nothing through
                      it for so long: at most a day; 0 counts as 60 */
  struct kad_address outer; /* the outer ip, which several nodes may share; its
                               port is ignored. A socket of another family, or
                               any socket if the family is 0, keeps its own ip
                             */
};

/* Puts each socket of `node` behind a NAT of its own, or takes it out of one.
 * The outer port is the socket's own if it is free; a symmetric NAT always
 * takes another. A datagram from behind a NAT to the NAT's own ip is lost (no
 * hairpinning). A node that moves keeps the kind of its NAT.
 * Returns 0, or, with nothing changed,
 *   KAD_EINVAL      a field is out of its range
 *   KAD_ENOMEM      out of memory
 *   KAD_EADDRINUSE  another node has taken an address that would be open again
 */
KAD_API KAD_MUST_CHECK int kad_sim_set_nat(struct kad_network *network,
                                           struct kad_node *node,
                                           const struct kad_sim_nat *nat);

/* -------------------------------------------------------------- clocks -- */

/* Makes the clocks of `node` wrong from now on: the monotonic clock gains
 * `drift_ppm` millionths (-100,000 … 100,000); the wall clock is
 * `wall_offset_s` ahead, at most a hundred years either way. Returns 0,
 * KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_sim_set_clock(struct kad_network *network,
                                             struct kad_node *node,
                                             int32_t drift_ppm,
                                             int64_t wall_offset_s);

/* Suspends the machine of `node`: the node does nothing, and datagrams to it
 * are lost. When it resumes, its wall clock has gone on; its monotonic clock
 * has too, unless `clock_stands`: real machines do either. Timers belong to the
 * network, so they fire. A node that is suspended stays as it is. Returns 0,
 * KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_sim_suspend(struct kad_network *network,
                                           struct kad_node *node,
                                           bool clock_stands);

/* Resumes the machine of `node`. A node that is not suspended stays as it is.
 * Returns 0, KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_sim_resume(struct kad_network *network,
                                          struct kad_node *node);

/* ---------------------------------------------------------- behaviours -- */

/* What a node does to the others. Its engine runs, joins, and answers pings, so
 * that others keep it in their tables; but it does not get all that arrives, or
 * sends more than is right. All speak KRPC. Code, name, text. */
#define KAD_SIM_BEHAVIOUR_MAP(X)                                              \
  X(HONEST, "honest", "Behaves as a node does")                               \
  X(SILENT, "silent", "Answers pings, and nothing else")                      \
  X(LIAR, "liar",                                                             \
    "Names contacts that it invents, closer than any, and the other liars; "  \
    "answers that it stores, and does not; has no values")                    \
  X(SYBIL, "sybil",                                                           \
    "Is a liar that names only the sybils of the same key. Open the node "    \
    "with an id close to the key")                                            \
  X(MISPLACER, "misplacer",                                                   \
    "Is a liar that names ids of its table at wrong addresses: at invented "  \
    "ones, and at those of other misplacers, which answer under these ids")   \
  X(MISLABELER, "mislabeler",                                                 \
    "Is a liar that names addresses of its table with invented ids, closer "  \
    "than any")                                                               \
  X(LURER, "lurer",                                                           \
    "Is a liar that names other lurers with invented ids, each closer than "  \
    "its own; they answer under these ids. Invents addresses, too, when "     \
    "these are not enough")                                                   \
  X(FLOODER, "flooder",                                                       \
    "Stores junk under random keys, with tokens, at the nodes that it meets") \
  X(REPLAYER, "replayer",                                                     \
    "Sends datagrams that it received again, to any node, as its own or "     \
    "with the first sender's address")                                        \
  X(GARBAGE, "garbage",                                                       \
    "Sends random bytes, and datagrams that it received, truncated or "       \
    "changed in some bytes")

enum kad_sim_behaviour {
#define KAD_SIM_BEHAVIOUR_ENUM(code, name, text) KAD_SIM_BEHAVIOUR_##code,
  KAD_SIM_BEHAVIOUR_MAP(KAD_SIM_BEHAVIOUR_ENUM)
#undef KAD_SIM_BEHAVIOUR_ENUM
  KAD_SIM_BEHAVIOUR_COUNT /* no behaviour: their number */
};

/* A behaviour with its parameters. */
struct kad_sim_hostility {
  enum kad_sim_behaviour behaviour;
  struct kad_id key; /* of a sybil */
  uint32_t per_s;    /* datagrams a second that a flooder, replayer or sender of
                        garbage sends: at most 1,000; 0 counts as 10 */
};

/* Sets the behaviour of `node` from now on. Returns 0, or, with nothing
 * changed, KAD_EINVAL or KAD_ENOMEM. */
KAD_API KAD_MUST_CHECK int kad_sim_set_behaviour(
    struct kad_network *network, struct kad_node *node,
    const struct kad_sim_hostility *hostility);

/* Crashes a node: no callback of it is called any more, and its operations are
 * dropped; only `release` of its policy is called. May be called where
 * kad_network_close_node may. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_sim_kill(struct kad_network *network,
                                        struct kad_node *node);

/* --------------------------------------------------------------- traces -- */

/* What happened to a datagram: as in struct kad_sim_stats. */
enum kad_sim_outcome {
  KAD_SIM_OUTCOME_DELIVERED,
  KAD_SIM_OUTCOME_LOST,
  KAD_SIM_OUTCOME_CONGESTED,
  KAD_SIM_OUTCOME_PARTITIONED,
  KAD_SIM_OUTCOME_SUSPENDED,
  KAD_SIM_OUTCOME_UNREACHABLE,
  KAD_SIM_OUTCOME_FILTERED
};

/* Returns the name of `outcome`, such as "delivered". Always valid. */
KAD_API const char *kad_sim_outcome_name(enum kad_sim_outcome outcome);

/* A datagram that was delivered or lost. Borrowed during the call. */
struct kad_sim_event {
  kad_time_ms at;
  enum kad_sim_outcome outcome;
  const struct kad_address *from;
  const struct kad_address *to;
  struct kad_slice bytes;
};

/* Is called with each datagram, when it arrives or, if it is lost on the way,
 * at about that time. May do what a timer may. */
typedef void (*kad_sim_trace_fn)(void *data, const struct kad_sim_event *event);

/* Calls `trace` with every datagram that arrives or is lost from now on, but
 * not with one that is dropped because memory ended; NULL stops it. The run and
 * its hash stay the same. Returns 0 or KAD_EINVAL. */
KAD_API KAD_MUST_CHECK int kad_sim_set_trace(struct kad_network *network,
                                             kad_sim_trace_fn trace,
                                             void *data);

#ifdef __cplusplus
}
#endif

#endif
