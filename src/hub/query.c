/*
 * Queries over all clusters: plan, ask, put the answers side by side, evaluate the rest.
 */
#include "hub/state.h"

#include "http/uri.h"
#include "hub/decode.h"
#include "hub/plan.h"
#include "promql/duration.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One query on its way. */
struct run {
	struct hub *hub;
	const struct query_request *request;
	struct arena *arena; /* Of the answer. */
	struct query_params params;
	struct hub_cluster *clusters;
	size_t cluster_count;
	struct plan plan;
	struct hub_fetch *fetches;
	struct plan_fragment **owners; /* Whose fetch it is, in step with 'fetches'. */
	size_t *places;                /* Which cluster's. */
	struct query_result *answers;  /* Decoded, in step. */
	size_t fetch_count;
	bool *is_missing; /* One for each cluster: nothing of it is in the answer. */
	struct annotations notes;
	struct cluster_share *shares; /* One for each cluster; those with fragments are given. */
};

static void add_param(struct buf *form, const char *name, struct str value) {
	buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
	uri_encode(value, form);
}

/* Milliseconds as exact decimal seconds: what is asked must be what is answered, to the ms. */
static void add_seconds(struct buf *form, const char *name, int64_t ms) {
	char text[40];
	uint64_t positive = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	(void)snprintf(text, sizeof(text), "%s%" PRIu64 ".%03" PRIu64, ms < 0 ? "-" : "",
		positive / 1000, positive % 1000);
	add_param(form, name, str_of(text));
}

/*
 * A duration in words: of "1.001" seconds Prometheus makes 1000 ms, as it multiplies in floating
 * point and cuts off; "1s1ms" it reads exactly.
 */
static void add_duration(struct buf *form, const char *name, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };
	duration_format(ms, &text);
	add_param(form, name, buf_str(&text));
}

static struct str build_form(struct run *run, const struct plan_fragment *fragment) {
	AUTO(buf_deinit) struct buf form = { 0 };
	const struct engine_options *options = engine_options_get(run->hub->options.engine);
	const struct grid *grid = &fragment->grid;
	add_param(&form, "query", fragment->query);
	if (fragment->is_range) {
		add_seconds(&form, "start", grid->start_ms);
		add_seconds(&form, "end", grid_time(grid, grid->count - 1));
		/* A range of one step still needs a positive step. */
		add_duration(&form, "step", grid->step_ms > 0 ? grid->step_ms : 1000);
	} else {
		add_seconds(&form, "time", grid->start_ms);
	}
	add_duration(&form, "lookback_delta",
		run->request->lookback_ms > 0 ? run->request->lookback_ms : options->lookback_ms);
	add_duration(&form, "timeout", hub_time_left_ms(run->hub, run->request->control));
	return arena_copy(run->arena, buf_str(&form));
}

static int plan_query(
	struct run *run, struct expr_tree *tree, bool sums_from_values, struct err *err) {
	struct hub *hub = run->hub;
	const struct engine_options *engine = engine_options_get(hub->options.engine);
	struct str *names = ARENA_NEW(run->arena, struct str, run->cluster_count + 1);
	for (size_t i = 0; i < run->cluster_count; i++) {
		names[i] = run->clusters[i].name;
	}
	const struct plan_options options = { .clusters = names,
		.cluster_count = run->cluster_count,
		.cluster_label = hub->label,
		.sums_from_values = sums_from_values };
	int rc = promql_parse(run->request->query, &engine->parse, tree, err);
	if (rc < 0) {
		return rc;
	}
	rc = engine_prepare(hub->options.engine, tree, &run->params, err);
	return rc < 0 ? rc : plan_build(tree, &run->params, &options, &run->plan, err);
}

static int build_fetches(struct run *run, struct err *err) {
	size_t most = run->plan.fragment_count * run->cluster_count;
	run->fetches = ARENA_NEW(run->arena, struct hub_fetch, most + 1);
	run->owners = ARENA_NEW(run->arena, struct plan_fragment *, most + 1);
	run->places = ARENA_NEW(run->arena, size_t, most + 1);
	run->answers = ARENA_NEW(run->arena, struct query_result, most + 1);
	run->fetch_count = 0;
	for (struct plan_fragment *fragment = run->plan.fragments; fragment;
		fragment = fragment->next) {
		struct str form = build_form(run, fragment);
		for (size_t i = 0; i < run->cluster_count; i++) {
			if (!fragment->clusters[i]) {
				continue;
			}
			size_t at = run->fetch_count++;
			run->owners[at] = fragment;
			run->places[at] = i;
			run->fetches[at] = (struct hub_fetch){ .cluster = run->clusters[i],
				.path = fragment->is_range ? STR("/api/v1/query_range")
							   : STR("/api/v1/query"),
				.form = form };
		}
	}
	if (run->fetch_count > run->hub->options.fragments_max) {
		return err_set(err, ERR_LIMIT,
			"the query needs %zu requests to clusters, limit is %zu; raise "
			"--hub.max-fragments or name fewer clusters",
			run->fetch_count, run->hub->options.fragments_max);
	}
	return 0;
}

