// The VFS itself: every call is counted, may fail, and goes on to the default one.
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    sqlite3_file base;
    prism_fault_vfs *vfs;
    uint32_t kind;
    int record; // number in the record; -1: none
    int regions; // of shared memory that exist as far as this file knows
    sqlite3_file real[];
} fault_file;

static fault_file *file_of(sqlite3_file *file) { return (fault_file *)file; }
static const sqlite3_io_methods *real_methods(fault_file *file) { return file->real->pMethods; }

// MARK: a file

static int file_close(sqlite3_file *handle) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xClose(file->real);
}

static int file_read(sqlite3_file *handle, void *bytes, int count, sqlite3_int64 offset) {
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_READ, file->kind, NULL);
    return code ? code : real_methods(file)->xRead(file->real, bytes, count, offset);
}

static int write_through(fault_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int code = count > 0 ? real_methods(file)->xWrite(file->real, bytes, count, offset) : SQLITE_OK;
    if (code == SQLITE_OK && count > 0) record_append(file->vfs, RECORD_WRITE, file->record, offset, bytes, count);
    return code;
}

static int file_write(sqlite3_file *handle, const void *bytes, int count, sqlite3_int64 offset) {
    fault_file *file = file_of(handle);
    int torn = 0;
    int code = fault_enter(file->vfs, PRISM_FAULT_WRITE, file->kind, &torn);
    if (code) {
        write_through(file, bytes, torn < count ? torn : count, offset);
        return code;
    }
    sqlite3_int64 size = 0;
    code = real_methods(file)->xFileSize(file->real, &size);
    if (code) return code;
    sqlite3_int64 growth = offset + count > size ? offset + count - size : 0;
    sqlite3_int64 space = fault_take_space(file->vfs, growth);
    if (space < growth) {
        sqlite3_int64 fits = count - (growth - space);
        write_through(file, bytes, fits > 0 ? (int)fits : 0, offset);
        return SQLITE_FULL;
    }
    return write_through(file, bytes, count, offset);
}

static int file_truncate(sqlite3_file *handle, sqlite3_int64 size) {
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_TRUNCATE, file->kind, NULL);
    if (code) return code;
    sqlite3_int64 before = 0;
    real_methods(file)->xFileSize(file->real, &before);
    code = real_methods(file)->xTruncate(file->real, size);
    if (code == SQLITE_OK) {
        fault_give_space(file->vfs, before - size);
        record_append(file->vfs, RECORD_TRUNCATE, file->record, size, NULL, 0);
    }
    return code;
}

// The disk is not made to sync: what would survive a power cut is worked out from the record, and tests run many syncs.
static int file_sync(sqlite3_file *handle, int flags) {
    (void)flags;
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_SYNC, file->kind, NULL);
    if (code) {
        record_failed_sync(file->vfs, file->record);
    } else {
        record_append(file->vfs, RECORD_SYNC, file->record, 0, NULL, 0);
    }
    return code;
}

static int file_size(sqlite3_file *handle, sqlite3_int64 *size) {
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_SIZE, file->kind, NULL);
    return code ? code : real_methods(file)->xFileSize(file->real, size);
}

static int file_lock(sqlite3_file *handle, int level) {
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_LOCK, file->kind, NULL);
    return code ? code : real_methods(file)->xLock(file->real, level);
}

static int file_unlock(sqlite3_file *handle, int level) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xUnlock(file->real, level);
}

static int file_check_reserved_lock(sqlite3_file *handle, int *result) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xCheckReservedLock(file->real, result);
}

static int file_control(sqlite3_file *handle, int operation, void *argument) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xFileControl(file->real, operation, argument);
}

static int file_sector_size(sqlite3_file *handle) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xSectorSize(file->real);
}

static int file_device_characteristics(sqlite3_file *handle) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xDeviceCharacteristics(file->real);
}

static int shm_map(sqlite3_file *handle, int region, int size, int extend, void volatile **memory) {
    fault_file *file = file_of(handle);
    int code = fault_enter(file->vfs, PRISM_FAULT_SHM_MAP, file->kind, NULL);
    if (code) return code;
    if (extend && region >= file->regions) {
        if (fault_take_space(file->vfs, size) < size) return SQLITE_IOERR_SHMSIZE;
        file->regions = region + 1;
    }
    return real_methods(file)->xShmMap(file->real, region, size, extend, memory);
}

static int shm_lock(sqlite3_file *handle, int offset, int count, int flags) {
    fault_file *file = file_of(handle);
    if (flags & SQLITE_SHM_LOCK) {
        int code = fault_enter(file->vfs, PRISM_FAULT_SHM_LOCK, file->kind, NULL);
        if (code) return code;
    }
    return real_methods(file)->xShmLock(file->real, offset, count, flags);
}

static void shm_barrier(sqlite3_file *handle) {
    fault_file *file = file_of(handle);
    real_methods(file)->xShmBarrier(file->real);
}

