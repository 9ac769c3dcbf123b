#include "source/local.h"

#include "base/sort.h"
#include "promql/parse.h"

#include <stdlib.h>

/* How many series pass between two looks at the clock. */
#define SERIES_PER_CHECK 1024

static struct local_source *local_of(struct source *source) {
	return CONTAINER_OF(source, struct local_source, source);
}

static void truncate(struct query_result *result, size_t limit) {
	if (limit == 0) {
		return;
	}
	result->steps.count = result->steps.count < limit ? result->steps.count : limit;
	result->raw_count = result->raw_count < limit ? result->raw_count : limit;
}

static int query(struct source *source, const struct query_request *request, struct arena *arena,
	struct source_answer *answer, struct err *err) {
	struct local_source *local = local_of(source);
	AUTO(expr_tree_deinit) struct expr_tree tree = { 0 };
	struct query_params params = {
		.grid = request->grid,
		.end_ms = request->end_ms,
		.is_range = request->is_range,
		.lookback_ms = request->lookback_ms,
		.control = request->control,
		.explains = request->explains,
		.counts_steps = request->counts_steps,
	};
	struct source_answer made = { 0 };
	int rc =
		promql_parse(request->query, &engine_options_get(local->engine)->parse, &tree, err);

	rc = rc < 0 ? rc
		    : engine_eval(local->engine, local->store, &tree, &params, arena, &made.result,
			      err);
	if (rc < 0) {
		return rc;
	}
	if (made.result.type != VALUE_SCALAR) {
		truncate(&made.result, request->limit);
	}
	*answer = made;
	return 0;
}

/*
 * Work on series or labels: bytes of 'arena' count against a query's budget while it runs, so that
 * a request for all series of a large store fails alone.
 */
struct meta {
	struct local_source *local;
	const struct meta_request *request;
	struct arena *arena;
	struct budget budget;
	bool is_charged;
};

static void meta_init(struct meta *meta, struct source *source, const struct meta_request *request,
	struct arena *arena) {
	*meta = (struct meta){ .local = local_of(source), .request = request, .arena = arena };
	engine_budget_init(meta->local->engine, &meta->budget);
	meta->is_charged = arena->budget == NULL;
	if (meta->is_charged) {
		arena->budget = &meta->budget;
	}
}

static void meta_deinit(struct meta *meta) {
	if (meta->is_charged) {
		meta->arena->budget = NULL;
	}
	budget_deinit(&meta->budget);
}

/* What to ask the store for one of the request's selectors; SIZE_MAX: for all series. */
static struct select_request select_of(const struct meta *meta, size_t index) {
	const struct meta_request *request = meta->request;
	const struct selector *selector =
		index < request->selector_count ? request->selectors[index] : NULL;

	return (struct select_request){
		.matchers = selector ? selector->matchers : NULL,
		.matcher_count = selector ? selector->matcher_count : 0,
		.min_ms = request->min_ms,
		.max_ms = request->max_ms,
		.labels_only = true,
		.sorted = true,
		.limit = request->limit,
		.canceled = request->control ? &request->control->canceled : NULL,
	};
}

/* How many questions the store gets: one per selector, or one without any. */
static size_t question_count(const struct meta *meta) {
	return meta->request->selector_count > 0 ? meta->request->selector_count : 1;
}

struct series_list {
	struct labels *items;
	size_t count;
	size_t capacity;
};

static int add_series(
	struct meta *meta, const struct labels *labels, struct series_list *list, struct err *err) {
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		struct labels *items = ARENA_TRY_NEW(meta->arena, struct labels, capacity, err);

		if (!items) {
			return ERR_LIMIT;
		}
		if (list->count > 0) {
			memcpy(items, list->items, list->count * sizeof(*items));
		}
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = *labels;
	return 0;
}

static int read_series(
	struct meta *meta, struct series_set *set, struct series_list *list, struct err *err) {
	size_t seen = 0;
	int rc;

	while ((rc = series_set_next(set, err)) > 0) {
		rc = add_series(meta, &set->labels, list, err);
		if (rc == 0 && ++seen % SERIES_PER_CHECK == 0) {
			rc = engine_check_control(meta->local->engine, meta->request->control, err);
		}
		if (rc < 0) {
			return rc;
		}
	}
	return rc;
}

static int cmp_labels(const void *a, const void *b, void *context UNUSED) {
	return labels_cmp(a, b);
}

static int check_request(void *context, struct err *err) {
	const struct meta *meta = context;

	return engine_check_control(meta->local->engine, meta->request->control, err);
}

