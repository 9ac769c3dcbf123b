/*
 * Loading: samples with timestamps from a text of any size into a store.
 *
 * The text is OpenMetrics or the classic exposition format, as promtool reads it to make blocks. It
 * is read in pieces of whole lines, so that memory does not grow with it; series may come one after
 * the other or mixed, but each series' samples must be in the order of time.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "base/err.h"
#include "expfmt/expfmt.h"
#include "store/store.h"

#include <stdio.h>

/* Longest line, and how much is read at once. */
#define LOAD_PIECE_DEFAULT ((size_t)8 << 20)

struct load_options {
	enum exposition_format format;
	struct appendable *to;
	size_t piece_bytes; /* 0: LOAD_PIECE_DEFAULT. */
	/* Called after each piece is committed, may be NULL; its error ends the loading. */
	int (*after_piece)(void *context, struct err *err);
	void *context;
};

struct load_count {
	uint64_t samples; /* Loaded, those that were there already included. */
	uint64_t series;
	/* Left out: older than one of the same series before, */
	uint64_t out_of_order;
	/* or of the same time with another value. */
	uint64_t duplicates;
	int64_t min_ms; /* Of those loaded; INT64_MAX and INT64_MIN while there are none. */
	int64_t max_ms;
};

/* As load_file wants it. */
void load_count_init(struct load_count *count);

/*
 * Loads 'in' to its end and adds to 'count'. 'name' is what errors call it. Blocks. Returns 0;
 * ERR_INVAL with name and line for what is not of the format, has no timestamp or too long a line;
 * or what reading and appending give. What was loaded before stays.
 */
MUST_USE int load_file(FILE *in, const char *name, const struct load_options *options,
	struct load_count *count, struct err *err);

#endif
