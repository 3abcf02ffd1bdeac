/* The records that a get finds, each once, and the contacts that returned them:
 * for the default merge, and for read repair.
 *
 * Tested by tests/unit/operations/get_test.c, tests/sim/read_repair_test.c.
 */
#ifndef KAD_REPLICATION_FOUND_RECORDS_H
#define KAD_REPLICATION_FOUND_RECORDS_H

#include "records/bundle.h"

enum {
  KAD_FOUND_RECORDS_MAX = 256,
  KAD_FOUND_CONTACTS_MAX = 64 /* contacts whose records are tracked, ourselves
                                 included; records of further contacts are kept
                                 without their contact */
};

struct kad_found_record {
  struct kad_bundle copy;
  uint64_t contacts; /* that returned it, a bit for each number */
  uint32_t count;    /* of contacts that returned it */
  uint32_t ttl_max;  /* the longest life that one of them says is left */
  bool valid;        /* `validate` has accepted it */
};

/* Zero-initialised it is empty. */
struct kad_found_records {
  struct kad_found_record *items;
  size_t count;
  size_t cap;
  struct kad_id *contact_ids; /* by number, or NULL; we are number 0 */
  uint32_t contact_count;     /* contacts that have replied */
  uint64_t partial;      /* bits of contacts that hold more than was read */
  uint32_t complete_max; /* records of a contact of which all were read */
};

/* What is known of the records that a contact holds. */
enum kad_known_content {
  KAD_KNOWN_CONTENT_PARTIAL, /* it may hold more than was read */
  KAD_KNOWN_CONTENT_NONE,
  KAD_KNOWN_CONTENT_ALL
};

/* Allocates the list of contacts. When out of memory, no contact is tracked. */
void kad_found_records_init(struct kad_found_records *found,
                            const struct kad_allocator *allocator);

/* Frees everything. */
void kad_found_records_deinit(struct kad_found_records *found,
                              const struct kad_allocator *allocator);

/* Returns the number of a contact that replies for the first time. */
uint32_t kad_found_records_add_contact(struct kad_found_records *found,
                                       const struct kad_id *id);

/* Returns true if `record` was added before. */
bool kad_found_records_has(const struct kad_found_records *found,
                           const struct kad_record *record);

/* Adds a record that the contact `number` has returned. Copies it, unless it is
 * found already. Drops it when out of memory, or if there are
 * KAD_FOUND_RECORDS_MAX. */
void kad_found_records_add(struct kad_found_records *found,
                           const struct kad_allocator *allocator,
                           uint32_t number, const struct kad_record *record);

/* Notes that `read` records of the contact `number` have been read, of `total`
 * that it holds. */
void kad_found_records_note_read(struct kad_found_records *found,
                                 uint32_t number, uint32_t read,
                                 uint32_t total);

/* The default merge: writes the valid records that no other makes obsolete to
 * `out`, of KAD_FOUND_RECORDS_MAX: those with the highest seq first, then those
 * that most contacts returned. Borrows: their slices. Returns their number. */
size_t kad_found_records_merge(const struct kad_found_records *found,
                               struct kad_record *out);

/* Returns the longest life that `record` has left, 0 if no contact says. A
 * record that a merge has made lives as long as any of the valid ones. */
uint32_t kad_found_records_ttl(const struct kad_found_records *found,
                               const struct kad_record *record);

/* Returns what is known of the records that a contact holds. */
enum kad_known_content kad_found_records_content(
    const struct kad_found_records *found, const struct kad_id *contact);

/* Returns true if the contact has returned `record`. */
bool kad_found_records_returned(const struct kad_found_records *found,
                                const struct kad_id *contact,
                                const struct kad_record *record);

#endif
