/*
 * Tests only: a fleet of clusters in this process, each an engine over arrays behind Prometheus'
 * JSON, and one engine that holds all their series with the cluster label: the oracle.
 */
#ifndef HUB_FLEET_TEST_H
#define HUB_FLEET_TEST_H

#include "base/memory.h"
#include "base/rand.h"
#include "base/test.h"
#include "codec/json_writer.h"
#include "cxx/number.h"
#include "http/uri.h"
#include "hub/hub.h"
#include "matrix/matrix.h"
#include "promql/duration.h"
#include "promql/engine.h"
#include "promql/steps.h"
#include "store/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FLEET_MAX 8

struct fleet_series {
	struct labels labels;
	int64_t *times_ms;
	double *values;
	size_t count;
	size_t cluster;
};

/* A store over arrays. */
struct fleet_store {
	struct store store;
	struct arena arena;
	struct fleet_series *series;
	size_t count;
	size_t capacity;
	const bool *is_hidden; /* By cluster: as if their series were not there. May be NULL. */
};

struct fleet_set {
	struct series_set set;
	const struct fleet_store *store;
	struct select_request request;
	size_t next;
};

struct fleet {
	struct hub_transport transport;
	struct clock clock;
	struct engine *engine;
	struct metric_registry *metrics;
	struct hub *hub;
	const char *label;
	struct fleet_store all;
	struct fleet_store clusters[FLEET_MAX];
	const char *names[FLEET_MAX];
	const char *down[FLEET_MAX]; /* Why a cluster cannot be asked; NULL when it can. */
	bool is_broken[FLEET_MAX];   /* Answers what is no answer. */
	bool is_hidden[FLEET_MAX];   /* Not seen by the oracle. */
	struct rand *failures;       /* Decides which requests fail; NULL: none. */
	size_t count;
	size_t requests;  /* Since last reset. */
	struct buf trace; /* What was asked, one request a line. */
};

static int fleet_set_next(struct series_set *set, struct err *err) {
	struct fleet_set *self = (struct fleet_set *)set;
	(void)err;
	while (self->next < self->store->count) {
		const struct fleet_series *series = &self->store->series[self->next++];
		bool has_samples = false;
		if (self->store->is_hidden && self->store->is_hidden[series->cluster]) {
			continue;
		}
		for (size_t i = 0; i < series->count; i++) {
			has_samples |= series->times_ms[i] >= self->request.min_ms &&
				       series->times_ms[i] <= self->request.max_ms;
		}
		if (has_samples && matchers_match(self->request.matchers,
					   self->request.matcher_count, &series->labels)) {
			set->labels = series->labels;
			return 1;
		}
	}
	return 0;
}

static int fleet_set_read(struct series_set *set, struct sample_column *column, struct err *err) {
	struct fleet_set *self = (struct fleet_set *)set;
	const struct fleet_series *series = &self->store->series[self->next - 1];
	int rc;
	column->count = 0;
	rc = sample_column_reserve(column, series->count, err);
	for (size_t i = 0; i < series->count && rc == 0; i++) {
		if (series->times_ms[i] >= self->request.min_ms &&
			series->times_ms[i] <= self->request.max_ms) {
			sample_column_add(column, series->times_ms[i], series->values[i]);
		}
	}
	return rc;
}

static void fleet_set_close(struct series_set *set) {
	free(set);
}

static int fleet_select(struct store *store, const struct select_request *request,
	struct arena *arena, struct series_set **out, struct err *err) {
	static const struct series_set_ops ops = { fleet_set_next, fleet_set_read,
		fleet_set_close };
	struct fleet_set *set = MEMORY_NEW(struct fleet_set, 1);
	(void)arena;
	(void)err;
	set->set.ops = &ops;
	set->store = (struct fleet_store *)store;
	set->request = *request;
	*out = &set->set;
	return 0;
}

static int fleet_compare_series(const void *a, const void *b) {
	return labels_cmp(&((const struct fleet_series *)a)->labels,
		&((const struct fleet_series *)b)->labels);
}

static void fleet_store_init(struct fleet_store *store) {
	static const struct store_ops ops = { .select = fleet_select };
	*store = (struct fleet_store){ .store = { &ops } };
}

static void fleet_store_deinit(struct fleet_store *store) {
	free(store->series);
	arena_deinit(&store->arena);
}

