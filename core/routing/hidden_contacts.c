#include "routing/hidden_contacts.h"

#include "base/address.h"
#include "base/time.h"

/* Returns the suspect at `address`, or NULL. */
static struct kad_hidden_suspect *find(struct kad_hidden_contacts *hidden,
                                       const struct kad_address *address) {
  for (size_t i = 0; i < KAD_HIDDEN_SUSPECTS; i++) {
    struct kad_hidden_suspect *suspect = &hidden->suspects[i];
    if (suspect->address.family != 0 &&
        kad_address_equal(&suspect->address, address)) {
      return suspect;
    }
  }
  return NULL;
}

void kad_hidden_contacts_suspect(struct kad_hidden_contacts *hidden,
                                 const struct kad_address *address,
                                 kad_time_ms now) {
  struct kad_hidden_suspect *suspect = find(hidden, address);
  if (suspect == NULL) {
    suspect = &hidden->suspects[hidden->next];
    hidden->next = (hidden->next + 1) % KAD_HIDDEN_SUSPECTS;
  }
  *suspect = (struct kad_hidden_suspect){.address = *address, .since = now};
}

void kad_hidden_contacts_queried(struct kad_hidden_contacts *hidden,
                                 const struct kad_address *address,
                                 kad_time_ms now) {
  struct kad_hidden_suspect *suspect = find(hidden, address);
  if (suspect == NULL) {
    return;
  }
  if (kad_time_since(suspect->since, now) < KAD_HIDDEN_SUSPECT_MS) {
    hidden->found = true;
    hidden->found_at = now;
  }
  *suspect = (struct kad_hidden_suspect){0};
}

bool kad_hidden_contacts_are_about(const struct kad_hidden_contacts *hidden,
                                   kad_time_ms now) {
  return hidden->found &&
         kad_time_since(hidden->found_at, now) < KAD_HIDDEN_ABOUT_MS;
}