/* Sorts, removes what several selectors gave, and cuts to the limit. */
static int finish_series(
	struct meta *meta, struct series_list *list, struct labels_list *out, struct err *err) {
	const struct sort how = { cmp_labels, NULL, check_request, meta };
	size_t limit = meta->request->limit;
	size_t kept = 0;
	int rc = sort_items(list->items, list->count, sizeof(*list->items), &how, meta->arena, err);

	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (kept == 0 || !labels_equal(&list->items[kept - 1], &list->items[i])) {
			list->items[kept++] = list->items[i];
		}
	}
	*out = (struct labels_list){ list->items, limit > 0 && kept > limit ? limit : kept };
	return 0;
}

static int series(struct source *source, const struct meta_request *request, struct arena *arena,
	struct labels_list *out, struct annotations *notes, struct err *err) {
	AUTO(meta_deinit) struct meta meta;
	struct series_list list = { 0 };
	int rc = 0;

	(void)notes;
	meta_init(&meta, source, request, arena);
	for (size_t i = 0; rc == 0 && i < question_count(&meta); i++) {
		struct select_request select = select_of(&meta, i);
		struct series_set *set = NULL;

		rc = engine_check_control(meta.local->engine, request->control, err);
		rc = rc < 0 ? rc : store_select(meta.local->store, &select, arena, &set, err);
		rc = rc < 0 ? rc : read_series(&meta, set, &list, err);
		series_set_close(set);
	}
	return rc < 0 ? rc : finish_series(&meta, &list, out, err);
}

/* Joins two sorted lists. */
static int merge_lists(struct meta *meta, const struct str_list *a, const struct str_list *b,
	struct str_list *out, struct err *err) {
	struct str *items = ARENA_TRY_NEW(meta->arena, struct str, a->count + b->count, err);
	size_t count = 0;
	size_t i = 0;
	size_t k = 0;

	if (!items) {
		return ERR_LIMIT;
	}
	while (i < a->count || k < b->count) {
		int cmp = i == a->count   ? 1
			  : k == b->count ? -1
					  : str_cmp(a->items[i], b->items[k]);

		items[count++] = cmp <= 0 ? a->items[i] : b->items[k];
		i += cmp <= 0;
		k += cmp >= 0;
	}
	*out = (struct str_list){ items, count };
	return 0;
}

/* Names, or the values of '*name'. */
static int list(struct source *source, const struct str *name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct err *err) {
	AUTO(meta_deinit) struct meta meta;
	struct str_list all = { 0 };
	int rc = 0;

	meta_init(&meta, source, request, arena);
	for (size_t i = 0; rc == 0 && i < question_count(&meta); i++) {
		struct select_request select = select_of(&meta, i);
		struct store *store = meta.local->store;
		struct str_list found = { 0 };

		rc = engine_check_control(meta.local->engine, request->control, err);
		if (rc == 0) {
			rc = name ? store_label_values(store, *name, &select, arena, &found, err)
				  : store_label_names(store, &select, arena, &found, err);
		}
		if (rc == 0 && i > 0) {
			rc = merge_lists(&meta, &all, &found, &all, err);
		} else if (rc == 0) {
			all = found;
		}
	}
	if (rc < 0) {
		return rc;
	}
	if (request->limit > 0 && all.count > request->limit) {
		all.count = request->limit;
	}
	*out = all;
	return 0;
}

static int label_names(struct source *source, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	(void)notes;
	return list(source, NULL, request, arena, out, err);
}

static int label_values(struct source *source, struct str name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	(void)notes;
	return list(source, &name, request, arena, out, err);
}

static int document(struct source *source, struct str path, struct str args, struct buf *out,
	struct arena *arena, struct annotations *notes, struct err *err) {
	struct local_source *local = local_of(source);

	(void)arena;
	(void)notes;
	if (!local->document) {
		return err_set(
			err, ERR_ABSENT, "there is no document \"%.*s\" here", STR_ARG(path));
	}
	return local->document(local->document_context, path, args, out, err);
}

void local_source_init(struct local_source *local, struct engine *engine, struct store *store,
	local_document_fn *document_fn, void *document_context) {
	static const struct source_ops ops = {
		.query = query,
		.series = series,
		.label_names = label_names,
		.label_values = label_values,
		.document = document,
	};

	*local = (struct local_source){
		.source = { .ops = &ops },
		.engine = engine,
		.store = store,
		.document = document_fn,
		.document_context = document_context,
	};
}
