/*
 * What Prometheus says about histograms that do not fit together.
 */
#ifndef PROMQL_HISTOGRAM_NOTES_H
#define PROMQL_HISTOGRAM_NOTES_H

#include "promql/eval.h"

/* Who it is about, and where that stands in the query. */
struct histogram_notes {
	struct eval *ev;
	uint32_t position;
	struct str metric;
};

/* Numbers and histograms in one range. */
void histogram_note_mix(const struct histogram_notes *notes);
/* Histograms among numbers that were left out. */
void histogram_note_ignored(const struct histogram_notes *notes);
void histogram_note_not_counter(const struct histogram_notes *notes);
void histogram_note_not_gauge(const struct histogram_notes *notes);
/* A sample that began before the one before it ended. */
void histogram_note_overlap(const struct histogram_notes *notes);
/* Exponential and custom buckets. */
void histogram_note_schemas(const struct histogram_notes *notes);

/* Of what adding found: "addition", "subtraction", "aggregation". */
void histogram_note_reconciled(struct eval *ev, uint32_t position, const char *operation);
void histogram_note_collision(struct eval *ev, uint32_t position, const char *operation);

#endif
