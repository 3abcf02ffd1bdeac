#include "records/peers/swarm.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* What the last byte of a row says. */
enum {
  MARK_IP6 = 1,
  MARK_SEED = 2,
  MARK_ENTRY = 4, /* a number instead of the peer; no time, life, port, via */
  MARK_LONG_TIME = 8,
  MARK_LONG_SERIAL = 16,
  MARK_LIFE = 32,
  MARK_PORT = 64,
  MARK_VIA = 128
};

enum {
  MARKS_SIZE = 1,
  NUMBER_SIZE = 4,
  SHORT_TIME_SIZE = 3,
  LONG_SIZE = 4,
  SHORT_SERIAL_SIZE = 2,
  SHORT_TIME_MAX = (1 << (8 * SHORT_TIME_SIZE)) - 1
};

/* ---------------------------------------------------------------- rows -- */

static size_t size_if(unsigned marks, unsigned mark, size_t size) {
  return (marks & mark) != 0 ? size : 0;
}

static size_t time_size(unsigned marks) {
  return (marks & MARK_LONG_TIME) != 0 ? LONG_SIZE : SHORT_TIME_SIZE;
}

static size_t serial_size(unsigned marks) {
  return (marks & MARK_LONG_SERIAL) != 0 ? LONG_SIZE : SHORT_SERIAL_SIZE;
}

static size_t value_size(unsigned marks) {
  return (marks & MARK_IP6) != 0 ? KAD_COMPACT_IP6 : KAD_COMPACT_IP4;
}

static size_t size_of(unsigned marks) {
  const size_t size = serial_size(marks) + MARKS_SIZE;
  if ((marks & MARK_ENTRY) != 0) {
    return size + NUMBER_SIZE;
  }
  return size + time_size(marks) + size_if(marks, MARK_LIFE, LONG_SIZE) +
         size_if(marks, MARK_PORT, 2) + size_if(marks, MARK_VIA, 1) +
         value_size(marks);
}

/* Appends the `size` lowest bytes of `number`. */
static uint8_t *put(uint8_t *to, uint32_t number, size_t size) {
  for (size_t i = 0; i < size; i++) {
    to[i] = (uint8_t)(number >> (8 * i));
  }
  return to + size;
}

/* Takes a number of `size` bytes. */
static uint32_t take(const uint8_t **from, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; i++) {
    number |= (uint32_t)(*from)[i] << (8 * i);
  }
  *from += size;
  return number;
}

static uint16_t port_of(struct kad_slice compact) {
  return (uint16_t)(compact.data[compact.len - 2] << 8 |
                    compact.data[compact.len - 1]);
}

static unsigned mark_if(bool has, unsigned mark) {
  return has ? mark : 0;
}

static uint32_t life_of(const struct kad_swarm_row *row) {
  return (uint32_t)(row->expires_at - row->stored_at);
}

static unsigned marks_of(const struct kad_swarm *swarm,
                         const struct kad_swarm_row *row) {
  const unsigned serial = mark_if(row->serial > UINT16_MAX, MARK_LONG_SERIAL);
  if (row->entry != KAD_NO_ITEM) {
    return serial | MARK_ENTRY;
  }
  return serial | mark_if(row->value.len == KAD_COMPACT_IP6, MARK_IP6) |
         mark_if(row->is_seed, MARK_SEED) |
         mark_if(row->stored_at - swarm->base > SHORT_TIME_MAX,
                 MARK_LONG_TIME) |
         mark_if(life_of(row) != swarm->life, MARK_LIFE) |
         mark_if(row->port != port_of(row->value), MARK_PORT) |
         mark_if(row->via != swarm->via, MARK_VIA);
}

/* Writes a row and returns its size. */
static size_t write_row(const struct kad_swarm *swarm,
                        const struct kad_swarm_row *row, uint8_t *to) {
  const unsigned marks = marks_of(swarm, row);
  uint8_t *at = to;
  if ((marks & MARK_ENTRY) != 0) {
    at = put(at, row->serial, serial_size(marks));
    at = put(at, row->entry, NUMBER_SIZE);
  } else {
    at = put(at, (uint32_t)(row->stored_at - swarm->base), time_size(marks));
    at = put(at, row->serial, serial_size(marks));
    at = put(at, life_of(row), size_if(marks, MARK_LIFE, LONG_SIZE));
    at = put(at, row->port, size_if(marks, MARK_PORT, 2));
    at = put(at, row->via, size_if(marks, MARK_VIA, 1));
    memcpy(at, row->value.data, row->value.len);
    at += row->value.len;
  }
  at = put(at, marks, MARKS_SIZE);
  return (size_t)(at - to);
}

