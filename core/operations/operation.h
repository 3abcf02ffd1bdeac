/* Operations: what a user starts, from the call to the callback.
 *
 *   queued (max_lookups run) ─► running ─► ending ─► callback called, freed
 *
 * An operation on the overlay runs a lookup in each address family of the node,
 * side by side, and joins their results. */
#ifndef KAD_OPERATIONS_OPERATION_H
#define KAD_OPERATIONS_OPERATION_H

#include "base/address.h"
#include "engine/histogram.h"
#include "engine/ruleset.h"
#include "lookup/lookup.h"
#include "records/bundle.h"

enum {
  KAD_OPERATIONS_MAX = 4096, /* of a node, those that are queued included */
  KAD_OVERDUE_MS = 1000      /* see `overdue` of struct kad_operation */
};

enum kad_operation_state {
  KAD_OPERATION_QUEUED,
  KAD_OPERATION_RUNNING,
  KAD_OPERATION_ENDING
};

struct kad_operation;
struct kad_sybil_search;

/* What differs between kinds of operations. */
struct kad_operation_kind {
  enum kad_method_id method; /* of its lookups, if it has any */
  enum kad_timed timed;      /* the histogram that counts it */
  /* Starts the operation. May end it. */
  void (*start)(struct kad_node *node, struct kad_operation *op);
  /* Receives each reply in a lookup; see kad_lookup_config. May be NULL. */
  bool (*replied)(struct kad_node *node, struct kad_lookup *lookup,
                  const struct kad_contact *from,
                  const struct kad_message *reply);
  /* Called once all lookups have ended. Must end the operation, now or later.
   * NULL in a kind without lookups. */
  void (*looked_up)(struct kad_node *node, struct kad_operation *op);
  /* Applies the result of a hook that kad_operation_call_hook has called. NULL
   * in a kind that calls none. */
  void (*apply_result)(struct kad_node *node, struct kad_operation *op,
                       const struct kad_hook_result *result);
  /* Continues after the result of a pending hook call has been applied. May be
   * NULL. */
  void (*resume)(struct kad_node *node, struct kad_operation *op);
  /* Sets the fields of the result that only this kind has. May be NULL. */
  void (*report)(struct kad_node *node, struct kad_operation *op,
                 struct kad_result *result);
  /* Frees what only this kind has. May be NULL. */
  void (*stop)(struct kad_node *node, struct kad_operation *op);
};

/* The base of all kinds: the first member of their structs. */
struct kad_operation {
  struct kad_operation *previous; /* in the node's list, oldest first */
  struct kad_operation *next;
  size_t size; /* bytes, those of the kind included */
  const struct kad_operation_kind *kind;
  enum kad_operation_state state;
  kad_operation_id id;
  struct kad_query_owner queries;
  kad_done_fn done;
  void *data;
  enum kad_timed timed; /* that of its kind, or another */
  kad_time_ms started_at;
  struct kad_timer timer;   /* to start, or to call the callback, in a tick */
  struct kad_timer overdue; /* ends it some time after its deadline, which the
                               lookups keep but what follows them may not */
  struct kad_lookup_options options; /* with the defaults filled in */
  struct kad_id target;
  uint8_t type_name[KAD_TYPE_NAME_MAX];
  struct kad_slice type; /* of FIND_VALUE lookups */
  uint32_t skip;
  bool has_seq; /* of GET lookups */
  int64_t seq;
  struct kad_slice query_name; /* of CUSTOM lookups; owned by the kind */
  struct kad_slice query_args;
  struct kad_lookup *lookups[KAD_FAMILIES];
  uint32_t lookups_open;
  struct kad_sybil_search *sybil_search; /* or NULL */
  bool counted;     /* in `running`, because it runs lookups */
  bool hurried;     /* its lookups are: see lookup.h */
  bool internal;    /* `done` belongs to the node, not to the user */
  uint64_t call_id; /* of the pending hook call; 0: none */
  int status;
  int code;      /* of the first error reply, or of the policy's rejection */
  uint8_t *text; /* owns `reason` and `reply` of the result */
  size_t text_len;
  uint32_t stored;
  uint32_t holders;
};

/* Returns the operation that owns `query`. */
static inline struct kad_operation *kad_operation_of_query(
    const struct kad_query *query) {
  return kad_container_of(query->owner, struct kad_operation, queries);
}

