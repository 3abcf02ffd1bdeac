/* Messages as the system's calls for batches take them, and the control message
 * that names a local address (IP_PKTINFO, IPV6_PKTINFO: RFC 3542 §6).
 *
 * A file that includes this one defines _GNU_SOURCE first. */
#ifndef KAD_NET_UDP_UDP_MESSAGE_H
#define KAD_NET_UDP_UDP_MESSAGE_H

#include "net/udp/udp_source.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
#define KAD_HAS_MMSG
#else
struct mmsghdr {
  struct msghdr msg_hdr;
  unsigned msg_len;
};
#endif

/* Room for the control message of either family. */
union kad_udp_control {
  size_t alignment; /* that of a struct cmsghdr */
  uint8_t bytes[64];
};

/* Reads the local address from the control messages of a received datagram;
 * leaves `local` as it is if they have none that can be a source. */
static inline void kad_udp_control_read(const struct msghdr *header,
                                        struct kad_udp_source *local) {
  const struct cmsghdr *const at = CMSG_FIRSTHDR(header);
  if (at == NULL) {
    return;
  }
#ifdef IP_PKTINFO
  if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(at), sizeof info);
    /* Of a broadcast, this is the address of the interface. */
    memcpy(local->ip, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
    local->has_ip = info.ipi_spec_dst.s_addr != 0;
  }
#endif
#ifdef IPV6_PKTINFO
  if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(at), sizeof info);
    if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) {
      memcpy(local->ip, &info.ipi6_addr, sizeof info.ipi6_addr);
      local->has_ip = true;
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
        local->interface = (uint32_t)info.ipi6_ifindex;
      }
    }
  }
#endif
}

/* Sets the control message of `header` to the local address `ip` of `family`,
 * from which the datagram is to leave, and to its interface (0: any).
 * `control` is its memory. */
static inline void kad_udp_control_write(struct msghdr *header,
                                         union kad_udp_control *control,
                                         unsigned family, const uint8_t ip[16],
                                         uint32_t interface) {
  struct cmsghdr *const written = (struct cmsghdr *)(void *)control->bytes;
  memset(control, 0, sizeof *control);
  (void)interface;
#ifdef IP_PKTINFO
  if (family == 4) {
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, ip, sizeof info.ipi_spec_dst);
    written->cmsg_level = IPPROTO_IP;
    written->cmsg_type = IP_PKTINFO;
    written->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(written), &info, sizeof info);
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof info);
  }
#endif
#ifdef IPV6_PKTINFO
  if (family == 6) {
    struct in6_pktinfo info = {0};
    memcpy(&info.ipi6_addr, ip, sizeof info.ipi6_addr);
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
      info.ipi6_ifindex = interface;
    }
    written->cmsg_level = IPPROTO_IPV6;
    written->cmsg_type = IPV6_PKTINFO;
    written->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(written), &info, sizeof info);
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof info);
  }
#endif
}

#endif
