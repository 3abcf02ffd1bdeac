/* Decodes and encodes each example of docs/protocol.md. */
#include "decoding.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  LINE_MAX_BYTES = 256,
  EXAMPLE_MAX_BYTES = 1024,
  EXAMPLES_MIN = 26 /* fewer were not found, or are gone */
};

struct example {
  uint8_t bytes[EXAMPLE_MAX_BYTES];
  size_t len;
  bool is_custom;
};

/* Reads the next line without its end. */
static bool next_line(FILE *file, char *line) {
  if (fgets(line, LINE_MAX_BYTES, file) == NULL) {
    return false;
  }
  line[strcspn(line, "\n")] = '\0';
  return true;
}

/* Reads the next block marked krpc, its lines joined. */
static bool next_example(FILE *file, struct example *example) {
  char line[LINE_MAX_BYTES];
  do {
    if (!next_line(file, line)) {
      return false;
    }
  } while (strncmp(line, "```krpc", 7) != 0);
  example->is_custom = strcmp(line, "```krpc custom") == 0;
  example->len = 0;
  while (next_line(file, line) && strcmp(line, "```") != 0) {
    size_t len = strlen(line);
    assert_true(example->len + len <= sizeof example->bytes);
    memcpy(example->bytes + example->len, line, len);
    example->len += len;
  }
  return true;
}

static void check_example(const struct example *example) {
  struct kad_message message;
  uint8_t again[EXAMPLE_MAX_BYTES];
  struct kad_writer writer = {.data = again, .cap = sizeof again};
  print_message("# %.*s\n", (int)example->len, (const char *)example->bytes);

  assert_ok(
      kad_decode(&message, (struct kad_slice){example->bytes, example->len}));
  assert_false(message.malformed);
  if (!example->is_custom) {
    message.reply.len = 0;
    message.args.len = 0;
  }
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));

  assert_int_equal(writer.len, example->len);
  assert_memory_equal(again, example->bytes, writer.len);
}

static void examples_of_the_document_are_read_and_written(void **state) {
  (void)state;
  struct example example;
  unsigned count = 0;
  FILE *file = fopen("docs/protocol.md", "r");
  if (file == NULL) {
    fail_msg("run from the top folder: no docs/protocol.md here");
    return;
  }
  while (next_example(file, &example)) {
    check_example(&example);
    count++;
  }
  (void)fclose(file);
  assert_true(count >= EXAMPLES_MIN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(examples_of_the_document_are_read_and_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
