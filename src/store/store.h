/*
 * What a query reads raw samples from, and what a scrape writes them to.
 *
 * 'struct store' is the interface; the TSDB implements it, and tests implement it over arrays.
 * Calls may come from any thread at once.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "label/labels.h"
#include "label/matcher.h"
#include "store/histogram.h"

#include <stdatomic.h>
#include <stdint.h>

/* Prometheus' NaN for "this series has ended" and the one for "not a number" (model/value). Both
 * are moved as bits only: arithmetic would turn the first into the second. */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)

static inline uint64_t double_bits(double value) {
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double double_of_bits(uint64_t bits) {
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline bool is_stale(double value) {
	return double_bits(value) == STALE_NAN_BITS;
}

/* The samples of one series in time order, as two columns. Memory is kept for reuse. */
struct sample_column {
	int64_t *times_ms;
	double *values; /* Stale markers included, as their bits. */
	/* The samples that are histograms; NULL at the others. Only meaningful if any is. They live
	 * as long as the labels of a walk; their place among the values holds their sum. */
	const struct histogram **histograms;
	bool has_histograms;
	/* When the counting began that a sample goes on with, in ms: a start timestamp. 0: unknown.
	 * Only meaningful if any is known, and only read where a walk was asked for them. */
	int64_t *starts_ms;
	bool has_starts;
	size_t count;
	size_t capacity;
	struct budget *budget; /* Borrowed; pays for the memory. NULL: there is no limit. */
	uint64_t charged_bytes;
};

/* Frees the columns; the struct is empty and usable after, without a budget. */
void sample_column_deinit(struct sample_column *column);
/* Makes room for 'extra' more samples, so that they can be written in place. Returns 0, or
 * ERR_LIMIT when there is a budget and it is spent. */
MUST_USE int sample_column_reserve(struct sample_column *column, size_t extra, struct err *err);
/* Adds one sample at the end. With a budget, there must be room. */
void sample_column_add(struct sample_column *column, int64_t time_ms, double value);
/* Adds a histogram at the end. Returns as sample_column_reserve does. */
MUST_USE int sample_column_add_histogram(struct sample_column *column, int64_t time_ms,
	const struct histogram *histogram, struct err *err);
/* Gives the newest sample, which there must be, its start timestamp. Returns as
 * sample_column_reserve does. */
MUST_USE int sample_column_set_start(
	struct sample_column *column, int64_t start_ms, struct err *err);
/* Forgets the samples, keeping the memory. */
void sample_column_clear(struct sample_column *column);

struct select_request {
	const struct matcher
		*matchers; /* All must hold; borrowed for the life of the series set. */
	size_t matcher_count;
	int64_t min_ms; /* Samples with min_ms <= t <= max_ms are wanted. */
	int64_t max_ms;
	bool labels_only;             /* Only the label sets: no sample will be read. */
	bool sorted;                  /* Series come in labels_cmp order. */
	bool wants_starts;            /* Start timestamps, from a store that keeps them. */
	size_t limit;                 /* At most this many series; 0: all. */
	const _Atomic bool *canceled; /* Checked now and then; may be NULL. */
	/*
	 * Of each series' labels only these names (borrowed) and __name__ are needed, so that a
	 * store may leave out others. Not of a series that has __type__ or __unit__: then all are,
	 * to tell it from one that differs only there.
	 */
	const struct str *wanted;
	size_t wanted_count;
	bool is_projected; /* 'wanted' is meant. */
};

struct series_set;
struct series_set_ops {
	/* Moves to the next series. Returns 1, 0 at the end, or an error. */
	int (*next)(struct series_set *set, struct err *err);
	/* Replaces 'column' with the current series' samples in range. Returns 0 or an error. */
	int (*read)(struct series_set *set, struct sample_column *column, struct err *err);
	void (*close)(struct series_set *set);
	/* For walks that several threads share; all NULL where that is not possible. */
	size_t (*count)(struct series_set *set);
	void (*seek)(struct series_set *set, size_t index);
	int (*fork)(struct series_set *set, struct arena *arena, struct series_set **out,
		struct err *err);
};

/* A walk over series. Owned by one thread at a time. */
struct series_set {
	const struct series_set_ops *ops;
	struct labels labels; /* Of the current series; lives in the arena given to select. */
};

/* A sorted list of strings, in the caller's arena. */
struct str_list {
	const struct str *items;
	size_t count;
};

struct store;
struct store_ops {
	int (*select)(struct store *store, const struct select_request *request,
		struct arena *arena, struct series_set **out, struct err *err);
	int (*label_names)(struct store *store, const struct select_request *request,
		struct arena *arena, struct str_list *out, struct err *err);
	int (*label_values)(struct store *store, struct str name,
		const struct select_request *request, struct arena *arena, struct str_list *out,
		struct err *err);
};

struct store {
	const struct store_ops *ops;
};

/*
 * Starts a walk over the series that match. Returns 0 and a set that the caller closes, ERR_LIMIT
 * when the arena's budget is spent, ERR_CANCELED, or what reading gives (ERR_CORRUPT, ERR_IO).
 */
MUST_USE int store_select(struct store *store, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err);
/* Moves to the next series, whose labels are then set->labels. Returns 1, 0 at the end, or an
 * error. */
MUST_USE int series_set_next(struct series_set *set, struct err *err);
/* Replaces 'column' by the current series' samples in the time range asked for. Returns 0 or an
 * error. */
MUST_USE int series_set_read(struct series_set *set, struct sample_column *column, struct err *err);
/* Ends the walk; NULL is fine. */
void series_set_close(struct series_set *set);

/* Whether the walk can be shared out: then the next three may be used. */
bool series_set_is_shareable(struct series_set *set);
/* How many series there are, those already walked included. */
size_t series_set_count(struct series_set *set);
/* Goes to where the next series is number 'index' of all, at most series_set_count(). */
void series_set_seek(struct series_set *set, size_t index);
/*
 * Another walk over the same series in the same order, at its beginning, for use by another thread
 * while 'set' goes on; its labels live in 'arena'. Any thread may fork, all at once; 'set' must be
 * closed last. Returns 0 or ERR_LIMIT.
 */
MUST_USE int series_set_fork(
	struct series_set *set, struct arena *arena, struct series_set **out, struct err *err);

/* The label names that occur in series that match; without matchers, in all. Sorted. */
MUST_USE int store_label_names(struct store *store, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err);
/* The values of label 'name' in series that match; without matchers, in all. Sorted. */
MUST_USE int store_label_values(struct store *store, struct str name,
	const struct select_request *request, struct arena *arena, struct str_list *out,
	struct err *err);

/* A series as its appender knows it; { 0 } is none. */
struct series_ref {
	uint64_t v;
};

/* What became of a sample that was not an error of ours. */
enum append_outcome {
	APPEND_OK = 0,
	APPEND_OUT_OF_ORDER = 1, /* Older than the series' newest. */
	APPEND_DUPLICATE = 2,    /* Same time, another value. */
	APPEND_TOO_OLD = 3,      /* Before what the store still accepts. */
	APPEND_UNKNOWN_REF = 4,  /* The reference is no longer known: give the labels again. */
};

struct appender;
struct appender_ops {
	int (*append)(struct appender *appender, struct series_ref *ref, const struct labels *set,
		int64_t time_ms, double value, struct err *err);
	int (*commit)(struct appender *appender, struct err *err);
	void (*rollback)(struct appender *appender);
};

/*
 * A transaction of writes, all of which become visible at commit or none. Owned by one thread; ends
 * with commit or rollback, after which the pointer is gone.
 */
struct appender {
	const struct appender_ops *ops;
};

/* Where appenders come from: the other half of a store, for those who write. */
struct appendable {
	struct appender *(*begin)(struct appendable *appendable);
};

/*
 * Adds one sample. '*ref' of 0 means: find or make the series of 'set' and put its reference there;
 * else 'set' may be NULL. Returns an append_outcome, ERR_LIMIT or ERR_IO. A sample equal to the
 * newest in time and bits is APPEND_OK and adds nothing.
 */
MUST_USE int appender_append(struct appender *appender, struct series_ref *ref,
	const struct labels *set, int64_t time_ms, double value, struct err *err);
/* Writes to the log, then publishes. On failure nothing is visible and nothing is left half done.
 */
MUST_USE int appender_commit(struct appender *appender, struct err *err);
/* Forgets what was appended. */
void appender_rollback(struct appender *appender);

#endif