/* Adds a series without samples. */
static struct fleet_series *fleet_store_add(struct fleet_store *store, const struct label *pairs,
	size_t pair_count, size_t samples_max) {
	struct err err = { 0 };
	if (store->count == store->capacity) {
		store->capacity = store->capacity * 2 + 16;
		store->series =
			memory_resize(store->series, store->capacity, sizeof(store->series[0]));
	}
	struct fleet_series *series = &store->series[store->count++];
	*series = (struct fleet_series){ 0 };
	assert_ok(labels_build(&store->arena, pairs, pair_count, &series->labels, &err), err);
	series->times_ms = ARENA_NEW(&store->arena, int64_t, samples_max + 1);
	series->values = ARENA_NEW(&store->arena, double, samples_max + 1);
	return series;
}

/*
 * Adds a series to a cluster, and with the cluster's label to the union. 'metric' is
 * name{a="b",...} as a selector writes it.
 */
static void fleet_add(struct fleet *fleet, size_t cluster, const char *metric,
	const int64_t *times_ms, const double *values, size_t count) {
	struct expr_tree tree = { 0 };
	struct selector *selector = NULL;
	struct err err = { 0 };
	struct label pairs[16];
	assert_ok(promql_parse_selector(str_of(metric), &tree, &selector, &err), err);
	size_t pair_count = selector->matcher_count;
	for (size_t i = 0; i < pair_count; i++) {
		pairs[i] =
			(struct label){ selector->matchers[i].name, selector->matchers[i].value };
	}
	struct fleet_series *own =
		fleet_store_add(&fleet->clusters[cluster], pairs, pair_count, count);
	/* Over one that is stored. */
	size_t own_at = 0;
	while (own_at < pair_count && !str_equal(pairs[own_at].name, str_of(fleet->label))) {
		own_at++;
	}
	pairs[own_at] = (struct label){ str_of(fleet->label), str_of(fleet->names[cluster]) };
	pair_count += own_at == pair_count;
	struct fleet_series *shared = fleet_store_add(&fleet->all, pairs, pair_count, count);
	memcpy(own->times_ms, times_ms, count * sizeof(times_ms[0]));
	memcpy(own->values, values, count * sizeof(values[0]));
	memcpy(shared->times_ms, times_ms, count * sizeof(times_ms[0]));
	memcpy(shared->values, values, count * sizeof(values[0]));
	own->count = shared->count = count;
	own->cluster = shared->cluster = cluster;
	expr_tree_deinit(&tree);
}

/* Brings the series into the order in which a store gives them. Once, after the last was added. */
static void fleet_sort(struct fleet *fleet) {
	for (size_t i = 0; i < fleet->count; i++) {
		if (fleet->clusters[i].count > 0) {
			qsort(fleet->clusters[i].series, fleet->clusters[i].count,
				sizeof(struct fleet_series), fleet_compare_series);
		}
	}
	if (fleet->all.count > 0) {
		qsort(fleet->all.series, fleet->all.count, sizeof(struct fleet_series),
			fleet_compare_series);
	}
}

static void fleet_clusters(struct hub_transport *transport, struct arena *arena,
	struct hub_cluster **out, size_t *count) {
	struct fleet *fleet = (struct fleet *)transport;
	*out = ARENA_NEW(arena, struct hub_cluster, fleet->count + 1);
	*count = fleet->count;
	for (size_t i = 0; i < fleet->count; i++) {
		(*out)[i] = (struct hub_cluster){ .name = str_of(fleet->names[i]),
			.export_name = STR("prometheus"),
			.down = fleet->down[i] ? str_of(fleet->down[i]) : STR_EMPTY };
	}
}

/* A request on its way. */
struct fleet_call {
	size_t cluster;
	char *path;
	char *form;
};

static struct hub_call *fleet_start(
	struct hub_transport *transport, const struct hub_request *request) {
	struct fleet *fleet = (struct fleet *)transport;
	struct fleet_call *call = MEMORY_NEW(struct fleet_call, 1);
	while (!str_equal(str_of(fleet->names[call->cluster]), request->cluster)) {
		call->cluster++;
		assert_true(call->cluster < fleet->count);
	}
	call->path = strndup(request->path.ptr, request->path.len);
	call->form = strndup(request->form.ptr, request->form.len);
	fleet->requests++;
	return (struct hub_call *)call;
}

static int64_t fleet_time(const struct uri_params *params, const char *name) {
	struct str text = uri_params_get(params, str_of(name), NULL);
	double seconds = 0;
	assert_true(number_parse(text, &seconds, NULL));
	return llround(seconds * 1000);
}

static int64_t fleet_duration(const struct uri_params *params, const char *name) {
	struct err err = { 0 };
	int64_t ms = 0;
	assert_ok(duration_parse(uri_params_get(params, str_of(name), NULL), &ms, &err), err);
	return ms;
}

