#include "promql/notes.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/quote.h"
#include "base/time.h"

#include <math.h>
#include <stdarg.h>

struct lookup {
	const struct notes *notes;
	struct str text;
};

static bool note_equal(uint64_t value, const void *key) {
	const struct lookup *lookup = key;

	return str_equal(lookup->notes->items[value].text, lookup->text);
}

void notes_deinit(struct notes *notes) {
	map_deinit(&notes->by_text);
}

static void grow(struct notes *notes, struct arena *arena) {
	size_t capacity = notes->capacity ? notes->capacity * 2 : 8;
	struct note *items = ARENA_NEW(arena, struct note, capacity);

	if (notes->count > 0) {
		memcpy(items, notes->items, notes->count * sizeof(*items));
	}
	notes->items = items;
	notes->capacity = capacity;
}

/* The note of that text, or a new one; NULL when there are too many. */
static struct note *add_note(
	struct notes *notes, struct arena *arena, bool is_info, struct str text, bool *is_new) {
	struct lookup lookup = { notes, text };
	uint64_t hash = hash_str(text, 0);
	uint64_t index;

	*is_new = !map_find(&notes->by_text, hash, note_equal, &lookup, &index);
	if (!*is_new) {
		return &notes->items[index];
	}
	if (notes->count == NOTES_MAX) {
		return NULL;
	}
	if (notes->count == notes->capacity) {
		grow(notes, arena);
	}
	map_add(&notes->by_text, hash, notes->count);
	notes->items[notes->count] =
		(struct note){ .is_info = is_info, .text = arena_copy(arena, text) };
	return &notes->items[notes->count++];
}

/* The last position counts: the one that an evaluation from left to right would come to last. */
static void note_move(struct note *note, uint32_t position) {
	note->position = position > note->position ? position : note->position;
}

static void add_text(struct notes *notes, struct arena *arena, bool is_info, uint32_t position,
	const char *fmt, va_list args) PRINTF(5, 0);

static void add_text(struct notes *notes, struct arena *arena, bool is_info, uint32_t position,
	const char *fmt, va_list args) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct note *note;
	bool is_new;

	buf_add_text(&text, is_info ? "PromQL info: " : "PromQL warning: ");
	buf_vprintf(&text, fmt, args);
	note = add_note(notes, arena, is_info, buf_str(&text), &is_new);
	if (note) {
		note_move(note, position);
	}
}

void notes_warn(struct notes *notes, struct arena *arena, uint32_t position, const char *fmt, ...) {
	va_list args;

	va_start(args, fmt);
	add_text(notes, arena, false, position, fmt, args);
	va_end(args);
}

void notes_info(struct notes *notes, struct arena *arena, uint32_t position, const char *fmt, ...) {
	va_list args;

	va_start(args, fmt);
	add_text(notes, arena, true, position, fmt, args);
	va_end(args);
}

static void add_repair(struct note *note, bool is_new, const struct note *from) {
	note->is_repair = true;
	note->bucket_min = is_new ? from->bucket_min : fmin(note->bucket_min, from->bucket_min);
	note->bucket_max = is_new ? from->bucket_max : fmax(note->bucket_max, from->bucket_max);
	note->diff_max = is_new ? from->diff_max : fmax(note->diff_max, from->diff_max);
	note->first_ms =
		is_new || from->first_ms < note->first_ms ? from->first_ms : note->first_ms;
	note->last_ms = is_new || from->last_ms > note->last_ms ? from->last_ms : note->last_ms;
	note->count += from->count;
}

void notes_repair(struct notes *notes, struct arena *arena, uint32_t position, struct str metric,
	int64_t time_ms, double bucket_min, double bucket_max, double diff_max) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct note *note;
	bool is_new;

	buf_add_text(&text,
		"PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
		"https://prometheus.io/docs/prometheus/latest/querying/functions/"
		"#histogram_quantile)");
	if (metric.len > 0) {
		buf_add_text(&text, " for metric name ");
		quote_append(metric, &text);
	}
	note = add_note(notes, arena, true, buf_str(&text), &is_new);
	if (!note) {
		return;
	}
	note_move(note, position);
	add_repair(note, is_new,
		&(struct note){
			.bucket_min = bucket_min,
			.bucket_max = bucket_max,
			.diff_max = diff_max,
			.first_ms = time_ms,
			.last_ms = time_ms,
			.count = 1,
		});
}

static void format_number(double value, struct buf *out) {
	char text[NUMBER_TEXT_MAX];

	buf_append(out, text, number_format_g(value, text));
}

static void format_second(int64_t time_ms, struct buf *out) {
	time_format_rfc3339(time_ms / MS_PER_S * MS_PER_S, out);
}

static void format_repair(const struct note *note, struct buf *out) {
	buf_add_text(out, ", from buckets ");
	format_number(note->bucket_min, out);
	buf_add_text(out, " to ");
	format_number(note->bucket_max, out);
	buf_printf(out, ", with a max diff of %.2g, over %llu samples from ", note->diff_max,
		(unsigned long long)note->count);
	format_second(note->first_ms, out);
	buf_add_text(out, " to ");
	format_second(note->last_ms, out);
}

static void format_position(struct str query, uint32_t position, struct buf *out) {
	size_t line = 1;
	size_t line_start = 0;

	if (position > query.len) {
		buf_add_text(out, " (invalid position)");
		return;
	}
	for (size_t i = 0; i < position; i++) {
		if (query.ptr[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	}
	buf_printf(out, " (%zu:%zu)", line, position - line_start + 1);
}

void notes_merge(struct notes *notes, struct arena *arena, const struct notes *part, uint32_t from,
	uint32_t to) {
	for (size_t i = 0; i < part->count; i++) {
		const struct note *item = &part->items[i];
		uint32_t position = item->position;
		bool is_new;
		struct note *note = add_note(notes, arena, item->is_info, item->text, &is_new);

		if (!note) {
			continue;
		}
		note_move(note, position < from ? position : position - from + to);
		if (item->is_repair) {
			add_repair(note, is_new, item);
		}
	}
}

void notes_format(
	const struct notes *notes, struct str query, struct arena *arena, struct annotations *out) {
	AUTO(buf_deinit) struct buf text = { 0 };

	for (size_t i = 0; i < notes->count; i++) {
		const struct note *note = &notes->items[i];

		buf_reset(&text);
		buf_add_str(&text, note->text);
		if (note->is_repair) {
			format_repair(note, &text);
		}
		if (query.len > 0) {
			format_position(query, note->position, &text);
		}
		annotations_add(out, arena, note->is_info, buf_str(&text));
	}
}

const char *notes_number(double value, char text[NOTES_NUMBER_MAX]) {
	text[number_format_g(value, text)] = '\0';
	return text;
}

const char *notes_quote(struct str text, struct buf *quoted) {
	buf_reset(quoted);
	quote_append(text, quoted);
	return buf_text(quoted);
}
