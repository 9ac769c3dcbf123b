/*
 * How samples get out.
 *
 * A select first finds its slots, then looks at all of them in one hold of the samples lock and
 * keeps 12 bytes for each: how many samples its open chunk has, and which is its newest full one.
 * That is the view. Samples are read later, one series at a time; an open chunk that has gone on
 * growing still begins with the samples of the view, and one that became full is then the successor
 * of the newest full chunk in the view. Whatever the view needs stays as it is until the set is
 * closed (epochs).
 */
#include "tsdb/head_set.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "tsdb/select.h"

#include <stdlib.h>

/* What a slot of struct copies takes. */
#define COPY_BYTES (sizeof(uint32_t) + sizeof(struct label))

static const struct series_set_ops set_ops;

static void set_free(struct tsdb_set *set) {
	if (!set->is_fork) {
		epochs_leave(&set->db->epochs, &set->reader);
	}
	free(set->copies.keys);
	free(set->copies.labels);
	arena_release(set->arena, set->copies.capacity * COPY_BYTES);
	free(set->chain);
	buf_deinit(&set->open);
	free(set);
}

/* Whether a series may have samples in the range, as far as is known without a look at its chunks.
 */
static bool view_take(
	struct tsdb *db, const struct tsdb_set *set, uint32_t slot, struct view *view) {
	const struct series *series = series_at(db, slot);

	bool is_open_wanted = series->count > 0;

	if (series->last_ms < set->min_ms || series->last_ms == INT64_MIN) {
		return false;
	}
	if (set->max_ms < series->last_ms && series->count > 0) {
		int64_t first_ms = 0;
		int rc = xor_first_time(series->chunk, series->chunk_len, &first_ms, NULL);
		is_open_wanted = rc >= 0 && first_ms <= set->max_ms;
	}
	*view = (struct view){ slot, series->newest, series->count, is_open_wanted };
	return is_open_wanted || series->newest != 0;
}

/* Looks at all series at once. */
static void views_take(struct tsdb *db, struct tsdb_set *set, const struct bitmap *slots) {
	lock_take(&db->samples_lock);
	for (uint32_t slot = 0; bitmap_next(slots, &slot); slot++) {
		if (view_take(db, set, slot, &set->views[set->count])) {
			set->count++;
		}
	}
	lock_drop(&db->samples_lock);
}

/* Prometheus' order of label sets, by the index' numbers as far as possible. */
static int views_cmp(const void *a, const void *b, void *context) {
	struct tsdb *db = context;
	const struct series *left = series_at(db, ((const struct view *)a)->slot);
	const struct series *right = series_at(db, ((const struct view *)b)->slot);
	size_t left_count = series_pair_count(left);
	size_t right_count = series_pair_count(right);

	for (size_t i = 0; i < left_count && i < right_count; i++) {
		int cmp = 0;
		if (left->pairs[i] == right->pairs[i]) {
			continue;
		}
		cmp = str_cmp(index_pair_name(&db->index, left->pairs[i]),
			index_pair_name(&db->index, right->pairs[i]));
		return cmp != 0 ? cmp
				: str_cmp(index_pair_value(&db->index, left->pairs[i]),
					  index_pair_value(&db->index, right->pairs[i]));
	}
	return (left_count > right_count) - (left_count < right_count);
}

/* Puts the full chunks of a view that touch the range into set->chain, newest first. */
static size_t chain_find(struct tsdb_set *set, uint32_t newest) {
	const struct chunk_entry *entry = chunk_list_get(&set->db->list, set->first_chunk, newest);
	size_t count = 0;

	while (newest != 0 && entry && entry->max_ms >= set->min_ms) {
		if (entry->min_ms <= set->max_ms) {
			if (count == set->chain_capacity) {
				set->chain_capacity =
					set->chain_capacity > 0 ? set->chain_capacity * 2 : 64;
				set->chain = memory_resize(
					set->chain, set->chain_capacity, sizeof(uint32_t));
			}
			set->chain[count++] = newest;
		}
		newest = entry->older;
		entry = chunk_list_get(&set->db->list, set->first_chunk, newest);
	}
	return count;
}

/* Whether a full chunk has samples around the range. */
static bool chain_overlaps(const struct tsdb_set *set, uint32_t newest) {
	const struct chunk_entry *entry = chunk_list_get(&set->db->list, set->first_chunk, newest);

	while (newest != 0 && entry && entry->max_ms >= set->min_ms) {
		if (entry->min_ms <= set->max_ms) {
			return true;
		}
		newest = entry->older;
		entry = chunk_list_get(&set->db->list, set->first_chunk, newest);
	}
	return false;
}

