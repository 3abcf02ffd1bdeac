/* BEP 42 "DHT Security extension". Tests core/base/secure_id.c. */
#include "kadenza_secure_id.h"
#include "unit.h"

#include <string.h>

enum {
  BITS = 160,
  SIZE = 20
};

static struct kad_address host(const char *ip) {
  char text[KAD_ADDRESS_TEXT_SIZE + 8] = "";
  struct kad_address address;
  strcat(text, ip);
  strcat(text, ":6881");
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

static struct kad_id parse_id(const char *hex) {
  struct kad_id id;
  unsigned bits = 0;
  assert_ok(kad_id_parse(kad_slice_of(hex), &id, &bits));
  assert_int_equal(bits, BITS);
  return id;
}

static bool fits(const char *hex, const char *ip) {
  const struct kad_id id = parse_id(hex);
  const struct kad_address address = host(ip);
  return kad_secure_id_check(&id, BITS, &address);
}

/* The test vectors of BEP 42 "Node ID restriction". */
static const struct {
  const char *ip;
  const char *id;
} vectors[] = {
    {"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
    {"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
    {"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
    {"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
    {"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"},
};

enum {
  VECTORS = sizeof vectors / sizeof *vectors
};

static void bep42_node_id_restriction_vectors_fit(void **state) {
  (void)state;
  for (size_t i = 0; i < VECTORS; i++) {
    assert_true(fits(vectors[i].id, vectors[i].ip));
  }
}

/* The random bits of the vectors, with other bits in place of the bound ones,
 * give the vectors again. */
static void bep42_node_id_restriction_makes_the_vectors(void **state) {
  (void)state;
  for (size_t i = 0; i < VECTORS; i++) {
    const struct kad_address address = host(vectors[i].ip);
    const struct kad_id expected = parse_id(vectors[i].id);
    struct kad_id random = expected;
    struct kad_id made;
    random.bytes[0] ^= 0xff;
    random.bytes[1] ^= 0xff;
    random.bytes[2] ^= 0xf8;
    assert_ok(kad_secure_id_make(&address, BITS, random.bytes, &made));
    assert_true(kad_id_equal(&made, &expected));
  }
}

/* Of an id that fits, 21 bits and `r` are bound: each of the first 21 bits
 * alone makes it misfit, and no other bit but those of `r` does. */
static void bep42_node_id_restriction_binds_21_bits(void **state) {
  (void)state;
  for (size_t i = 0; i < VECTORS; i++) {
    const struct kad_address address = host(vectors[i].ip);
    for (unsigned bit = 0; bit < BITS - 3; bit++) {
      struct kad_id id = parse_id(vectors[i].id);
      id.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
      assert_int_equal(kad_secure_id_check(&id, BITS, &address), bit >= 21);
    }
    for (unsigned r = 1; r < 8; r++) {
      struct kad_id id = parse_id(vectors[i].id);
      id.bytes[SIZE - 1] ^= (uint8_t)r;
      assert_false(kad_secure_id_check(&id, BITS, &address));
    }
  }
}

/* Only the masked bits of an address count, and all of them do. */
static void bep42_node_id_restriction_masks_the_address(void **state) {
  static const uint8_t mask4[] = {0x03, 0x0f, 0x3f, 0xff};
  static const uint8_t mask6[] = {0x01, 0x03, 0x07, 0x0f,
                                  0x1f, 0x3f, 0x7f, 0xff};
  (void)state;
  for (unsigned family = 4; family <= 6; family += 2) {
    const size_t size = family == 4 ? 4 : 16;
    const struct kad_address address = host(
        family == 4 ? "84.124.73.14" : "[2a01:4f8:c0c:1234:5678:9abc:def0:1]");
    const uint8_t *mask = family == 4 ? mask4 : mask6;
    const size_t masked = family == 4 ? sizeof mask4 : sizeof mask6;
    uint8_t random[KAD_ID_SIZE] = {0};
    struct kad_id id;
    assert_ok(kad_secure_id_make(&address, BITS, random, &id));
    for (size_t bit = 0; bit < size * 8; bit++) {
      struct kad_address other = address;
      const uint8_t flipped = (uint8_t)(0x80 >> bit % 8);
      const bool counts = bit / 8 < masked && (mask[bit / 8] & flipped) != 0;
      other.ip[bit / 8] ^= flipped;
      assert_int_equal(kad_secure_id_check(&id, BITS, &other), !counts);
    }
  }
}

/* Over IPv6 the first 64 bits count, hashed as eight bytes. The prefix is that
 * of the CRC32C of a0 01 05 08 1f 3f 7f ff. */
static void bep42_node_id_restriction_of_ip6(void **state) {
  const struct kad_address address =
      host("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]");
  uint8_t random[KAD_ID_SIZE] = {0};
  struct kad_id id;
  (void)state;
  random[SIZE - 1] = 5;
  assert_ok(kad_secure_id_make(&address, BITS, random, &id));
  assert_int_equal(id.bytes[0], 0x6b);
  assert_int_equal(id.bytes[1], 0xb2);
  assert_int_equal(id.bytes[2], 0x00);
  assert_int_equal(id.bytes[SIZE - 1], 5);
}

/* An address has eight prefixes, one for each `r`. */
static void bep42_considerations_gives_eight_prefixes(void **state) {
  const struct kad_address address = host("43.213.53.83");
  struct kad_id ids[8];
  (void)state;
  for (unsigned r = 0; r < 8; r++) {
    uint8_t random[KAD_ID_SIZE] = {0};
    random[SIZE - 1] = (uint8_t)r;
    assert_ok(kad_secure_id_make(&address, BITS, random, &ids[r]));
    for (unsigned i = 0; i < r; i++) {
      assert_true(kad_id_prefix(&ids[r], &ids[i]) < 21);
    }
  }
}

static void bep42_enforcement_exempts_local_addresses(void **state) {
  static const char *const local[] = {
      "10.0.0.1",    "10.255.255.255", "172.16.0.1", "172.31.255.255",
      "192.168.0.1", "169.254.1.1",    "127.0.0.1",  "127.255.0.1",
      "[::1]",       "[fe80::1]",      "[fd00::1]",
  };
  static const char *const global[] = {
      "9.255.255.255", "11.0.0.0",    "172.15.255.255",
      "172.32.0.0",    "192.167.0.1", "192.169.0.1",
      "169.253.0.1",   "128.0.0.1",   "[2001:4860::1]",
  };
  const char *const id = "ffffffffffffffffffffffffffffffffffffffff";
  (void)state;
  for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
    assert_true(fits(id, local[i]));
  }
  for (size_t i = 0; i < sizeof global / sizeof *global; i++) {
    assert_false(fits(id, global[i]));
  }
}

/* BEP 42 knows ids of 160 bits. In wider ones the last byte has `r` too. */
static void wide_ids_have_r_in_their_last_byte(void **state) {
  const struct kad_address address = host("65.23.51.170");
  uint8_t random[KAD_ID_SIZE] = {0};
  struct kad_id id;
  (void)state;
  random[KAD_ID_SIZE - 1] = 22;
  assert_ok(kad_secure_id_make(&address, 256, random, &id));
  assert_int_equal(id.bytes[0], 0xa5);
  assert_int_equal(id.bytes[1], 0xd4);
  assert_int_equal(id.bytes[2] & 0xf8, 0x30);
  assert_int_equal(id.bytes[KAD_ID_SIZE - 1], 22);
  assert_true(kad_secure_id_check(&id, 256, &address));
  assert_false(kad_secure_id_check(&id, BITS, &address));
}

static void refuses_other_widths_and_families(void **state) {
  struct kad_address address = host("65.23.51.170");
  const uint8_t random[KAD_ID_SIZE] = {0};
  struct kad_id id;
  (void)state;
  assert_int_equal(kad_secure_id_make(&address, 128, random, &id), KAD_EINVAL);
  address.family = 0;
  assert_int_equal(kad_secure_id_make(&address, BITS, random, &id), KAD_EINVAL);
  id = parse_id(vectors[0].id);
  assert_false(kad_secure_id_check(&id, BITS, &address));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep42_node_id_restriction_vectors_fit),
      cmocka_unit_test(bep42_node_id_restriction_makes_the_vectors),
      cmocka_unit_test(bep42_node_id_restriction_binds_21_bits),
      cmocka_unit_test(bep42_node_id_restriction_masks_the_address),
      cmocka_unit_test(bep42_node_id_restriction_of_ip6),
      cmocka_unit_test(bep42_considerations_gives_eight_prefixes),
      cmocka_unit_test(bep42_enforcement_exempts_local_addresses),
      cmocka_unit_test(wide_ids_have_r_in_their_last_byte),
      cmocka_unit_test(refuses_other_widths_and_families),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
