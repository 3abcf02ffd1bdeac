#include "wire/bencode.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(literal) \
  ((struct kad_slice){(const uint8_t *)(literal), sizeof(literal) - 1})

/* Parses a copy that ends at the end of its memory, so that a sanitizer finds a
 * read past it. Returns the status. */
static int parse_exactly(struct kad_slice in) {
  uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
  assert_non_null(copy);
  if (in.len > 0) {
    memcpy(copy, in.data, in.len);
  }
  struct kad_bencode value;
  int status = kad_bencode_parse((struct kad_slice){copy, in.len}, &value);
  free(copy);
  return status;
}

static void assert_malformed(const char *text) {
  if (parse_exactly(kad_slice_of(text)) != KAD_EMALFORMED) {
    fail_msg("accepted: %s", text);
  }
}

static void assert_well_formed(const char *text) {
  if (parse_exactly(kad_slice_of(text)) != 0) {
    fail_msg("refused: %s", text);
  }
}

static struct kad_bencode parse(const char *text) {
  struct kad_bencode value;
  if (kad_bencode_parse(kad_slice_of(text), &value) != 0) {
    fail_msg("refused: %s", text);
  }
  return value;
}

/* ------------------------------------------------------------- reading -- */

static void integers_are_read_exactly(void **state) {
  (void)state;
  assert_int_equal(parse("i3e").integer, 3);
  assert_int_equal(parse("i-3e").integer, -3);
  assert_int_equal(parse("i0e").integer, 0);
  assert_int_equal(parse("i10e").integer, 10);
  assert_int_equal(parse("i-10e").type, KAD_BENCODE_INTEGER);
  /* 2^53 + 1, which a double would round. */
  assert_true(parse("i9007199254740993e").integer == 9007199254740993);
  assert_true(parse("i9223372036854775807e").integer == INT64_MAX);
  assert_true(parse("i-9223372036854775808e").integer == INT64_MIN);
}

static void integers_have_one_canonical_form(void **state) {
  (void)state;
  assert_malformed("i00e");
  assert_malformed("i03e");
  assert_malformed("i-0e");
  assert_malformed("i-03e");
  assert_malformed("i+3e");
  assert_malformed("i 3e");
  assert_malformed("i3 e");
  assert_malformed("i3.0e");
  assert_malformed("i--3e");
  assert_malformed("i-e");
  assert_malformed("ie");
  assert_malformed("i3:e");
  assert_malformed("i3/e");
  assert_malformed("i0x1e");
}

static void integers_past_64_bits_are_refused(void **state) {
  (void)state;
  assert_malformed("i9223372036854775808e");
  assert_malformed("i-9223372036854775809e");
  assert_malformed("i18446744073709551617e");
  assert_malformed("i99999999999999999999999999999999999999999e");
}

static void strings_are_read_without_copying(void **state) {
  (void)state;
  const char *text = "4:spam";

  struct kad_bencode value = parse(text);

  assert_int_equal(value.type, KAD_BENCODE_STRING);
  assert_slice_is(value.bytes, "spam");
  assert_ptr_equal(value.bytes.data, text + 2);
  assert_slice_is(value.raw, "4:spam");
  assert_int_equal(parse("0:").bytes.len, 0);
  assert_slice_is(parse("12:123456789012").bytes, "123456789012");
}

static void lengths_of_strings_are_at_most_the_rest(void **state) {
  (void)state;
  assert_malformed("5:spam");
  assert_malformed("4:");
  assert_malformed("4");
  assert_malformed("1:");
  assert_malformed("99999999999999999999999999999:spam");
  assert_malformed("18446744073709551616:spam");
  assert_malformed("18446744073709551620:spam");
  assert_malformed("-1:spam");
  assert_malformed("04:spam");
  assert_malformed("00:");
  assert_malformed(":");
  assert_malformed("4spam");
  assert_malformed("4;spam");
}

static void parse_accepts_exactly_one_value(void **state) {
  (void)state;
  assert_int_equal(parse_exactly((struct kad_slice){NULL, 0}), KAD_EMALFORMED);
  assert_malformed("i1ei2e");
  assert_malformed("4:spam ");
  assert_malformed("lee");
  assert_malformed("dee");
  assert_malformed("dede");
  assert_malformed("e");
  assert_malformed("x");
  assert_malformed("l");
  assert_malformed("d");
}

