#include "promql/histogram_notes.h"

static void warn_of(const struct histogram_notes *notes, const char *what) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	struct eval *ev = notes->ev;

	notes_warn(&ev->notes, &ev->arena, notes->position, "%s %s", what,
		notes_quote(notes->metric, &quoted));
}

void histogram_note_mix(const struct histogram_notes *notes) {
	warn_of(notes, "encountered a mix of histograms and floats for metric name");
}

void histogram_note_not_counter(const struct histogram_notes *notes) {
	warn_of(notes, "this native histogram metric is not a counter:");
}

void histogram_note_not_gauge(const struct histogram_notes *notes) {
	warn_of(notes, "this native histogram metric is not a gauge:");
}

void histogram_note_overlap(const struct histogram_notes *notes) {
	warn_of(notes, "sample has start time that overlaps with previous sample timestamp for "
		       "metric");
}

void histogram_note_schemas(const struct histogram_notes *notes) {
	warn_of(notes, "vector contains a mix of histograms with exponential and custom buckets "
		       "schemas for metric name");
}

void histogram_note_ignored(const struct histogram_notes *notes) {
	AUTO(buf_deinit) struct buf quoted = { 0 };
	struct eval *ev = notes->ev;

	notes_info(&ev->notes, &ev->arena, notes->position,
		"ignored histograms in a range containing both floats and histograms for metric "
		"name %s",
		notes_quote(notes->metric, &quoted));
}

void histogram_note_reconciled(struct eval *ev, uint32_t position, const char *operation) {
	notes_info(&ev->notes, &ev->arena, position,
		"mismatched custom buckets were reconciled during %s", operation);
}

void histogram_note_collision(struct eval *ev, uint32_t position, const char *operation) {
	notes_warn(&ev->notes, &ev->arena, position,
		"conflicting counter resets during histogram %s", operation);
}
