#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CLinux.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int prism_epoll_wait_nanoseconds(int epoll, struct epoll_event *events, int capacity, int64_t timeout_nanoseconds) {
    struct timespec timeout = {
        .tv_sec = timeout_nanoseconds / 1000000000,
        .tv_nsec = timeout_nanoseconds % 1000000000,
    };
    struct timespec *limit = timeout_nanoseconds < 0 ? NULL : &timeout;
    long count = syscall(SYS_epoll_pwait2, epoll, events, capacity, limit, NULL, (size_t)0);
    return count < 0 ? -errno : (int)count;
}

int prism_epoll_wait(int epoll, struct epoll_event *events, int capacity, int block) {
    int count = epoll_wait(epoll, events, capacity, block ? -1 : 0);
    return count < 0 ? -errno : count;
}

const char *prism_error_text(int code, char *buffer, size_t capacity) {
    return strerror_r(code, buffer, capacity); // The GNU form: returns the text, which need not be in the buffer.
}

int prism_affinity_count(void) {
    // The kernel refuses a set smaller than its own with EINVAL; 65,536 processors are beyond any kernel's NR_CPUS.
    for (int processors = 1024; processors <= 65536; processors *= 4) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == NULL) return -ENOMEM;
        size_t bytes = CPU_ALLOC_SIZE(processors);
        CPU_ZERO_S(bytes, set);
        int failed = sched_getaffinity(0, bytes, set) != 0 ? errno : 0;
        int count = failed ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (!failed) return count;
        if (failed != EINVAL) return -failed;
    }
    return -EINVAL;
}

int prism_descriptor_limit(uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

int prism_set_descriptor_limit(uint64_t soft, uint64_t hard) {
    struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
    return setrlimit(RLIMIT_NOFILE, &limit) != 0 ? -errno : 0;
}

int prism_peer_credentials(int descriptor, int32_t *pid, uint32_t *uid, uint32_t *gid) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -errno;
    *pid = credentials.pid;
    *uid = credentials.uid;
    *gid = credentials.gid;
    return 0;
}

int prism_accept(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

void prism_set_thread_name(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
