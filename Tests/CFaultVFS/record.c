// What has been written and synced, and the files that a power cut could leave.
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A test that runs out of memory has nothing left to prove.
static void *must(void *pointer) {
    if (!pointer) abort();
    return pointer;
}

uint64_t prism_fault_position(prism_fault_vfs *vfs) {
    pthread_mutex_lock(&vfs->lock);
    uint64_t position = vfs->entries_count;
    pthread_mutex_unlock(&vfs->lock);
    return position;
}

int record_file(prism_fault_vfs *vfs, const char *path) {
    int found = -1;
    pthread_mutex_lock(&vfs->lock);
    if (vfs->is_recording) {
        for (int file = 0; file < vfs->files_count && found < 0; file++)
            if (strcmp(vfs->files[file], path) == 0) found = file;
        if (found < 0) {
            vfs->files = must(realloc(vfs->files, sizeof(char *) * (size_t)(vfs->files_count + 1)));
            vfs->files[vfs->files_count] = must(strdup(path));
            found = vfs->files_count++;
        }
    }
    pthread_mutex_unlock(&vfs->lock);
    return found;
}

void record_append(
    prism_fault_vfs *vfs, record_kind kind, int file, int64_t offset, const void *bytes, int64_t size) {
    if (file < 0) return;
    record_entry entry = {.kind = kind, .file = file, .offset = offset, .size = size};
    if (bytes) {
        entry.bytes = must(malloc((size_t)size + 1));
        memcpy(entry.bytes, bytes, (size_t)size);
    }
    pthread_mutex_lock(&vfs->lock);
    if (vfs->entries_count == vfs->entries_capacity) {
        vfs->entries_capacity = vfs->entries_capacity ? vfs->entries_capacity * 2 : 256;
        vfs->entries = must(realloc(vfs->entries, sizeof(record_entry) * vfs->entries_capacity));
    }
    vfs->entries[vfs->entries_count++] = entry;
    pthread_mutex_unlock(&vfs->lock);
}

static void record_content(prism_fault_vfs *vfs, const char *path) {
    FILE *source = fopen(path, "rb");
    if (!source) return;
    int file = record_file(vfs, path);
    char bytes[4096];
    int64_t offset = 0;
    for (size_t count; (count = fread(bytes, 1, sizeof bytes, source)) > 0; offset += (int64_t)count)
        record_append(vfs, RECORD_WRITE, file, offset, bytes, (int64_t)count);
    fclose(source);
    record_append(vfs, RECORD_SYNC, file, 0, NULL, 0);
}

void prism_fault_record(prism_fault_vfs *vfs, const char *database) {
    pthread_mutex_lock(&vfs->lock);
    vfs->is_recording = 1;
    pthread_mutex_unlock(&vfs->lock);
    char log[4096];
    snprintf(log, sizeof log, "%s-wal", database);
    record_content(vfs, database);
    record_content(vfs, log);
}

void record_failed_sync(prism_fault_vfs *vfs, int file) {
    if (file < 0) return;
    pthread_mutex_lock(&vfs->lock);
    for (size_t index = vfs->entries_count; index > 0; index--) {
        record_entry *entry = &vfs->entries[index - 1];
        if (entry->file != file) continue;
        if (entry->kind == RECORD_SYNC) break;
        entry->lost = 1;
    }
    pthread_mutex_unlock(&vfs->lock);
}

void record_free(prism_fault_vfs *vfs) {
    for (size_t index = 0; index < vfs->entries_count; index++) free(vfs->entries[index].bytes);
    for (int file = 0; file < vfs->files_count; file++) free(vfs->files[file]);
    free(vfs->entries);
    free(vfs->files);
}

// A file that is being made.
typedef struct {
    unsigned char *bytes;
    int64_t size;
    int exists;
} image;

static void resize(image *image, int64_t size) {
    if (size > image->size) {
        image->bytes = must(realloc(image->bytes, (size_t)size));
        memset(image->bytes + image->size, 0, (size_t)(size - image->size));
    }
    image->size = size;
}

static void apply(image *image, const record_entry *entry, int64_t bytes) {
    switch (entry->kind) {
    case RECORD_WRITE:
        image->exists = 1;
        if (entry->offset + bytes > image->size) resize(image, entry->offset + bytes);
        memcpy(image->bytes + entry->offset, entry->bytes, (size_t)bytes);
        break;
    case RECORD_TRUNCATE:
        image->exists = 1;
        resize(image, entry->offset);
        break;
    case RECORD_DELETE:
        image->size = 0;
        image->exists = 0;
        break;
    case RECORD_SYNC: image->exists = 1; break;
    }
}

static uint64_t random_next(uint64_t *state) {
    uint64_t mixed = (*state += 0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
    return mixed ^ mixed >> 31;
}

// Disks tear writes between sectors.
static const int64_t sector_bytes = 512;

// A deletion whose size is not 0 synced the directory too.
static int makes_durable(const record_entry *entry) {
    return entry->kind == RECORD_SYNC || (entry->kind == RECORD_DELETE && entry->size);
}

static void build(const prism_fault_vfs *vfs, int file, uint64_t position, uint64_t choice, image *image) {
    size_t synced = 0; // behind the last sync
    for (size_t index = 0; index < position; index++)
        if (vfs->entries[index].file == file && makes_durable(&vfs->entries[index])) synced = index + 1;
    uint64_t state = choice * 0x2545F4914F6CDD1D + (uint64_t)file;
    for (size_t index = 0; index < position; index++) {
        const record_entry *entry = &vfs->entries[index];
        if (entry->file != file) continue;
        int is_durable = index < synced && !entry->lost;
        int64_t bytes = entry->size;
        if (!is_durable) {
            if (choice == PRISM_FAULT_LOSE_ALL || (choice != PRISM_FAULT_KEEP_ALL && (random_next(&state) & 1))) {
                // The old file is still there: what went to a new one of this name is gone with it.
                if (entry->kind == RECORD_DELETE && index >= synced) break;
                continue;
            }
            if (choice != PRISM_FAULT_KEEP_ALL && (random_next(&state) & 7) == 0)
                bytes = bytes * (int64_t)(random_next(&state) & 7) / 8 / sector_bytes * sector_bytes;
        }
        apply(image, entry, bytes);
    }
}

int prism_fault_crash_image(prism_fault_vfs *vfs, uint64_t position, uint64_t choice, const char *directory) {
    int error = 0;
    pthread_mutex_lock(&vfs->lock);
    if (position > vfs->entries_count) position = vfs->entries_count;
    for (int file = 0; file < vfs->files_count && !error; file++) {
        image image = {0};
        build(vfs, file, position, choice, &image);
        if (image.exists) {
            const char *slash = strrchr(vfs->files[file], '/');
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", directory, slash ? slash + 1 : vfs->files[file]);
            FILE *target = fopen(path, "wb");
            if (!target || fwrite(image.bytes, 1, (size_t)image.size, target) != (size_t)image.size) error = errno;
            if (target && fclose(target) != 0) error = errno;
        }
        free(image.bytes);
    }
    pthread_mutex_unlock(&vfs->lock);
    return error;
}