/* Drops the series that have nothing in the range. */
static void views_filter(struct tsdb_set *set) {
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (set->views[i].is_open_wanted || chain_overlaps(set, set->views[i].newest)) {
			set->views[kept++] = set->views[i];
		}
	}
	set->count = kept;
}

static int views_build(struct tsdb *db, const struct select_request *request, struct arena *arena,
	struct tsdb_set *set, struct err *err) {
	struct bitmap slots = { 0 };
	int rc = select_slots(db, request->matchers, request->matcher_count, request->canceled,
		arena, &slots, err);

	if (rc < 0) {
		return rc;
	}
	set->views = ARENA_TRY_NEW(arena, struct view, bitmap_count(&slots) + 1, err);
	if (!set->views) {
		return ERR_LIMIT;
	}
	views_take(db, set, &slots);
	views_filter(set);
	if (request->sorted) {
		rc = select_sort(set->views, set->count, sizeof(struct view), views_cmp, db,
			request->canceled, arena, err);
	}
	return rc < 0 ? rc : select_check(request->canceled, err);
}

/* The number of a label's name; UINT32_MAX if no series has it. */
static uint32_t name_number(struct tsdb *db, struct str name) {
	uint32_t number = 0;
	bool is_known;

	lock_take(&db->index_lock);
	is_known = index_name_find(&db->index, name, &number);
	lock_drop(&db->index_lock);
	return is_known ? number : UINT32_MAX;
}

static int projection_build(struct tsdb_set *set, const struct select_request *request,
	struct arena *arena, struct err *err) {
	struct projection *wanted = &set->wanted;

	if (!request->is_projected) {
		return 0;
	}
	wanted->names = ARENA_TRY_NEW(arena, uint32_t, request->wanted_count + 1, err);
	if (!wanted->names) {
		return ERR_LIMIT;
	}
	wanted->is_on = true;
	wanted->type = name_number(set->db, STR("__type__"));
	wanted->unit = name_number(set->db, STR("__unit__"));
	wanted->names[wanted->count++] = name_number(set->db, LABEL_NAME);
	for (size_t i = 0; i < request->wanted_count; i++) {
		wanted->names[wanted->count++] = name_number(set->db, request->wanted[i]);
	}
	return 0;
}

int head_select(struct store *store, const struct select_request *request, struct arena *arena,
	struct series_set **out, struct err *err) {
	struct tsdb *db = CONTAINER_OF(store, struct tsdb, store);
	struct tsdb_set *set = MEMORY_NEW(struct tsdb_set, 1);
	int rc;

	set->base.ops = &set_ops;
	set->db = db;
	set->arena = arena;
	set->canceled = request->canceled;
	set->min_ms = request->min_ms;
	set->max_ms = request->max_ms;
	epochs_enter(&db->epochs, &set->reader);
	set->first_chunk = chunk_list_first(&db->list);
	rc = views_build(db, request, arena, set, err);
	/* After the views: names that are new since then are of no series in them. */
	rc = rc < 0 ? rc : projection_build(set, request, arena, err);
	if (rc < 0) {
		set_free(set);
		return rc;
	}
	if (request->limit > 0 && set->count > request->limit) {
		set->count = request->limit;
	}
	*out = &set->base;
	return 0;
}

static int copies_grow(struct tsdb_set *set, struct err *err) {
	struct copies *copies = &set->copies;
	struct copies bigger = { .capacity = copies->capacity > 0 ? copies->capacity * 2 : 256 };
	int rc = arena_charge(set->arena, bigger.capacity * COPY_BYTES, err);

	if (rc < 0) {
		return rc;
	}
	bigger.keys = MEMORY_NEW(uint32_t, bigger.capacity);
	bigger.labels = MEMORY_NEW(struct label, bigger.capacity);
	for (size_t i = 0; i < copies->capacity; i++) {
		size_t at;
		if (copies->keys[i] == 0) {
			continue;
		}
		at = (size_t)hash_mix(copies->keys[i], 0) & (bigger.capacity - 1);
		while (bigger.keys[at] != 0) {
			at = (at + 1) & (bigger.capacity - 1);
		}
		bigger.keys[at] = copies->keys[i];
		bigger.labels[at] = copies->labels[i];
	}
	bigger.count = copies->count;
	free(copies->keys);
	free(copies->labels);
	arena_release(set->arena, copies->capacity * COPY_BYTES);
	*copies = bigger;
	return 0;
}

int head_str_copy(struct arena *arena, struct str text, struct str *out, struct err *err) {
	char *copy = arena_try_alloc(arena, text.len + 1, 1, err);

	if (!copy) {
		return ERR_LIMIT;
	}
	memcpy(copy, text.ptr, text.len);
	*out = (struct str){ copy, text.len };
	return 0;
}

