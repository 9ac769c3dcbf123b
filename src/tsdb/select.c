/*
 * Matchers become bitmaps, one after the other cut into the result: first those that name one
 * value, as they leave the fewest. A matcher that accepts a missing label takes away the series
 * whose value it refuses; any other keeps those whose value it accepts. A regular expression is run
 * on the values of its label, or on those of the series that are left if these are fewer.
 */
#include "tsdb/select.h"

#include "base/memory.h"
#include "base/sort.h"

#include <stdlib.h>

/* Values between two looks at whether the query was canceled. */
#define CHECK_EVERY 1024

struct selection {
	struct tsdb *db;
	const _Atomic bool *canceled;
	struct arena *arena;
	struct bitmap result;
	struct bitmap scratch;
};

int select_check(const _Atomic bool *canceled, struct err *err) {
	/* Relaxed: sooner or later it is seen. */
	if (canceled && atomic_load_explicit(canceled, memory_order_relaxed)) {
		return err_set(err, ERR_CANCELED, "query was canceled");
	}
	return 0;
}

static int check_flag(void *context, struct err *err) {
	return select_check(*(const _Atomic bool **)context, err);
}

int select_sort(void *items, size_t count, size_t size,
	int (*cmp)(const void *a, const void *b, void *context), void *context,
	const _Atomic bool *canceled, const struct arena *arena, struct err *err) {
	const struct sort how = { cmp, context, check_flag, &canceled };

	return sort_items(items, count, size, &how, arena, err);
}

static void scratch_clear(struct selection *selection) {
	memset(selection->scratch.words, 0, selection->scratch.count * sizeof(uint64_t));
}

/* Takes the marked series away, or all but them. */
static void scratch_apply(struct selection *selection, bool take_away) {
	if (take_away) {
		bitmap_and_not(&selection->result, &selection->scratch);
	} else {
		bitmap_and(&selection->result, &selection->scratch);
	}
}

static void pairs_mark(struct selection *selection, const uint32_t *pairs, size_t count) {
	scratch_clear(selection);
	lock_take(&selection->db->index_lock);
	for (size_t i = 0; i < count; i++) {
		postings_mark(&index_pair(&selection->db->index, pairs[i])->postings,
			&selection->scratch);
	}
	lock_drop(&selection->db->index_lock);
}

/* Keeps, or takes away, the series with one of the given values. */
static void values_apply(struct selection *selection, struct str name, const struct str *values,
	size_t count, bool take_away) {
	struct tsdb *db = selection->db;
	uint32_t name_id = 0;
	uint32_t pair = 0;

	scratch_clear(selection);
	lock_take(&db->index_lock);
	if (index_name_find(&db->index, name, &name_id)) {
		for (size_t i = 0; i < count; i++) {
			if (index_pair_find(&db->index, name_id, values[i], &pair)) {
				postings_mark(&index_pair(&db->index, pair)->postings,
					&selection->scratch);
			}
		}
	}
	lock_drop(&db->index_lock);
	scratch_apply(selection, take_away);
}

/* The pairs of a label, for free(); charged to 'arena'. NULL with ERR_LIMIT in 'err' when there is
 * no room. */
static uint32_t *name_pairs(struct tsdb *db, const struct arena *arena, uint32_t name_id,
	size_t *count, struct err *err) {
	uint32_t *pairs = NULL;
	const struct label_name *name;

	lock_take(&db->index_lock);
	name = index_name(&db->index, name_id);
	*count = name->count;
	if (arena_charge(arena, *count * sizeof(uint32_t), err) >= 0) {
		pairs = MEMORY_NEW(uint32_t, *count + 1);
	}
	if (pairs && *count > 0) {
		memcpy(pairs, name->pairs, *count * sizeof(uint32_t));
	}
	lock_drop(&db->index_lock);
	return pairs;
}

/* Runs the matcher on every value of its label. */
static int label_scan(struct selection *selection, const struct matcher *matcher, uint32_t name_id,
	bool take_away, struct err *err) {
	struct tsdb *db = selection->db;
	size_t count = 0;
	size_t kept = 0;
	uint32_t *pairs = name_pairs(db, selection->arena, name_id, &count, err);
	int rc = 0;

	if (!pairs) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count && rc >= 0; i++) {
		if (matcher_matches(matcher, index_pair_value(&db->index, pairs[i])) != take_away) {
			pairs[kept++] = pairs[i];
		}
		rc = i % CHECK_EVERY == 0 ? select_check(selection->canceled, err) : 0;
	}
	if (rc >= 0) {
		pairs_mark(selection, pairs, kept);
		scratch_apply(selection, take_away);
	}
	free(pairs);
	arena_release(selection->arena, count * sizeof(uint32_t));
	return rc;
}

/* The value of a label of a series, empty if it has none; and the pair's number + 1. */
static struct str series_value(
	struct tsdb *db, const struct series *series, uint32_t name_id, uint32_t *pair) {
	for (size_t i = 0; i < series_pair_count(series); i++) {
		if (index_pair(&db->index, series->pairs[i])->name == name_id) {
			*pair = series->pairs[i] + 1;
			return index_pair_value(&db->index, series->pairs[i]);
		}
	}
	*pair = 0;
	return STR_EMPTY;
}

