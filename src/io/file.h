/*
 * Files: whole-file reads and atomic writes, directories, locks, mappings. Blocking; not for loops'
 * hot paths. Any thread.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Appends the file's bytes to 'out'. Returns 0, ERR_LIMIT past 'max' bytes, ERR_IO. */
MUST_USE int file_read(const char *path, size_t max, struct buf *out, struct err *err);
/* Appends the file's last 'max' bytes, or all if there are fewer. Returns 0 or ERR_IO. */
MUST_USE int file_read_tail(const char *path, size_t max, struct buf *out, struct err *err);
/* Writes beside, syncs, renames: readers see the old or the new. 'mode' as 0600. */
MUST_USE int file_write_atomic(const char *path, struct str bytes, mode_t mode, struct err *err);
/* As mkdir -p. */
MUST_USE int dir_make(const char *path, mode_t mode, struct err *err);
/* Removes a tree; fine if it is not there. Never follows links. */
MUST_USE int dir_remove_tree(const char *path, struct err *err);

/* The names in a directory, sorted, without . and .., each NUL-terminated; free with dir_list_free.
 */
struct dir_list {
	char **names;
	size_t count;
};
/* Reads the names. ERR_IO, also when the directory is not there. */
MUST_USE int dir_list(const char *path, struct dir_list *out, struct err *err);
/* Empties the list. */
void dir_list_free(struct dir_list *list);
/* Whether anything is there (following links). */
bool path_exists(const char *path);

/*
 * An append-only file, written in place. Returns 0 or a negative code; 'out' is a descriptor. Opens
 * or creates 'path' for appending.
 */
MUST_USE int file_open_append(const char *path, mode_t mode, int *out, struct err *err);
/* Writes all bytes, going on after short writes. */
MUST_USE int file_write_all(int fd, struct str bytes, struct err *err);
/* Makes what was written durable. */
MUST_USE int file_sync(int fd, struct err *err);
/* Cuts off, or extends by zeroes. */
MUST_USE int file_truncate(int fd, uint64_t size, struct err *err);
/* The size in bytes. */
MUST_USE int file_size(int fd, uint64_t *size, struct err *err);
/* Closes; -1 is fine. */
void file_close(int fd);
/* Removes one file; ERR_IO if it is not there. */
MUST_USE int file_remove(const char *path, struct err *err);
/* Renames, replacing what is there. */
MUST_USE int file_rename(const char *from, const char *to, struct err *err);
/* Makes 'path' a symbolic link to 'target', at once replacing a link or file that is there. */
MUST_USE int file_link(const char *target, const char *path, struct err *err);
/* Makes a rename or creation in 'path' durable. */
MUST_USE int dir_sync(const char *path, struct err *err);

/*
 * An exclusive lock file, held until file_close of 'out' or death. Returns 0, or ERR_IO that names
 * the process which holds it. The file stays, with the last holder's process id in it.
 */
MUST_USE int file_lock(const char *path, int *out, struct err *err);

/* A read-only mapping; unmap with file_unmap. An empty file gives a NULL pointer and 0. */
struct mapping {
	const uint8_t *ptr;
	size_t size;
};
/* Maps a whole file. */
MUST_USE int file_map(const char *path, struct mapping *out, struct err *err);
/* Ends a mapping; one of { 0 } is fine. */
void file_unmap(struct mapping *mapping);

#endif
