#include "records/record.h"
#include "unit.h"

#include <sodium.h>

#include <string.h>

struct signer {
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
};

static const struct kad_id key = {.bytes = "twenty bytes of key."};

static void make_signer(struct signer *signer) {
  uint8_t seed[32] = {7};
  kad_keypair(seed, signer->publisher, signer->secret);
}

/* Returns a record with every field, signed by `signer`. */
static struct kad_record sign_full(struct signer *signer) {
  make_signer(signer);
  struct kad_record record = {
      .key = key,
      .type = kad_slice_of("value"),
      .value = kad_slice_of("hello"),
      .salt = kad_slice_of("pepper"),
      .publisher = signer->publisher,
      .signature = signer->signature,
      .seq = -42,
      .has_seq = true,
  };
  assert_ok(kad_record_sign(&record, 160, signer->secret, signer->signature));
  return record;
}

/* RFC 8032 §7.1, test 1. */
static void makes_a_key_pair_from_a_seed(void **state) {
  (void)state;
  uint8_t seed[32];
  uint8_t expected[KAD_PUBLISHER_SIZE];
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  sodium_hex2bin(
      seed, sizeof seed,
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", 64,
      NULL, NULL, NULL);
  sodium_hex2bin(
      expected, sizeof expected,
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", 64,
      NULL, NULL, NULL);

  kad_keypair(seed, publisher, secret);

  assert_memory_equal(publisher, expected, sizeof expected);
}

/* RFC 8032 §7.1, test 2. */
static void signs_and_verifies_bytes(void **state) {
  (void)state;
  uint8_t seed[32];
  uint8_t expected[KAD_SIGNATURE_SIZE];
  struct signer signer;
  sodium_hex2bin(
      seed, sizeof seed,
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", 64,
      NULL, NULL, NULL);
  sodium_hex2bin(
      expected, sizeof expected,
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
      128, NULL, NULL, NULL);
  kad_keypair(seed, signer.publisher, signer.secret);
  const struct kad_slice message = {(const uint8_t *)"\x72", 1};

  kad_sign(message, signer.secret, signer.signature);

  assert_memory_equal(signer.signature, expected, sizeof expected);
  assert_true(kad_verify(message, signer.publisher, expected));
  assert_false(kad_verify((struct kad_slice){0}, signer.publisher, expected));
  expected[0] ^= 1;
  assert_false(kad_verify(message, signer.publisher, expected));
}

static void signature_covers_key_salt_seq_type_and_value(void **state) {
  (void)state;
  struct signer signer;
  static const char covered[] = "d3:key20:twenty bytes of key.4:salt6:pepper"
                                "3:seqi-42e4:type5:value1:v5:helloe";

  sign_full(&signer);

  assert_int_equal(crypto_sign_verify_detached(
                       signer.signature, (const unsigned char *)covered,
                       sizeof covered - 1, signer.publisher),
                   0);
}

static void signature_omits_absent_fields(void **state) {
  (void)state;
  struct signer signer;
  make_signer(&signer);
  struct kad_record record = {.key = key, .type = kad_slice_of("value")};
  static const char covered[] =
      "d3:key20:twenty bytes of key.4:type5:value1:v0:e";

  assert_ok(kad_record_sign(&record, 160, signer.secret, signer.signature));

  assert_int_equal(crypto_sign_verify_detached(
                       signer.signature, (const unsigned char *)covered,
                       sizeof covered - 1, signer.publisher),
                   0);
}

/* Verifies a signature that was not verified before. */
static bool verify(const struct kad_record *record, unsigned id_bits) {
  static const uint8_t secret[KAD_MAP_SECRET_SIZE] = {1};
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_verified verified;
  kad_verified_init(&verified, &allocator, secret);
  const bool is_valid = kad_record_verify(record, id_bits, &verified);
  kad_verified_deinit(&verified);
  return is_valid;
}

static void verifies_a_signed_record(void **state) {
  (void)state;
  struct signer signer;

  struct kad_record record = sign_full(&signer);

  assert_true(verify(&record, 160));
}

