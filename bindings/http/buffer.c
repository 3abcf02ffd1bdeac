#include "http/buffer.h"

#include <stdint.h>
#include <string.h>

enum {
  MIN_CAPACITY = 256
};

/* Makes room for `len` more bytes. */
static bool reserve(struct kad_http_buffer *buffer,
                    struct kad_http_memory memory, size_t len) {
  if (len <= buffer->capacity - buffer->len) {
    return true;
  } else if (len > SIZE_MAX / 2 - buffer->len) {
    return false;
  }
  size_t capacity = buffer->len + len;
  if (capacity < MIN_CAPACITY) {
    capacity = MIN_CAPACITY;
  } else if (buffer->capacity > 0 && capacity < buffer->capacity * 2) {
    capacity = buffer->capacity * 2;
  }
  char *const bytes =
      memory.allocate(memory.data, buffer->bytes, buffer->capacity, capacity);
  if (bytes == NULL) {
    return false;
  }
  buffer->bytes = bytes;
  buffer->capacity = capacity;
  return true;
}

bool kad_http_buffer_append(struct kad_http_buffer *buffer,
                            struct kad_http_memory memory, const char *bytes,
                            size_t len) {
  if (!reserve(buffer, memory, len)) {
    return false;
  }
  if (len > 0) {
    memcpy(buffer->bytes + buffer->len, bytes, len);
  }
  buffer->len += len;
  return true;
}

void kad_http_buffer_free(struct kad_http_buffer *buffer,
                          struct kad_http_memory memory) {
  if (buffer->bytes != NULL) {
    (void)memory.allocate(memory.data, buffer->bytes, buffer->capacity, 0);
  }
  *buffer = (struct kad_http_buffer){0};
}