/* The operations of a node. */
struct kad_operations {
  struct kad_operation *first;
  struct kad_operation *last;
  kad_operation_id last_id;
  uint32_t running; /* those that run lookups */
  uint32_t count;
};

/* How an operation is made. */
struct kad_operation_request {
  const struct kad_operation_kind *kind;
  size_t size; /* bytes, at least sizeof(struct kad_operation) */
  const struct kad_lookup_options *options; /* or NULL */
  const struct kad_id *target;              /* or NULL */
  struct kad_slice type;                    /* or empty */
  kad_done_fn done;
  void *data;
  bool internal; /* `done` belongs to the node, not to the user */
};

/* Makes an operation that starts in the next tick. What the request does not
 * set is zero. Sets `*op` and `*id`, unless they are NULL. Returns 0, or
 *   KAD_EINVAL   options out of range, or a type name that is too long
 *   KAD_EBUSY    there are KAD_OPERATIONS_MAX
 *   KAD_ENOMEM   out of memory
 *   KAD_ECLOSED  the node is closing */
KAD_MUST_CHECK int kad_operation_new(
    struct kad_node *node, const struct kad_operation_request *request,
    struct kad_operation **op, kad_operation_id *id);

/* Starts a lookup in each family; `looked_up` follows. Ends the operation if
 * none can be started. */
void kad_operation_look_up(struct kad_node *node, struct kad_operation *op);

/* The same for a read that has counted what is held here: if that is enough for
 * its quorum, calls `looked_up` at once. */
void kad_operation_look_up_rest(struct kad_node *node,
                                struct kad_operation *op);

/* Adds `seed` to the lookup of its family, which is started if there is none.
 * Has no effect when out of memory. */
void kad_operation_look_up_from(struct kad_node *node, struct kad_operation *op,
                                const struct kad_contact *seed);

/* Ends the lookups with what they have found; `looked_up` follows. */
void kad_operation_end_lookups(struct kad_node *node, struct kad_operation *op);

/* Calls `hook` (NULL: none, which accepts) of `type`. Returns true after the
 * kind's `apply_result`. Returns false if the call is pending: `apply_result`
 * and `resume` follow, unless the operation ends before. */
bool kad_operation_call_hook(struct kad_node *node, struct kad_operation *op,
                             struct kad_ruleset *ruleset,
                             const struct kad_type *type, kad_hook_fn hook,
                             struct kad_hook_call *call);

/* Returns true if the deadline ended one of the lookups. */
bool kad_operation_timed_out(const struct kad_operation *op);

/* Returns the error of an operation that no contact has answered:
 *   KAD_ETOOBIG, KAD_EINVAL, KAD_ECODEC  the codec could not write the queries
 *   KAD_EBUSY                            too many queries wait
 *   KAD_ENOCONTACTS                      the node knows no other node
 *   KAD_ETIMEOUT                         otherwise */
int kad_operation_no_answer_error(const struct kad_node *node,
                                  const struct kad_operation *op);

/* Ends an operation with `status`; its callback is called in the next tick. */
void kad_operation_end(struct kad_node *node, struct kad_operation *op,
                       int status);

/* Ends a search: with 0 if it has found something, with KAD_ENOTFOUND if
 * contacts have answered, else with kad_operation_no_answer_error. */
void kad_operation_end_search(struct kad_node *node, struct kad_operation *op,
                              bool found);

/* Copies `text` for the reason or the reply of the result, unless there is one.
 * When out of memory there is none. */
void kad_operation_keep_text(struct kad_node *node, struct kad_operation *op,
                             struct kad_slice text);

/* Keeps the code and the text of the first error reply. */
void kad_operation_keep_error(struct kad_node *node, struct kad_operation *op,
                              const struct kad_message *message);

/* Writes the candidates of both families that have answered to `out`, of
 * 2 * KAD_K_MAX, at most k of each, and returns their number. */
size_t kad_operation_closest(const struct kad_operation *op,
                             const struct kad_candidate **out);

/* Ends all operations with KAD_ECLOSED and calls their callbacks. */
void kad_operations_close(struct kad_node *node);

/* Drops the callbacks of the user: all operations end silently. */
void kad_operations_forget(struct kad_node *node);

#endif