bool kad_swarm_row_of(const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      struct kad_swarm_row *row) {
  struct kad_address peer;
  const bool is_plain = record->publisher == NULL &&
                        record->signature == NULL && record->salt.len == 0 &&
                        !record->has_seq;
  *row = (struct kad_swarm_row){
      .entry = KAD_NO_ITEM,
      .value = record->value,
      .stored_at = meta->stored_at,
      .expires_at = meta->expires_at,
      .port = meta->origin.port,
      .via = meta->origin.via,
      .is_seed = meta->is_seed,
  };
  return is_plain && meta->republish_at == KAD_TIME_NEVER &&
         meta->expires_at != KAD_TIME_NEVER &&
         meta->expires_at >= meta->stored_at &&
         meta->expires_at - meta->stored_at <= UINT32_MAX &&
         kad_address_unpack(record->value, &peer) == 0 &&
         kad_address_same_ip(&peer, &meta->origin);
}

void kad_swarm_row_meta(const struct kad_swarm_row *row,
                        struct kad_record_meta *meta) {
  const size_t ip_size = row->value.len - 2;
  *meta = (struct kad_record_meta){
      .stored_at = row->stored_at,
      .expires_at = row->expires_at,
      .republish_at = KAD_TIME_NEVER,
      .origin = {.family = ip_size == 4 ? 4 : 6,
                 .port = row->port,
                 .via = row->via},
      .is_seed = row->is_seed,
  };
  memcpy(meta->origin.ip, row->value.data, ip_size);
}

void kad_swarm_read(const struct kad_swarm *swarm, uint32_t end,
                    struct kad_swarm_row *row) {
  const unsigned marks = swarm->rows[end - 1];
  *row = (struct kad_swarm_row){.begin = end - (uint32_t)size_of(marks),
                                .end = end,
                                .entry = KAD_NO_ITEM};
  const uint8_t *at = swarm->rows + row->begin;
  if ((marks & MARK_ENTRY) != 0) {
    row->serial = take(&at, serial_size(marks));
    row->entry = take(&at, NUMBER_SIZE);
    return;
  }
  row->stored_at = swarm->base + take(&at, time_size(marks));
  row->serial = take(&at, serial_size(marks));
  row->expires_at =
      row->stored_at +
      ((marks & MARK_LIFE) != 0 ? take(&at, LONG_SIZE) : swarm->life);
  const bool has_port = (marks & MARK_PORT) != 0;
  row->port = has_port ? (uint16_t)take(&at, 2) : 0;
  row->via = (marks & MARK_VIA) != 0 ? (uint8_t)take(&at, 1) : swarm->via;
  row->value = (struct kad_slice){at, value_size(marks)};
  row->port = has_port ? row->port : port_of(row->value);
  row->is_seed = (marks & MARK_SEED) != 0;
}

/* --------------------------------------------------------------- walks -- */

/* Visits rows from the newest to the oldest without reading all of each. Most
 * rows have the same marks, and so the same size. */
struct walk {
  const struct kad_swarm *swarm;
  uint32_t end; /* of the row; 0: no more */
  uint32_t size;
  unsigned marks;
};

/* Looks at the row that ends at `end`. */
static void look(struct walk *walk) {
  const unsigned marks =
      walk->end == 0 ? walk->marks : walk->swarm->rows[walk->end - 1];
  if (marks != walk->marks) {
    walk->marks = marks;
    walk->size = (uint32_t)size_of(marks);
  }
}

static struct walk begin_walk(const struct kad_swarm *swarm) {
  struct walk walk = {.swarm = swarm, .end = swarm->len, .marks = UINT_MAX};
  look(&walk);
  return walk;
}

static void walk_on(struct walk *walk) {
  walk->end -= walk->size;
  look(walk);
}

static bool is_entry(const struct walk *walk) {
  return (walk->marks & MARK_ENTRY) != 0;
}

static const uint8_t *row_at(const struct walk *walk) {
  return walk->swarm->rows + walk->end - walk->size;
}

