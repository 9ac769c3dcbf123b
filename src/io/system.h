/*
 * Facts about this machine and process that need system calls.
 */
#ifndef IO_SYSTEM_H
#define IO_SYSTEM_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Processors this process may run on; at least 1. */
size_t system_cpu_count(void);
/* Bytes of memory of this machine, or of this process' control group if that is less. */
uint64_t system_memory_bytes(void);
/* The host's name into 'out' (of 'size' bytes). */
void system_hostname(char *out, size_t size);
/* The current directory into 'out' (of 'size' bytes); empty if it cannot be told. */
void system_working_directory(char *out, size_t size);
/* Threads of this process; 0 if they cannot be counted. */
size_t system_thread_count(void);
/* This program's own file, for starting it again. */
void system_self_path(char *out, size_t size);
/* Whether a program of that name is in PATH (or, with a '/', is executable). */
bool system_has_program(const char *name);
/* Where it is, into 'out' (emptied first). Returns whether it was found. */
bool system_find_program(const char *name, struct buf *out);
/* Raises the limit of open files as far as allowed; returns it. */
uint64_t system_raise_file_limit(void);
/* 'path' from the root, '..' and links left as they are, into 'out' (emptied first). 0 or ERR_IO.
 */
MUST_USE int system_absolute_path(const char *path, struct buf *out, struct err *err);
/* Whether a file descriptor is a terminal. */
bool system_is_terminal(int fd);
/* Characters in one of its lines; 80 where nobody says. */
size_t system_terminal_width(int fd);

#endif