static void fleet_write_point(struct json_writer *json, int64_t time_ms, double value) {
	char text[NUMBER_TEXT_MAX];
	char time[40];
	json_begin_array(json);
	(void)snprintf(
		time, sizeof(time), "%" PRId64 ".%03" PRId64, time_ms / 1000, time_ms % 1000);
	json_put_raw(json, str_of(time));
	json_put_str(json, (struct str){ text, number_format_json(value, text) });
	json_end_array(json);
}

static void fleet_write_labels(struct json_writer *json, const struct labels *labels) {
	json_key(json, STR("metric"));
	json_begin_object(json);
	for (size_t i = 0; i < labels->count; i++) {
		json_key(json, labels->pairs[i].name);
		json_put_str(json, labels->pairs[i].value);
	}
	json_end_object(json);
}

static void fleet_write_column(struct json_writer *json, const struct step_column *column,
	const struct grid *grid, bool is_range) {
	bool is_open = false;
	json_begin_object(json);
	fleet_write_labels(json, &column->labels);
	for (size_t i = 0; i < grid->count; i++) {
		if (!step_present(column, i)) {
			continue;
		}
		if (!is_open) {
			json_key(json, is_range ? STR("values") : STR("value"));
		}
		if (!is_open && is_range) {
			json_begin_array(json);
		}
		is_open = true;
		fleet_write_point(json, grid_time(grid, i), column->values[i]);
	}
	if (is_open && is_range) {
		json_end_array(json);
	}
	json_end_object(json);
}

static void fleet_write_raw(struct json_writer *json, const struct query_result *result) {
	for (size_t i = 0; i < result->raw_count; i++) {
		const struct raw_series *raw = &result->raw[i];
		json_begin_object(json);
		fleet_write_labels(json, &raw->labels);
		json_key(json, STR("values"));
		json_begin_array(json);
		for (size_t j = 0; j < raw->count; j++) {
			fleet_write_point(json, raw->times_ms[j], raw->values[j]);
		}
		json_end_array(json);
		json_end_object(json);
	}
}

static void fleet_write_result(const struct query_result *result, bool is_range, struct buf *body) {
	struct json_writer json;
	bool is_scalar = result->type == VALUE_SCALAR && !is_range;
	json_writer_init(&json, body);
	json_begin_object(&json);
	json_key(&json, STR("status"));
	json_put_str(&json, STR("success"));
	json_key(&json, STR("data"));
	json_begin_object(&json);
	json_key(&json, STR("resultType"));
	json_put_str(&json, is_scalar                                  ? STR("scalar")
			    : is_range || result->type == VALUE_MATRIX ? STR("matrix")
								       : STR("vector"));
	json_key(&json, STR("result"));
	if (is_scalar) {
		fleet_write_point(
			&json, result->steps.grid.start_ms, result->steps.columns[0].values[0]);
	} else {
		json_begin_array(&json);
		fleet_write_raw(&json, result);
		for (size_t i = 0; i < result->steps.count; i++) {
			if (!step_column_is_empty(
				    &result->steps.columns[i], result->steps.grid.count)) {
				fleet_write_column(&json, &result->steps.columns[i],
					&result->steps.grid, is_range);
			}
		}
		json_end_array(&json);
	}
	json_end_object(&json);
	json_end_object(&json);
}

static void fleet_write_error(const struct err *err, int code, struct buf *body) {
	struct json_writer json;
	json_writer_init(&json, body);
	json_begin_object(&json);
	json_key(&json, STR("status"));
	json_put_str(&json, STR("error"));
	json_key(&json, STR("errorType"));
	json_put_str(&json, code == ERR_INVAL ? STR("bad_data") : STR("execution"));
	json_key(&json, STR("error"));
	json_put_str(&json, str_of(err->text));
	json_end_object(&json);
}

/* Evaluates a query over a store as one Prometheus would. */
static int fleet_eval(struct fleet *fleet, struct fleet_store *store, struct str query,
	const struct query_params *params, struct arena *arena, struct query_result *result,
	struct err *err) {
	struct expr_tree tree = { 0 };
	int rc = promql_parse(query, &engine_options_get(fleet->engine)->parse, &tree, err);
	if (rc == 0) {
		rc = engine_eval(fleet->engine, &store->store, &tree, params, arena, result, err);
	}
	expr_tree_deinit(&tree);
	return rc;
}

