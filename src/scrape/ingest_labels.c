/*
 * From the labels of an exposed series to those it is stored with.
 */
#include "scrape/ingest.h"

#include "base/quote.h"
#include "expfmt/expfmt.h"

#include <inttypes.h>
#include <stdlib.h>

/* How much of a name or value an error shows. */
#define SHOWN_MAX 50

struct pairs {
	struct label *items;
	size_t count; /* There is room for two more per label of the target. */
};

static struct label *find_pair(struct pairs *pairs, struct str name) {
	for (size_t i = 0; i < pairs->count; i++) {
		if (str_equal(pairs->items[i].name, name)) {
			return &pairs->items[i];
		}
	}
	return NULL;
}

static void set_pair(struct pairs *pairs, struct str name, struct str value) {
	struct label *found = find_pair(pairs, name);
	if (found) {
		found->value = value;
	} else {
		pairs->items[pairs->count++] = (struct label){ name, value };
	}
}

/* Exposed labels win, an empty one too: it takes the target's away. */
static void join_honoring(struct pairs *pairs, const struct labels *own) {
	size_t exposed_count = pairs->count;
	for (size_t i = 0; i < own->count; i++) {
		bool found = false;
		for (size_t j = 0; j < exposed_count && !found; j++) {
			found = str_equal(pairs->items[j].name, own->pairs[i].name);
		}
		if (!found) {
			set_pair(pairs, own->pairs[i].name, own->pairs[i].value);
		}
	}
}

static int cmp_name_len(const void *a, const void *b) {
	const struct label *left = a;
	const struct label *right = b;
	if (left->name.len != right->name.len) {
		return left->name.len < right->name.len ? -1 : 1;
	}
	return str_cmp(left->name, right->name);
}

/* The target's labels win; exposed ones that clash become exported_NAME, as often as needed. */
static void join_exporting(struct pairs *pairs, const struct labels *own, struct arena *arena) {
	struct label *clashes = ARENA_NEW(arena, struct label, own->count + 1);
	size_t clash_count = 0;

	for (size_t i = 0; i < own->count; i++) {
		const struct label *pair = &own->pairs[i];
		const struct label *found = find_pair(pairs, pair->name);
		if (found && found->value.len > 0) {
			clashes[clash_count++] = *found;
		}
		set_pair(pairs, pair->name, pair->value);
	}
	qsort(clashes, clash_count, sizeof(clashes[0]), cmp_name_len);
	for (size_t i = 0; i < clash_count; i++) {
		struct str name = clashes[i].name;
		const struct label *taken = NULL;
		do {
			name = arena_printf(arena, "exported_%.*s", STR_ARG(name));
			taken = find_pair(pairs, name);
		} while (taken && taken->value.len > 0);
		set_pair(pairs, name, clashes[i].value);
	}
}

static int check_names(const struct ingest *ingest, const struct labels *set, struct err *err) {
	bool legacy = ingest->job->limits.legacy_names;
	bool is_valid = true;

	if (labels_get(set, LABEL_NAME).len == 0) {
		return err_set(err, ERR_INVAL, "missing metric name (__name__ label)");
	}
	for (size_t i = 0; i < set->count && is_valid; i++) {
		const struct label *pair = &set->pairs[i];
		bool is_name = str_equal(pair->name, LABEL_NAME);
		is_valid = str_is_utf8(pair->value) &&
			   (legacy ? label_name_is_legacy(pair->name) : str_is_utf8(pair->name)) &&
			   (!legacy || !is_name || metric_name_is_legacy(pair->value));
	}
	if (is_valid) {
		return 0;
	}
	AUTO(buf_deinit) struct buf text = { 0 };
	labels_format(set, &text);
	return err_set(err, ERR_INVAL, "invalid metric name or label names: %s", buf_text(&text));
}

static int check_limits(const struct ingest *ingest, const struct labels *set, struct err *err) {
	const struct config_scrape_limits *limits = &ingest->job->limits;
	struct str metric = str_first(labels_get(set, LABEL_NAME), SHOWN_MAX);

	if (limits->label_limit > 0 && (int64_t)set->count > limits->label_limit) {
		return err_set(err, ERR_LIMIT,
			"label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %" PRId64
			")",
			STR_ARG(metric), set->count, limits->label_limit);
	}
	for (size_t i = 0; i < set->count; i++) {
		const struct label *pair = &set->pairs[i];
		struct str name = str_first(pair->name, SHOWN_MAX);
		if (limits->label_name_length_limit > 0 &&
			(int64_t)pair->name.len > limits->label_name_length_limit) {
			return err_set(err, ERR_LIMIT,
				"label_name_length_limit exceeded (metric: %.*s, label name: %.*s, "
				"length: %zu, limit: %" PRId64 ")",
				STR_ARG(metric), STR_ARG(name), pair->name.len,
				limits->label_name_length_limit);
		}
		if (limits->label_value_length_limit > 0 &&
			(int64_t)pair->value.len > limits->label_value_length_limit) {
			AUTO(buf_deinit) struct buf value = { 0 };
			quote_append(str_first(pair->value, SHOWN_MAX), &value);
			return err_set(err, ERR_LIMIT,
				"label_value_length_limit exceeded (metric: %.*s, label name: "
				"%.*s, value: %s, length: %zu, limit: %" PRId64 ")",
				STR_ARG(metric), STR_ARG(name), buf_text(&value), pair->value.len,
				limits->label_value_length_limit);
		}
	}
	return 0;
}

int ingest_labels(const struct ingest *ingest, struct str series, enum metric_type type,
	struct labels *out, struct err *err) {
	const struct config_relabels *rules = &ingest->job->metric_relabel_configs;
	struct label *exposed = NULL;
	struct pairs pairs = { 0 };
	struct labels set = { 0 };

	int rc = exposition_labels(ingest->scratch, series, type, &exposed, &pairs.count, err);
	if (rc < 0) {
		return rc;
	}
	pairs.items =
		ARENA_NEW(ingest->scratch, struct label, pairs.count + 2 * ingest->own->count);
	memcpy(pairs.items, exposed, pairs.count * sizeof(pairs.items[0]));
	if (ingest->job->honor_labels) {
		join_honoring(&pairs, ingest->own);
	} else {
		join_exporting(&pairs, ingest->own, ingest->scratch);
	}
	rc = labels_build(ingest->scratch, pairs.items, pairs.count, &set, err);
	if (rc < 0) {
		return err_wrap(err, rc, "series %.*s", STR_ARG(str_first(series, 200)));
	}
	if (!relabel_apply(rules->items, rules->count, &set, ingest->scratch, &set)) {
		*out = (struct labels){ 0 };
		return 0;
	}
	if (set.count > 0) {
		rc = check_names(ingest, &set, err);
		if (rc == 0) {
			rc = check_limits(ingest, &set, err);
		}
	}
	if (rc == 0) {
		*out = set;
	}
	return rc;
}
