#include "promql/columns.h"

#include "base/hash.h"

int column_list_add(struct eval *ev, struct column_list *list, const struct column *column) {
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct column *items = EVAL_NEW(ev, struct column, capacity);

		if (!items) {
			return ERR_LIMIT;
		}
		if (list->count > 0) {
			memcpy(items, list->items, list->count * sizeof(*items));
		}
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = *column;
	return 0;
}

int column_keep(struct eval *ev, const struct stream *stream, const struct column *column,
	size_t step_count, struct column *out) {
	int rc;

	if (stream->keeps) {
		*out = *column;
		return 0;
	}
	rc = eval_hold(ev, present_count(column->present, step_count));
	if (rc == 0 && column->histograms) {
		rc = eval_histograms_build(ev, step_count, out);
	} else if (rc == 0) {
		rc = eval_column_build(ev, step_count, out);
	}
	if (rc < 0) {
		return rc;
	}
	if (column->histograms) {
		memcpy((void *)out->histograms, (const void *)column->histograms,
			step_count * sizeof(*out->histograms));
	}
	memcpy(out->values, column->values, step_count * sizeof(*out->values));
	memcpy(out->present, column->present, step_words(step_count) * sizeof(*out->present));
	out->labels = column->labels;
	out->drops_name = column->drops_name;
	return 0;
}

struct list_key {
	const struct column_list *list;
	const struct labels *labels;
	bool has_histograms;
};

static bool list_equal(uint64_t value, const void *key) {
	const struct list_key *wanted = key;

	return labels_equal(&wanted->list->items[value].labels, wanted->labels) &&
	       wanted->has_histograms == (wanted->list->items[value].histograms != NULL);
}

/* Adds the values of 'from' to those of 'to', which has the same labels. */
static int merge_into(
	struct eval *ev, struct column *to, const struct column *from, size_t step_count) {
	if (present_overlap(to->present, from->present, step_count)) {
		return eval_fail_same_labels(ev);
	}
	/* The series is what came first in time; its mark says whether the name goes. */
	if (present_next(from->present, step_count, 0) < present_next(to->present, step_count, 0)) {
		to->drops_name = from->drops_name;
	}
	for (PRESENT_EACH(from->present, step_count, i)) {
		to->values[i] = from->values[i];
		if (to->histograms) {
			to->histograms[i] = from->histograms[i];
		}
		present_set(to->present, i);
	}
	return eval_hold(ev, present_count(from->present, step_count));
}

/* Numbers and histograms of the same labels may not meet, either. */
static int check_other_kind(struct eval *ev, const struct table *table, struct list_key key,
	uint64_t hash, const struct column *column, size_t step_count) {
	uint64_t at;

	key.has_histograms = !key.has_histograms;
	if (map_find(&table->map, hash, list_equal, &key, &at) &&
		present_overlap(key.list->items[at].present, column->present, step_count)) {
		return eval_fail_same_labels(ev);
	}
	return 0;
}

static int collect_one(struct eval *ev, struct stream *stream, const struct column *column,
	size_t step_count, struct table *table, struct column_list *out) {
	struct list_key key = { out, &column->labels, column->histograms != NULL };
	struct column kept;
	uint64_t hash = 0;
	uint64_t at;
	int rc;

	if (table) {
		hash = labels_hash(&column->labels);
		rc = check_other_kind(ev, table, key, hash, column, step_count);
		if (rc < 0) {
			return rc;
		}
		if (map_find(&table->map, hash, list_equal, &key, &at)) {
			return merge_into(ev, &out->items[at], column, step_count);
		}
		rc = eval_table_add(ev, table, hash, out->count);
		if (rc < 0) {
			return rc;
		}
	}
	rc = column_keep(ev, stream, column, step_count, &kept);
	return rc < 0 ? rc : column_list_add(ev, out, &kept);
}

/* Puts the histograms of a series next to its numbers. */
static int pair_kinds(struct eval *ev, const struct table *table, struct column_list *list) {
	struct column_list paired = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		struct column *column = &list->items[i];
		struct list_key key = { list, &column->labels, !column->histograms };
		uint64_t at;
		bool has_other =
			map_find(&table->map, labels_hash(&column->labels), list_equal, &key, &at);
		int rc = 0;

		if (!column->histograms || !has_other) {
			rc = column_list_add(ev, &paired, column);
		}
		if (rc == 0 && !column->histograms && has_other) {
			rc = column_list_add(ev, &paired, &list->items[at]);
		}
		if (rc < 0) {
			return rc;
		}
	}
	*list = paired;
	return 0;
}

