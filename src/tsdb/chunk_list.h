/*
 * Chunk lists: where the full chunks of each series are.
 *
 * One entry of 32 bytes per full chunk, linked from a series' newest to its oldest. A million
 * series have a hundred million of them, so they live in files without names (page cache, not our
 * memory), made anew at start from what chunks_head holds. Entries are numbered from 1 in the order
 * of the chunks in chunks_head, so dropping the oldest files drops the lowest numbers.
 *
 * Written by the head's committer. Whoever learned an entry's number under the samples lock may
 * read it and all older ones, down to what chunk_list_first said, as long as it is an epoch's
 * reader.
 */
#ifndef TSDB_CHUNK_LIST_H
#define TSDB_CHUNK_LIST_H

#include "base/err.h"
#include "io/append_file.h"
#include "tsdb/epochs.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_entry {
	uint64_t ref;   /* File << 32 | offset, as Prometheus packs it. */
	int64_t min_ms; /* First sample. */
	int64_t max_ms; /* Last sample. */
	uint32_t older; /* The series' chunk before; 0: none. May be dropped already. */
	uint32_t count; /* Samples. */
};

struct chunk_list {
	char *dir;                    /* Where the files without names go. */
	struct append_file *segments; /* Fixed array. */
	struct epochs *epochs;        /* Borrowed. */
	uint32_t end;                 /* The next number. */
	_Atomic uint32_t first;       /* Lower ones are dropped; rises only. */
};

/* An empty list; its files go to the folder 'dir'. */
void chunk_list_init(struct chunk_list *list, const char *dir, struct epochs *epochs);
/* Closes the files; nobody may be reading. */
void chunk_list_deinit(struct chunk_list *list);
/* Adds 'count' entries, which get the numbers from list->end on. Returns 0, or ERR_IO or ERR_LIMIT
 * with nothing added. */
MUST_USE int chunk_list_add(
	struct chunk_list *list, const struct chunk_entry *entries, size_t count, struct err *err);
/* Replaces what stands before an entry; at start only. */
MUST_USE int chunk_list_relink(
	struct chunk_list *list, uint32_t number, uint32_t older, struct err *err);
/*
 * The lowest number that is not dropped. An epoch's reader asks once, after it has entered: what is
 * from there on stays for it until it leaves, whatever is dropped meanwhile.
 */
uint32_t chunk_list_first(const struct chunk_list *list);
/* The entry, or NULL when it is 0 or below 'first', which chunk_list_first gave. */
const struct chunk_entry *chunk_list_get(
	const struct chunk_list *list, uint32_t first, uint32_t number);
/* Drops all entries below 'first'. */
void chunk_list_drop(struct chunk_list *list, uint32_t first);

#endif
