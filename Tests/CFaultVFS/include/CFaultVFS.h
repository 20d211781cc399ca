// A SQLite VFS that fails on command and remembers what a power cut could leave.
//
// It stands over the default VFS and is registered under a name of its own, so tests that run at the same time do not see
// each other's faults. Everything may be called from any thread. It knows three things:
// - a plan: the n-th call of chosen kinds on chosen files fails (once, several times, from then on), or is held up;
// - a disk of a given size: what would grow a file beyond it is written as far as it fits and then fails with SQLITE_FULL;
// - a record of all writes and syncs: from it the files can be made as a power cut at any point could have left them.
#ifndef PRISM_CFAULTVFS_H
#define PRISM_CFAULTVFS_H

#include <stdint.h>

typedef struct prism_fault_vfs prism_fault_vfs;

// Kinds of calls; bits of a mask. Closing, and giving locks back, cannot fail in a way that SQLite would notice.
enum {
    PRISM_FAULT_OPEN = 1 << 0,
    PRISM_FAULT_DELETE = 1 << 1,
    PRISM_FAULT_ACCESS = 1 << 2,
    PRISM_FAULT_READ = 1 << 3,
    PRISM_FAULT_WRITE = 1 << 4,
    PRISM_FAULT_TRUNCATE = 1 << 5,
    PRISM_FAULT_SYNC = 1 << 6,
    PRISM_FAULT_SIZE = 1 << 7,
    PRISM_FAULT_LOCK = 1 << 8,
    PRISM_FAULT_SHM_MAP = 1 << 9,
    PRISM_FAULT_SHM_LOCK = 1 << 10,
    PRISM_FAULT_KINDS = 11,
    PRISM_FAULT_ANY_KIND = (1 << PRISM_FAULT_KINDS) - 1,
};

// Which files; bits of a mask. The shared memory counts as the database.
enum {
    PRISM_FAULT_DATABASE = 1 << 0,
    PRISM_FAULT_LOG = 1 << 1,
    PRISM_FAULT_OTHER = 1 << 2,
    PRISM_FAULT_FILES = 3,
    PRISM_FAULT_ANY_FILE = (1 << PRISM_FAULT_FILES) - 1,
};

// What shall go wrong. Zero in `kinds` or `files` stands for any.
typedef struct {
    uint32_t kinds;
    uint32_t files;
    uint64_t at;      // the first matching call that is hit, counted from 1 from the moment the plan is set
    uint64_t count;   // how many are hit from there on; UINT64_MAX: all
    int code;         // what they return; 0: the I/O error that SQLite's own VFS has for that kind of call
    int torn_bytes;   // bytes that a failing write still writes
    int holds;        // not 0: the calls do not fail; they wait until the plan is cleared
} prism_fault_plan;

// Made and registered. NULL: no memory.
prism_fault_vfs *prism_fault_create(void);
// The name under which SQLite finds it; valid as long as it is.
const char *prism_fault_name(const prism_fault_vfs *);
// Unregisters and frees it. All files must be closed.
void prism_fault_destroy(prism_fault_vfs *);

void prism_fault_set(prism_fault_vfs *, prism_fault_plan);
// Nothing fails any more, and what is held goes on.
void prism_fault_clear(prism_fault_vfs *);
// Calls hit (failed or held) since the plan was set.
uint64_t prism_fault_hits(prism_fault_vfs *);
// Calls made since the beginning.
uint64_t prism_fault_calls(prism_fault_vfs *, uint32_t kinds, uint32_t files);
// Waits until so many calls have been made, or hit. 0: they have; 1: the time passed.
int prism_fault_wait_calls(prism_fault_vfs *, uint32_t kinds, uint32_t files, uint64_t count, int milliseconds);
int prism_fault_wait_hits(prism_fault_vfs *, uint64_t count, int milliseconds);
// Bytes by which files may still grow; negative: any.
void prism_fault_disk(prism_fault_vfs *, int64_t bytes_left);
// Databases open read-only from now on, whatever is asked for: what the default VFS does without the right to write.
void prism_fault_read_only(prism_fault_vfs *, int is_read_only);

// Starts recording. What is in the database at this path and its log now counts as synced.
void prism_fault_record(prism_fault_vfs *, const char *database);
// Operations recorded so far.
uint64_t prism_fault_position(prism_fault_vfs *);

// What of the operations that were not synced survives: none, all, or by a seed some, the last of them torn.
enum { PRISM_FAULT_LOSE_ALL = 0, PRISM_FAULT_KEEP_ALL = 1 };
// Makes the files, except shared memory, as a power cut after `position` operations could have left them, in a directory
// that exists. Data whose sync failed is not made durable by a later sync: kernels drop it. 0, or an errno.
int prism_fault_crash_image(prism_fault_vfs *, uint64_t position, uint64_t choice, const char *directory);

#endif
