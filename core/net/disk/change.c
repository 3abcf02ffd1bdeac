#include "net/disk/change.h"

#include "base/array.h"
#include "net/disk/bytes.h"

#include <string.h>

enum {
  HEAD = 5 + KAD_IMAGE_NAME_SIZE,
  NAME = 5,
  CLOCK_SIZE = 8 + KAD_READING_SIZE,
  FIRST_CAP = 4096
};

int kad_changes_reserve(struct kad_changes *changes, size_t size) {
  if (changes->cap - changes->len >= size) {
    return 0;
  }
  const size_t least = changes->len + size;
  const size_t twice = changes->cap > 0 ? 2 * changes->cap : FIRST_CAP;
  return KAD_ARRAY_RESERVE(&changes->allocator, &changes->bytes, &changes->cap,
                           least > twice ? least : twice);
}

void kad_changes_deinit(struct kad_changes *changes) {
  KAD_ARRAY_FREE(&changes->allocator, &changes->bytes, &changes->cap);
  changes->len = 0;
}

/* Appends a change without its body, which has `size` bytes. Returns where the
 * body goes, or NULL when out of memory. */
static uint8_t *append(struct kad_changes *changes, enum kad_change_kind kind,
                       const uint8_t *name, size_t size) {
  static const uint8_t no_name[KAD_IMAGE_NAME_SIZE];
  if (kad_changes_reserve(changes, HEAD + size) != 0) {
    return NULL;
  }
  uint8_t *const out = changes->bytes + changes->len;
  out[0] = (uint8_t)kind;
  kad_bytes_put(out + 1, size, 4);
  memcpy(out + NAME, name != NULL ? name : no_name, KAD_IMAGE_NAME_SIZE);
  changes->len += HEAD + size;
  return out + HEAD;
}

int kad_changes_put(struct kad_changes *changes, const uint8_t *name,
                    const struct kad_record *record,
                    const struct kad_record_meta *meta, uint64_t order,
                    size_t id_size) {
  const size_t meta_size = kad_image_meta_size(meta);
  uint8_t *const body =
      append(changes, KAD_CHANGE_PUT, name,
             meta_size + kad_image_record_size(record, id_size));
  if (body == NULL) {
    return KAD_ENOMEM;
  }
  kad_image_write_meta(body, meta, order);
  kad_image_write_record(body + meta_size, record, id_size);
  return 0;
}

int kad_changes_set_meta(struct kad_changes *changes, const uint8_t *name,
                         const struct kad_record_meta *meta, uint64_t order) {
  uint8_t *const body =
      append(changes, KAD_CHANGE_META, name, kad_image_meta_size(meta));
  if (body == NULL) {
    return KAD_ENOMEM;
  }
  kad_image_write_meta(body, meta, order);
  return 0;
}

int kad_changes_remove(struct kad_changes *changes, const uint8_t *name) {
  return append(changes, KAD_CHANGE_REMOVE, name, 0) != NULL ? 0 : KAD_ENOMEM;
}

int kad_changes_clock(struct kad_changes *changes,
                      const struct kad_clock_mark *mark) {
  uint8_t *const body = append(changes, KAD_CHANGE_CLOCK, NULL, CLOCK_SIZE);
  if (body == NULL) {
    return KAD_ENOMEM;
  }
  kad_bytes_put(body, mark->at, 8);
  kad_reading_write(body + 8, &mark->reading);
  return 0;
}

bool kad_change_next(struct kad_slice *rest, struct kad_change *change) {
  if (rest->len < HEAD || rest->data[0] < KAD_CHANGE_PUT ||
      rest->data[0] > KAD_CHANGE_CLOCK) {
    return false;
  }
  const size_t size = kad_bytes_get(rest->data + 1, 4);
  if (size > rest->len - HEAD) {
    return false;
  }
  *change = (struct kad_change){
      .kind = (enum kad_change_kind)rest->data[0],
      .name = rest->data + NAME,
      .body = {.data = rest->data + HEAD, .len = size},
  };
  rest->data += HEAD + size;
  rest->len -= HEAD + size;
  return true;
}

bool kad_change_read_clock(const struct kad_change *change,
                           struct kad_clock_mark *mark) {
  if (change->kind != KAD_CHANGE_CLOCK || change->body.len != CLOCK_SIZE) {
    return false;
  }
  mark->at = kad_bytes_get(change->body.data, 8);
  kad_reading_read(change->body.data + 8, &mark->reading);
  return true;
}

void kad_change_apply(const struct kad_change *change, struct kad_image *image,
                      bool *is_there) {
  struct kad_image changed;
  switch (change->kind) {
  case KAD_CHANGE_PUT:
    if (kad_image_split(change->body, &changed)) {
      *image = changed;
      *is_there = true;
    }
    return;
  case KAD_CHANGE_META:
    if (*is_there && kad_image_split(change->body, &changed) &&
        changed.record.len == 0) {
      image->meta = changed.meta;
      image->order = changed.order != 0 ? changed.order : image->order;
    }
    return;
  case KAD_CHANGE_REMOVE:
    *is_there = false;
    return;
  case KAD_CHANGE_CLOCK:
    return;
  }
}
