// SQLite, with shims for what Swift cannot import: variadic configuration and the destructor constants.
#ifndef PRISM_CSQLITE_H
#define PRISM_CSQLITE_H

#include <sqlite3.h>
#include <stdint.h>

// SQLite's allocations go through accounts, and never to the end of a thread's stack. SQLITE_OK, unless something in the
// process had initialised SQLite before this was loaded.
int prism_sqlite3_configured(void);

// Counts what is allocated while it is charged, and refuses what would go above `bytes_max`. Lives until its creator has
// released it and everything charged to it is freed, on whichever thread.
typedef struct prism_sqlite3_account prism_sqlite3_account;
prism_sqlite3_account *prism_sqlite3_account_create(int64_t bytes_max);
void prism_sqlite3_account_release(prism_sqlite3_account *account);
int64_t prism_sqlite3_account_bytes(prism_sqlite3_account *account);

// What the calling thread allocates from now on is charged to this account; NULL: to none.
void prism_sqlite3_charge(prism_sqlite3_account *account);

// From now on the calling thread's allocations fail as long as `stop` answers other than 0; NULL: no more.
void prism_sqlite3_stop_when(int (*stop)(void *), void *argument);

// Switches of sqlite3_db_config that take one integer.
static inline int prism_sqlite3_db_switch(sqlite3 *db, int option, int value) {
    return sqlite3_db_config(db, option, value, (int *)0);
}

// SQLite copies what is bound; its opposite, SQLITE_STATIC, is NULL.
static inline sqlite3_destructor_type prism_sqlite3_transient(void) { return SQLITE_TRANSIENT; }

// A pointer that outlives every statement.
static inline int prism_sqlite3_bind_empty_text(sqlite3_stmt *statement, int index) {
    return sqlite3_bind_text(statement, index, "", 0, SQLITE_STATIC);
}

#endif
