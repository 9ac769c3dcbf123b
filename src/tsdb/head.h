/*
 * The head: all series in memory, and how they are written and read.
 *
 * A series is one cache line, in pages that never move; its labels are numbers of the index, its
 * open chunk a cell of bytes that grows. A full chunk goes to the chunk files and leaves 4 bytes
 * here.
 *
 * Who may change what:
 *   index lock     which series there are: pairs, postings, the table of series, free slots
 *   the committer  the samples of series. One thread at a time is it (committer_take); it alone
 *                  writes them, under the samples lock, and so may read them without
 *   samples lock   held for short by the committer to publish, by readers to look
 *
 * A commit is published in one hold of the samples lock, and a select looks at all its series in
 * one hold: it sees all of a commit's samples or none.
 */
#ifndef TSDB_HEAD_H
#define TSDB_HEAD_H

#include "base/thread.h"
#include "chunk/xor.h"
#include "store/store.h"
#include "tsdb/cells.h"
#include "tsdb/chunk_files.h"
#include "tsdb/chunk_list.h"
#include "tsdb/epochs.h"
#include "tsdb/index.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_PAGE 256
#define SERIES_PAGES_MAX (UINT32_C(1) << 17)

/* Chunks are cut where these ranges meet, as blocks will be. */
#define CHUNK_RANGE_MS (INT64_C(2) * 3600 * 1000)
/* A sample this much older than the newest of all is refused. */
#define APPEND_WINDOW_MS (CHUNK_RANGE_MS / 2)
/* A chunk of more bytes is full, as Prometheus' (whose chunks end at 1024 with the next sample). */
#define CHUNK_BYTES_FULL 1005
/* An open chunk that could not be cut (a full disk) may grow to this. */
#define CHUNK_BYTES_MAX 60000

#define LEADING_NONE 63U
#define DELTA_UNKNOWN UINT32_MAX

/* Flags. Written by the committer under the samples lock. */
#define SERIES_LOGGED 0x01     /* Its series record is in the log. */
#define SERIES_TOMBSTONES 0x02 /* Some of its samples were deleted. */
#define SERIES_SHORT                                                                               \
	0x04 /* Its open chunk ends early, so that series do not all end theirs at once. */

struct series {
	uint32_t generation; /* Of the slot: references to what was here before do not match.
				Atomic. */
	uint32_t hash;
	uint64_t ref;       /* By which log and chunk files know it; never changes. */
	uint32_t *pairs;    /* Likewise. A cell of the index. */
	uint8_t *chunk;     /* The open chunk; NULL without one. */
	int64_t last_ms;    /* Newest sample; INT64_MIN without any. Written atomically: appenders
			       peek. */
	uint64_t last_bits; /* Likewise. */
	uint32_t newest;    /* Full chunk, by its number in the chunk list; 0: none. */
	uint32_t delta;     /* Of the open chunk, as xor_tail's; DELTA_UNKNOWN: ask xor_resume. */
	uint16_t chunk_len;
	uint16_t count;          /* Samples in the open chunk. */
	uint16_t spare_bits : 3; /* These four are the committer's own. */
	uint16_t leading : 6;
	uint16_t trailing : 6;
	uint16_t is_cutting : 1;
	uint8_t flags;
	uint8_t last_pair; /* Number of label pairs - 1. */
};

struct series_page {
	struct series items[SERIES_PAGE];
};

/* Samples deleted by Prometheus' API, as its log says. */
struct tombstone {
	uint32_t slot;
	int64_t min_ms;
	int64_t max_ms;
};

/* A reference of log and chunk files that means a series which goes by another now. */
struct series_alias {
	uint64_t ref;
	uint32_t slot;
	uint32_t generation;
};

/* A sample on its way in. */
struct pending {
	uint32_t slot;
	uint32_t generation;
	int64_t time_ms;
	uint64_t value_bits;
};

struct commit;
struct tsdb_metrics;

struct tsdb {
	struct store store;
	struct appendable appendable;
	struct tsdb_options options;
	char *path;
	char *wal_dir;
	char *chunks_dir;
	char *scratch_dir; /* Of a read-only one; NULL else. */
	int lock_fd;
	struct tsdb_metrics *metrics; /* NULL until registered. */

	struct lock index_lock;
	struct index index;
	struct id_table series_table;
	uint64_t *live;  /* Bitmap of slots that are series. */
	uint64_t *fresh; /* Of those made since the last maintenance. */
	size_t live_words;
	uint32_t slot_end;
	uint32_t *slot_free;
	size_t slot_free_count;
	size_t slot_free_capacity;
	uint64_t next_ref;
	uint64_t series_count;

