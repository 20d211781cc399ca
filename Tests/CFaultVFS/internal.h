// What the parts of the VFS share.
#ifndef PRISM_CFAULTVFS_INTERNAL_H
#define PRISM_CFAULTVFS_INTERNAL_H

#include "CFaultVFS.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

// One operation that changed a file, or made its changes durable.
typedef enum { RECORD_WRITE, RECORD_TRUNCATE, RECORD_SYNC, RECORD_DELETE } record_kind;

typedef struct {
    record_kind kind;
    int file;
    int lost;       // its sync has failed: no later one makes it durable
    int64_t offset; // of a write; the new size of a truncation
    int64_t size;   // of a write; of a deletion: whether the directory was synced
    unsigned char *bytes;
} record_entry;

struct prism_fault_vfs {
    sqlite3_vfs base;
    sqlite3_vfs *real;
    char name[32];

    // Everything below is guarded by `lock`; `changed` is signalled whenever a count or the plan changes.
    pthread_mutex_t lock;
    pthread_cond_t changed;

    prism_fault_plan plan;
    int has_plan;
    uint64_t matched;
    uint64_t hits;
    uint64_t calls[PRISM_FAULT_KINDS][PRISM_FAULT_FILES];
    int64_t disk_bytes_left;
    int is_read_only;

    int is_recording;
    char **files;
    int files_count;
    record_entry *entries;
    size_t entries_count, entries_capacity;
};

// Counts a call and says what it must return: SQLITE_OK, or the code to fail with. Waits while the plan holds it.
// `torn` gets the bytes that a failing write still writes; may be NULL.
int fault_enter(prism_fault_vfs *, uint32_t kind, uint32_t file, int *torn);
// Takes up to `wanted` bytes from the disk; returns how many there were.
int64_t fault_take_space(prism_fault_vfs *, int64_t wanted);
void fault_give_space(prism_fault_vfs *, int64_t bytes);

// The record's number for a path; -1: nothing is recorded.
int record_file(prism_fault_vfs *, const char *path);
// `bytes` is copied; NULL for everything but writes.
void record_append(prism_fault_vfs *, record_kind, int file, int64_t offset, const void *bytes, int64_t size);
// The sync of a file has failed.
void record_failed_sync(prism_fault_vfs *, int file);
void record_free(prism_fault_vfs *);

#endif
