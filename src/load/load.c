#include "load/load.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

#define END_OF_TEXT STR("# EOF\n")

/* A series that was met, known by the hash and length of its text, as a scrape knows it. */
struct met {
	uint64_t hash;
	size_t len;
	struct series_ref ref;
	int64_t last_ms; /* Of its samples; the store only knows those of earlier pieces. */
	double last_value;
};

struct loader {
	FILE *in;
	const char *name;
	const struct load_options *options;
	struct load_count *count;
	struct err *err;
	size_t piece_bytes;
	struct buf text;       /* Read and not yet loaded; begins with a line. */
	struct buf piece;      /* Whole lines of it. */
	size_t lines;          /* Before the piece. */
	enum metric_type type; /* In force where the piece begins. */
	struct arena arena;    /* Of one series' labels. */
	struct met *met;
	size_t met_count;
	size_t met_capacity;
	struct map by_hash; /* Index into 'met'. */
	size_t last;        /* In 'met': mostly the next line's, too. */
};

void load_count_init(struct load_count *count) {
	*count = (struct load_count){ .min_ms = INT64_MAX, .max_ms = INT64_MIN };
}

struct met_key {
	const struct loader *loader;
	uint64_t hash;
	size_t len;
};

static bool met_equal(uint64_t value, const void *key) {
	const struct met_key *wanted = key;
	const struct met *met = &wanted->loader->met[value];

	return met->hash == wanted->hash && met->len == wanted->len;
}

/* The series of that text, which is new if its reference is 0. */
static struct met *find_met(struct loader *loader, struct str series, enum metric_type type) {
	struct met_key key = { loader, hash_str(series, (uint64_t)type), series.len };
	uint64_t at;

	if (loader->last < loader->met_count && met_equal(loader->last, &key)) {
		return &loader->met[loader->last];
	}
	if (!map_find(&loader->by_hash, key.hash, met_equal, &key, &at)) {
		if (loader->met_count == loader->met_capacity) {
			loader->met_capacity =
				loader->met_capacity > 0 ? loader->met_capacity * 2 : 1024;
			loader->met = memory_resize(
				loader->met, loader->met_capacity, sizeof(struct met));
		}
		at = loader->met_count++;
		loader->met[at] =
			(struct met){ .hash = key.hash, .len = key.len, .last_ms = INT64_MIN };
		map_add(&loader->by_hash, key.hash, at);
	}
	loader->last = (size_t)at;
	return &loader->met[at];
}

static int fail_at(struct loader *loader, const struct exposition *reader, const char *why) {
	return err_set(loader->err, ERR_INVAL, "%s: line %zu: %s", loader->name,
		exposition_line(reader), why);
}

static int series_labels(
	struct loader *loader, struct str series, enum metric_type type, struct labels *out) {
	struct label *pairs = NULL;
	size_t count = 0;
	int rc = exposition_labels(&loader->arena, series, type, &pairs, &count, loader->err);

	return rc < 0 ? rc : labels_build(&loader->arena, pairs, count, out, loader->err);
}

static void count_sample(struct load_count *count, int outcome, int64_t time_ms) {
	if (outcome == APPEND_DUPLICATE) {
		count->duplicates++;
	} else if (outcome != APPEND_OK) {
		count->out_of_order++;
	} else {
		count->samples++;
		count->min_ms = time_ms < count->min_ms ? time_ms : count->min_ms;
		count->max_ms = time_ms > count->max_ms ? time_ms : count->max_ms;
	}
}

/* What becomes of a sample that is no newer than the last of its series. */
static enum append_outcome outcome_among_ours(
	const struct met *met, const struct exposition *reader) {
	if (reader->time_ms < met->last_ms) {
		return APPEND_OUT_OF_ORDER;
	}
	return double_bits(reader->value) == double_bits(met->last_value) ? APPEND_OK
									  : APPEND_DUPLICATE;
}

static int load_sample(
	struct loader *loader, struct appender *appender, const struct exposition *reader) {
	struct met *met = find_met(loader, reader->series, reader->type);
	bool is_new = met->ref.v == 0;
	struct labels labels = { 0 };
	int rc = 0;

	if (!reader->has_time) {
		return fail_at(loader, reader,
			"a sample without a timestamp; each needs the time at which it was taken");
	}
	if (is_new) {
		rc = series_labels(loader, reader->series, reader->type, &labels);
	}
	if (rc >= 0 && reader->time_ms <= met->last_ms) {
		rc = outcome_among_ours(met, reader);
	} else if (rc >= 0) {
		met->last_ms = reader->time_ms;
		met->last_value = reader->value;
		rc = appender_append(appender, &met->ref, is_new ? &labels : NULL, reader->time_ms,
			reader->value, loader->err);
	}
	if (rc < 0) {
		return err_wrap(
			loader->err, rc, "%s: line %zu", loader->name, exposition_line(reader));
	}
	if (is_new) {
		loader->count->series++;
		arena_reset(&loader->arena);
	}
	count_sample(loader->count, rc, reader->time_ms);
	return 0;
}

