// PrismSQLite
