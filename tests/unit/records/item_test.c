/* The items of BEP 44: its test vectors, targets, signatures and checks. */
#include "records/item.h"

#include "unit.h"

#include <sodium.h>

#include <string.h>

#define VALUE "12:Hello World!"

struct vector {
  const char *salt;
  const char *target;    /* hexadecimal */
  const char *signature; /* hexadecimal */
};

static const char publisher_hex[] =
    "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

/* BEP 44 "Test Vectors", 1 and 2. The sequence number is 1. */
static const struct vector vectors[] = {
    {"", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
     "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
     "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"},
    {"foobar", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
     "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
     "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"},
};

static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t own_publisher[KAD_PUBLISHER_SIZE];
static uint8_t secret[KAD_SECRET_SIZE];
static uint8_t signature[KAD_SIGNATURE_SIZE];
static const uint8_t seed[32] = {4, 4};

static void read_hex(const char *hex, uint8_t *out, size_t size) {
  size_t len = 0;
  assert_int_equal(
      sodium_hex2bin(out, size, hex, strlen(hex), NULL, &len, NULL), 0);
  assert_int_equal(len, size);
}

/* Writes a bencoded string of 990 bytes and `digit`, and more behind it. */
static void fill_string(char *out, size_t size, char digit) {
  memset(out, 'x', size);
  out[0] = '9';
  out[1] = '9';
  out[2] = digit;
  out[3] = ':';
}

static int read_keys(void **state) {
  (void)state;
  read_hex(publisher_hex, publisher, sizeof publisher);
  kad_keypair(seed, own_publisher, secret);
  return 0;
}

static void assert_target(const struct kad_id *id, const char *hex) {
  uint8_t bytes[20];
  read_hex(hex, bytes, sizeof bytes);
  assert_memory_equal(id->bytes, bytes, sizeof bytes);
  for (size_t i = 20; i < KAD_ID_SIZE; i++) {
    assert_int_equal(id->bytes[i], 0);
  }
}

/* A mutable item of our own, with its signature in `signature`. */
static struct kad_record make_item(const char *value, const char *salt,
                                   int64_t seq) {
  struct kad_record item = {
      .type = kad_slice_of("mutable"),
      .value = kad_slice_of(value),
      .salt = kad_slice_of(salt),
      .publisher = own_publisher,
      .signature = signature,
      .has_seq = true,
      .seq = seq,
  };
  assert_ok(kad_item_target_mutable(own_publisher, item.salt, &item.key));
  assert_ok(kad_item_sign(item.value, item.salt, seq, secret, signature));
  return item;
}

/* ------------------------------------------------- BEP 44, test vectors -- */

static void bep44_vectors_of_mutable_items(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    const struct kad_slice salt = kad_slice_of(vectors[i].salt);
    const struct kad_slice value = kad_slice_of(VALUE);
    struct kad_id target;
    read_hex(vectors[i].signature, signature, sizeof signature);

    assert_ok(kad_item_target_mutable(publisher, salt, &target));

    assert_target(&target, vectors[i].target);
    assert_true(kad_item_verify(value, salt, 1, publisher, signature));
    assert_false(kad_item_verify(value, salt, 2, publisher, signature));
    assert_false(kad_item_verify(value, kad_slice_of("foobaz"), 1, publisher,
                                 signature));
    assert_false(kad_item_verify(kad_slice_of("12:Hello World?"), salt, 1,
                                 publisher, signature));
    signature[0] ^= 1;
    assert_false(kad_item_verify(value, salt, 1, publisher, signature));
  }
}

static void bep44_vector_of_an_immutable_item(void **state) {
  struct kad_id target;
  (void)state;
  assert_ok(kad_item_target_immutable(kad_slice_of(VALUE), &target));
  assert_target(&target, "e5f96f6f38320f0f33959cb4d3d656452117aadb");
}

/* ------------------------------------------------------------ signing -- */

static void bep44_signature_covers_salt_seq_and_value(void **state) {
  static const uint8_t covered[] = "4:salt6:foobar3:seqi4e1:v5:hello";
  uint8_t expected[KAD_SIGNATURE_SIZE];
  (void)state;
  kad_sign((struct kad_slice){covered, sizeof covered - 1}, secret, expected);
  (void)make_item("5:hello", "foobar", 4);
  assert_memory_equal(signature, expected, sizeof expected);

  kad_sign(kad_slice_of("3:seqi9223372036854775807e1:vle"), secret, expected);
  (void)make_item("le", "", INT64_MAX);
  assert_memory_equal(signature, expected, sizeof expected);
}

