/* Admission: decides which records of a store query, or of a put of our user,
 * enter the store.
 *
 *   record ─► check ─► validate ─► merge ─► expire ─► commit ─► next record
 *               └────────┴─ rejected, with a code and a reason ───┘
 *
 * At the end it waits until the store is durable.
 *
 * Each hook may be pending. From the merge hook until the commit, the key is
 * locked: other admissions to it wait, so that no accepted value is lost. The
 * check verifies signatures, so the caller checks the write token before; if
 * the turn has taken long, the admission waits in the backlog first. */
#ifndef KAD_REPLICATION_ADMISSION_H
#define KAD_REPLICATION_ADMISSION_H

#include "engine/durability.h"
#include "engine/ruleset.h"
#include "records/bundle.h"
#include "rpc/backlog.h"

struct kad_admission;

enum {
  KAD_ADMISSION_REASONS_SIZE = 256, /* bytes for the reasons of rejections */
  KAD_ADMISSION_WAITERS_MAX = 64,   /* admissions that wait for one key */
  KAD_RECORD_TTL_MAX_S = 2592000    /* 30 days: the longest life of a record */
};

/* What became of one record. */
struct kad_outcome {
  int code; /* 0: stored or confirmed; else that of the KRPC error */
  uint16_t reason_at;
  uint16_t reason_len;
};

enum kad_admission_step {
  KAD_ADMISSION_CHECK,
  KAD_ADMISSION_VALIDATE,
  KAD_ADMISSION_MERGE,
  KAD_ADMISSION_EXPIRE,
  KAD_ADMISSION_COMMIT,
  KAD_ADMISSION_NEXT
};

/* What is admitted. The records are borrowed until the call returns; an
 * admission that waits copies them. */
struct kad_admission_request {
  const struct kad_record *records;
  size_t count;            /* 1 … KAD_RECORDS_PER_MESSAGE */
  struct kad_contact from; /* address.family 0: our user */
  bool proven;             /* `from` has answered us at its address */
  bool validated;          /* our rules have accepted the record already */
  bool has_cas;
  int64_t cas; /* the sequence number of the mutable item to replace */
  enum kad_reason reason;
  /* Called once, perhaps before kad_admission_start returns. The admission is
   * freed then. */
  void (*done)(struct kad_node *node, const struct kad_admission *admission,
               void *data);
  void *data;
};

struct kad_admission {
  struct kad_admission *next;    /* in the list in which this one waits */
  struct kad_admission *waiters; /* for the key that this one has locked */
  struct kad_admission
      *next_lock_holder; /* in the node's list, while `locks` */
  struct kad_admission_request request;
  struct kad_ruleset *ruleset;
  const struct kad_type *type; /* of the current record */
  struct kad_bundle copies;    /* of the records, once it has waited */
  struct kad_bundle merged;    /* the list of the merge hook */
  bool has_merged;
  bool locks;                              /* the key of the current record */
  bool waits;                              /* for a key */
  struct kad_backlog_item turn;            /* while it waits for its turn */
  struct kad_durability_waiter durability; /* at the end */
  enum kad_admission_step step;
  uint32_t index;  /* of the current record */
  uint32_t life_s; /* of the current record */
  uint32_t stored; /* records stored or confirmed */
  struct kad_outcome outcomes[KAD_RECORDS_PER_MESSAGE];
  uint16_t reasons_len;
  char reasons[KAD_ADMISSION_REASONS_SIZE];
};

/* The admissions of a node that lock a key. */
struct kad_admissions {
  struct kad_admission *first_lock_holder;
  size_t waiting; /* admissions that wait for one of them */
};

/* Starts an admission. Returns 0, after which `done` is called once, or
 * KAD_ENOMEM. */
KAD_MUST_CHECK int kad_admission_start(
    struct kad_node *node, const struct kad_admission_request *request);

/* Returns the reason of a rejection. Valid until the admission is
 * freed. */
struct kad_slice kad_admission_reason(const struct kad_admission *admission,
                                      size_t index);

#endif