int columns_collect(
	struct eval *ev, struct stream *stream, size_t step_count, struct column_list *out) {
	struct table *table = stream->repeats ? eval_table_new(ev) : NULL;
	struct column_list list = { 0 };
	bool has_histograms = false;
	struct column column;
	int rc;

	if (stream->repeats && !table) {
		return ERR_LIMIT;
	}
	while ((rc = stream->next(stream, &column)) > 0) {
		if (present_any(column.present, step_count)) {
			has_histograms |= column.histograms != NULL;
			rc = collect_one(ev, stream, &column, step_count, table, &list);
		}
		rc = rc < 0 ? rc : eval_work(ev, step_count);
		if (rc < 0) {
			return rc;
		}
	}
	if (rc == 0 && table && has_histograms) {
		rc = pair_kinds(ev, table, &list);
	}
	*out = list;
	return rc;
}

void columns_init(
	struct columns *columns, struct eval *ev, struct stream *stream, size_t step_count) {
	*columns = (struct columns){ .ev = ev, .stream = stream, .step_count = step_count };
}

int columns_next(struct columns *columns, struct column *out) {
	if (!columns->stream->repeats) {
		return columns->stream->next(columns->stream, out);
	}
	if (!columns->is_collected) {
		int rc = columns_collect(
			columns->ev, columns->stream, columns->step_count, &columns->list);

		if (rc < 0) {
			return rc;
		}
		columns->is_collected = true;
	}
	if (columns->next == columns->list.count) {
		return 0;
	}
	*out = columns->list.items[columns->next++];
	return 1;
}

struct list_stream {
	struct stream stream;
	struct column_list list;
	size_t next;
};

static int list_next(struct stream *stream, struct column *out) {
	struct list_stream *list = CONTAINER_OF(stream, struct list_stream, stream);

	if (list->next == list->list.count) {
		return 0;
	}
	*out = list->list.items[list->next++];
	return 1;
}

int column_list_stream(struct eval *ev, const struct column_list *list, struct stream **out) {
	struct list_stream *stream = EVAL_NEW(ev, struct list_stream, 1);

	if (!stream) {
		return ERR_LIMIT;
	}
	*stream = (struct list_stream){ .stream = { .next = list_next, .keeps = true },
		.list = *list };
	*out = &stream->stream;
	return 0;
}

/* What a guard knows of the columns with some labels. */
struct guard_item {
	struct labels labels;
	size_t group;
	uint64_t present[];
};

struct guard_key {
	const struct labels *labels;
	size_t group;
};

static bool guard_equal(uint64_t value, const void *key) {
	const struct guard_item *item = (const struct guard_item *)(uintptr_t)value;
	const struct guard_key *wanted = key;

	return item->group == wanted->group && labels_equal(&item->labels, wanted->labels);
}

int guard_init(struct guard *guard, struct eval *ev, size_t step_count, bool is_strict) {
	*guard = (struct guard){ .ev = ev, .step_count = step_count, .is_strict = is_strict };
	guard->table = eval_table_new(ev);
	return guard->table ? 0 : ERR_LIMIT;
}

static int guard_insert(
	struct guard *guard, const struct guard_key *key, const uint64_t *present, uint64_t hash) {
	size_t bytes = step_words(guard->step_count) * sizeof(uint64_t);
	struct guard_item *item = eval_alloc(guard->ev, 1, sizeof(*item) + bytes);

	if (!item) {
		return ERR_LIMIT;
	}
	item->labels = *key->labels;
	item->group = key->group;
	memcpy(item->present, present, bytes);
	return eval_table_add(guard->ev, guard->table, hash, (uint64_t)(uintptr_t)item);
}

int guard_see(
	struct guard *guard, const struct labels *labels, const uint64_t *present, size_t group) {
	struct guard_key key = { labels, group };
	uint64_t hash = hash_mix(labels_hash(labels), group);
	struct guard_item *item;
	uint64_t value;

	if (!present_any(present, guard->step_count)) {
		return 0;
	}
	if (!map_find(&guard->table->map, hash, guard_equal, &key, &value)) {
		return guard_insert(guard, &key, present, hash);
	}
	item = (struct guard_item *)(uintptr_t)value;
	if (guard->is_strict || present_overlap(item->present, present, guard->step_count)) {
		return 1;
	}
	for (size_t i = 0; i < step_words(guard->step_count); i++) {
		item->present[i] |= present[i];
	}
	return 0;
}

int guard_add(struct guard *guard, const struct column *column) {
	int rc = guard_see(guard, &column->labels, column->present, 0);

	return rc > 0 ? eval_fail_same_labels(guard->ev) : rc;
}