	struct series_page **pages; /* Pointers are stored with release, loaded with acquire. */

	struct lock samples_lock;
	struct cells chunk_cells;
	struct tombstone *tombstones; /* By slot, then time; fixed once open. */
	size_t tombstone_count;

	struct lock commit_lock;
	struct condition commit_done;
	struct commit *commit_first; /* Waiting. */
	struct commit *commit_last;
	bool is_committing;

	/* The committer's. */
	struct wal wal;
	struct chunk_files files;
	struct chunk_list list;
	uint32_t *cutting; /* Slots whose chunks are staged. */
	struct chunk_entry *cutting_entries;
	size_t cutting_count;
	bool is_cut_failing;

	struct epochs epochs;

	struct series_alias *aliases; /* Maintenance only. */
	size_t alias_count;
	uint64_t checkpoint_size;
	uint32_t first_segment;

	/* Relaxed: plain counts and bounds. */
	_Atomic int64_t max_ms;
	_Atomic int64_t min_ms;
	_Atomic uint64_t created;
	_Atomic uint64_t removed;
	_Atomic uint64_t samples;
	_Atomic uint64_t out_of_order;
	_Atomic uint64_t duplicates;
	_Atomic uint64_t too_old;
	_Atomic uint64_t open_chunks;
	_Atomic uint64_t full_chunks;
	_Atomic uint64_t wal_bytes;
	_Atomic uint64_t wal_failures;
	_Atomic uint64_t wal_segment;
	_Atomic uint64_t checkpoints;
	_Atomic uint64_t replay_skipped;
	_Atomic uint64_t replay_corruptions;
};

/* The series in a slot that was given out. */
static inline struct series *series_at(struct tsdb *db, uint32_t slot) {
	/* Acquire: pairs with the release in series_make, for whoever only has a number. */
	struct series_page *page =
		__atomic_load_n(&db->pages[slot / SERIES_PAGE], __ATOMIC_ACQUIRE);
	return &page->items[slot % SERIES_PAGE];
}

static inline size_t series_pair_count(const struct series *series) {
	return (size_t)series->last_pair + 1;
}

/* Bytes of the cell that holds an open chunk of that length. */
static inline size_t chunk_room(size_t len) {
	return (len + 31) & ~(size_t)31;
}

/* head.c: which series there are. */

/* Finds or makes the series of 'set'. Returns 0, ERR_INVAL or ERR_LIMIT for labels that cannot be.
 */
MUST_USE int series_make(
	struct tsdb *db, const struct labels *set, uint32_t *slot, struct err *err);
/* The labels as the index knows them; strings live as long as the series (or a reader's epoch). */
void series_labels(struct tsdb *db, const struct series *series, struct label *pairs);
/* Removes a series from the tables; the caller removes its postings. Index lock and committer. */
void series_unlink(struct tsdb *db, uint32_t slot);
/* Frees what an unlinked series held, and its slot. Takes the locks. */
void series_release(struct tsdb *db, uint32_t slot);

/* head_commit.c: how samples get in. */

/* Begins a transaction: appendable's 'begin'. */
struct appender *head_appender_begin(struct appendable *appendable);
/* Waits until this thread alone may change samples. */
void committer_take(struct tsdb *db);
/* Lets others be it. */
void committer_drop(struct tsdb *db);
/* Moves the chunks that are full before these samples to the chunk files, as far as the disk
 * allows. */
void head_cut(struct tsdb *db, const struct pending *items, size_t count);
/*
 * Publishes the samples; those that are not newer than what is there are counted and dropped. A
 * chunk that gets full on the way, as when there are many samples of one series, is cut in between:
 * then a select may see a part of them.
 */
void head_publish(struct tsdb *db, const struct pending *items, size_t count);

/* head_read.c: the store's half. */
extern const struct store_ops head_store_ops;

/* replay.c: reads what the directory holds. */
MUST_USE int head_replay(struct tsdb *db, struct err *err);

/* maintain.c */
/* Moves open chunks together where their blocks are thinly used. Takes the locks. */
void head_compact(struct tsdb *db);
/* Writes a checkpoint of everything that is in the log only, and removes the log before it. */
MUST_USE int head_checkpoint(struct tsdb *db, struct err *err);

#endif
