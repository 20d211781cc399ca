#define _GNU_SOURCE
#include "CSQLite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

// SQLite's allocator, with limits that SQLite itself does not have. At all of them it answers NULL, which SQLite is tested to
// survive at every call: the statement ends with SQLITE_NOMEM.
//
// Memory: what is allocated while an account is charged counts against its maximum. A sort, a DISTINCT or a recursive WITH
// keeps its rows in memory (temp_store=MEMORY) for as long as it runs.
//
// Stack: SQLite compiles recursively, and bounds the depth of an expression but not that of a chain of WITH, views, triggers
// or cascades. Every level allocates, so a thread that comes near the end of its stack is stopped here.
//
// Time: this SQLite polls its progress handler when a statement runs, not when it is compiled, which takes minutes for a
// text of a megabyte made for it.

struct prism_sqlite3_account {
    // Bytes charged, and `owned` as long as its creator holds it. Freed when it comes to 0.
    _Atomic int64_t held;
    int64_t bytes_max;
};

static const int64_t owned = INT64_C(1) << 62;

// Before each allocation; keeps it aligned as malloc does.
typedef struct {
    _Alignas(16) prism_sqlite3_account *account;
    int64_t bytes;
} header;

static _Thread_local prism_sqlite3_account *charged;
static _Thread_local int (*must_stop)(void *);
static _Thread_local void *must_stop_argument;
static _Thread_local char *stack_floor;
static _Thread_local int is_stack_known;

// What must be left for calls that do not allocate: a LIKE pattern and JSON are matched recursively.
enum { stack_reserve_bytes = 256 << 10 };

static void find_stack_floor(void) {
    is_stack_known = 1;
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) {
        size_t reserve = bytes / 4 < stack_reserve_bytes ? bytes / 4 : stack_reserve_bytes;
        stack_floor = (char *)lowest + reserve;
    }
    pthread_attr_destroy(&attributes);
}

static int is_stack_low(void) {
    if (!is_stack_known) find_stack_floor();
    return (char *)__builtin_frame_address(0) < stack_floor;
}

static void let_go(prism_sqlite3_account *account, int64_t bytes) {
    if (atomic_fetch_sub_explicit(&account->held, bytes, memory_order_acq_rel) == bytes) free(account);
}

static int take(prism_sqlite3_account *account, int64_t bytes) {
    int64_t before = atomic_fetch_add_explicit(&account->held, bytes, memory_order_relaxed);
    if ((before & ~owned) + bytes <= account->bytes_max) return 1;
    let_go(account, bytes);
    return 0;
}

static int is_refused(void) { return is_stack_low() || (must_stop && must_stop(must_stop_argument)); }

static void *allocate(int count) {
    if (is_refused()) return NULL;
    int64_t bytes = (int64_t)count + (int64_t)sizeof(header);
    prism_sqlite3_account *account = charged;
    if (account && !take(account, bytes)) return NULL;
    header *made = malloc((size_t)bytes);
    if (!made) {
        if (account) let_go(account, bytes);
        return NULL;
    }
    made->account = account;
    made->bytes = bytes;
    return made + 1;
}

static void release(void *pointer) {
    if (!pointer) return;
    header *old = (header *)pointer - 1;
    if (old->account) let_go(old->account, old->bytes);
    free(old);
}

static void *reallocate(void *pointer, int count) {
    if (is_refused()) return NULL;
    header *old = (header *)pointer - 1;
    prism_sqlite3_account *account = old->account;
    int64_t before = old->bytes;
    int64_t bytes = (int64_t)count + (int64_t)sizeof(header);
    if (account && bytes > before && !take(account, bytes - before)) return NULL;
    header *made = realloc(old, (size_t)bytes);
    if (!made) {
        if (account && bytes > before) let_go(account, bytes - before);
        return NULL;
    }
    if (account && bytes < before) let_go(account, before - bytes);
    made->bytes = bytes;
    return made + 1;
}

static int size_of(void *pointer) {
    return pointer ? (int)(((header *)pointer - 1)->bytes - (int64_t)sizeof(header)) : 0;
}

static int round_up(int count) { return (count + 7) & ~7; }
static int begin(void *unused) { return (void)unused, SQLITE_OK; }
static void end(void *unused) { (void)unused; }

static int configured = SQLITE_MISUSE;

// When the program is loaded: SQLite takes no other allocator once anything has initialised it.
__attribute__((constructor)) static void configure(void) {
    static const sqlite3_mem_methods methods = {allocate, release, reallocate, size_of, round_up, begin, end, NULL};
    int result = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    // Without the global memory statistics every allocation of every thread is one lock cheaper; with lookaside some
    // allocations would pass by the account.
    if (result == SQLITE_OK) result = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    configured = result == SQLITE_OK ? sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) : result;
}

int prism_sqlite3_configured(void) { return configured; }

prism_sqlite3_account *prism_sqlite3_account_create(int64_t bytes_max) {
    prism_sqlite3_account *account = malloc(sizeof *account);
    if (!account) return NULL;
    atomic_init(&account->held, owned);
    account->bytes_max = bytes_max;
    return account;
}

void prism_sqlite3_account_release(prism_sqlite3_account *account) {
    if (account) let_go(account, owned);
}

int64_t prism_sqlite3_account_bytes(prism_sqlite3_account *account) {
    return account ? atomic_load_explicit(&account->held, memory_order_relaxed) & ~owned : 0;
}

void prism_sqlite3_charge(prism_sqlite3_account *account) { charged = account; }

void prism_sqlite3_stop_when(int (*stop)(void *), void *argument) {
    must_stop = stop;
    must_stop_argument = argument;
}