static uint32_t serial_at(const struct walk *walk) {
  const uint8_t *at =
      row_at(walk) + (is_entry(walk) ? 0 : time_size(walk->marks));
  return take(&at, serial_size(walk->marks));
}

/* Returns the time of a row that is no entry. */
static uint32_t time_at(const struct walk *walk) {
  const uint8_t *at = row_at(walk);
  return take(&at, time_size(walk->marks));
}

/* Returns when a row that is no entry expires. */
static kad_time_ms expiry_at(const struct walk *walk) {
  const uint8_t *at = row_at(walk);
  const uint32_t time = take(&at, time_size(walk->marks));
  at += serial_size(walk->marks);
  return walk->swarm->base + time +
         ((walk->marks & MARK_LIFE) != 0 ? take(&at, LONG_SIZE)
                                         : walk->swarm->life);
}

bool kad_swarm_find(const struct kad_swarm *swarm, uint32_t serial,
                    struct kad_swarm_row *row) {
  struct walk walk = begin_walk(swarm);
  while (walk.end > 0 && serial_at(&walk) != serial) {
    walk_on(&walk);
  }
  if (walk.end == 0) {
    return false;
  }
  kad_swarm_read(swarm, walk.end, row);
  return true;
}

size_t kad_swarm_list(const struct kad_swarm *swarm, size_t skip,
                      uint32_t *serials, size_t cap) {
  struct walk walk = begin_walk(swarm);
  for (size_t i = 0; i < skip && walk.end > 0; i++) {
    walk_on(&walk);
  }
  size_t count = 0;
  for (; count < cap && walk.end > 0; walk_on(&walk)) {
    serials[count++] = serial_at(&walk);
  }
  return count;
}

bool kad_swarm_find_oldest(const struct kad_swarm *swarm, uint32_t *left,
                           uint32_t *serial) {
  bool has_found = false;
  const uint32_t among = *left < swarm->count ? *left : swarm->count;
  struct walk walk = begin_walk(swarm);
  for (uint32_t newer = 0; newer < among; newer++) {
    if (!is_entry(&walk)) {
      *left = newer;
      *serial = serial_at(&walk);
      has_found = true;
    }
    walk_on(&walk);
  }
  return has_found;
}

void kad_swarm_find_due(struct kad_swarm *swarm) {
  swarm->due = KAD_TIME_NEVER;
  swarm->is_late = false;
  for (struct walk walk = begin_walk(swarm); walk.end > 0; walk_on(&walk)) {
    const kad_time_ms at = is_entry(&walk) ? KAD_TIME_NEVER : expiry_at(&walk);
    if (at < swarm->due) {
      swarm->due = at;
      swarm->due_serial = serial_at(&walk);
    }
  }
}

/* -------------------------------------------------------------- swarms -- */

static size_t block_size(size_t cap) {
  return offsetof(struct kad_swarm, rows) + cap;
}

/* Returns the room that `len` bytes of rows should have. */
static size_t room_for(size_t len) {
  return len + len / 16 + 24;
}

struct kad_swarm *kad_swarm_new(const struct kad_allocator *allocator,
                                const struct kad_id *key) {
  struct kad_swarm *swarm = kad_alloc(allocator, sizeof *swarm);
  if (swarm != NULL) {
    *swarm = (struct kad_swarm){
        .key = *key,
        .due = KAD_TIME_NEVER,
        .cap = sizeof *swarm - offsetof(struct kad_swarm, rows),
    };
  }
  return swarm;
}

void kad_swarm_free(struct kad_swarm *swarm,
                    const struct kad_allocator *allocator) {
  kad_release(allocator, swarm, block_size(swarm->cap));
}

static int resize(struct kad_swarm **swarm,
                  const struct kad_allocator *allocator, size_t cap) {
  if (cap > INT32_MAX) {
    return KAD_ENOMEM;
  }
  struct kad_swarm *moved =
      kad_resize(allocator, *swarm, block_size((*swarm)->cap), block_size(cap));
  if (moved == NULL) {
    return KAD_ENOMEM;
  }
  moved->cap = (uint32_t)cap;
  *swarm = moved;
  return 0;
}

int kad_swarm_reserve(struct kad_swarm **swarm,
                      const struct kad_allocator *allocator, size_t size) {
  const size_t needed = (*swarm)->len + size;
  return needed <= (*swarm)->cap ? 0
                                 : resize(swarm, allocator, room_for(needed));
}

