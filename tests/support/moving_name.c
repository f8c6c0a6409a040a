// Preloaded into a proxy: the name moving.test is whatever address the file $MOVING_NAME holds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*Resolve)(const char*, const char*, const struct addrinfo*, struct addrinfo**);

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  Resolve resolve = (Resolve)dlsym(RTLD_NEXT, "getaddrinfo");
  char address[64] = "";
  if (node && strcmp(node, "moving.test") == 0) {
    FILE* file = fopen(getenv("MOVING_NAME"), "r");
    if (!file) return EAI_NONAME;
    if (fscanf(file, "%63s", address) != 1) address[0] = 0;
    fclose(file);
    node = address;
  }
  return resolve(node, service, hints, found);
}