/* Answers a request as a cluster's Prometheus. Returns the HTTP status. */
static int fleet_answer(
	struct fleet *fleet, const struct fleet_call *call, struct arena *arena, struct buf *body) {
	struct uri_params params = { 0 };
	struct query_params wanted = { 0 };
	struct query_result result = { 0 };
	struct err err = { 0 };
	assert_ok(uri_params_parse(arena, str_of(call->form), &params, &err), err);
	struct str query = uri_params_get(&params, STR("query"), NULL);
	wanted.is_range = strcmp(call->path, "/api/v1/query_range") == 0;
	wanted.lookback_ms = fleet_duration(&params, "lookback_delta");
	if (wanted.is_range) {
		wanted.grid.start_ms = fleet_time(&params, "start");
		wanted.grid.step_ms = fleet_duration(&params, "step");
		wanted.end_ms = fleet_time(&params, "end");
		wanted.grid.count =
			(size_t)((wanted.end_ms - wanted.grid.start_ms) / wanted.grid.step_ms) + 1;
	} else {
		wanted.grid = (struct grid){ fleet_time(&params, "time"), 0, 1 };
	}
	buf_printf(&fleet->trace, "%s %.*s\n", fleet->names[call->cluster], STR_ARG(query));
	int rc = fleet_eval(
		fleet, &fleet->clusters[call->cluster], query, &wanted, arena, &result, &err);
	if (rc < 0) {
		fleet_write_error(&err, rc, body);
		return rc == ERR_INVAL ? 400 : 422;
	}
	/* Every other cluster is one of ours. */
	if (call->cluster % 2 == 0) {
		matrix_encode(&result, body);
	} else {
		fleet_write_result(&result, wanted.is_range, body);
	}
	return 200;
}

static int fleet_wait(struct hub_transport *transport, struct hub_call *waited, struct arena *arena,
	struct hub_response *response, struct err *err) {
	struct fleet *fleet = (struct fleet *)transport;
	struct fleet_call *call = (struct fleet_call *)waited;
	struct buf body = { 0 };
	if (fleet->failures && rand_below(fleet->failures, 4) == 0) {
		free(call->path);
		free(call->form);
		free(call);
		return err_set(err, ERR_TIMEOUT, "no answer in time");
	}
	response->status = fleet_answer(fleet, call, arena, &body);
	if (fleet->is_broken[call->cluster]) {
		body.len /= 2;
	}
	response->body = arena_copy(arena, buf_str(&body));
	response->received_bytes = body.len;
	response->duration_ns = 1000;
	buf_deinit(&body);
	free(call->path);
	free(call->form);
	free(call);
	return 0;
}

/* A fleet of 'count' named clusters without series. */
static void fleet_init(
	struct fleet *fleet, const char *label, const char *const *names, size_t count) {
	static const struct hub_transport_ops ops = {
		.clusters = fleet_clusters, .start = fleet_start, .wait = fleet_wait
	};
	const struct engine_options options = {
		.lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 50000000,
		.query_bytes_max = UINT64_C(1) << 30,
		.process_bytes_max = UINT64_C(1) << 31,
		.parse = { true, true, true },
	};
	*fleet = (struct fleet){ .transport = { &ops }, .label = label, .count = count };
	clock_init_manual(&fleet->clock, 1700000000000);
	fleet->engine = engine_new(&options, &fleet->clock);
	fleet->metrics = metric_registry_new();
	fleet_store_init(&fleet->all);
	fleet->all.is_hidden = fleet->is_hidden;
	for (size_t i = 0; i < count; i++) {
		fleet->names[i] = names[i];
		fleet_store_init(&fleet->clusters[i]);
	}
	const struct hub_options hub_options = {
		.transport = &fleet->transport,
		.engine = fleet->engine,
		.clock = &fleet->clock,
		.metrics = fleet->metrics,
		.cluster_label = label,
		.cluster_timeout_ms = 10000,
		.answer_bytes_max = 1 << 28,
		.fragments_max = 10000,
	};
	fleet->hub = hub_new(&hub_options);
}

static void fleet_deinit(struct fleet *fleet) {
	hub_free(fleet->hub);
	engine_free(fleet->engine);
	metric_registry_free(fleet->metrics);
	fleet_store_deinit(&fleet->all);
	for (size_t i = 0; i < fleet->count; i++) {
		fleet_store_deinit(&fleet->clusters[i]);
	}
	buf_deinit(&fleet->trace);
}

/* Asks the hub. */
static int fleet_query(struct fleet *fleet, struct str query, const struct query_params *params,
	bool abort_on_partial, struct arena *arena, struct source_answer *answer, struct err *err) {
	const struct query_request request = { .query = query,
		.grid = params->grid,
		.end_ms = params->end_ms,
		.is_range = params->is_range,
		.lookback_ms = params->lookback_ms,
		.abort_on_partial = abort_on_partial };
	struct source *source = hub_source(fleet->hub);
	fleet->requests = 0;
	buf_reset(&fleet->trace);
	return source->ops->query(source, &request, arena, answer, err);
}

#endif
