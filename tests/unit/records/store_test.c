/* What every store has to do: the memory store, the durable store, the array
 * store of an example, and a backed store over an array. Tests
 * core/records/store.h. */
#include "../../../scripts/examples/store/array_store.h"
#include "array_backend.h"
#include "durable_fixture.h"
#include "store_conformance.h"
#include "unit.h"

enum {
  ARRAY_CAPACITY = 128
};

static struct array_store opened_array;
static struct kad_array_backend opened_backend;
static struct kad_durable_fixture opened_durable;

static void open_array(struct kad_memory_fixture *fixture) {
  kad_counting_init(&fixture->counting);
  assert_ok(array_store_init(&opened_array, fixture->counting.allocator,
                             ARRAY_CAPACITY));
  fixture->store = &opened_array.store;
}

static void close_array(struct kad_memory_fixture *fixture) {
  array_store_deinit(&opened_array);
  kad_counting_deinit(&fixture->counting);
}

static void open_backed(struct kad_memory_fixture *fixture) {
  kad_counting_init(&fixture->counting);
  fixture->store =
      kad_array_backend_open(&opened_backend, &fixture->counting.allocator);
}

static void open_backed_without_set_meta(struct kad_memory_fixture *fixture) {
  kad_counting_init(&fixture->counting);
  fixture->store = kad_array_backend_open_simple(&opened_backend,
                                                 &fixture->counting.allocator);
}

static void close_backed(struct kad_memory_fixture *fixture) {
  assert_int_equal(kad_store_failures(fixture->store), 0);
  kad_backed_store_free(fixture->store);
  assert_int_equal(opened_backend.closed, 1);
  kad_counting_deinit(&fixture->counting);
}

static void open_durable(struct kad_memory_fixture *fixture) {
  kad_durable_fixture_open(&opened_durable);
  fixture->store = opened_durable.memory.store;
}

static void close_durable(struct kad_memory_fixture *fixture) {
  assert_int_equal(kad_store_failures(fixture->store), 0);
  kad_durable_fixture_close(&opened_durable);
}

int main(void) {
  static const struct kad_store_kind kinds[] = {
      {"memory", kad_memory_open, kad_memory_close},
      {"an array", open_array, close_array},
      {"a backend", open_backed, close_backed},
      {"a folder", open_durable, close_durable},
      {"a simple backend", open_backed_without_set_meta, close_backed},
  };
  return kad_store_conformance_run("store", kinds,
                                   sizeof kinds / sizeof kinds[0]);
}