static void rejects_a_change_of_any_field(void **state) {
  (void)state;
  struct signer signer;
  const struct kad_record record = sign_full(&signer);

  struct kad_record changed = record;
  changed.key.bytes[19]++;
  assert_false(verify(&changed, 160));
  changed = record;
  changed.type = kad_slice_of("valuf");
  assert_false(verify(&changed, 160));
  changed = record;
  changed.value = kad_slice_of("hellp");
  assert_false(verify(&changed, 160));
  changed = record;
  changed.salt = (struct kad_slice){0};
  assert_false(verify(&changed, 160));
  changed = record;
  changed.seq++;
  assert_false(verify(&changed, 160));
  changed = record;
  changed.has_seq = false;
  assert_false(verify(&changed, 160));
  assert_false(verify(&record, 256));
}

static void rejects_another_signature_or_publisher(void **state) {
  (void)state;
  struct signer signer;
  struct kad_record record = sign_full(&signer);

  for (size_t i = 0; i < KAD_SIGNATURE_SIZE; i++) {
    signer.signature[i] ^= 1;
    assert_false(verify(&record, 160));
    signer.signature[i] ^= 1;
  }
  signer.publisher[0] ^= 1;
  assert_false(verify(&record, 160));
  signer.publisher[0] ^= 1;
  assert_true(verify(&record, 160));
}

/* With a key of small order, one signature is valid for any message. */
static void rejects_the_all_zero_publisher(void **state) {
  (void)state;
  uint8_t zeros[KAD_SIGNATURE_SIZE] = {0};
  struct kad_record record = {.key = key,
                              .type = kad_slice_of("value"),
                              .publisher = zeros,
                              .signature = zeros};

  assert_false(verify(&record, 160));
}

static void accepts_a_record_without_publisher(void **state) {
  (void)state;
  struct signer signer;
  struct kad_record record = sign_full(&signer);

  record.publisher = NULL;
  assert_true(verify(&record, 160));
  record.publisher = signer.publisher;
  record.signature = NULL;
  assert_false(verify(&record, 160));
}

static void signs_all_of_a_256_bit_key(void **state) {
  (void)state;
  struct signer signer;
  struct kad_record record = sign_full(&signer);
  record.key.bytes[KAD_ID_SIZE - 1] = 9;

  assert_ok(kad_record_sign(&record, 256, signer.secret, signer.signature));
  assert_true(verify(&record, 256));
  record.key.bytes[KAD_ID_SIZE - 1] = 8;
  assert_false(verify(&record, 256));
}

static void signs_records_up_to_the_limits(void **state) {
  (void)state;
  static const uint8_t bytes[KAD_VALUE_MAX + 1];
  struct signer signer;
  struct kad_record record = sign_full(&signer);
  record.key.bytes[KAD_ID_SIZE - 1] = 1;
  record.seq = INT64_MIN;
  record.type = (struct kad_slice){bytes, KAD_TYPE_NAME_MAX};
  record.salt = (struct kad_slice){bytes, KAD_SALT_MAX};
  record.value = (struct kad_slice){bytes, KAD_VALUE_MAX};

  assert_ok(kad_record_sign(&record, 256, signer.secret, signer.signature));
  assert_true(verify(&record, 256));

  struct kad_record larger = record;
  larger.value.len++;
  assert_int_equal(
      kad_record_sign(&larger, 256, signer.secret, signer.signature),
      KAD_ETOOBIG);
  larger = record;
  larger.salt.len++;
  assert_int_equal(
      kad_record_sign(&larger, 256, signer.secret, signer.signature),
      KAD_ETOOBIG);
  larger = record;
  larger.type.len++;
  assert_int_equal(
      kad_record_sign(&larger, 256, signer.secret, signer.signature),
      KAD_ETOOBIG);
}

static void accepts_160_and_256_bits_only(void **state) {
  (void)state;
  struct signer signer;
  struct kad_record record = sign_full(&signer);

  assert_int_equal(
      kad_record_sign(&record, 128, signer.secret, signer.signature),
      KAD_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(makes_a_key_pair_from_a_seed),
      cmocka_unit_test(signs_and_verifies_bytes),
      cmocka_unit_test(signature_covers_key_salt_seq_type_and_value),
      cmocka_unit_test(signature_omits_absent_fields),
      cmocka_unit_test(verifies_a_signed_record),
      cmocka_unit_test(rejects_a_change_of_any_field),
      cmocka_unit_test(rejects_another_signature_or_publisher),
      cmocka_unit_test(rejects_the_all_zero_publisher),
      cmocka_unit_test(accepts_a_record_without_publisher),
      cmocka_unit_test(signs_all_of_a_256_bit_key),
      cmocka_unit_test(signs_records_up_to_the_limits),
      cmocka_unit_test(accepts_160_and_256_bits_only),
  };
  return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