static void nothing_is_signed_that_others_refuse(void **state) {
  static char large[1100];
  const struct kad_slice value = kad_slice_of("0:");
  const struct kad_slice salt = {NULL, 0};
  struct kad_slice long_salt = {(const uint8_t *)large, KAD_SALT_MAX + 1};
  struct kad_id id;
  (void)state;
  fill_string(large, sizeof large, '6');
  assert_ok(kad_item_sign((struct kad_slice){(uint8_t *)large, 1000}, salt, 0,
                          secret, signature));
  fill_string(large, sizeof large, '7');
  assert_int_equal(kad_item_sign((struct kad_slice){(uint8_t *)large, 1001},
                                 salt, 0, secret, signature),
                   KAD_ETOOBIG);
  assert_int_equal(kad_item_sign(value, long_salt, 0, secret, signature),
                   KAD_ETOOBIG);
  assert_int_equal(kad_item_target_mutable(publisher, long_salt, &id),
                   KAD_ETOOBIG);
  assert_int_equal(kad_item_sign(value, salt, -1, secret, signature),
                   KAD_EINVAL);
  assert_int_equal(
      kad_item_sign(kad_slice_of("hello"), salt, 0, secret, signature),
      KAD_EMALFORMED);
  assert_int_equal(
      kad_item_target_immutable(kad_slice_of("d1:bi1e1:ai1ee"), &id),
      KAD_EMALFORMED);
  assert_false(kad_item_verify(value, long_salt, 0, publisher, signature));
}

static void missing_arguments_are_refused(void **state) {
  const struct kad_slice value = kad_slice_of("0:");
  const struct kad_slice salt = {NULL, 0};
  struct kad_id id;
  (void)state;
  assert_int_equal(kad_item_check_value(salt), KAD_EMALFORMED);
  assert_int_equal(kad_item_target_immutable(value, NULL), KAD_EINVAL);
  assert_int_equal(kad_item_target_mutable(NULL, salt, &id), KAD_EINVAL);
  assert_int_equal(kad_item_target_mutable(publisher, salt, NULL), KAD_EINVAL);
  assert_int_equal(kad_item_sign(value, salt, 0, NULL, signature), KAD_EINVAL);
  assert_int_equal(kad_item_sign(value, salt, 0, secret, NULL), KAD_EINVAL);
  assert_false(kad_item_verify(value, salt, 0, NULL, signature));
  assert_false(kad_item_verify(value, salt, 0, publisher, NULL));
}

static void a_value_nests_14_deep(void **state) {
  (void)state;
  assert_ok(kad_item_check_value(kad_slice_of("lllllllllllllleeeeeeeeeeeeee")));
  assert_int_equal(
      kad_item_check_value(kad_slice_of("llllllllllllllleeeeeeeeeeeeeee")),
      KAD_EMALFORMED);
}

/* -------------------------------------------------------------- checks -- */

static bool is_signed(const struct kad_record *item) {
  static const uint8_t map_secret[KAD_MAP_SECRET_SIZE] = {7};
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_verified verified;
  kad_verified_init(&verified, &allocator, map_secret);
  const bool first = kad_item_is_signed(item, &verified);
  assert_true(kad_item_is_signed(item, &verified) == first);
  kad_verified_deinit(&verified);
  return first;
}

static int check(const struct kad_record *item) {
  const char *reason = NULL;
  const int code = kad_item_check(kad_item_kind_of(item->type), item, &reason);
  assert_true((code != 0) == (reason != NULL));
  return code;
}

static void bep44_target_is_that_of_the_publisher_and_salt(void **state) {
  struct kad_record item = make_item("5:hello", "s", 1);
  (void)state;
  assert_ok(check(&item));
  assert_true(is_signed(&item));
  item.salt = kad_slice_of("t");
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
  item.salt = kad_slice_of("s");
  item.publisher = publisher;
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
}

/* Seen in other nodes: an unsigned value under the target of a mutable item. */
static void bep44_value_under_a_foreign_target_is_refused(void **state) {
  struct kad_record item = make_item("5:hello", "", 1);
  struct kad_record plain = {.type = kad_slice_of("immutable"),
                             .value = item.value};
  (void)state;
  assert_ok(kad_item_target_immutable(plain.value, &plain.key));
  assert_ok(check(&plain));
  plain.key = item.key;
  assert_int_equal(check(&plain), KAD_CODE_PROTOCOL);
  item.publisher = NULL;
  item.signature = NULL;
  assert_int_equal(check(&item), KAD_CODE_SIGNATURE);
}

