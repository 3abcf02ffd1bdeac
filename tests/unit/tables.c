#include "tables.h"

#include "unit.h"

void kad_tables_begin(struct kad_tables *it, unsigned id_bits,
                      unsigned family) {
  *it = (struct kad_tables){
      .config =
          {
              .id_bits = id_bits,
              .family = family,
              .k = KAD_TABLES_K,
              .ping_ms = KAD_TABLES_PING_MS,
          },
      .now = 1000,
  };
  kad_counting_init(&it->counting);
  assert_ok(
      kad_table_new(&it->config, &it->counting.allocator, it->now, &it->table));
}

void kad_tables_restart(struct kad_tables *it) {
  kad_table_free(it->table);
  assert_ok(
      kad_table_new(&it->config, &it->counting.allocator, it->now, &it->table));
}

void kad_tables_end(struct kad_tables *it) {
  kad_table_free(it->table);
  kad_counting_deinit(&it->counting);
}

struct kad_contact kad_tables_contact(const struct kad_tables *it,
                                      unsigned prefix, unsigned number) {
  struct kad_contact contact = {
      .address =
          {
              .family = (uint8_t)it->config.family,
              .port = 6881,
          },
  };
  contact.id.bytes[prefix / 8] = (uint8_t)(0x80U >> prefix % 8);
  contact.id.bytes[it->config.id_bits / 8 - 1] = (uint8_t)number;
  uint8_t *ip = contact.address.ip;
  ip[0] = it->config.family == 4 ? 80 : 0x2a;
  ip[1] = (uint8_t)prefix;
  ip[2] = (uint8_t)number;
  ip[3] = 1;
  return contact;
}

int kad_tables_add_contact(struct kad_tables *it,
                           const struct kad_contact *contact, uint32_t rtt_ms) {
  return kad_table_add(it->table, contact, rtt_ms, it->now, &it->probe);
}

int kad_tables_add(struct kad_tables *it, unsigned prefix, unsigned number) {
  const struct kad_contact contact = kad_tables_contact(it, prefix, number);
  return kad_tables_add_contact(it, &contact, 100);
}

void kad_tables_fill(struct kad_tables *it, unsigned prefix, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    it->now += 1000;
    assert_ok(kad_tables_add(it, prefix, i));
  }
}

void kad_tables_fail(struct kad_tables *it, unsigned prefix, unsigned number,
                     unsigned count) {
  const struct kad_contact contact = kad_tables_contact(it, prefix, number);
  for (unsigned i = 0; i < count; i++) {
    kad_table_failed(it->table, &contact);
  }
}

const struct kad_entry *kad_tables_find(const struct kad_tables *it,
                                        unsigned prefix, unsigned number) {
  const struct kad_contact contact = kad_tables_contact(it, prefix, number);
  return kad_table_find(it->table, &contact.id);
}

bool kad_tables_hands_out(const struct kad_tables *it, unsigned prefix,
                          unsigned number) {
  const struct kad_contact contact = kad_tables_contact(it, prefix, number);
  struct kad_contact found;
  return kad_table_closest(it->table, &contact.id, it->now, &found, 1) == 1 &&
         kad_id_equal(&found.id, &contact.id);
}