static void dictionaries_pair_string_keys_with_values(void **state) {
  (void)state;
  assert_well_formed("de");
  assert_well_formed("d0:i1ee");
  assert_malformed("di1ei2ee");
  assert_malformed("dlei2ee");
  assert_malformed("d1:ae");
  assert_malformed("d1:ai1e1:be");
  assert_malformed("ld1:aee");
}

static void unsorted_keys_are_read(void **state) {
  (void)state;
  struct kad_bencode dict = parse("d1:bi2e1:ai1ee");
  struct kad_bencode value;

  assert_true(kad_bencode_find(&dict, "a", &value));

  assert_int_equal(value.integer, 1);
}

static void adjacent_equal_keys_are_refused(void **state) {
  (void)state;
  assert_malformed("d1:ai1e1:ai2ee");
  assert_malformed("d0:i1e0:i2ee");
  assert_malformed("ld1:adee1:a0:ee");
  assert_malformed("d1:xd1:ai1e1:ai1eee");
  assert_well_formed("d1:ai1e2:aai2ee");
  assert_well_formed("d1:ad1:ai1eee");
  assert_well_formed("ld1:ai1eed1:ai1eee");
}

static bool is_canonical(const char *text) {
  return kad_bencode_is_canonical(kad_slice_of(text), KAD_BENCODE_MAX_DEPTH);
}

/* BEP 3: keys are sorted as raw strings. */
static void a_canonical_value_has_sorted_keys_at_every_depth(void **state) {
  (void)state;
  assert_true(is_canonical("i-7e"));
  assert_true(is_canonical("0:"));
  assert_true(is_canonical("5:hello"));
  assert_true(is_canonical("le"));
  assert_true(is_canonical("de"));
  assert_true(is_canonical("d1:ai1e1:bi2ee"));
  assert_true(is_canonical("d0:i1e1:ai1e2:aai1e1:bi2ee"));
  assert_true(is_canonical("ld1:ai1eed1:ai1eee"));
  assert_true(is_canonical("d1:\x7fi1e1:\x80i1ee"));

  assert_false(is_canonical("d1:bi2e1:ai1ee"));
  assert_false(is_canonical("d1:ai1e1:ai1ee"));
  assert_false(is_canonical("d1:ai1e1:bi1e1:ai1ee"));
  assert_false(is_canonical("d2:aai1e1:ai1ee"));
  assert_false(is_canonical("d1:\x80i1e1:\x7fi1ee"));
  assert_false(is_canonical("ld1:bi2e1:ai1eee"));
  assert_false(is_canonical("d1:ald1:bi2e1:ai1eeee"));
  assert_false(is_canonical("d1:ad1:xi1e1:wi1eee"));
}

static void a_canonical_value_is_exactly_one_well_formed_value(void **state) {
  (void)state;
  static const char *const refused[] = {
      "",         "i01e", "i-0e", "i1",    "i1ei2e", "05:hello", "5:hell",
      "5:hellox", "l",    "d",    "d1:ae", "e",      "di1ei2ee", "lee"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (is_canonical(refused[i])) {
      fail_msg("accepted: %s", refused[i]);
    }
  }
  assert_true(kad_bencode_is_canonical(kad_slice_of("llee"), 2));
  assert_false(kad_bencode_is_canonical(kad_slice_of("llee"), 1));
  assert_false(kad_bencode_is_canonical((struct kad_slice){NULL, 0}, 2));
}

static void find_returns_the_first_of_repeated_keys(void **state) {
  (void)state;
  struct kad_bencode dict = parse("d1:ai1e1:bi2e1:ai3ee");
  struct kad_bencode value;

  assert_true(kad_bencode_find(&dict, "a", &value));

  assert_int_equal(value.integer, 1);
}

/* Writes `depth` nested containers as text. */
static void nest(char *text, unsigned depth, const char *open) {
  size_t at = 0;
  for (unsigned i = 0; i < depth; i++) {
    memcpy(text + at, open, strlen(open));
    at += strlen(open);
  }
  /* The innermost key of a dictionary needs a value. */
  if (open[0] == 'd') {
    text[at++] = '0';
    text[at++] = ':';
  }
  memset(text + at, 'e', depth);
  text[at + depth] = '\0';
}

static void containers_nest_up_to_the_limit(void **state) {
  (void)state;
  char text[200];
  nest(text, KAD_BENCODE_MAX_DEPTH, "l");
  assert_well_formed(text);
  nest(text, KAD_BENCODE_MAX_DEPTH + 1, "l");
  assert_malformed(text);
  nest(text, KAD_BENCODE_MAX_DEPTH, "d1:a");
  assert_well_formed(text);
  nest(text, KAD_BENCODE_MAX_DEPTH + 1, "d1:a");
  assert_malformed(text);
}

