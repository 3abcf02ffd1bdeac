/* For dladdr, and for what uv.h needs. */
#define _GNU_SOURCE

#include "net/udp/name_lookup.h"

#include "base/address.h"
#include "base/allocator.h"
#include "net/udp/udp.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum {
  STACK_SIZE = 1024 * 1024 /* bytes, for the modules that the system loads */
};

struct kad_name_lookups {
  uv_mutex_t mutex;
  uv_async_t *async;             /* NULL: the network has ended */
  struct kad_name_lookup *ended; /* not taken yet */
  unsigned threads;
};

/* Frees what is shared, with its last user. Unlocks. */
static void unlock_or_free(struct kad_name_lookups *lookups) {
  const struct kad_allocator allocator = kad_allocator_default();
  const bool is_last = lookups->async == NULL && lookups->threads == 0;
  uv_mutex_unlock(&lookups->mutex);
  if (is_last) {
    uv_mutex_destroy(&lookups->mutex);
    kad_release(&allocator, lookups, sizeof *lookups);
  }
}

struct kad_name_lookups *kad_name_lookups_new(uv_async_t *async) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_name_lookups *lookups =
      kad_alloc_zero(&allocator, sizeof *lookups);
  if (lookups != NULL && uv_mutex_init(&lookups->mutex) != 0) {
    kad_release(&allocator, lookups, sizeof *lookups);
    lookups = NULL;
  }
  if (lookups != NULL) {
    lookups->async = async;
  }
  return lookups;
}

void kad_name_lookups_free(struct kad_name_lookups *lookups) {
  if (lookups == NULL) {
    return;
  }
  uv_mutex_lock(&lookups->mutex);
  while (lookups->ended != NULL) {
    struct kad_name_lookup *lookup = lookups->ended;
    lookups->ended = lookup->next;
    kad_name_lookup_free(lookup);
  }
  lookups->async = NULL;
  unlock_or_free(lookups);
}

/* Adds the addresses of `family` to `out`, up to `cap` in all. */
static size_t add_family(const struct addrinfo *info, unsigned family,
                         struct kad_address *out, size_t count, size_t cap) {
  for (; info != NULL && count < cap; info = info->ai_next) {
    struct kad_address address;
    kad_udp_address_from_system(info->ai_addr, &address);
    address.port = 0;
    if (address.family != 0 && (family == 0 || address.family == family) &&
        !kad_address_is_among(out, count, &address)) {
      out[count++] = address;
    }
  }
  return count;
}

size_t kad_name_addresses(const struct addrinfo *info,
                          struct kad_address addresses[KAD_RESOLVE_MAX]) {
  struct kad_address all[KAD_RESOLVE_MAX + 1];
  size_t count = add_family(info, 0, all, 0, KAD_RESOLVE_MAX + 1);
  if (count <= KAD_RESOLVE_MAX) {
    memcpy(addresses, all, count * sizeof *all);
    return count;
  }
  struct kad_address of6[KAD_RESOLVE_MAX / 2];
  const size_t count6 = add_family(info, 6, of6, 0, KAD_RESOLVE_MAX / 2);
  count = add_family(info, 4, addresses, 0, KAD_RESOLVE_MAX - count6);
  memcpy(addresses + count, of6, count6 * sizeof *of6);
  return add_family(info, 6, addresses, count + count6, KAD_RESOLVE_MAX);
}

static void resolve(struct kad_name_lookup *lookup) {
  const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
  struct addrinfo *info = NULL;
  errno = 0;
  const int error = getaddrinfo(lookup->host, NULL, &hints, &info);
  const int number = errno; /* glibc reports some as an absent server */
  if (error == 0) {
    lookup->count = kad_name_addresses(info, lookup->addresses);
    freeaddrinfo(info);
  }
  lookup->status = lookup->count > 0 ? 0 : KAD_ERESOLVE;
  if (error == EAI_AGAIN || error == EAI_SYSTEM || error == EAI_MEMORY) {
    lookup->status = KAD_ETIMEOUT;
  }
  if (error != 0 && (number == EMFILE || number == ENFILE)) {
    lookup->status = KAD_ESYSTEM;
  }
}