/* The pair's strings in the query's arena, copied once. */
static int copies_get(struct tsdb_set *set, uint32_t pair, struct label *out, struct err *err) {
	struct copies *copies = &set->copies;
	size_t at;
	int rc;

	if (copies->count + copies->count / 2 >= copies->capacity) {
		rc = copies_grow(set, err);
		if (rc < 0) {
			return rc;
		}
	}
	at = (size_t)hash_mix(pair + 1, 0) & (copies->capacity - 1);
	while (copies->keys[at] != 0 && copies->keys[at] != pair + 1) {
		at = (at + 1) & (copies->capacity - 1);
	}
	if (copies->keys[at] == 0) {
		struct label label = { 0 };
		rc = head_str_copy(
			set->arena, index_pair_name(&set->db->index, pair), &label.name, err);
		if (rc >= 0) {
			rc = head_str_copy(set->arena, index_pair_value(&set->db->index, pair),
				&label.value, err);
		}
		if (rc < 0) {
			return rc;
		}
		copies->keys[at] = pair + 1;
		copies->labels[at] = label;
		copies->count++;
	}
	*out = copies->labels[at];
	return 0;
}

static bool is_wanted(const struct projection *wanted, uint32_t name) {
	for (size_t i = 0; i < wanted->count; i++) {
		if (wanted->names[i] == name) {
			return true;
		}
	}
	return false;
}

/* Puts the pairs that are needed into 'out', which has room for all, and returns how many. */
static size_t pairs_project(
	const struct tsdb_set *set, const struct series *series, uint32_t *out) {
	const struct projection *wanted = &set->wanted;
	size_t all = series_pair_count(series);
	bool needs_all = !wanted->is_on;
	size_t count = 0;

	for (size_t i = 0; i < all && !needs_all; i++) {
		uint32_t name = index_pair(&set->db->index, series->pairs[i])->name;

		needs_all = name == wanted->type || name == wanted->unit;
		if (is_wanted(wanted, name)) {
			out[count++] = series->pairs[i];
		}
	}
	if (needs_all) {
		memcpy(out, series->pairs, all * sizeof(*out));
		return all;
	}
	return count;
}

