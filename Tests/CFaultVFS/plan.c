// Which call fails, and what has been called.
#include "internal.h"

#include <errno.h>
#include <time.h>

static int bit_index(uint32_t bit) { return __builtin_ctz(bit); }

// The error that the default VFS would report for a call of this kind.
static int natural_code(uint32_t kind) {
    switch (kind) {
    case PRISM_FAULT_OPEN: return SQLITE_CANTOPEN;
    case PRISM_FAULT_DELETE: return SQLITE_IOERR_DELETE;
    case PRISM_FAULT_ACCESS: return SQLITE_IOERR_ACCESS;
    case PRISM_FAULT_READ: return SQLITE_IOERR_READ;
    case PRISM_FAULT_WRITE: return SQLITE_IOERR_WRITE;
    case PRISM_FAULT_TRUNCATE: return SQLITE_IOERR_TRUNCATE;
    case PRISM_FAULT_SYNC: return SQLITE_IOERR_FSYNC;
    case PRISM_FAULT_SIZE: return SQLITE_IOERR_FSTAT;
    case PRISM_FAULT_LOCK: return SQLITE_IOERR_LOCK;
    case PRISM_FAULT_SHM_MAP: return SQLITE_IOERR_SHMMAP;
    case PRISM_FAULT_SHM_LOCK: return SQLITE_IOERR_SHMLOCK;
    default: return SQLITE_IOERR;
    }
}

static int is_hit(const prism_fault_plan *plan, uint64_t number) {
    return number >= plan->at && number - plan->at < plan->count;
}

int fault_enter(prism_fault_vfs *vfs, uint32_t kind, uint32_t file, int *torn) {
    int code = SQLITE_OK;
    if (torn) *torn = 0;
    pthread_mutex_lock(&vfs->lock);
    vfs->calls[bit_index(kind)][bit_index(file)]++;
    if (vfs->has_plan && (vfs->plan.kinds & kind) && (vfs->plan.files & file)) {
        vfs->matched++;
        if (is_hit(&vfs->plan, vfs->matched)) {
            vfs->hits++;
            if (vfs->plan.holds) {
                pthread_cond_broadcast(&vfs->changed);
                while (vfs->has_plan && vfs->plan.holds) pthread_cond_wait(&vfs->changed, &vfs->lock);
            } else {
                code = vfs->plan.code ? vfs->plan.code : natural_code(kind);
                if (torn) *torn = vfs->plan.torn_bytes;
            }
        }
    }
    pthread_cond_broadcast(&vfs->changed);
    pthread_mutex_unlock(&vfs->lock);
    return code;
}

void prism_fault_set(prism_fault_vfs *vfs, prism_fault_plan plan) {
    if (plan.kinds == 0) plan.kinds = PRISM_FAULT_ANY_KIND;
    if (plan.files == 0) plan.files = PRISM_FAULT_ANY_FILE;
    pthread_mutex_lock(&vfs->lock);
    vfs->plan = plan;
    vfs->has_plan = 1;
    vfs->matched = 0;
    vfs->hits = 0;
    pthread_cond_broadcast(&vfs->changed);
    pthread_mutex_unlock(&vfs->lock);
}

void prism_fault_clear(prism_fault_vfs *vfs) {
    pthread_mutex_lock(&vfs->lock);
    vfs->has_plan = 0;
    pthread_cond_broadcast(&vfs->changed);
    pthread_mutex_unlock(&vfs->lock);
}

static uint64_t calls_locked(const prism_fault_vfs *vfs, uint32_t kinds, uint32_t files) {
    uint64_t sum = 0;
    for (int kind = 0; kind < PRISM_FAULT_KINDS; kind++)
        for (int file = 0; file < PRISM_FAULT_FILES; file++)
            if ((kinds >> kind & 1) && (files >> file & 1)) sum += vfs->calls[kind][file];
    return sum;
}

uint64_t prism_fault_calls(prism_fault_vfs *vfs, uint32_t kinds, uint32_t files) {
    pthread_mutex_lock(&vfs->lock);
    uint64_t sum = calls_locked(vfs, kinds, files);
    pthread_mutex_unlock(&vfs->lock);
    return sum;
}

uint64_t prism_fault_hits(prism_fault_vfs *vfs) {
    pthread_mutex_lock(&vfs->lock);
    uint64_t hits = vfs->hits;
    pthread_mutex_unlock(&vfs->lock);
    return hits;
}

static struct timespec after(int milliseconds) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t nanoseconds = time.tv_nsec + (int64_t)milliseconds * 1000000;
    time.tv_sec += nanoseconds / 1000000000;
    time.tv_nsec = nanoseconds % 1000000000;
    return time;
}

int prism_fault_wait_calls(prism_fault_vfs *vfs, uint32_t kinds, uint32_t files, uint64_t count, int milliseconds) {
    struct timespec end = after(milliseconds);
    int result = 0;
    pthread_mutex_lock(&vfs->lock);
    while (calls_locked(vfs, kinds, files) < count && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&vfs->changed, &vfs->lock, &end);
    int missed = calls_locked(vfs, kinds, files) < count;
    pthread_mutex_unlock(&vfs->lock);
    return missed;
}

int prism_fault_wait_hits(prism_fault_vfs *vfs, uint64_t count, int milliseconds) {
    struct timespec end = after(milliseconds);
    int result = 0;
    pthread_mutex_lock(&vfs->lock);
    while (vfs->hits < count && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&vfs->changed, &vfs->lock, &end);
    int missed = vfs->hits < count;
    pthread_mutex_unlock(&vfs->lock);
    return missed;
}

void prism_fault_disk(prism_fault_vfs *vfs, int64_t bytes_left) {
    pthread_mutex_lock(&vfs->lock);
    vfs->disk_bytes_left = bytes_left;
    pthread_mutex_unlock(&vfs->lock);
}

void prism_fault_read_only(prism_fault_vfs *vfs, int is_read_only) {
    pthread_mutex_lock(&vfs->lock);
    vfs->is_read_only = is_read_only;
    pthread_mutex_unlock(&vfs->lock);
}

int64_t fault_take_space(prism_fault_vfs *vfs, int64_t wanted) {
    pthread_mutex_lock(&vfs->lock);
    int64_t taken = wanted;
    if (vfs->disk_bytes_left >= 0) {
        if (taken > vfs->disk_bytes_left) taken = vfs->disk_bytes_left;
        vfs->disk_bytes_left -= taken;
    }
    pthread_mutex_unlock(&vfs->lock);
    return taken;
}

void fault_give_space(prism_fault_vfs *vfs, int64_t bytes) {
    pthread_mutex_lock(&vfs->lock);
    if (vfs->disk_bytes_left >= 0 && bytes > 0) vfs->disk_bytes_left += bytes;
    pthread_mutex_unlock(&vfs->lock);
}
