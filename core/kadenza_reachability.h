/* kadenza_reachability.h: whether others can reach a node, and whether it is
 * read-only therefore. kadenza.h includes it.
 *
 * A query of a host that a node has sent nothing to for some minutes shows that
 * others can reach it. If no such query comes for long, though such queries of
 * its own are answered, the node is behind a NAT or a firewall that lets in
 * only what it has asked for. With the option read_only at `auto` it is then
 * read-only (BEP 43): it sets `ro` in its queries, so that others do not keep
 * it as a contact, and answers none. From time to time it asks without `ro`,
 * and it returns when a query gets through.
 *
 * Each address family is on its own, since each has a DHT of its own (BEP 32).
 */
#ifndef KADENZA_REACHABILITY_H
#define KADENZA_REACHABILITY_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether others can reach a node. Code, name. */
#define KAD_REACHABILITY_MAP(X) \
  X(UNKNOWN, "unknown")         \
  X(REACHABLE, "reachable")     \
  X(UNREACHABLE, "unreachable")

enum kad_reachability {
#define KAD_REACHABILITY_ENUM(code, name) KAD_REACHABILITY_##code,
  KAD_REACHABILITY_MAP(KAD_REACHABILITY_ENUM)
#undef KAD_REACHABILITY_ENUM
};

/* Returns "unknown", "reachable" or "unreachable". Always valid. */
KAD_API const char *kad_reachability_name(enum kad_reachability reachability);

/* What a node knows about whether it can be reached over one family. */
struct kad_reachability_info {
  enum kad_reachability reachability;
  bool read_only;         /* it answers no queries now */
  bool is_symmetric;      /* contacts see it at different ports */
  kad_time_ms unasked_at; /* when the last unasked query came; 0: none has */
};

/* Sets `*info` for `family` (4 or 6). Returns false for another family, one
 * that the node has no socket of, and NULL arguments. */
KAD_API bool kad_node_reachability(const struct kad_node *node, unsigned family,
                                   struct kad_reachability_info *info);

#ifdef __cplusplus
}
#endif

#endif
