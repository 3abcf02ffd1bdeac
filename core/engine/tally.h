/* The tallies of a node: see kadenza_tally.h. */
#ifndef KAD_ENGINE_TALLY_H
#define KAD_ENGINE_TALLY_H

#include "kadenza_codec.h"
#include "kadenza_tally.h"

/* The places of codes in the arrays. */
enum {
#define KAD_TALLY_ENUM(code) KAD_TALLY_##code,
  KAD_TALLY_CODE_MAP(KAD_TALLY_ENUM)
#undef KAD_TALLY_ENUM
  KAD_TALLY_OTHER,
  KAD_TALLY_CODES,
  KAD_TALLY_METHODS = KAD_METHOD_SAMPLE_INFOHASHES + 1
};

/* Zero-initialised nothing has been counted. */
struct kad_tallies {
  uint64_t queries_sent[KAD_TALLY_METHODS]; /* by enum kad_method_id */
  uint64_t errors_sent[KAD_TALLY_CODES];
  uint64_t errors_received[KAD_TALLY_CODES];
};

/* Counts an error of a code in one of the two arrays. */
void kad_tally_error(uint64_t *errors, int code);

#endif