void kad_swarm_shrink(struct kad_swarm **swarm,
                      const struct kad_allocator *allocator) {
  const size_t len = (*swarm)->len;
  if ((*swarm)->cap > len + len / 8 + 64) {
    (void)resize(swarm, allocator, room_for(len)); /* else it stays large */
  }
}

/* Makes `base` later, as late as the rows allow. */
static void advance_base(struct kad_swarm *swarm) {
  uint32_t least = UINT32_MAX;
  for (struct walk walk = begin_walk(swarm); walk.end > 0; walk_on(&walk)) {
    if (!is_entry(&walk) && time_at(&walk) < least) {
      least = time_at(&walk);
    }
  }
  for (struct walk walk = begin_walk(swarm); walk.end > 0; walk_on(&walk)) {
    if (!is_entry(&walk)) {
      (void)put(swarm->rows + walk.end - walk.size, time_at(&walk) - least,
                time_size(walk.marks));
    }
  }
  swarm->base += least;
}

void kad_swarm_prepare(struct kad_swarm *swarm,
                       const struct kad_swarm_row *row) {
  if (row->entry != KAD_NO_ITEM) {
    return;
  }
  if (swarm->peers == 0) {
    swarm->base = row->stored_at;
    swarm->life = life_of(row);
    swarm->via = row->via;
    return;
  }
  if (row->stored_at > swarm->base &&
      row->stored_at - swarm->base > SHORT_TIME_MAX) {
    advance_base(swarm);
  }
}

size_t kad_swarm_row_size(const struct kad_swarm *swarm,
                          const struct kad_swarm_row *row) {
  const bool has_time =
      row->entry == KAD_NO_ITEM && (row->stored_at < swarm->base ||
                                    row->stored_at - swarm->base > UINT32_MAX);
  return has_time ? 0 : size_of(marks_of(swarm, row));
}

/* Notes when a new row expires. */
static void note_due(struct kad_swarm *swarm, const struct kad_swarm_row *row) {
  if (row->entry == KAD_NO_ITEM && row->expires_at <= swarm->due) {
    swarm->due = row->expires_at;
    swarm->due_serial = row->serial;
    swarm->is_late = false;
  }
}

/* Notes that a row goes. */
static void forget_due(struct kad_swarm *swarm,
                       const struct kad_swarm_row *row) {
  swarm->is_late = swarm->is_late || (row->entry == KAD_NO_ITEM &&
                                      row->serial == swarm->due_serial);
}

void kad_swarm_append(struct kad_swarm *swarm,
                      const struct kad_swarm_row *row) {
  assert(swarm->len + kad_swarm_row_size(swarm, row) <= swarm->cap);
  swarm->len += (uint32_t)write_row(swarm, row, swarm->rows + swarm->len);
  swarm->count++;
  swarm->peers += row->entry == KAD_NO_ITEM;
  note_due(swarm, row);
}

/* Removes the bytes of a row. */
static void cut(struct kad_swarm *swarm, const struct kad_swarm_row *old) {
  memmove(swarm->rows + old->begin, swarm->rows + old->end,
          swarm->len - old->end);
  swarm->len -= old->end - old->begin;
}

void kad_swarm_remove(struct kad_swarm *swarm,
                      const struct kad_swarm_row *old) {
  forget_due(swarm, old);
  cut(swarm, old);
  swarm->count--;
  swarm->peers -= old->entry == KAD_NO_ITEM;
}

void kad_swarm_replace(struct kad_swarm *swarm, const struct kad_swarm_row *old,
                       const struct kad_swarm_row *row, bool renews) {
  uint8_t bytes[KAD_SWARM_ROW_MAX];
  const size_t size = write_row(swarm, row, bytes);
  forget_due(swarm, old);
  cut(swarm, old);
  const uint32_t begin = renews ? swarm->len : old->begin;
  assert(swarm->len + size <= swarm->cap);
  memmove(swarm->rows + begin + size, swarm->rows + begin, swarm->len - begin);
  memcpy(swarm->rows + begin, bytes, size);
  swarm->len += (uint32_t)size;
  swarm->peers -= old->entry == KAD_NO_ITEM;
  swarm->peers += row->entry == KAD_NO_ITEM;
  note_due(swarm, row);
}