static void decode_fetch(struct run *run, size_t at) {
	struct hub_fetch *fetch = &run->fetches[at];
	bool has_stored = false;
	const struct decode_options options = { .grid = run->owners[at]->grid,
		.is_range = run->owners[at]->is_range,
		.cluster_label = run->hub->label,
		.cluster = fetch->cluster.name,
		.has_stored = &has_stored,
		.bytes_max = run->hub->options.answer_bytes_max };
	if (fetch->rc == 0) {
		fetch->rc = decode_query(fetch->response.body, fetch->response.status, &options,
			run->arena, &run->answers[at], &fetch->err);
	}
	if (has_stored) {
		annotations_add(&run->notes, run->arena, true,
			arena_printf(run->arena,
				"cluster \"%.*s\": series store a label \"%.*s\" of their own, "
				"which "
				"the hub replaces",
				STR_ARG(fetch->cluster.name), STR_ARG(run->hub->label)));
	}
	if (fetch->rc == 0 && run->answers[at].type == VALUE_MATRIX && !run->plan.is_raw) {
		fetch->rc = err_set(&fetch->err, ERR_CORRUPT,
			"answered raw samples where steps were asked for");
	}
}

/* What fails the query wherever it happens, rather than making a cluster missing. */
static bool is_fatal(int code) {
	return code == ERR_INVAL || code == ERR_EXEC || code == ERR_LIMIT || code == ERR_ABSENT ||
	       code == ERR_CANCELED;
}

static void share_fetch(struct run *run, size_t at) {
	const struct hub_fetch *fetch = &run->fetches[at];
	struct cluster_share *share = &run->shares[run->places[at]];
	share->cluster = fetch->cluster.name;
	share->fragments++;
	share->received_bytes += fetch->response.received_bytes;
	if (fetch->response.duration_ns > share->wait_ns) {
		share->wait_ns = fetch->response.duration_ns;
	}
	if (fetch->rc < 0 && share->error.len == 0) {
		share->error = arena_copy(run->arena, str_of(fetch->err.text));
	}
}

/* Sorts out one fetch. Returns 0 (it has an answer, or its cluster is missing) or the query's
 * error. */
static int take_fetch(struct run *run, size_t at, struct err *err) {
	struct hub_fetch *fetch = &run->fetches[at];
	decode_fetch(run, at);
	const struct query_result *answer = &run->answers[at];
	size_t series = answer->type == VALUE_MATRIX ? answer->raw_count : answer->steps.count;
	hub_note_answer(run->hub, fetch, (int64_t)series);
	share_fetch(run, at);
	if (fetch->rc == 0) {
		for (size_t i = 0; i < answer->notes.count; i++) {
			annotations_add(&run->notes, run->arena, answer->notes.items[i].is_info,
				answer->notes.items[i].text);
		}
		return 0;
	}
	if (is_fatal(fetch->rc) || run->request->abort_on_partial) {
		*err = fetch->err;
		int code = fetch->rc == ERR_INVAL ? ERR_EXEC : fetch->rc;
		err->code = code;
		return err_wrap(err, code, "cluster \"%.*s\"", STR_ARG(fetch->cluster.name));
	}
	if (!run->is_missing[run->places[at]]) {
		hub_warn_missing(fetch, run->arena, &run->notes);
	}
	run->is_missing[run->places[at]] = true;
	return 0;
}

/* Asks and reads. Bodies are gone as soon as they are read. */
static int ask_clusters(struct run *run, struct err *err) {
	struct arena bodies;
	int rc = build_fetches(run, err);
	if (rc < 0) {
		return rc;
	}
	arena_init(&bodies, run->arena->budget);
	hub_fetch_start(run->hub, run->fetches, run->fetch_count, run->request->control);
	for (size_t i = 0; i < run->fetch_count; i++) {
		hub_fetch_wait(run->hub, &run->fetches[i], &bodies);
		if (rc == 0) {
			rc = take_fetch(run, i, err);
		}
		run->fetches[i].response.body = STR_EMPTY;
		arena_reset(&bodies);
	}
	arena_deinit(&bodies);
	return rc;
}

/*
 * Whether a fetch counts. A cluster that failed to answer one part of a query is left out of all:
 * what is left is the answer over the others, not a mix of some parts with it and some without.
 */