static void depth_counts_open_containers_only(void **state) {
  (void)state;
  char text[3 * KAD_BENCODE_MAX_DEPTH + 3] = "l";
  for (unsigned i = 0; i < KAD_BENCODE_MAX_DEPTH; i++) {
    strcat(text, "le");
  }
  strcat(text, "e");
  assert_well_formed(text);
}

static void truncated_values_are_refused(void **state) {
  (void)state;
  static const char text[] =
      "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:want"
      "l2:n42:n6e1:xi-12eee";
  assert_well_formed(text);
  for (size_t len = 0; len < sizeof text - 1; len++) {
    struct kad_slice cut = {(const uint8_t *)text, len};
    if (parse_exactly(cut) != KAD_EMALFORMED) {
      fail_msg("accepted the first %zu bytes", len);
    }
  }
}

static void a_refused_value_writes_nothing(void **state) {
  (void)state;
  struct kad_bencode value = {.type = KAD_BENCODE_LIST, .integer = 42};

  assert_int_equal(kad_bencode_parse(BYTES("i5ex"), &value), KAD_EMALFORMED);

  assert_int_equal(value.type, KAD_BENCODE_LIST);
  assert_int_equal(value.integer, 42);
}

static void lists_are_iterated_in_order(void **state) {
  (void)state;
  struct kad_bencode list = parse("l4:spami7eli1eed1:ai1eee");
  struct kad_slice rest = list.bytes;
  struct kad_bencode item;

  assert_true(kad_bencode_next(&rest, &item));
  assert_slice_is(item.bytes, "spam");
  assert_true(kad_bencode_next(&rest, &item));
  assert_int_equal(item.integer, 7);
  assert_true(kad_bencode_next(&rest, &item));
  assert_int_equal(item.type, KAD_BENCODE_LIST);
  assert_slice_is(item.bytes, "i1e");
  assert_true(kad_bencode_next(&rest, &item));
  assert_int_equal(item.type, KAD_BENCODE_DICT);
  assert_slice_is(item.raw, "d1:ai1ee");
  assert_false(kad_bencode_next(&rest, &item));
  assert_false(kad_bencode_next(&rest, &item));
}

static void dictionaries_are_iterated_in_order(void **state) {
  (void)state;
  struct kad_bencode dict = parse("d3:cow3:moo4:spamli1eee");
  struct kad_slice rest = dict.bytes;
  struct kad_slice key;
  struct kad_bencode value;

  assert_true(kad_bencode_next_pair(&rest, &key, &value));
  assert_slice_is(key, "cow");
  assert_slice_is(value.bytes, "moo");
  assert_true(kad_bencode_next_pair(&rest, &key, &value));
  assert_slice_is(key, "spam");
  assert_slice_is(value.raw, "li1ee");
  assert_false(kad_bencode_next_pair(&rest, &key, &value));
}

static void iteration_ends_at_a_malformed_item(void **state) {
  (void)state;
  struct kad_slice rest = kad_slice_of("i1e5:spam");
  struct kad_slice key;
  struct kad_bencode item;
  assert_true(kad_bencode_next(&rest, &item));
  assert_false(kad_bencode_next(&rest, &item));
  rest = kad_slice_of("4:cow");
  assert_false(kad_bencode_next_pair(&rest, &key, &item));
  rest = kad_slice_of("3:cowi01e");
  assert_false(kad_bencode_next_pair(&rest, &key, &item));
}

static void absent_keys_are_not_found(void **state) {
  (void)state;
  struct kad_bencode dict = parse("d3:cow3:moo4:spamd3:egg3:hamee");
  struct kad_bencode list = parse("l3:cow3:mooe");
  struct kad_bencode value;

  assert_true(kad_bencode_find(&dict, "cow", &value));
  assert_false(kad_bencode_find(&dict, "co", &value));
  assert_false(kad_bencode_find(&dict, "cows", &value));
  assert_false(kad_bencode_find(&dict, "moo", &value));
  assert_false(kad_bencode_find(&dict, "egg", &value));
  assert_false(kad_bencode_find(&list, "cow", &value));
}

/* ------------------------------------------------------------- writing -- */

