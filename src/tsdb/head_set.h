/*
 * The series of one select, and how they are looked at without reading a sample.
 */
#ifndef TSDB_HEAD_SET_H
#define TSDB_HEAD_SET_H

#include "tsdb/head.h"

/* One series as it was when it was selected. */
struct view {
	uint32_t slot;
	uint32_t newest;     /* Full chunk. */
	uint16_t count;      /* Samples in the open chunk. */
	bool is_open_wanted; /* The open chunk may have samples in the range. */
};

/* The pairs whose strings are in the query's arena already. */
struct copies {
	uint32_t *keys; /* Pair + 1; 0: free. */
	struct label *labels;
	size_t count;
	size_t capacity;
};

/* Which labels a select needs, by the numbers of their names. */
struct projection {
	bool is_on;
	uint32_t *names; /* In the query's arena. */
	size_t count;
	uint32_t type; /* The numbers of __type__ and __unit__; UINT32_MAX: there are none. */
	uint32_t unit;
};

struct tsdb_set {
	struct series_set base;
	struct tsdb *db;
	struct epoch_reader reader;
	uint32_t first_chunk; /* Older full chunks are not looked at. */
	struct arena *arena;  /* Borrowed. */
	const _Atomic bool *canceled;
	int64_t min_ms;
	int64_t max_ms;
	struct view *views; /* Of the set that this one is a fork of, if it is. */
	bool is_fork;
	size_t count;
	size_t at;                /* The current one + 1. */
	struct projection wanted; /* Labels that are not left out. */
	struct copies copies;
	uint32_t *chain; /* Scratch: full chunks of one series, newest first. */
	size_t chain_capacity;
	struct buf open; /* Scratch: an open chunk. */
};

/* Selects; the set is the base of a struct tsdb_set. As store_select. */
MUST_USE int head_select(struct store *store, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err);
/* Copies a string into a query's arena. Returns 0 or ERR_LIMIT. */
MUST_USE int head_str_copy(struct arena *arena, struct str text, struct str *out, struct err *err);

/* head_labels.c: names and values of labels, as the store's functions. */
MUST_USE int head_label_names(struct store *store, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err);
MUST_USE int head_label_values(struct store *store, struct str name,
	const struct select_request *request, struct arena *arena, struct str_list *out,
	struct err *err);

#endif