static int set_next(struct series_set *base, struct err *err) {
	struct tsdb_set *set = CONTAINER_OF(base, struct tsdb_set, base);
	uint32_t pairs[LABELS_COUNT_MAX];
	size_t count;
	struct label *labels;
	int rc = set->at % 64 == 0 ? select_check(set->canceled, err) : 0;

	if (rc < 0 || set->at == set->count) {
		return rc;
	}
	count = pairs_project(set, series_at(set->db, set->views[set->at].slot), pairs);
	labels = ARENA_TRY_NEW(set->arena, struct label, count, err);
	if (!labels) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count; i++) {
		rc = copies_get(set, pairs[i], &labels[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	base->labels = (struct labels){ labels, count };
	set->at++;
	return 1;
}

static size_t set_count(struct series_set *base) {
	return CONTAINER_OF(base, struct tsdb_set, base)->count;
}

static void set_seek(struct series_set *base, size_t index) {
	struct tsdb_set *set = CONTAINER_OF(base, struct tsdb_set, base);

	CHECK(index <= set->count);
	set->at = index;
}

static int set_fork(
	struct series_set *base, struct arena *arena, struct series_set **out, struct err *err) {
	const struct tsdb_set *set = CONTAINER_OF(base, struct tsdb_set, base);
	struct tsdb_set *fork = MEMORY_NEW(struct tsdb_set, 1);

	(void)err;
	*fork = (struct tsdb_set){
		.base = { .ops = &set_ops },
		.db = set->db,
		.first_chunk = set->first_chunk,
		.arena = arena,
		.canceled = set->canceled,
		.min_ms = set->min_ms,
		.max_ms = set->max_ms,
		.views = set->views,
		.is_fork = true,
		.count = set->count,
		.wanted = set->wanted,
	};
	*out = &fork->base;
	return 0;
}

/* Unpacks 'count' samples of a chunk to the end of the column, then drops those out of range. */
static int samples_add(const struct tsdb_set *set, const uint8_t *data, size_t len, size_t count,
	struct sample_column *column, struct err *err) {
	size_t from = 0;
	size_t to = count;
	int64_t *times;
	double *values;
	int rc;

	rc = sample_column_reserve(column, count, err);
	if (rc < 0) {
		return rc;
	}
	times = column->times_ms + column->count;
	values = column->values + column->count;
	rc = xor_decode(data, len, count, times, values, err);
	if (rc < 0) {
		return rc;
	}
	while (from < count && times[from] < set->min_ms) {
		from++;
	}
	while (to > from && times[to - 1] > set->max_ms) {
		to--;
	}
	if (from > 0) {
		memmove(times, times + from, (to - from) * sizeof(*times));
		memmove(values, values + from, (to - from) * sizeof(*values));
	}
	column->count += to - from;
	return 0;
}

static int full_chunk_read(struct tsdb_set *set, uint32_t number, size_t count_max,
	struct sample_column *column, struct err *err) {
	const struct chunk_entry *entry = chunk_list_get(&set->db->list, set->first_chunk, number);
	struct chunk_record record = { 0 };
	size_t count;
	int rc;

	rc = chunk_files_get(&set->db->files, entry->ref, &record, err);
	if (rc < 0) {
		return rc;
	}
	count = entry->count < count_max ? entry->count : count_max;
	rc = samples_add(set, record.data, record.len, count, column, err);
	return rc < 0 ? err_wrap(err, rc, "chunk %u at %u", (unsigned)(entry->ref >> 32),
				(unsigned)entry->ref)
		      : 0;
}

/*
 * The open chunk of a view. Copies its bytes under the lock; if it was cut since, returns the
 * number of the full chunk that it is now in '*number'.
 */
static size_t open_chunk_copy(struct tsdb_set *set, const struct view *view, uint32_t *number) {
	struct tsdb *db = set->db;
	const struct series *series = series_at(db, view->slot);
	uint32_t newest;

	buf_reset(&set->open);
	lock_take(&db->samples_lock);
	newest = series->newest;
	if (newest == view->newest) {
		buf_append(&set->open, series->chunk, series->chunk_len);
	}
	lock_drop(&db->samples_lock);
	*number = 0;
	while (newest != view->newest && newest != 0) {
		const struct chunk_entry *entry =
			chunk_list_get(&db->list, set->first_chunk, newest);
		*number = newest;
		newest = entry ? entry->older : 0;
	}
	return set->open.len;
}

static int open_chunk_read(struct tsdb_set *set, const struct view *view,
	struct sample_column *column, struct err *err) {
	uint32_t number = 0;

	if (!view->is_open_wanted) {
		return 0;
	}
	if (open_chunk_copy(set, view, &number) > 0) {
		return samples_add(set, (const uint8_t *)set->open.ptr, set->open.len, view->count,
			column, err);
	}
	return number != 0 ? full_chunk_read(set, number, view->count, column, err) : 0;
}

/* Drops the samples that Prometheus' API deleted. */
static void tombstones_apply(struct tsdb *db, uint32_t slot, struct sample_column *column) {
	for (size_t i = 0; i < db->tombstone_count; i++) {
		const struct tombstone *stone = &db->tombstones[i];
		size_t kept = 0;
		if (stone->slot != slot) {
			continue;
		}
		for (size_t k = 0; k < column->count; k++) {
			int64_t time_ms = column->times_ms[k];
			if (time_ms < stone->min_ms || time_ms > stone->max_ms) {
				column->times_ms[kept] = time_ms;
				column->values[kept++] = column->values[k];
			}
		}
		column->count = kept;
	}
}

static bool has_tombstones(struct tsdb *db, uint32_t slot) {
	bool has;

	if (db->tombstone_count == 0) {
		return false;
	}
	lock_take(&db->samples_lock);
	has = (series_at(db, slot)->flags & SERIES_TOMBSTONES) != 0;
	lock_drop(&db->samples_lock);
	return has;
}

static int set_read(struct series_set *base, struct sample_column *column, struct err *err) {
	struct tsdb_set *set = CONTAINER_OF(base, struct tsdb_set, base);
	const struct view *view;
	size_t count;
	int rc = 0;

	CHECK(set->at > 0);
	view = &set->views[set->at - 1];
	column->count = 0;
	count = chain_find(set, view->newest);
	while (count > 0 && rc >= 0) {
		rc = full_chunk_read(set, set->chain[--count], SIZE_MAX, column, err);
	}
	if (rc >= 0) {
		rc = open_chunk_read(set, view, column, err);
	}
	if (rc >= 0 && has_tombstones(set->db, view->slot)) {
		tombstones_apply(set->db, view->slot, column);
	}
	return rc;
}

static void set_close(struct series_set *base) {
	set_free(CONTAINER_OF(base, struct tsdb_set, base));
}

static const struct series_set_ops set_ops = {
	.next = set_next,
	.read = set_read,
	.close = set_close,
	.count = set_count,
	.seek = set_seek,
	.fork = set_fork,
};

const struct store_ops head_store_ops = {
	.select = head_select,
	.label_names = head_label_names,
	.label_values = head_label_values,
};
