/*
 * What is asked of the source: queries, and the series, names and documents that help to write
 * them.
 */
#include "api/job.h"
#include "api/params.h"
#include "api/render.h"
#include "api/tree.h"
#include "base/memory.h"
#include "base/quote.h"
#include "http/uri.h"
#include "matrix/matrix.h"
#include "promql/print.h"

#include <stdlib.h>

/*
 * One more than the client wants tells whether the limit left something out: sources may stop
 * there.
 */
static size_t limit_to_ask(size_t limit) {
	return limit > 0 && limit < SIZE_MAX ? limit + 1 : limit;
}

/* The text before it is packed and after are each no larger than the result. */
static void encode_matrix(struct job *job, const struct query_result *result) {
	struct err err = { 0 };

	if (arena_charge(&job->arena, 2 * job->arena.bytes, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	matrix_encode(result, &job->body);
	job->is_matrix = true;
	arena_release(&job->arena, 2 * job->arena.bytes);
}

static struct stats_wish read_stats(const struct job *job) {
	struct str text = uri_params_get(&job->params, STR("stats"), NULL);
	bool is_all = str_equal(text, STR("all"));

	return (struct stats_wish){
		.is_wanted = text.len > 0,
		.is_known = is_all || str_equal(text, STR("true")),
		.has_steps = is_all && job->api->options.per_step_stats,
		.waited_ns = job->waited_ns,
	};
}

/* Any value used to be taken for true. */
static void warn_of_stats(struct job *job, struct annotations *notes) {
	AUTO(buf_deinit) struct buf quoted = { 0 };

	quote_append(uri_params_get(&job->params, STR("stats"), NULL), &quoted);
	annotations_add(notes, &job->arena, false,
		arena_printf(&job->arena,
			"value %s for parameter \"stats\" is deprecated and will be "
			"rejected in the next major release, use \"true\" or \"all\"",
			buf_text(&quoted)));
}

static void evaluate(struct job *job, struct query_request *request, int64_t timeout_ms) {
	struct source *source = job->api->options.source;
	struct source_answer answer = { 0 };
	size_t limit = request->limit;
	struct stats_wish stats = read_stats(job);
	struct json_writer json;
	struct err err = { 0 };

	request->counts_steps = stats.is_wanted;
	job_set_deadline(job, timeout_ms);
	if (job->began_ns + job->waited_ns >= job->control.deadline_ns) {
		(void)err_set(&err, ERR_TIMEOUT, "query timed out in query queue");
		job_fail(job, &err);
		return;
	}
	request->control = &job->control;
	request->limit = limit_to_ask(limit);
	int rc = source->ops->query(source, request, &job->arena, &answer, &err);
	if (rc < 0) {
		if (rc == ERR_INVAL) {
			(void)param_invalid("query", rc, &err);
		}
		job_fail(job, &err);
		return;
	}
	request->limit = limit;
	/* What a limit cuts, shares of clusters, stats, plans, histograms: only JSON has these. */
	if (job->takes_matrix && limit == 0 && answer.share_count == 0 && !stats.is_wanted &&
		!request->explains && !query_result_has_histograms(&answer.result)) {
		encode_matrix(job, &answer.result);
		return;
	}
	if (stats.is_wanted && !stats.is_known) {
		warn_of_stats(job, &answer.result.notes);
	}
	job_open_json(job, &json, &err);
	render_begin(&json);
	bool truncated = render_result(&json, &answer, request, stats.is_wanted ? &stats : NULL);
	render_end(&json, &answer.result.notes, truncated);
	job_close_json(job, &json, &err);
}

static void run_query(struct job *job) {
	int64_t timeout_ms = job->api->options.query_timeout_ms;
	int64_t now_ms = clock_now_ms(job->api->options.clock);
	struct query_request request = { 0 };
	struct err err = { 0 };

	if (params_instant(&job->params, now_ms, &request, &timeout_ms, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	evaluate(job, &request, timeout_ms);
}

static void run_query_range(struct job *job) {
	int64_t timeout_ms = job->api->options.query_timeout_ms;
	struct query_request request = { 0 };
	struct err err = { 0 };

	if (params_range(&job->params, &request, &timeout_ms, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	evaluate(job, &request, timeout_ms);
}

/* A question about series and names, and what came back. */
struct meta {
	struct job *job;
	struct meta_request request;
	struct json_writer json;
	size_t limit; /* As the client gave it. */
	struct annotations notes;
	bool truncated;
};

/* Asks the source and writes the data. Returns 0 or the source's error. */
typedef int meta_fn(struct meta *meta, struct err *err);

/* Reads match[], start, end and limit, asks, and writes the answer. */
static int ask(struct job *job, struct expr_tree *trees, meta_fn *question, bool *bad_match,
	struct err *err) {
	struct meta meta = { .job = job, .request.control = &job->control };
	int rc = params_meta(&job->params, trees, &job->arena, &meta.request, bad_match, err);

	if (rc < 0) {
		return rc;
	}
	meta.limit = meta.request.limit;
	meta.request.limit = limit_to_ask(meta.limit);
	job_set_deadline(job, job->api->options.query_timeout_ms);
	job_open_json(job, &meta.json, err);
	render_begin(&meta.json);
	rc = question(&meta, err);
	if (rc < 0) {
		return rc;
	}
	render_end(&meta.json, &meta.notes, meta.truncated);
	job_close_json(job, &meta.json, err);
	return 0;
}

static void run_meta(struct job *job, meta_fn *question, bool names_match) {
	size_t count = params_count(&job->params, STR("match[]"));
	struct expr_tree *trees = MEMORY_NEW(struct expr_tree, count + 1);
	struct err err = { 0 };
	bool bad_match = false;

	if (ask(job, trees, question, &bad_match, &err) < 0) {
		if (bad_match && names_match) {
			(void)param_invalid("match[]", err.code, &err);
		}
		job_fail(job, &err);
	}
	for (size_t i = 0; i < count; i++) {
		expr_tree_deinit(&trees[i]);
	}
	free(trees);
}

static int ask_series(struct meta *meta, struct err *err) {
	struct source *source = meta->job->api->options.source;
	struct labels_list list = { 0 };
	int rc = source->ops->series(
		source, &meta->request, &meta->job->arena, &list, &meta->notes, err);

	if (rc == 0) {
		meta->truncated =
			render_series(&meta->json, &list, meta->limit, &meta->job->control);
	}
	return rc;
}

static int ask_labels(struct meta *meta, struct err *err) {
	struct source *source = meta->job->api->options.source;
	struct str_list list = { 0 };
	int rc = source->ops->label_names(
		source, &meta->request, &meta->job->arena, &list, &meta->notes, err);

	if (rc == 0) {
		meta->truncated =
			render_strings(&meta->json, &list, meta->limit, &meta->job->control);
	}
	return rc;
}

static int ask_values(struct meta *meta, struct err *err) {
	struct source *source = meta->job->api->options.source;
	struct str name = param_unescape_name(&meta->job->arena, meta->job->param);
	struct str_list list = { 0 };
	int rc = source->ops->label_values(
		source, name, &meta->request, &meta->job->arena, &list, &meta->notes, err);

	if (rc == 0) {
		meta->truncated =
			render_strings(&meta->json, &list, meta->limit, &meta->job->control);
	}
	return rc;
}

static void run_series(struct job *job) {
	struct err err = { 0 };

	if (params_count(&job->params, STR("match[]")) == 0) {
		(void)err_set(&err, ERR_INVAL, "no match[] parameter provided");
		job_fail(job, &err);
		return;
	}
	run_meta(job, ask_series, true);
}

static void run_labels(struct job *job) {
	run_meta(job, ask_labels, false);
}

static void run_values(struct job *job) {
	struct str name = param_unescape_name(&job->arena, job->param);
	struct err err = { 0 };

	if (name.len == 0 || !str_is_utf8(name)) {
		(void)err_set(&err, ERR_INVAL, "invalid label name: \"%.*s\"", STR_ARG(name));
		job_fail(job, &err);
		return;
	}
	run_meta(job, ask_values, false);
}

static void run_document(struct job *job) {
	struct source *source = job->api->options.source;
	AUTO(buf_deinit) struct buf data = { 0 };
	struct annotations notes = { 0 };
	struct json_writer json;
	struct err err = { 0 };

	job_set_deadline(job, job->api->options.query_timeout_ms);
	if (source->ops->document(
		    source, job->param, job->query, &data, &job->arena, &notes, &err) < 0) {
		job_fail(job, &err);
		return;
	}
	job_open_json(job, &json, &err);
	render_begin(&json);
	json_put_raw(&json, buf_str(&data));
	render_end(&json, &notes, false);
	job_close_json(job, &json, &err);
}

/* Writes something about the tree of a query as the data. Returns 0 or ERR_LIMIT. */
typedef int tree_fn(struct expr *root, struct json_writer *json, struct err *err);

static void answer_tree(struct job *job, tree_fn *put) {
	const struct annotations none = { 0 };
	struct str query = uri_params_get(&job->params, STR("query"), NULL);
	struct expr_tree tree = { 0 };
	struct json_writer json;
	struct err err = { 0 };
	int rc = promql_parse(query, &job->api->options.parse, &tree, &err);

	if (rc == 0) {
		job_open_json(job, &json, &err);
		render_begin(&json);
		rc = put(tree.root, &json, &err);
	}
	if (rc < 0) {
		(void)param_invalid("query", rc, &err);
		job_fail(job, &err);
	} else {
		render_end(&json, &none, false);
		job_close_json(job, &json, &err);
	}
	expr_tree_deinit(&tree);
}

static int put_formatted(struct expr *root, struct json_writer *json, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = expr_format(root, &text, err);

	json_put_str(json, buf_str(&text));
	return rc;
}

static int put_tree(struct expr *root, struct json_writer *json, struct err *err) {
	return tree_render(json, root, err);
}

static void run_format(struct job *job) {
	answer_tree(job, put_formatted);
}

static void run_parse(struct job *job) {
	answer_tree(job, put_tree);
}

/* Writes an answer without notes whose data is this JSON. */
static void put_data(struct job *job, struct str data) {
	const struct annotations none = { 0 };
	struct json_writer json;

	json_writer_init(&json, &job->body);
	render_begin(&json);
	json_put_raw(&json, data);
	render_end(&json, &none, false);
}

/* No rules are evaluated here, so there are truly none; the parameter is checked all the same. */
static void run_rules(struct job *job) {
	struct str type = uri_params_get(&job->params, STR("type"), NULL);
	struct err err = { 0 };

	if (type.len > 0 && !str_equal(type, STR("alert")) && !str_equal(type, STR("record"))) {
		(void)err_set(&err, ERR_INVAL, "not supported value \"%.*s\"", STR_ARG(type));
		(void)param_invalid("type", ERR_INVAL, &err);
		job_fail(job, &err);
		return;
	}
	put_data(job, STR("{\"groups\":[]}"));
}

static void run_alerts(struct job *job) {
	put_data(job, STR("{\"alerts\":[]}"));
}

/* No exemplars are stored: none are found for any query that is one. */
static void run_exemplars(struct job *job) {
	const struct parse_options all = { true, true, true };
	struct expr_tree tree = { 0 };
	struct err err = { 0 };
	int64_t start_ms = 0;
	int64_t end_ms = 0;

	int rc = param_time(&job->params, "start", INT64_MIN, &start_ms, &err);
	if (rc == 0) {
		rc = param_time(&job->params, "end", INT64_MAX, &end_ms, &err);
	}
	if (rc == 0 && end_ms < start_ms) {
		rc = err_set(&err, ERR_INVAL, "end timestamp must not be before start timestamp");
	}
	if (rc == 0) {
		struct str query = uri_params_get(&job->params, STR("query"), NULL);
		rc = promql_parse(query, &all, &tree, &err);
		expr_tree_deinit(&tree);
	}
	if (rc < 0) {
		job_fail(job, &err);
		return;
	}
	put_data(job, STR("[]"));
}

/* "NAME" of "/api/v1/label/NAME/values", decoded into 'arena'. */
static bool find_label(struct str path, struct arena *arena, struct str *name) {
	static const struct str before = { "/api/v1/label/", 14 };
	static const struct str after = { "/values", 7 };
	if (!str_starts(path, before) || !str_ends(path, after) ||
		path.len <= before.len + after.len) {
		return false;
	}
	struct str inner = str_first(str_from(path, before.len), path.len - before.len - after.len);
	return uri_decode(arena, inner, false, name, NULL) == 0;
}

int api_call(struct api *api, struct str path, struct str form, struct buf *body) {
	static const struct {
		const char *path;
		job_fn *run;
	} rows[] = {
		{ "/api/v1/query", run_query },
		{ "/api/v1/query_range", run_query_range },
		{ "/api/v1/series", run_series },
		{ "/api/v1/labels", run_labels },
	};
	struct arena arena = { 0 };
	struct str name = STR_EMPTY;
	int status = 404;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (str_equal(path, str_of(rows[i].path))) {
			return job_call(api, STR_EMPTY, form, rows[i].run, body);
		}
	}
	if (find_label(path, &arena, &name)) {
		status = job_call(api, name, form, run_values, body);
	}
	arena_deinit(&arena);
	return status;
}

static void handle_query(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/query", param, run_query);
}

static void handle_query_range(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/query_range", param, run_query_range);
}

static void handle_exemplars(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/query_exemplars", param, run_exemplars);
}

static void handle_format(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/format_query", param, run_format);
}

static void handle_parse(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/parse_query", param, run_parse);
}

static void handle_series(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/series", param, run_series);
}

static void handle_labels(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/labels", param, run_labels);
}

static void handle_values(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/label/:name/values", param, run_values);
}

static void handle_metadata(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	job_start(context, exchange, "/api/v1/metadata", STR("metadata"), run_document);
}

static void handle_targets(void *context, struct exchange *exchange, struct str param) {
	(void)param;
	job_start(context, exchange, "/api/v1/targets", STR("targets"), run_document);
}

static void handle_rules(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/rules", param, run_rules);
}

static void handle_alerts(void *context, struct exchange *exchange, struct str param) {
	job_start(context, exchange, "/api/v1/alerts", param, run_alerts);
}

static void handle_unknown(void *context, struct exchange *exchange, struct str param) {
	(void)context;
	(void)param;
	exchange_respond_text(exchange, 404, "404 page not found\n");
}

void api_register_queries(struct api *api, struct router *router) {
	api_add_route(api, router, "GET,POST", "/api/v1/query", handle_query);
	api_add_route(api, router, "GET,POST", "/api/v1/query_range", handle_query_range);
	api_add_route(api, router, "GET,POST", "/api/v1/query_exemplars", handle_exemplars);
	api_add_route(api, router, "GET,POST", "/api/v1/format_query", handle_format);
	api_add_route(api, router, "GET,POST", "/api/v1/parse_query", handle_parse);
	api_add_route(api, router, "GET,POST", "/api/v1/series", handle_series);
	api_add_route(api, router, "GET,POST", "/api/v1/labels", handle_labels);
	api_add_route(api, router, "GET", "/api/v1/label/*/values", handle_values);
	api_add_route(api, router, "GET", "/api/v1/metadata", handle_metadata);
	api_add_route(api, router, "GET", "/api/v1/targets", handle_targets);
	api_add_route(api, router, "GET", "/api/v1/rules", handle_rules);
	api_add_route(api, router, "GET", "/api/v1/alerts", handle_alerts);
	/* Not the page's catch-all: a client must see that an endpoint is not there. */
	api_add_route(api, router, "GET,POST,PUT,DELETE", "/api/*", handle_unknown);
}