static bool is_taken(const struct run *run, size_t at) {
	return run->fetches[at].rc == 0 && !run->is_missing[run->places[at]];
}

static int compare_columns(const void *a, const void *b) {
	return labels_cmp(
		&((const struct step_column *)a)->labels, &((const struct step_column *)b)->labels);
}

static int compare_raw(const void *a, const void *b) {
	return labels_cmp(
		&((const struct raw_series *)a)->labels, &((const struct raw_series *)b)->labels);
}

/*
 * Two series of one cluster that differ in nothing but a stored cluster label are the same here.
 * Where both have a value nobody can tell which is right.
 */
static int refuse_duplicate(const struct run *run, const struct labels *labels, struct err *err) {
	return err_set(err, ERR_EXEC,
		"cluster \"%.*s\" has series that differ only in a stored label \"%.*s\", which "
		"the "
		"hub replaces: drop that label there, or choose another with --hub.cluster-label",
		STR_ARG(labels_get(labels, run->hub->label)), STR_ARG(run->hub->label));
}

/* Moves the values of 'from' into 'into', which has the same labels. */
static int join_columns(const struct run *run, const struct grid *grid, struct step_column *into,
	const struct step_column *from, struct err *err) {
	for (size_t i = 0; i < grid->count; i++) {
		if (!step_present(from, i)) {
			continue;
		}
		if (step_present(into, i)) {
			return refuse_duplicate(run, &into->labels, err);
		}
		step_set(into, i, from->values[i]);
	}
	return 0;
}

/* Joins columns of the same labels, which stand beside each other. */
static int join_same(const struct run *run, struct steps *steps, struct err *err) {
	size_t kept = 0;
	for (size_t i = 0; i < steps->count; i++) {
		struct step_column *column = &steps->columns[i];
		if (kept == 0 ||
			!labels_equal(&column[0].labels, &steps->columns[kept - 1].labels)) {
			steps->columns[kept++] = *column;
			continue;
		}
		int rc = join_columns(run, &steps->grid, &steps->columns[kept - 1], column, err);
		if (rc < 0) {
			return rc;
		}
	}
	steps->count = kept;
	return 0;
}

/* Puts the columns of all clusters that belong to 'part' side by side, sorted by labels. */
static int fill_part(struct run *run, const struct plan_fragment *fragment,
	const struct plan_part *part, struct err *err) {
	static const struct str part_label = { PLAN_PART_LABEL, sizeof(PLAN_PART_LABEL) - 1 };
	size_t total = 0;
	for (size_t i = 0; i < run->fetch_count; i++) {
		total += run->owners[i] == fragment ? run->answers[i].steps.count : 0;
	}
	struct step_column *columns = ARENA_TRY_NEW(run->arena, struct step_column, total + 1, err);
	if (!columns) {
		return ERR_LIMIT;
	}
	size_t count = 0;
	for (size_t i = 0; i < run->fetch_count; i++) {
		const struct steps *steps = &run->answers[i].steps;
		if (run->owners[i] != fragment || !is_taken(run, i)) {
			continue;
		}
		for (size_t j = 0; j < steps->count; j++) {
			struct step_column column = steps->columns[j];
			if (!str_equal(labels_get(&column.labels, part_label), part->tag)) {
				continue;
			}
			if (part->tag.len > 0) {
				column.labels =
					labels_without(run->arena, &column.labels, &part_label, 1);
			}
			columns[count++] = column;
		}
	}
	qsort(columns, count, sizeof(columns[0]), compare_columns);
	*part->steps = (struct steps){ fragment->grid, columns, count };
	return join_same(run, part->steps, err);
}

/*
 * Whether it depends on the order of adding what comes out: clusters' sums that are too large to be
 * added, or infinite in both directions. Of an average an infinite sum is enough, as the average
 * itself need not be.
 */
static bool may_overflow(const struct run *run, const struct plan_part *part) {
	double most = DBL_MAX / (double)(run->cluster_count + 1);
	bool has_plus = false;
	bool has_minus = false;
	for (size_t i = 0; i < part->steps->count; i++) {
		const struct step_column *column = &part->steps->columns[i];
		for (size_t j = 0; j < part->steps->grid.count; j++) {
			if (!step_present(column, j) || !(fabs(column->values[j]) > most)) {
				continue;
			}
			if (part->is_of_average || !isinf(column->values[j])) {
				return true;
			}
			has_plus |= column->values[j] > 0;
			has_minus |= column->values[j] < 0;
		}
	}
	return has_plus && has_minus;
}

