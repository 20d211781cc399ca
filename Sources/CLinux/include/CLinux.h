// What Glibc's module does not give Swift: epoll with nanosecond timeouts, eventfd, peer credentials, errno-safe helpers.
#ifndef PRISM_CLINUX_H
#define PRISM_CLINUX_H

// No _GNU_SOURCE here: Swift's own Glibc module is built without it, and headers that both include must agree.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// epoll_pwait2 as a raw system call: glibc has a wrapper from 2.35 only, and Swift cannot call the variadic syscall().
// A negative timeout waits without end. Returns the number of events, or -errno.
int prism_epoll_wait_nanoseconds(int epoll, struct epoll_event *events, int capacity, int64_t timeout_nanoseconds);

// epoll_wait without a timer of its own: returns at once (block == 0) or waits without end. Returns -errno on failure.
int prism_epoll_wait(int epoll, struct epoll_event *events, int capacity, int block);

// The text of an error number, thread-safe; never NULL, always terminated. May point into the buffer.
const char *prism_error_text(int code, char *buffer, size_t capacity);

// Processors that this process may run on, for any number of them; -errno on failure.
int prism_affinity_count(void);

// RLIMIT_NOFILE. Both return 0 or -errno.
int prism_descriptor_limit(uint64_t *soft, uint64_t *hard);
int prism_set_descriptor_limit(uint64_t soft, uint64_t hard);

// SO_PEERCRED. Returns 0 or -errno.
int prism_peer_credentials(int descriptor, int32_t *pid, uint32_t *uid, uint32_t *gid);

// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC, whose parameters Swift cannot import. Returns the descriptor or -errno.
int prism_accept(int listener);

// Names the calling thread; a name longer than 15 bytes is refused and changes nothing.
void prism_set_thread_name(const char *name);

#endif
