// SQLite, with shims for what Swift cannot import: variadic configuration and the destructor constants.
#ifndef PRISM_CSQLITE_H
#define PRISM_CSQLITE_H

#include <sqlite3.h>

#endif