static void write_sample(struct kad_writer *writer) {
  kad_write_dict(writer);
  kad_write_key(writer, "a");
  kad_write_integer(writer, -7);
  kad_write_key(writer, "bytes");
  kad_write_string(writer, BYTES("a\0b4567890"));
  kad_write_key(writer, "l");
  kad_write_list(writer);
  kad_write_integer(writer, 0);
  kad_write_raw(writer, BYTES("d1:xi1ee"));
  kad_write_close(writer);
  kad_write_close(writer);
}

static const char sample[] = "d1:ai-7e5:bytes10:a\0b4567890"
                             "1:lli0ed1:xi1eeee";

static void values_are_written_in_canonical_form(void **state) {
  (void)state;
  uint8_t memory[sizeof sample - 1];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};

  write_sample(&writer);

  assert_false(writer.overflow);
  assert_int_equal(writer.len, sizeof sample - 1);
  assert_memory_equal(memory, sample, writer.len);
}

static void assert_written(int64_t integer, const char *text) {
  uint8_t memory[40];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};

  kad_write_integer(&writer, integer);

  assert_int_equal(writer.len, strlen(text));
  assert_memory_equal(memory, text, writer.len);
}

static void integers_are_written_over_their_whole_range(void **state) {
  (void)state;
  assert_written(0, "i0e");
  assert_written(9, "i9e");
  assert_written(10, "i10e");
  assert_written(-1, "i-1e");
  assert_written(1234567890, "i1234567890e");
  assert_written(INT64_MAX, "i9223372036854775807e");
  assert_written(INT64_MIN, "i-9223372036854775808e");
}

static void an_empty_slice_without_data_is_written(void **state) {
  (void)state;
  uint8_t memory[8];
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};

  kad_write_string(&writer, (struct kad_slice){NULL, 0});
  kad_write_raw(&writer, (struct kad_slice){NULL, 0});

  assert_int_equal(writer.len, 2);
  assert_memory_equal(memory, "0:", 2);
}

static void writer_stays_within_its_memory(void **state) {
  (void)state;
  for (size_t cap = 0; cap < sizeof sample - 1; cap++) {
    uint8_t *memory = malloc(cap > 0 ? cap : 1);
    assert_non_null(memory);
    struct kad_writer writer = {.data = memory, .cap = cap};

    write_sample(&writer);

    assert_true(writer.overflow);
    assert_true(writer.len <= cap);
    assert_memory_equal(memory, sample, writer.len);
    free(memory);
  }
}

static void a_value_that_does_not_fit_writes_nothing(void **state) {
  (void)state;
  uint8_t memory[8] = "........";
  struct kad_writer writer = {.data = memory, .cap = sizeof memory};

  kad_write_list(&writer);
  kad_write_string(&writer, BYTES("1234567"));
  assert_true(writer.overflow);
  kad_write_close(&writer);

  assert_int_equal(writer.len, 1);
  assert_memory_equal(memory, "l.......", sizeof memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_are_read_exactly),
      cmocka_unit_test(integers_have_one_canonical_form),
      cmocka_unit_test(integers_past_64_bits_are_refused),
      cmocka_unit_test(strings_are_read_without_copying),
      cmocka_unit_test(lengths_of_strings_are_at_most_the_rest),
      cmocka_unit_test(parse_accepts_exactly_one_value),
      cmocka_unit_test(dictionaries_pair_string_keys_with_values),
      cmocka_unit_test(unsorted_keys_are_read),
      cmocka_unit_test(adjacent_equal_keys_are_refused),
      cmocka_unit_test(a_canonical_value_has_sorted_keys_at_every_depth),
      cmocka_unit_test(a_canonical_value_is_exactly_one_well_formed_value),
      cmocka_unit_test(find_returns_the_first_of_repeated_keys),
      cmocka_unit_test(containers_nest_up_to_the_limit),
      cmocka_unit_test(depth_counts_open_containers_only),
      cmocka_unit_test(truncated_values_are_refused),
      cmocka_unit_test(a_refused_value_writes_nothing),
      cmocka_unit_test(lists_are_iterated_in_order),
      cmocka_unit_test(dictionaries_are_iterated_in_order),
      cmocka_unit_test(iteration_ends_at_a_malformed_item),
      cmocka_unit_test(absent_keys_are_not_found),
      cmocka_unit_test(values_are_written_in_canonical_form),
      cmocka_unit_test(integers_are_written_over_their_whole_range),
      cmocka_unit_test(an_empty_slice_without_data_is_written),
      cmocka_unit_test(writer_stays_within_its_memory),
      cmocka_unit_test(a_value_that_does_not_fit_writes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
