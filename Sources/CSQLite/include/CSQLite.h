// SQLite, with shims for what Swift cannot import: variadic configuration and the destructor constants.
#ifndef PRISM_CSQLITE_H
#define PRISM_CSQLITE_H

#include <sqlite3.h>

// Before the first connection: without the global memory statistics every allocation of every thread is one lock cheaper.
// Refused (harmlessly) once SQLite is initialised.
static inline int prism_sqlite3_configure(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

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