static int load_entries(
	struct loader *loader, struct appender *appender, struct exposition *reader) {
	int entry;

	while ((entry = exposition_next(reader, loader->err)) > EXPOSITION_END) {
		int rc = entry == EXPOSITION_SERIES ? load_sample(loader, appender, reader) : 0;

		if (rc < 0) {
			return rc;
		}
	}
	return entry < 0 ? err_wrap(loader->err, entry, "%s", loader->name) : 0;
}

/* Loads what is in 'piece', all of it or nothing. */
static int load_piece(struct loader *loader) {
	struct appender *appender = loader->options->to->begin(loader->options->to);
	struct exposition reader;
	int rc;

	exposition_init(&reader, loader->options->format, &loader->piece);
	reader.type = loader->type;
	reader.lines_before = loader->lines;
	rc = load_entries(loader, appender, &reader);
	if (rc < 0) {
		appender_rollback(appender);
		return rc;
	}
	loader->type = reader.type;
	rc = appender_commit(appender, loader->err);
	if (rc == 0 && loader->options->after_piece) {
		rc = loader->options->after_piece(loader->options->context, loader->err);
	}
	return rc;
}

static size_t count_lines(struct str text) {
	size_t count = 0;

	for (const char *at = text.ptr; (at = memchr(at, '\n', (size_t)(text.ptr + text.len - at)));
		at++) {
		count++;
	}
	return count;
}

/*
 * Loads the lines that are there but for the last: whether it is the end of the file, and with it
 * that of an OpenMetrics text, only the next read tells.
 */
static int load_lines(struct loader *loader) {
	struct str text = buf_str(&loader->text);
	const char *end = memrchr(text.ptr, '\n', text.len - 1);
	struct str lines;
	int rc;

	if (!end) {
		return text.len < loader->piece_bytes
			       ? 0
			       : err_set(loader->err, ERR_INVAL,
					 "%s: line %zu is longer than %zu bytes", loader->name,
					 loader->lines + 1, loader->piece_bytes);
	}
	lines = str_first(text, (size_t)(end + 1 - text.ptr));
	buf_reset(&loader->piece);
	buf_add_str(&loader->piece, lines);
	if (loader->options->format == EXPOSITION_FORMAT_OPENMETRICS) {
		buf_add_str(&loader->piece, END_OF_TEXT);
	}
	rc = load_piece(loader);
	loader->lines += count_lines(lines);
	buf_consume(&loader->text, lines.len);
	return rc;
}

/* Reads on. Returns 1, 0 at the end of the file, or ERR_IO. */
static int read_more(struct loader *loader) {
	size_t room = loader->piece_bytes - loader->text.len;
	char *at = buf_reserve(&loader->text, room);
	size_t got = fread(at, 1, room, loader->in);

	if (got == 0 && ferror(loader->in)) {
		return err_errno(loader->err, errno, "%s: reading", loader->name);
	}
	if (memchr(at, '\0', got)) {
		return err_set(loader->err, ERR_INVAL,
			"%s: a zero byte after line %zu; it is not a text", loader->name,
			loader->lines);
	}
	loader->text.len += got;
	loader->text.ptr[loader->text.len] = '\0';
	return got > 0;
}

static int load_all(struct loader *loader) {
	int rc;

	while ((rc = read_more(loader)) > 0) {
		rc = load_lines(loader);
		if (rc < 0) {
			return rc;
		}
	}
	if (rc < 0) {
		return rc;
	}
	buf_reset(&loader->piece);
	buf_add_str(&loader->piece, buf_str(&loader->text));
	return load_piece(loader);
}

int load_file(FILE *in, const char *name, const struct load_options *options,
	struct load_count *count, struct err *err) {
	struct loader loader = { .in = in,
		.name = name,
		.options = options,
		.count = count,
		.err = err,
		.piece_bytes =
			options->piece_bytes > 0 ? options->piece_bytes : LOAD_PIECE_DEFAULT };
	int rc = load_all(&loader);

	buf_deinit(&loader.text);
	buf_deinit(&loader.piece);
	arena_deinit(&loader.arena);
	map_deinit(&loader.by_hash);
	free(loader.met);
	return rc;
}
