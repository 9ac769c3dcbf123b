/*
 * Files that only grow, written at their end and read through a mapping.
 *
 * What was written can be read at once from 'ptr': reader and writer share the system's page cache,
 * so that nothing is held twice. Written by one thread at a time; bytes below 'size' never change,
 * so any thread that learned of them by a lock may read them. Writing never faults: a full disk is
 * an error of the call.
 */
#ifndef IO_APPEND_FILE_H
#define IO_APPEND_FILE_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* { 0 } is a closed one. */
struct append_file {
	const uint8_t *ptr;
	size_t size;     /* Written; reading past it may end the process. */
	size_t capacity; /* Most it may grow to. */
	int fd_plus_one; /* 0: none. */
};

/* Makes a new file of at most 'capacity' bytes. Returns 0 or ERR_IO, also if the path is taken. */
MUST_USE int append_file_create(
	const char *path, size_t capacity, mode_t mode, struct append_file *out, struct err *err);
/* The same without a name, in the folder 'dir': gone when closed. */
MUST_USE int append_file_create_unnamed(
	const char *dir, size_t capacity, struct append_file *out, struct err *err);
/* Writes all bytes at the end. Returns 0, or ERR_IO with the file as it was. There must be room. */
MUST_USE int append_file_write(struct append_file *file, struct str bytes, struct err *err);
/* Replaces bytes that were written before. Returns 0 or ERR_IO. */
MUST_USE int append_file_patch(
	struct append_file *file, size_t at, struct str bytes, struct err *err);
/* Makes what was written durable. */
MUST_USE int append_file_sync(struct append_file *file, struct err *err);
/* Gives back the descriptor, keeping the mapping: nothing more will be written. */
void append_file_finish(struct append_file *file);
/* Unmaps and closes. */
void append_file_close(struct append_file *file);

#endif
