#include "net/network.h"

void kad_member_link(struct kad_member **list, struct kad_member *member) {
  member->next = *list;
  member->previous = NULL;
  if (member->next != NULL) {
    member->next->previous = member;
  }
  *list = member;
}

void kad_member_unlink(struct kad_member **list, struct kad_member *member) {
  *(member->previous != NULL ? &member->previous->next : list) = member->next;
  if (member->next != NULL) {
    member->next->previous = member->previous;
  }
}

void kad_member_mark_dirty(struct kad_member **dirty,
                           struct kad_member *member) {
  if (member->dirty || member->leaving || member->node == NULL) {
    return;
  }
  member->dirty = true;
  member->next_dirty = *dirty;
  *dirty = member;
}

void kad_member_clear_dirty(struct kad_member **dirty,
                            struct kad_member *member) {
  while (member->dirty) {
    if (*dirty == member) {
      *dirty = member->next_dirty;
      member->dirty = false;
    } else {
      dirty = &(*dirty)->next_dirty;
    }
  }
}

int kad_member_source(const struct kad_member *member,
                      const struct kad_address *to) {
  if (to->via > 0) {
    const size_t i = to->via - 1U;
    const bool fits =
        i < member->address_count && member->addresses[i].family == to->family;
    return fits ? (int)i : -1;
  }
  for (size_t i = 0; i < member->address_count; i++) {
    if (member->addresses[i].family == to->family) {
      return (int)i;
    }
  }
  return -1;
}