static int shm_unmap(sqlite3_file *handle, int delete_it) {
    fault_file *file = file_of(handle);
    return real_methods(file)->xShmUnmap(file->real, delete_it);
}

// Version 2: no memory mapping of the database, so that every access is a call.
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

// MARK: the file system

static prism_fault_vfs *vfs_of(sqlite3_vfs *vfs) { return (prism_fault_vfs *)vfs->pAppData; }

static uint32_t kind_of_path(const char *path) {
    size_t length = path ? strlen(path) : 0;
    if (length > 4 && strcmp(path + length - 4, "-wal") == 0) return PRISM_FAULT_LOG;
    if (length > 8 && strcmp(path + length - 8, "-journal") == 0) return PRISM_FAULT_OTHER;
    return path ? PRISM_FAULT_DATABASE : PRISM_FAULT_OTHER;
}

static int vfs_open(sqlite3_vfs *base, const char *path, sqlite3_file *handle, int flags, int *flags_out) {
    prism_fault_vfs *vfs = vfs_of(base);
    fault_file *file = file_of(handle);
    memset(file, 0, sizeof *file);
    file->vfs = vfs;
    file->kind = flags & SQLITE_OPEN_MAIN_DB ? PRISM_FAULT_DATABASE
                 : flags & SQLITE_OPEN_WAL   ? PRISM_FAULT_LOG
                                             : PRISM_FAULT_OTHER;
    file->record = -1;
    int code = fault_enter(vfs, PRISM_FAULT_OPEN, file->kind, NULL);
    if (code) return code;
    pthread_mutex_lock(&vfs->lock);
    if (vfs->is_read_only && (flags & SQLITE_OPEN_MAIN_DB))
        flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    pthread_mutex_unlock(&vfs->lock);
    code = vfs->real->xOpen(vfs->real, path, file->real, flags, flags_out);
    if (!file->real->pMethods) return code;
    file->base.pMethods = &methods;
    if (code == SQLITE_OK && path) file->record = record_file(vfs, path);
    return code;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync_directory) {
    prism_fault_vfs *vfs = vfs_of(base);
    int code = fault_enter(vfs, PRISM_FAULT_DELETE, kind_of_path(path), NULL);
    if (code) return code;
    code = vfs->real->xDelete(vfs->real, path, sync_directory);
    if (code == SQLITE_OK) 
        record_append(vfs, RECORD_DELETE, record_file(vfs, path), 0, NULL, sync_directory != 0);
    return code;
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *result) {
    prism_fault_vfs *vfs = vfs_of(base);
    int code = fault_enter(vfs, PRISM_FAULT_ACCESS, kind_of_path(path), NULL);
    return code ? code : vfs->real->xAccess(vfs->real, path, flags, result);
}

static int vfs_full_pathname(sqlite3_vfs *base, const char *path, int count, char *target) {
    prism_fault_vfs *vfs = vfs_of(base);
    return vfs->real->xFullPathname(vfs->real, path, count, target);
}

static int vfs_randomness(sqlite3_vfs *base, int count, char *target) {
    prism_fault_vfs *vfs = vfs_of(base);
    return vfs->real->xRandomness(vfs->real, count, target);
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds) {
    prism_fault_vfs *vfs = vfs_of(base);
    return vfs->real->xSleep(vfs->real, microseconds);
}

static int vfs_current_time(sqlite3_vfs *base, double *days) {
    prism_fault_vfs *vfs = vfs_of(base);
    return vfs->real->xCurrentTime(vfs->real, days);
}

static int vfs_last_error(sqlite3_vfs *base, int count, char *target) {
    prism_fault_vfs *vfs = vfs_of(base);
    return vfs->real->xGetLastError ? vfs->real->xGetLastError(vfs->real, count, target) : 0;
}

// MARK: making one

prism_fault_vfs *prism_fault_create(void) {
    static _Atomic unsigned made;
    sqlite3_initialize();
    prism_fault_vfs *vfs = calloc(1, sizeof *vfs);
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    if (!vfs || !real) {
        free(vfs);
        return NULL;
    }
    vfs->real = real;
    vfs->disk_bytes_left = -1;
    snprintf(vfs->name, sizeof vfs->name, "prism-fault-%u", ++made);
    pthread_mutex_init(&vfs->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&vfs->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    vfs->base = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(fault_file) + real->szOsFile,
        .mxPathname = real->mxPathname,
        .zName = vfs->name,
        .pAppData = vfs,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
    };
    sqlite3_vfs_register(&vfs->base, 0);
    return vfs;
}

const char *prism_fault_name(const prism_fault_vfs *vfs) { return vfs->name; }

void prism_fault_destroy(prism_fault_vfs *vfs) {
    sqlite3_vfs_unregister(&vfs->base);
    record_free(vfs);
    pthread_cond_destroy(&vfs->changed);
    pthread_mutex_destroy(&vfs->lock);
    free(vfs);
}