/* Adds a look-up to those that have ended, and wakes the loop. With the mutex.
 */
static void add_ended(struct kad_name_lookups *lookups,
                      struct kad_name_lookup *lookup) {
  lookup->next = lookups->ended;
  lookups->ended = lookup;
  (void)uv_async_send(lookups->async);
}

/* A thread. Hands the look-up over, or frees it if the network has ended. */
static void *run_lookup(void *data) {
  struct kad_name_lookup *lookup = data;
  struct kad_name_lookups *lookups = lookup->lookups;
  resolve(lookup);
  uv_mutex_lock(&lookups->mutex);
  lookups->threads--;
  if (lookups->async != NULL) {
    add_ended(lookups, lookup);
  } else {
    kad_name_lookup_free(lookup);
  }
  unlock_or_free(lookups);
  return NULL;
}

/* Keeps this code in memory until the process ends: a Lua state that closes
 * unloads its modules, and a thread may still return into this one. */
static void keep_loaded(void) {
  static const char anchor = 0;
  Dl_info info;
  if (dladdr(&anchor, &info) != 0 && info.dli_fname != NULL) {
    void *library =
        dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (library != NULL) {
      (void)dlclose(library);
    }
  }
}

/* Starts a thread that nothing joins and that receives no signal: those are for
 * the program's own threads. Returns 0 or an error of the system. */
static int start_thread(struct kad_name_lookup *lookup) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all;
  sigset_t before;
  if (pthread_attr_init(&attributes) != 0) {
    return KAD_ENOMEM;
  }
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread, &attributes, run_lookup, lookup);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  return error;
}

/* Counts a thread that starts. Returns false if there are enough. */
static bool reserve_thread(struct kad_name_lookups *lookups) {
  uv_mutex_lock(&lookups->mutex);
  const bool is_free = lookups->threads < KAD_NAME_THREADS_MAX;
  lookups->threads += is_free;
  uv_mutex_unlock(&lookups->mutex);
  return is_free;
}

int kad_name_lookup_start(struct kad_name_lookups *lookups, const char *host,
                          struct kad_name_lookup **lookup) {
  if (!reserve_thread(lookups)) {
    return KAD_EBUSY;
  }
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_name_lookup *started = kad_alloc_zero(&allocator, sizeof *started);
  int error = started == NULL ? KAD_ENOMEM : 0;
  if (error == 0) {
    started->lookups = lookups;
    strncpy(started->host, host, KAD_NAME_MAX);
    keep_loaded();
    error = start_thread(started) == 0 ? 0 : KAD_EBUSY;
  }
  if (error != 0) {
    kad_name_lookup_free(started);
    uv_mutex_lock(&lookups->mutex);
    lookups->threads--;
    uv_mutex_unlock(&lookups->mutex);
    return error;
  }
  *lookup = started;
  return 0;
}

struct kad_name_lookup *kad_name_lookup_take(struct kad_name_lookups *lookups) {
  uv_mutex_lock(&lookups->mutex);
  struct kad_name_lookup *lookup = lookups->ended;
  if (lookup != NULL) {
    lookups->ended = lookup->next;
    lookup->ended = true;
  }
  uv_mutex_unlock(&lookups->mutex);
  return lookup;
}

void kad_name_lookup_give_back(struct kad_name_lookups *lookups,
                               struct kad_name_lookup *lookup) {
  uv_mutex_lock(&lookups->mutex);
  lookup->ended = false;
  add_ended(lookups, lookup);
  uv_mutex_unlock(&lookups->mutex);
}

void kad_name_lookup_free(struct kad_name_lookup *lookup) {
  const struct kad_allocator allocator = kad_allocator_default();
  kad_release(&allocator, lookup, sizeof *lookup);
}