/* Fills in all parts. Returns 1 if sums have to be done from the values instead. */
static int fill_parts(struct run *run, struct err *err) {
	bool is_too_large = false;
	for (const struct plan_fragment *fragment = run->plan.fragments; fragment;
		fragment = fragment->next) {
		for (size_t i = 0; i < fragment->part_count; i++) {
			int rc = fill_part(run, fragment, &fragment->parts[i], err);
			if (rc < 0) {
				return rc;
			}
			is_too_large |=
				fragment->parts[i].is_sum && may_overflow(run, &fragment->parts[i]);
		}
	}
	return is_too_large;
}

/* The answer to x[5m] itself: the clusters' raw series side by side, sorted by labels. */
static int merge_raw(struct run *run, struct query_result *result, struct err *err) {
	size_t total = 0;
	for (size_t i = 0; i < run->fetch_count; i++) {
		total += run->answers[i].raw_count;
	}
	struct raw_series *raw = ARENA_TRY_NEW(run->arena, struct raw_series, total + 1, err);
	if (!raw) {
		return ERR_LIMIT;
	}
	size_t count = 0;
	for (size_t i = 0; i < run->fetch_count; i++) {
		for (size_t j = 0; is_taken(run, i) && j < run->answers[i].raw_count; j++) {
			raw[count++] = run->answers[i].raw[j];
		}
	}
	qsort(raw, count, sizeof(raw[0]), compare_raw);
	for (size_t i = 1; i < count; i++) {
		if (labels_equal(&raw[i - 1].labels, &raw[i].labels)) {
			return refuse_duplicate(run, &raw[i].labels, err);
		}
	}
	*result = (struct query_result){ .type = VALUE_MATRIX, .raw = raw, .raw_count = count };
	return 0;
}

/* Plans and asks. Returns 1 if it has to be done again with sums from values. */
static int run_once(
	struct run *run, struct expr_tree *tree, bool sums_from_values, struct err *err) {
	run->is_missing = ARENA_NEW(run->arena, bool, run->cluster_count + 1);
	int rc = plan_query(run, tree, sums_from_values, err);
	if (rc == 0) {
		rc = ask_clusters(run, err);
	}
	if (rc < 0 || run->plan.is_raw) {
		return rc;
	}
	return fill_parts(run, err);
}

static void give_shares(const struct run *run, struct source_answer *answer) {
	answer->shares = run->shares;
	answer->share_count = 0;
	for (size_t i = 0; i < run->cluster_count; i++) {
		if (run->shares[i].fragments > 0) {
			answer->shares[answer->share_count++] = run->shares[i];
		}
	}
}

static int finish(
	struct run *run, struct expr_tree *tree, struct source_answer *answer, struct err *err) {
	struct query_result result = { 0 };
	int rc = run->plan.is_raw ? merge_raw(run, &result, err)
				  : engine_eval(run->hub->options.engine, NULL, tree, &run->params,
					    run->arena, &result, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < run->notes.count; i++) {
		annotations_add(&result.notes, run->arena, run->notes.items[i].is_info,
			run->notes.items[i].text);
	}
	answer->result = result;
	give_shares(run, answer);
	return 0;
}

static int run_query(struct run *run, struct source_answer *answer, struct err *err) {
	struct expr_tree tree = { 0 };
	int rc = run_once(run, &tree, false, err);
	if (rc == 1) {
		expr_tree_deinit(&tree);
		tree = (struct expr_tree){ 0 };
		run->plan = (struct plan){ 0 };
		run->notes = (struct annotations){ 0 };
		for (size_t i = 0; i < run->cluster_count; i++) {
			run->shares[i].error = STR_EMPTY;
		}
		rc = run_once(run, &tree, true, err);
	}
	if (rc == 0) {
		rc = finish(run, &tree, answer, err);
	}
	expr_tree_deinit(&tree);
	return rc < 0 ? rc : 0;
}

int hub_query(struct source *source, const struct query_request *request, struct arena *arena,
	struct source_answer *answer, struct err *err) {
	struct hub *hub = CONTAINER_OF(source, struct hub, source);
	struct run run = { .hub = hub, .request = request, .arena = arena };
	struct hub_charge charge;
	run.params = (struct query_params){ .grid = request->grid,
		.end_ms = request->end_ms,
		.is_range = request->is_range,
		.lookback_ms = request->lookback_ms,
		.control = request->control,
		.explains = request->explains,
		.counts_steps = request->counts_steps };
	hub_charge_init(hub, arena, &charge);
	hub->options.transport->ops->clusters(
		hub->options.transport, arena, &run.clusters, &run.cluster_count);
	run.shares = ARENA_NEW(arena, struct cluster_share, run.cluster_count + 1);
	int rc = run_query(&run, answer, err);
	hub_charge_deinit(&charge);
	return rc;
}
