/* What Prism is compared with: processes that each open the SQLite file themselves, as an app without a sidecar does.
 *
 *   sqlite_processes FILE get|put PROCESSES SECONDS KEYS VALUE_BYTES
 *
 * WAL, synchronous=FULL, a busy timeout of 5 s, prepared statements, a commit for each put; keys at random, every value
 * another. Prints one JSON object. Latencies go into log-linear buckets without an upper end. */
#define _GNU_SOURCE
#include <signal.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SUB = 32, BUCKETS = 64 * SUB };

struct shared {
    uint64_t requests, errors, latencies[BUCKETS], maximum;
    int ready, go;
};

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int bucket(uint64_t v) {
    if (v < SUB) return (int)v;
    int shift = 63 - __builtin_clzll(v) - 5;
    return (shift + 1) * SUB + (int)((v >> shift) - SUB);
}

static uint64_t upper(int b) {
    if (b < SUB) return (uint64_t)b;
    int shift = b / SUB - 1;
    return (((uint64_t)(b % SUB) + SUB + 1) << shift) - 1;
}

static uint64_t random_next(uint64_t *s) {
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return *s;
}

static void fail(sqlite3 *db, const char *what) {
    fprintf(stderr, "sqlite_processes: %s: %s\n", what, db ? sqlite3_errmsg(db) : "out of memory");
    exit(1);
}

static sqlite3 *open_file(const char *path) {
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) fail(db, "open");
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384", 0, 0, 0)) fail(db, "pragma");
    return db;
}

static const char *PUT = "INSERT INTO entry (namespace, key, value, version) VALUES ('bench', ?1, ?2, ?3) "
                         "ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = excluded.version";
static const char *GET = "SELECT value, version FROM entry WHERE namespace = 'bench' AND key = ?1";

static void fill_value(char *value, int bytes, uint64_t *seed) {
    for (int i = 0; i < bytes; i += 8) {
        uint64_t r = random_next(seed);
        memcpy(value + i, &r, (size_t)(bytes - i < 8 ? bytes - i : 8));
    }
}

static int put(sqlite3_stmt *statement, uint64_t key, const char *value, int bytes, uint64_t version) {
    char name[32];
    int length = snprintf(name, sizeof name, "k%012llu", (unsigned long long)key);
    sqlite3_bind_blob(statement, 1, name, length, SQLITE_TRANSIENT);
    sqlite3_bind_blob(statement, 2, value, bytes, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)version);
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

static int get(sqlite3_stmt *statement, uint64_t key) {
    char name[32];
    int length = snprintf(name, sizeof name, "k%012llu", (unsigned long long)key);
    sqlite3_bind_blob(statement, 1, name, length, SQLITE_TRANSIENT);
    int found = sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) > 0;
    sqlite3_reset(statement);
    return found;
}

static void work(const char *path, int puts, double seconds, uint64_t keys, int bytes, int number, struct shared *all) {
    sqlite3 *db = open_file(path);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, puts ? PUT : GET, -1, &statement, NULL)) fail(db, "prepare");
    uint64_t seed = 88172645463325252u + (uint64_t)number * 7919u, version = (uint64_t)number << 40;
    char *value = malloc((size_t)bytes + 8);
    if (!value) fail(NULL, "malloc");
    __atomic_add_fetch(&all->ready, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&all->go, __ATOMIC_SEQ_CST)) usleep(1000);
    uint64_t start = now(), warm = start + 500000000u, end = warm + (uint64_t)(seconds * 1e9);
    for (;;) {
        if (puts) fill_value(value, bytes, &seed);
        uint64_t before = now();
        if (before >= end) break;
        uint64_t key = random_next(&seed) % keys;
        int ok = puts ? put(statement, key, value, bytes, ++version) : get(statement, key);
        uint64_t after = now();
        if (before < warm) continue;
        if (!ok) {
            __atomic_add_fetch(&all->errors, 1, __ATOMIC_RELAXED);
            continue;
        }
        if (after < end) __atomic_add_fetch(&all->requests, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&all->latencies[bucket(after - before)], 1, __ATOMIC_RELAXED);
        uint64_t seen = __atomic_load_n(&all->maximum, __ATOMIC_RELAXED);
        while (after - before > seen &&
               !__atomic_compare_exchange_n(&all->maximum, &seen, after - before, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    free(value);
}

static double quantile(const struct shared *all, double share) {
    uint64_t count = 0, seen = 0;
    for (int b = 0; b < BUCKETS; b++) count += all->latencies[b];
    if (count == 0) return 0;
    uint64_t rank = (uint64_t)((double)count * share);
    for (int b = 0; b < BUCKETS; b++)
        if ((seen += all->latencies[b]) > rank) return (double)(upper(b) < all->maximum ? upper(b) : all->maximum) / 1000;
    return (double)all->maximum / 1000;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: %s FILE get|put PROCESSES SECONDS KEYS VALUE_BYTES\n", argv[0]);
        return 2;
    }
    int puts = strcmp(argv[2], "put") == 0, processes = atoi(argv[3]), bytes = atoi(argv[6]);
    double seconds = atof(argv[4]);
    uint64_t keys = (uint64_t)atoll(argv[5]);
    if (processes < 1 || seconds <= 0 || keys < 1 || bytes < 1) return 2;

    sqlite3 *db = open_file(argv[1]);
    if (sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS entry (namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, "
                         "version INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (namespace, key)) WITHOUT ROWID; BEGIN",
                     0, 0, 0)) fail(db, "create");
    sqlite3_stmt *statement = NULL;
    uint64_t seed = 42;
    char *value = malloc((size_t)bytes + 8);
    if (!value || sqlite3_prepare_v2(db, PUT, -1, &statement, NULL)) fail(db, "prepare");
    for (uint64_t key = 0; key < keys; key++) {
        fill_value(value, bytes, &seed);
        if (!put(statement, key, value, bytes, key)) fail(db, "fill");
    }
    sqlite3_finalize(statement);
    if (sqlite3_exec(db, "COMMIT", 0, 0, 0)) fail(db, "commit");
    sqlite3_close(db);  /* before the fork: a connection must not cross one */
    free(value);

    struct shared *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return 1;
    for (int number = 0; number < processes; number++) {
        pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            work(argv[1], puts, seconds, keys, bytes, number, all);
            _exit(0);
        }
    }
    while (__atomic_load_n(&all->ready, __ATOMIC_SEQ_CST) < processes) usleep(1000);
    __atomic_store_n(&all->go, 1, __ATOMIC_SEQ_CST);
    int failed = 0, status;
    while (wait(&status) > 0) failed |= status != 0;
    printf("{\"requests\":%llu,\"requests_per_second\":%.1f,\"errors\":%llu,\"latency_microseconds\":{\"p50\":%.1f,\"p99\":%.1f,"
           "\"max\":%.1f}}\n",
           (unsigned long long)all->requests, (double)all->requests / seconds, (unsigned long long)all->errors,
           quantile(all, 0.5), quantile(all, 0.99), (double)all->maximum / 1000);
    return failed;
}
