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

void kad_member_touch(struct kad_member **touched, struct kad_member *member) {
  if (member->touched || member->leaving || member->node == NULL) {
    return;
  }
  member->touched = true;
  member->next_touched = *touched;
  *touched = member;
}

void kad_member_untouch(struct kad_member **touched,
                        struct kad_member *member) {
  while (member->touched) {
    if (*touched == member) {
      *touched = member->next_touched;
      member->touched = false;
    } else {
      touched = &(*touched)->next_touched;
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