static void bep44_error_codes_of_a_malformed_item(void **state) {
  static char large[1100];
  struct kad_record item = make_item("5:hello", "", 1);
  (void)state;
  fill_string(large, sizeof large, '7');
  item.value = (struct kad_slice){(const uint8_t *)large, 1001};
  assert_int_equal(check(&item), KAD_CODE_TOO_BIG);
  item.value = kad_slice_of("d1:bi1e1:ai1ee");
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
  item = make_item("5:hello", "", 1);
  item.salt = (struct kad_slice){(const uint8_t *)large, KAD_SALT_MAX + 1};
  assert_int_equal(check(&item), KAD_CODE_SALT);
  item = make_item("5:hello", "", 1);
  item.seq = -1;
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
  item.seq = 1;
  item.has_seq = false;
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
  item.has_seq = true;
  item.seq = 2;
  assert_ok(check(&item));
  assert_false(is_signed(&item));
}

static void an_immutable_item_has_a_value_only(void **state) {
  struct kad_record item = {.type = kad_slice_of("immutable"),
                            .value = kad_slice_of("le")};
  (void)state;
  assert_ok(kad_item_target_immutable(item.value, &item.key));
  assert_ok(check(&item));
  item.has_seq = true;
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
  item.has_seq = false;
  item.salt = kad_slice_of("s");
  assert_int_equal(check(&item), KAD_CODE_PROTOCOL);
}

static int update(int64_t seq, const char *value, const int64_t *cas) {
  const struct kad_record held = {.value = kad_slice_of("1:a"),
                                  .publisher = publisher,
                                  .has_seq = true,
                                  .seq = 5};
  struct kad_record incoming = held;
  const char *reason = NULL;
  incoming.seq = seq;
  incoming.value = kad_slice_of(value);
  return kad_item_check_update(&incoming, &held, cas, &reason);
}

/* BEP 44 "put message": lower is refused; equal only confirms. */
static void bep44_seq_only_rises(void **state) {
  (void)state;
  assert_ok(update(6, "1:b", NULL));
  assert_ok(update(6, "1:a", NULL));
  assert_ok(update(5, "1:a", NULL));
  assert_int_equal(update(5, "1:b", NULL), KAD_CODE_SEQ);
  assert_int_equal(update(4, "1:b", NULL), KAD_CODE_SEQ);
  assert_int_equal(update(4, "1:a", NULL), KAD_CODE_SEQ);
}

/* BEP 44 "CAS". */
static void bep44_cas_is_the_seq_that_is_held(void **state) {
  static const int64_t right = 5;
  static const int64_t low = 4;
  static const int64_t high = 6;
  (void)state;
  assert_ok(update(6, "1:b", &right));
  assert_int_equal(update(6, "1:b", &low), KAD_CODE_CAS);
  assert_int_equal(update(7, "1:b", &high), KAD_CODE_CAS);
  assert_int_equal(update(4, "1:b", &right), KAD_CODE_SEQ);
  assert_int_equal(update(5, "1:b", &right), KAD_CODE_SEQ);
}

/* A put that is sent again, since its reply was lost. */
static void a_confirmation_needs_no_cas(void **state) {
  static const int64_t before = 4;
  (void)state;
  assert_ok(update(5, "1:a", &before));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep44_vectors_of_mutable_items),
      cmocka_unit_test(bep44_vector_of_an_immutable_item),
      cmocka_unit_test(bep44_signature_covers_salt_seq_and_value),
      cmocka_unit_test(nothing_is_signed_that_others_refuse),
      cmocka_unit_test(missing_arguments_are_refused),
      cmocka_unit_test(a_value_nests_14_deep),
      cmocka_unit_test(bep44_target_is_that_of_the_publisher_and_salt),
      cmocka_unit_test(bep44_value_under_a_foreign_target_is_refused),
      cmocka_unit_test(bep44_error_codes_of_a_malformed_item),
      cmocka_unit_test(an_immutable_item_has_a_value_only),
      cmocka_unit_test(bep44_seq_only_rises),
      cmocka_unit_test(bep44_cas_is_the_seq_that_is_held),
      cmocka_unit_test(a_confirmation_needs_no_cas),
  };
  return cmocka_run_group_tests(tests, read_keys, NULL);
}
