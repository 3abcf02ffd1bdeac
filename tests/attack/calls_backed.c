/* Backed stores whose backend returns what it wants. */
#include "calls.h"

enum {
  STEPS = 40
};

/* One call in four fails. */
static int fail_sometimes(struct kad_calls *it) {
  return kad_values_below(it, 4) == 0 ? -(int)kad_values_below(it, 40) : 0;
}

static int put(void *state, uint64_t number, const struct kad_record *record,
               const struct kad_record_meta *meta) {
  (void)number;
  (void)record;
  (void)meta;
  return fail_sometimes(state);
}

static int set_meta(void *state, uint64_t number,
                    const struct kad_record_meta *meta) {
  (void)number;
  (void)meta;
  return fail_sometimes(state);
}

/* The record of another number, or of none. */
static int get(void *state, uint64_t number, struct kad_record *record) {
  struct kad_calls *const it = state;
  const struct kad_record *const any = kad_values_record(it);
  (void)number;
  if (any == NULL) {
    return KAD_ENOTFOUND;
  }
  *record = *any;
  return fail_sometimes(it);
}

static int remove_record(void *state, uint64_t number) {
  (void)number;
  return fail_sometimes(state);
}

static void make_meta(struct kad_calls *it, struct kad_record_meta *meta) {
  const struct kad_address *const origin = kad_values_addresses(it);
  *meta = (struct kad_record_meta){
      .stored_at = kad_values_number(it),
      .expires_at = kad_values_number(it),
      .republish_at = kad_values_number(it),
      .is_seed = kad_values_below(it, 2) == 1,
  };
  if (origin != NULL) {
    meta->origin = *origin;
  }
}

/* Changes a record that the store returns, or reads it. */
static void use_record(struct kad_calls *it, const struct kad_store *store,
                       kad_record_handle handle) {
  struct kad_held held;
  struct kad_record_meta meta;
  switch (kad_values_below(it, 3)) {
  case 0:
    store->remove(store->state, handle);
    break;
  case 1:
    make_meta(it, &meta);
    if (meta.origin.family == 0 || meta.origin.family == 4 ||
        meta.origin.family == 6) {
      store->set_meta(store->state, handle, &meta);
    }
    break;
  default:
    (void)store->read(store->state, handle, &held);
    break;
  }
}

static void use_store(struct kad_calls *it, struct kad_store *store) {
  for (size_t i = 0; i < STEPS; i++) {
    uint64_t cursor = kad_values_below(it, STEPS);
    struct kad_record_meta meta;
    make_meta(it, &meta);
    (void)kad_backed_store_restore(store, kad_values_number(it),
                                   kad_values_record(it), &meta,
                                   (int64_t)kad_values_number(it));
    const kad_record_handle handle = store->next(store->state, &cursor);
    if (handle != 0) {
      use_record(it, store, handle);
    }
  }
  kad_backed_store_sort(store);
}

void kad_calls_special_kad_backed_store_new(struct kad_calls *it) {
  const struct kad_allocator allocator = kad_allocator_default();
  const struct kad_backend backend = {
      .state = it,
      .put = put,
      .set_meta = kad_values_below(it, 2) == 1 ? set_meta : NULL,
      .get = get,
      .remove = remove_record,
  };
  struct kad_store *store = NULL;
  if (kad_backed_store_new(&backend, &allocator,
                           kad_values_bytes(it, KAD_BACKED_SECRET_SIZE),
                           &store) == 0) {
    use_store(it, store);
    kad_backed_store_free(store);
  }
}

void kad_calls_special_kad_backed_store_restore(struct kad_calls *it) {
  struct kad_record_meta meta;
  make_meta(it, &meta);
  (void)kad_backed_store_restore(NULL, kad_values_number(it),
                                 kad_values_record(it), &meta, 0);
}

void kad_calls_special_kad_backed_store_sort(struct kad_calls *it) {
  (void)it;
  kad_backed_store_sort(NULL);
}

void kad_calls_special_kad_backed_store_free(struct kad_calls *it) {
  (void)it;
  kad_backed_store_free(NULL);
}
