/* Records whose time has come: they expire, or are stored again at the k
 * closest. Source: Kademlia §2.5. */
#ifndef KAD_OVERLAY_PUBLISHING_H
#define KAD_OVERLAY_PUBLISHING_H

struct kad_node;

/* Sets the alarms for the next record that expires or is republished. */
void kad_publishing_plan(struct kad_node *node);

#endif
