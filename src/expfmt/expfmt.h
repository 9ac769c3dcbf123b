/*
 * Expositions: what a target answers to a scrape, read entry by entry.
 *
 * Text format 0.0.4 and OpenMetrics text (1.0.0, 0.0.1), accepting and refusing what Prometheus 3's
 * scraper does, oddities included (README.md lists them). The reader works on a whole body in
 * memory and copies nothing: slices it hands out point into the body and live as long as it does.
 *
 * A series is handed out as the raw text that stands in the body, name{...}: who has seen these
 * bytes before knows the series without looking at its labels (exposition_labels). Who also knows
 * which series comes next - targets rarely change their order - says so in 'hint', and the text is
 * only compared with it. Owned by one thread.
 */
#ifndef EXPFMT_EXPFMT_H
#define EXPFMT_EXPFMT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "label/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exposition_format {
	EXPOSITION_FORMAT_TEXT,
	EXPOSITION_FORMAT_OPENMETRICS
};

enum metric_type {
	METRIC_TYPE_UNKNOWN,
	METRIC_TYPE_COUNTER,
	METRIC_TYPE_GAUGE,
	METRIC_TYPE_HISTOGRAM,
	METRIC_TYPE_GAUGE_HISTOGRAM,
	METRIC_TYPE_SUMMARY,
	METRIC_TYPE_INFO,
	METRIC_TYPE_STATESET,
};

/* "counter", ... as the metadata API spells it. */
const char *metric_type_name(enum metric_type type);

enum exposition_entry {
	EXPOSITION_END,
	EXPOSITION_SERIES,
	EXPOSITION_TYPE,
	EXPOSITION_HELP,
	EXPOSITION_UNIT,
	EXPOSITION_COMMENT,
};

/*
 * What the reader's user expects next: an entry of an earlier body of the same format that was
 * accepted, known by the hash and length of its bytes: a series' raw text, else the whole of
 * 'entry' below. Hashes are 64 bits, seeded: in a million series scraped each second for ten years,
 * one mistaken for another has a chance of about one in 50,000; keeping the bytes instead would
 * double what a series costs.
 */
struct exposition_hint {
	uint64_t hash; /* hash_bytes with the reader's seed. */
	uint32_t len;
	uint8_t entry; /* enum exposition_entry */
	uint8_t type;  /* enum metric_type, of a TYPE entry. */
	uint16_t mark; /* Not looked at: the user's own. */
};

struct exposition {
	/* The user's: what it expects next (NULL: nothing), and what its hashes are seeded with. */
	const struct exposition_hint *hint;
	uint64_t seed;
	size_t lines_before; /* The user's: where the body begins in what errors speak of. */
	bool hint_held; /* The entry is the expected one; 'metric' and 'text' are then not set. */

	struct str series;     /* SERIES: its raw text. */
	double value;          /* SERIES. Not-a-number is NORMAL_NAN's bits. */
	int64_t time_ms;       /* SERIES, if has_time. */
	bool has_time;         /* SERIES */
	bool has_exemplar;     /* SERIES: one followed; it was checked and skipped. */
	struct str metric;     /* TYPE, HELP, UNIT: the family's name. */
	struct str text;       /* HELP, still escaped (exposition_help); UNIT. */
	struct str entry;      /* TYPE, HELP, UNIT, COMMENT: the whole line, newline included. */
	enum metric_type type; /* As the last TYPE entry said. */

	/* The reader's own. */
	enum exposition_format format;
	const char *body;
	const char *start; /* Of the current entry. */
	const char *next;
	const char *end;
};

/*
 * Starts reading 'body', which must not change until the end. A newline is appended to a body in
 * text format, as its grammar wants.
 */
void exposition_init(struct exposition *reader, enum exposition_format format, struct buf *body);

/*
 * Reads the next entry. Returns an exposition_entry (EXPOSITION_END at the end, as often as asked),
 * or ERR_INVAL with line, reason and the text where it stopped; reading cannot go on then.
 */
MUST_USE int exposition_next(struct exposition *reader, struct err *err);

/*
 * The name and labels in the raw text of a series that was accepted, unescaped: "__name__" first,
 * the rest as written, so names may repeat. 'type' is the type in force: a histogram's "le" and a
 * summary's "quantile" get the canonical form ("1" is "1.0"). 'pairs' and their bytes live in
 * 'arena', or in 'series' itself. Returns 0, or ERR_LIMIT for more than LABELS_COUNT_MAX.
 */
MUST_USE int exposition_labels(struct arena *arena, struct str series, enum metric_type type,
	struct label **pairs, size_t *count, struct err *err);

/* The line of the current entry, from 1, those before the body counted. */
size_t exposition_line(const struct exposition *reader);

/* The text of a HELP entry, unescaped into 'scratch' where it holds escapes. */
struct str exposition_help(const struct exposition *reader, struct buf *scratch);

/*
 * Picks the format that a Content-Type header means. 'fallback' is the media type to take when
 * there is none or it is unknown; empty: that is an error. Returns 0; 1 when the fallback was taken
 * ('err' then says why); ERR_INVAL; or ERR_ABSENT for the protobuf format.
 */
MUST_USE int exposition_negotiate(
	struct str content_type, struct str fallback, enum exposition_format *out, struct err *err);

#endif
