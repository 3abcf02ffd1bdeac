/* buffer.h: bytes in memory of a Lua state's allocator, which never raises. */
#ifndef KAD_HTTP_BUFFER_H
#define KAD_HTTP_BUFFER_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

struct kad_http_memory {
  lua_Alloc allocate;
  void *data;
};

struct kad_http_buffer {
  char *bytes; /* NULL: empty */
  size_t len;
  size_t capacity;
};

/* Appends bytes. Returns false if there is no memory: nothing has changed. */
bool kad_http_buffer_append(struct kad_http_buffer *buffer,
                            struct kad_http_memory memory, const char *bytes,
                            size_t len);

/* Frees the bytes; the buffer is empty then. */
void kad_http_buffer_free(struct kad_http_buffer *buffer,
                          struct kad_http_memory memory);

#endif
