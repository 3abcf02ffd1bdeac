#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void kad_http_format_address(const struct sockaddr *address,
                             char text[KAD_HTTP_ADDRESS_SIZE]) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET6) {
    struct sockaddr_in6 ip6;
    memcpy(&ip6, address, sizeof ip6);
    (void)inet_ntop(AF_INET6, &ip6.sin6_addr, ip, sizeof ip);
    (void)snprintf(text, KAD_HTTP_ADDRESS_SIZE, "[%s]:%d", ip,
                   ntohs(ip6.sin6_port));
  } else {
    struct sockaddr_in ip4;
    memcpy(&ip4, address, sizeof ip4);
    (void)inet_ntop(AF_INET, &ip4.sin_addr, ip, sizeof ip);
    (void)snprintf(text, KAD_HTTP_ADDRESS_SIZE, "%s:%d", ip,
                   ntohs(ip4.sin_port));
  }
}
