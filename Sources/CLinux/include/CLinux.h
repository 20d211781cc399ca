// What Glibc's module does not give Swift: epoll with nanosecond timeouts, eventfd, peer credentials, errno-safe helpers.
#ifndef PRISM_CLINUX_H
#define PRISM_CLINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#endif