/* Runs the matcher on the series that are left. */
static int series_scan(struct selection *selection, const struct matcher *matcher, uint32_t name_id,
	struct err *err) {
	struct tsdb *db = selection->db;
	uint32_t last_pair = UINT32_MAX;
	bool last_matches = false;
	size_t done = 0;

	for (uint32_t slot = 0; bitmap_next(&selection->result, &slot); slot++) {
		uint32_t pair = 0;
		struct str value = series_value(db, series_at(db, slot), name_id, &pair);
		int rc = done++ % CHECK_EVERY == 0 ? select_check(selection->canceled, err) : 0;
		if (rc < 0) {
			return rc;
		}
		if (pair != last_pair) {
			last_matches = matcher_matches(matcher, value);
			last_pair = pair;
		}
		if (!last_matches) {
			bitmap_clear(&selection->result, slot);
		}
	}
	return 0;
}

static bool is_regex(const struct matcher *matcher) {
	return matcher->op == MATCHER_REGEX || matcher->op == MATCHER_NOT_REGEX;
}

static bool is_negative(const struct matcher *matcher) {
	return matcher->op == MATCHER_NOT_EQUAL || matcher->op == MATCHER_NOT_REGEX;
}

/* The values that a matcher names; NULL when it does so by a pattern. */
static const struct str *matcher_values(const struct matcher *matcher, size_t *count) {
	if (is_regex(matcher)) {
		return regex_literals(matcher->regex, count);
	}
	*count = 1;
	return &matcher->value;
}

static bool has_empty(const struct str *values, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (values[i].len == 0) {
			return true;
		}
	}
	return false;
}

static int matcher_apply(
	struct selection *selection, const struct matcher *matcher, struct err *err) {
	struct tsdb *db = selection->db;
	bool take_away = matcher_matches_empty(matcher);
	size_t count = 0;
	const struct str *values = matcher_values(matcher, &count);
	uint32_t name_id = 0;
	size_t value_count = 0;
	bool is_known;

	if (values && !has_empty(values, count)) {
		/* Then a matcher that accepts a missing label refuses just these values. */
		values_apply(selection, matcher->name, values, count, is_negative(matcher));
		return 0;
	}
	if (matcher->op == MATCHER_REGEX && regex_matches_all(matcher->regex)) {
		return 0;
	}
	lock_take(&db->index_lock);
	is_known = index_name_find(&db->index, matcher->name, &name_id);
	value_count = is_known ? index_name(&db->index, name_id)->count : 0;
	lock_drop(&db->index_lock);
	if (!is_known) {
		if (!take_away) {
			memset(selection->result.words, 0,
				selection->result.count * sizeof(uint64_t));
		}
		return 0;
	}
	if (is_regex(matcher) && bitmap_count(&selection->result) < value_count / 2) {
		return series_scan(selection, matcher, name_id, err);
	}
	return label_scan(selection, matcher, name_id, take_away, err);
}

/* How early a matcher is applied; lower is earlier. */
static int matcher_cost(const struct matcher *matcher) {
	size_t count = 0;

	if (matcher->op == MATCHER_EQUAL && matcher->value.len > 0) {
		return 0;
	}
	if (!is_negative(matcher) && matcher_values(matcher, &count)) {
		return 1;
	}
	return is_regex(matcher) ? 3 : 2;
}

static int all_build(struct selection *selection, struct err *err) {
	struct tsdb *db = selection->db;
	struct bitmap live;
	size_t slots;
	int rc;

	lock_take(&db->index_lock);
	slots = db->slot_end;
	lock_drop(&db->index_lock);
	rc = bitmap_build(selection->arena, slots, &selection->result, err);
	if (rc >= 0) {
		rc = bitmap_build(selection->arena, slots, &selection->scratch, err);
	}
	if (rc < 0) {
		return rc;
	}
	lock_take(&db->index_lock);
	live = (struct bitmap){ db->live, db->live_words };
	for (size_t i = 0; i < selection->result.count; i++) {
		selection->result.words[i] = live.words[i];
	}
	lock_drop(&db->index_lock);
	/* What was made since then is not in the range of the bitmaps: the last word may know more.
	 */
	if (slots % 64 != 0) {
		selection->result.words[slots / 64] &= (UINT64_C(1) << slots % 64) - 1;
	}
	return 0;
}

int select_slots(struct tsdb *db, const struct matcher *matchers, size_t count,
	const _Atomic bool *canceled, struct arena *arena, struct bitmap *out, struct err *err) {
	struct selection selection = { .db = db, .canceled = canceled, .arena = arena };
	int rc = all_build(&selection, err);

	for (int cost = 0; cost <= 3 && rc >= 0; cost++) {
		for (size_t i = 0; i < count && rc >= 0; i++) {
			if (matcher_cost(&matchers[i]) == cost) {
				rc = matcher_apply(&selection, &matchers[i], err);
			}
		}
	}
	if (rc < 0) {
		return rc;
	}
	*out = selection.result;
	return 0;
}
