/* The way of records into the store: one store query, or one put of our user.
 *
 *   record ─► check ─► validate ─► merge ─► expire ─► hold ─► next
 *               └────────┴─ refused, with a code and a reason ───┘
 *
 * Each arrow with a hook may wait for a later answer. From a merge until what
 * it wants is held, other admissions to its key wait, some at most, so that no
 * accepted value is lost. Signatures are verified in `check`, after the caller
 * has checked the token.
 */
#ifndef KAD_REPLICATION_ADMISSION_H
#define KAD_REPLICATION_ADMISSION_H

#include "engine/ruleset.h"
#include "records/bundle.h"
#include "records/store.h"

struct kad_node;
struct kad_admission;

enum {
  KAD_REASONS_SIZE = 256,        /* bytes for the reasons of refusals */
  KAD_HELD_MAX = KAD_VALUES_MAX, /* records under a key that a merge may see or
                                    want held */
  KAD_LINE_MAX = 64,             /* admissions that wait behind one */
  KAD_LIFE_MAX_S = 2592000, /* no record lives longer than 30 days at a time */
};

/* What became of one record. */
struct kad_outcome {
  int code; /* 0: held, or confirmed; else of the KRPC error */
  uint16_t reason_at;
  uint16_t reason_len;
};

enum kad_admission_step {
  KAD_ADMIT_CHECK,
  KAD_ADMIT_VALIDATE,
  KAD_ADMIT_MERGE,
  KAD_ADMIT_EXPIRE,
  KAD_ADMIT_HOLD,
  KAD_ADMIT_NEXT
};

/* What an admission is asked to do. Records are borrowed until the call
 * returns; the admission copies them if it has to wait. */
struct kad_admission_request {
  const struct kad_record *records;
  size_t count;            /* 1 … KAD_RECORDS_PER_MESSAGE */
  struct kad_contact from; /* address.family 0: our own user */
  bool proven;
  bool judged; /* our rules have said yes already: no check, no validate */
  enum kad_reason reason;
  /* Called once, perhaps inside kad_admit. The admission is gone after it. */
  void (*done)(struct kad_node *node, const struct kad_admission *admission,
               void *data);
  void *data;
};

struct kad_admission {
  struct kad_admission *next;         /* in the list that this one waits in */
  struct kad_admission *waiters;      /* that wait for the same key */
  struct kad_admission *next_merging; /* of the node's, while `locked` */
  struct kad_admission_request request;
  struct kad_ruleset *ruleset;
  const struct kad_type *type; /* of the current record */
  struct kad_bundle copies;    /* of the records, once it has waited */
  struct kad_bundle merged;    /* what a merge hook wants held */
  bool has_merged;
  bool locked;  /* others wait for us */
  bool in_line; /* we wait for another */
  enum kad_admission_step step;
  uint32_t index; /* of the current record */
  uint32_t life_s;
  uint32_t stored; /* records taken */
  struct kad_outcome outcomes[KAD_RECORDS_PER_MESSAGE];
  uint16_t reasons_len;
  char reasons[KAD_REASONS_SIZE];
};

/* Takes records in. Returns 0, after which `done` is called once, or
 * KAD_ENOMEM.
 */
KAD_MUST_CHECK int kad_admit(struct kad_node *node,
                             const struct kad_admission_request *request);

/* Returns the reason of an outcome. Valid as the admission. */
struct kad_slice kad_admission_reason(const struct kad_admission *admission,
                                      size_t index);

#endif
