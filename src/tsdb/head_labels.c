/*
 * Names and values of labels.
 */
#include "base/memory.h"
#include "tsdb/head_set.h"
#include "tsdb/select.h"

#include <stdlib.h>

/* Series between two looks at whether the call was canceled. */
#define SERIES_PER_CHECK 1024

/* Strings that come in any order and more than once. */
struct str_pile {
	struct str *items;
	size_t count;
	size_t capacity;
};

/* Charged to 'arena', which the strings do not live in. Returns 0 or ERR_LIMIT. */
static int pile_add(
	struct str_pile *pile, const struct arena *arena, struct str text, struct err *err) {
	if (pile->count == pile->capacity) {
		size_t capacity = pile->capacity > 0 ? pile->capacity * 2 : 64;
		int rc = arena_charge(arena, capacity * sizeof(struct str), err);

		if (rc < 0) {
			return rc;
		}
		pile->items = memory_resize(pile->items, capacity, sizeof(struct str));
		arena_release(arena, pile->capacity * sizeof(struct str));
		pile->capacity = capacity;
	}
	pile->items[pile->count++] = text;
	return 0;
}

static void pile_deinit(struct str_pile *pile, const struct arena *arena) {
	free(pile->items);
	arena_release(arena, pile->capacity * sizeof(struct str));
}

static int str_order(const void *a, const void *b, void *context UNUSED) {
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts, cuts to the request's limit, and copies to the query's arena. */
static int pile_build(struct str_pile *pile, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	size_t limit = request->limit;
	struct str *items;
	size_t count;
	int rc = select_sort(pile->items, pile->count, sizeof(struct str), str_order, NULL,
		request->canceled, arena, err);

	if (rc < 0) {
		return rc;
	}
	count = limit > 0 && limit < pile->count ? limit : pile->count;
	items = ARENA_TRY_NEW(arena, struct str, count + 1, err);
	if (!items) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < count && rc >= 0; i++) {
		rc = head_str_copy(arena, pile->items[i], &items[i], err);
	}
	if (rc >= 0) {
		*out = (struct str_list){ items, count };
	}
	return rc;
}

/* Whether every sample there is lies in the range asked for. */
static bool range_is_all(struct tsdb *db, const struct select_request *request) {
	return request->min_ms <= atomic_load_explicit(&db->min_ms, memory_order_relaxed) &&
	       request->max_ms >= atomic_load_explicit(&db->max_ms, memory_order_relaxed);
}

/* What one call for label names or values works with. */
struct label_search {
	struct tsdb *db;
	const struct select_request *request;
	struct arena *arena;
	struct str_pile pile;
	bool only_name; /* Values of 'name_id' are wanted, else names. */
	uint32_t name_id;
	struct bitmap seen; /* Names, or pairs. */
};

static int search_see(struct label_search *search, uint32_t pair, struct err *err) {
	struct index *index = &search->db->index;
	uint32_t name_id = index_pair(index, pair)->name;
	uint32_t id = search->only_name ? pair : name_id;

	if ((search->only_name && name_id != search->name_id) || (id >> 6) >= search->seen.count ||
		bitmap_has(&search->seen, id)) {
		return 0;
	}
	bitmap_set(&search->seen, id);
	return pile_add(&search->pile, search->arena,
		search->only_name ? index_pair_value(index, pair)
				  : index_name(index, name_id)->name,
		err);
}

/* Takes names or values from the series that match, in the time range. */
static int search_series(struct label_search *search, struct str_list *out, struct err *err) {
	struct tsdb *db = search->db;
	struct series_set *base = NULL;
	struct select_request request = *search->request;
	struct tsdb_set *set;
	uint32_t ids;
	int rc;

	lock_take(&db->index_lock);
	ids = search->only_name ? db->index.pair_end : db->index.name_end;
	lock_drop(&db->index_lock);
	request.labels_only = true;
	request.sorted = false;
	request.limit = 0;
	rc = bitmap_build(search->arena, ids, &search->seen, err);
	rc = rc < 0 ? rc : head_select(&db->store, &request, search->arena, &base, err);
	if (rc < 0) {
		return rc;
	}
	set = CONTAINER_OF(base, struct tsdb_set, base);
	for (size_t i = 0; i < set->count && rc >= 0; i++) {
		const struct series *series = series_at(db, set->views[i].slot);
		rc = i % SERIES_PER_CHECK == 0 ? select_check(request.canceled, err) : 0;
		for (size_t k = 0; k < series_pair_count(series) && rc >= 0; k++) {
			rc = search_see(search, series->pairs[k], err);
		}
	}
	rc = rc < 0 ? rc : pile_build(&search->pile, search->request, search->arena, out, err);
	series_set_close(base);
	return rc;
}

/* Without matchers, over all time: the index knows, no series is looked at. */
static int search_index(struct label_search *search, struct str_list *out, struct err *err) {
	struct tsdb *db = search->db;
	struct epoch_reader reader;
	int rc = 0;

	epochs_enter(&db->epochs, &reader);
	lock_take(&db->index_lock);
	if (search->only_name) {
		const struct label_name *name = index_name(&db->index, search->name_id);
		for (uint32_t i = 0; i < name->count && rc >= 0; i++) {
			rc = pile_add(&search->pile, search->arena,
				index_pair_value(&db->index, name->pairs[i]), err);
		}
	}
	for (uint32_t id = 0; id < db->index.name_end && !search->only_name && rc >= 0; id++) {
		if (index_name(&db->index, id)->count > 0) {
			rc = pile_add(&search->pile, search->arena,
				index_name(&db->index, id)->name, err);
		}
	}
	lock_drop(&db->index_lock);
	rc = rc < 0 ? rc : pile_build(&search->pile, search->request, search->arena, out, err);
	epochs_leave(&db->epochs, &reader);
	return rc;
}

static int search_run(struct label_search *search, struct str_list *out, struct err *err) {
	bool is_simple =
		search->request->matcher_count == 0 && range_is_all(search->db, search->request);
	int rc = is_simple ? search_index(search, out, err) : search_series(search, out, err);

	pile_deinit(&search->pile, search->arena);
	return rc;
}

int head_label_names(struct store *store, const struct select_request *request, struct arena *arena,
	struct str_list *out, struct err *err) {
	struct label_search search = {
		.db = CONTAINER_OF(store, struct tsdb, store), .request = request, .arena = arena
	};

	return search_run(&search, out, err);
}

int head_label_values(struct store *store, struct str name, const struct select_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	struct tsdb *db = CONTAINER_OF(store, struct tsdb, store);
	struct label_search search = {
		.db = db, .request = request, .arena = arena, .only_name = true
	};
	bool is_known;

	lock_take(&db->index_lock);
	is_known = index_name_find(&db->index, name, &search.name_id);
	lock_drop(&db->index_lock);
	if (!is_known) {
		*out = (struct str_list){ 0 };
		return 0;
	}
	return search_run(&search, out, err);
}
