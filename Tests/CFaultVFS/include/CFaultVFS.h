// A SQLite VFS that fails on command.
#ifndef PRISM_CFAULTVFS_H
#define PRISM_CFAULTVFS_H
#endif
