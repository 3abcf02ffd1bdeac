#include "records/load.h"

#include "base/map.h"
#include "records/item.h"
#include "records/record.h"
#include "records/store.h"
#include "records/type.h"

enum {
  PAGE = 32 /* records of a key that are looked at, at a time */
};

static int reject(int error, const char *text, const char **reason) {
  if (reason != NULL) {
    *reason = text;
  }
  return error;
}

static bool is_peer(const struct kad_record *record) {
  return kad_slice_equal(record->type, kad_slice_of("peers"));
}

static int check_item(enum kad_item_kind kind, const struct kad_record *item,
                      unsigned id_bits, const char **reason) {
  const char *text = NULL;
  if (id_bits != KAD_ITEM_ID_BITS) {
    return reject(KAD_EMALFORMED, "items need ids of 160 bits", reason);
  }
  const int code = kad_item_check(kind, item, &text);
  if (code != 0) {
    return reject(code == KAD_CODE_TOO_BIG || code == KAD_CODE_SALT
                      ? KAD_ETOOBIG
                      : KAD_EMALFORMED,
                  text, reason);
  }
  if (kind == KAD_ITEM_MUTABLE &&
      !kad_item_verify(item->value, item->salt, item->seq, item->publisher,
                       item->signature)) {
    return reject(KAD_ESIGNATURE, "bad signature", reason);
  }
  return 0;
}

/* Verifies the signature of a record that is no item. */
static bool is_signed(const struct kad_record *record, unsigned id_bits) {
  static const uint8_t secret[KAD_MAP_SECRET_SIZE] = {0};
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_verified verified;
  kad_verified_init(&verified, &allocator, secret);
  const bool is_right = kad_record_verify(record, id_bits, &verified);
  kad_verified_deinit(&verified);
  return is_right;
}

/* Returns true if the bytes of the key beyond its width are 0. */
static bool key_fits(const struct kad_id *key, unsigned id_bits) {
  for (size_t i = id_bits / 8; i < KAD_ID_SIZE; i++) {
    if (key->bytes[i] != 0) {
      return false;
    }
  }
  return true;
}

int kad_load_check(const struct kad_record *record, unsigned id_bits,
                   const char **reason) {
  if (!key_fits(&record->key, id_bits)) {
    return reject(KAD_EMALFORMED, "malformed key", reason);
  }
  const enum kad_item_kind kind = kad_item_kind_of(record->type);
  if (kind != KAD_ITEM_NONE) {
    return check_item(kind, record, id_bits, reason);
  }
  const int error = kad_record_check(record);
  if (error == KAD_ETOOBIG) {
    return reject(error, "value or salt too large", reason);
  }
  if (error != 0) {
    return reject(KAD_EMALFORMED, "malformed record", reason);
  }
  if (is_peer(record) && kad_type_check_peer(record) != 0) {
    return reject(KAD_EMALFORMED, "malformed peer", reason);
  }
  if (!is_signed(record, id_bits)) {
    return reject(KAD_ESIGNATURE, "bad signature", reason);
  }
  return 0;
}

/* -------------------------------------------------------------- loading -- */

/* What is held under the key of a record. */
struct found {
  size_t total;
  kad_record_handle same;     /* the record itself; 0: none */
  kad_record_handle replaced; /* an older one of its chain; 0: none */
  bool is_older;              /* a newer one is there */
};

static void compare(const struct kad_record *record,
                    const struct kad_held *held, struct found *found) {
  if (kad_record_identical(record, &held->record)) {
    found->same = held->handle;
  } else if (kad_record_is_older(record, &held->record)) {
    found->is_older = true;
  } else if (kad_record_replaces(record, &held->record) ||
             kad_type_replaces_peer(record, &held->record)) {
    found->replaced = held->handle;
  }
}

static void look_up(const struct kad_store *store,
                    const struct kad_record *record, struct found *found) {
  kad_record_handle handles[PAGE];
  size_t skip = 0;
  *found = (struct found){.total = 0};
  do {
    found->total =
        kad_store_find(store, &record->key, record->type, skip, handles, PAGE);
    for (size_t i = 0; i < PAGE && skip + i < found->total; i++) {
      struct kad_held held;
      if (kad_store_read(store, handles[i], &held)) {
        compare(record, &held, found);
      }
    }
    skip += PAGE;
  } while (skip < found->total && found->same == 0);
}

/* Makes a held record live as long as the loaded one. */
static void prolong(const struct kad_store *store, kad_record_handle handle,
                    const struct kad_record_meta *meta) {
  struct kad_held held;
  if (kad_store_read(store, handle, &held) &&
      held.meta.expires_at < meta->expires_at) {
    struct kad_record_meta longer = held.meta;
    longer.expires_at = meta->expires_at;
    kad_store_set_meta(store, handle, &longer);
  }
}

int kad_load(struct kad_store *store, const struct kad_record *record,
             const struct kad_record_meta *meta,
             enum kad_load_outcome *outcome) {
  struct found found;
  kad_record_handle added = 0;
  look_up(store, record, &found);
  if (found.same != 0) {
    prolong(store, found.same, meta);
    *outcome = KAD_LOAD_HELD;
    return 0;
  }
  if (found.is_older) {
    *outcome = KAD_LOAD_OLDER;
    return 0;
  }
  if (found.replaced == 0 && found.total >= KAD_VALUES_MAX) {
    return KAD_EFULL;
  }
  const int error = kad_store_add(store, record, meta, &added);
  if (error != 0) {
    return error;
  }
  if (found.replaced != 0) {
    kad_store_remove(store, found.replaced);
  }
  *outcome = KAD_LOAD_ADDED;
  return 0;
}
