/* Records as bytes, also those that no store has written. Tests
 * core/net/disk/change.c, too. */
#include "memory_fixture.h"
#include "net/disk/change.h"
#include "unit.h"

#include <string.h>

enum {
  ID_SIZE = 20
};

static const uint8_t secret[KAD_IMAGE_SECRET_SIZE] = "sixteen bytes...";
static const uint8_t bytes_of_value[KAD_ITEM_VALUE_MAX] = {1, 2, 3};

static const struct kad_record_meta meta = {
    .stored_at = 11,
    .expires_at = KAD_TIME_NEVER,
    .republish_at = 12,
    .origin = {.ip = {10, 0, 0, 1}, .port = 6881, .family = 4},
};

/* Writes the image of a record, and returns it. */
static struct kad_slice write_image(const struct kad_record *record,
                                    uint8_t out[KAD_IMAGE_MAX]) {
  const size_t meta_size = kad_image_meta_size(&meta);
  kad_image_write_meta(out, &meta, 7);
  kad_image_write_record(out + meta_size, record, ID_SIZE);
  return (struct kad_slice){out,
                            meta_size + kad_image_record_size(record, ID_SIZE)};
}

static bool read_image(struct kad_slice bytes) {
  struct kad_image image;
  struct kad_record record;
  struct kad_record_meta read;
  struct kad_id key;
  if (!kad_image_split(bytes, &image)) {
    return false;
  }
  (void)kad_image_type(&image, ID_SIZE); /* the sanitizers watch */
  kad_image_key(&image, ID_SIZE, &key);
  return kad_image_read(&image, ID_SIZE, &record, &read);
}

static void image_of_the_largest_record_fits(void **state) {
  uint8_t out[KAD_IMAGE_MAX];
  (void)state;
  struct kad_record record = kad_memory_record(1, "");
  record.value = (struct kad_slice){bytes_of_value, KAD_ITEM_VALUE_MAX};
  record.salt = (struct kad_slice){bytes_of_value, KAD_SALT_MAX};
  record.publisher = bytes_of_value;
  record.signature = bytes_of_value;
  record.has_seq = true;
  assert_true(read_image(write_image(&record, out)));
}

static void key_and_type_are_read_without_the_rest(void **state) {
  uint8_t out[KAD_IMAGE_MAX];
  struct kad_image image;
  struct kad_id key;
  (void)state;
  const struct kad_record record = kad_memory_record(1, "value");
  assert_true(kad_image_split(write_image(&record, out), &image));

  kad_image_key(&image, ID_SIZE, &key);
  assert_slice_is(kad_image_type(&image, ID_SIZE), "value");
  assert_memory_equal(&key, &record.key, sizeof key);

  image.record.len = 8;
  kad_image_key(&image, ID_SIZE, &key);
  assert_slice_is(kad_image_type(&image, ID_SIZE), "");
  assert_memory_equal(&key, &(struct kad_id){0}, sizeof key);
}

/* Every image that is cut, or has a byte too many, is refused. */
static void image_of_another_length_is_refused(void **state) {
  uint8_t out[KAD_IMAGE_MAX + 1] = {0};
  (void)state;
  const struct kad_record record = kad_memory_record(1, "value");
  struct kad_slice image = write_image(&record, out);
  assert_true(read_image(image));
  for (size_t len = 0; len < image.len; len++) {
    assert_false(read_image((struct kad_slice){out, len}));
  }
  image.len++;
  assert_false(read_image(image));
}

static void any_change_of_a_byte_is_read_or_refused(void **state) {
  uint8_t out[KAD_IMAGE_MAX];
  (void)state;
  const struct kad_record record = kad_memory_record(1, "value");
  const struct kad_slice image = write_image(&record, out);
  for (size_t i = 0; i < image.len; i++) {
    for (unsigned byte = 0; byte < 256; byte++) {
      const uint8_t before = out[i];
      out[i] = (uint8_t)byte;
      (void)read_image(image); /* the sanitizers watch */
      out[i] = before;
    }
  }
  assert_true(read_image(image));
}

static bool have_one_name(const struct kad_record *a,
                          const struct kad_record *b) {
  uint8_t names[2][KAD_IMAGE_NAME_SIZE];
  kad_image_name(secret, a, names[0]);
  kad_image_name(secret, b, names[1]);
  return memcmp(names[0], names[1], sizeof names[0]) == 0;
}

static void name_is_that_of_what_identifies_a_record(void **state) {
  (void)state;
  const struct kad_record record = kad_memory_record(1, "value");
  struct kad_record other = record;
  other.ttl = 5;
  other.signature = bytes_of_value;
  assert_true(have_one_name(&record, &other));
  other = kad_memory_record(2, "value");
  assert_false(have_one_name(&record, &other));
  other = kad_memory_record(1, "valuf");
  assert_false(have_one_name(&record, &other));
  other = record;
  other.has_seq = true;
  assert_false(have_one_name(&record, &other));
  other.publisher = bytes_of_value;
  assert_false(have_one_name(&record, &other));
}

static void changes_are_read_in_their_order(void **state) {
  const uint8_t name[KAD_IMAGE_NAME_SIZE] = "name";
  struct kad_changes changes = {.allocator = kad_allocator_default()};
  const struct kad_record record = kad_memory_record(1, "value");
  struct kad_change change;
  struct kad_image image;
  bool is_there = false;
  (void)state;
  assert_ok(kad_changes_put(&changes, name, &record, &meta, 5, ID_SIZE));
  assert_ok(kad_changes_set_meta(&changes, name, &meta, 0));
  assert_ok(kad_changes_set_meta(&changes, name, &meta, 9));
  assert_ok(kad_changes_remove(&changes, name));
  struct kad_slice rest = {changes.bytes, changes.len};
  static const struct {
    bool is_there;
    uint64_t order;
  } expected[] = {{true, 5}, {true, 5}, {true, 9}, {false, 0}};

  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    assert_true(kad_change_next(&rest, &change));
    kad_change_apply(&change, &image, &is_there);
    assert_int_equal(is_there, expected[i].is_there);
    if (is_there) {
      assert_int_equal(image.order, expected[i].order);
    }
  }
  assert_false(kad_change_next(&rest, &change));
  kad_changes_deinit(&changes);
}

static void cut_change_ends_the_list(void **state) {
  const uint8_t name[KAD_IMAGE_NAME_SIZE] = "name";
  struct kad_changes changes = {.allocator = kad_allocator_default()};
  struct kad_change change;
  (void)state;
  assert_ok(kad_changes_set_meta(&changes, name, &meta, 0));
  for (size_t len = 0; len < changes.len; len++) {
    struct kad_slice rest = {changes.bytes, len};
    assert_false(kad_change_next(&rest, &change));
  }
  kad_changes_deinit(&changes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(image_of_the_largest_record_fits),
      cmocka_unit_test(key_and_type_are_read_without_the_rest),
      cmocka_unit_test(image_of_another_length_is_refused),
      cmocka_unit_test(any_change_of_a_byte_is_read_or_refused),
      cmocka_unit_test(name_is_that_of_what_identifies_a_record),
      cmocka_unit_test(changes_are_read_in_their_order),
      cmocka_unit_test(cut_change_ends_the_list),
  };
  return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
