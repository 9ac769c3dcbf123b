/*
 * Where the answers of atoll query come from: a server, or our own engine over a directory.
 */
#include "api/api.h"
#include "base/log.h"
#include "cmd/query.h"
#include "io/fetch.h"
#include "io/system.h"
#include "source/local.h"
#include "tsdb/tsdb.h"

/* Largest answer that is read from a server. */
#define ANSWER_BYTES_MAX (UINT64_C(1) << 30)
/* An answer may come this much after the time-out that the server was given: its own sentence is
 * the better one. */
#define GRACE_MS 2000

/* A request on its way. */
struct asking {
	struct loop *loop;
	struct buf *body;
	struct err *err;
	int rc;
};

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct asking *asking = fetch_context(fetch);
	if (result->failure) {
		*asking->err = *result->failure;
		asking->rc = result->failure->code;
	} else {
		buf_add_str(asking->body, result->body);
		asking->rc = result->status;
	}
	loop_stop(asking->loop);
}

static int ask_server(const struct query_place *place, const char *path, struct str form,
	struct buf *body, struct err *err) {
	static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded",
		"Accept: application/json", NULL };
	AUTO(buf_deinit) struct buf url = { 0 };
	struct str base = str_of(place->where);
	while (str_ends(base, STR("/"))) {
		base.len--;
	}
	buf_printf(&url, "%.*s/api/v1%s", STR_ARG(base), path);
	bool is_get = str_starts(str_of(path), STR("/label/"));
	if (is_get) {
		buf_printf(&url, "?%.*s", STR_ARG(form));
	}
	struct asking asking = { .loop = loop_new(clock_system()), .body = body, .err = err };
	struct fetcher *fetcher = fetcher_new(asking.loop);
	(void)fetch_start(fetcher, &(struct fetch_request){
					   .url = buf_text(&url),
					   .method = is_get ? "GET" : "POST",
					   .headers = headers,
					   .body = is_get ? STR_EMPTY : form,
					   .timeout_ms = place->timeout_ms + GRACE_MS,
					   .body_bytes_max = ANSWER_BYTES_MAX,
					   .decode = true,
					   .context = &asking,
					   .on_done = on_done,
				   });
	loop_run(asking.loop);
	fetcher_free(fetcher);
	loop_free(asking.loop);
	return asking.rc < 0 ? err_wrap(err, asking.rc, "%s", buf_text(&url)) : asking.rc;
}

/* Our own API over the database, as a monitor has it. */
static int ask_database(struct tsdb *db, const struct query_place *place, const char *path,
	struct str form, struct buf *body, struct err *err) {
	const struct engine_options options = {
		.lookback_ms = 300000,
		.default_subquery_step_ms = 60000,
		.samples_max = 50000000,
		.query_bytes_max = UINT64_C(4) << 30,
		.process_bytes_max = UINT64_C(4) << 30,
		.threads = system_cpu_count(),
		.parse = { true, true, true },
	};
	struct engine *engine = engine_new(&options, clock_system());
	struct metric_registry *metrics = metric_registry_new();
	struct local_source source;
	struct api *api = NULL;
	AUTO(buf_deinit) struct buf whole = { 0 };
	local_source_init(&source, engine, tsdb_store(db), NULL, NULL);
	const struct api_options api_options = { .source = &source.source,
		.engine = engine,
		.clock = clock_system(),
		.metrics = metrics,
		.query_timeout_ms = place->timeout_ms,
		.parse = options.parse };
	buf_printf(&whole, "/api/v1%s", path);
	int rc = api_new(&api_options, &api, err);
	if (rc == 0) {
		rc = api_call(api, buf_str(&whole), form, body);
	}
	api_free(api);
	metric_registry_free(metrics);
	engine_free(engine);
	return rc;
}

static int ask_directory(const struct query_place *place, const char *path, struct str form,
	struct buf *body, struct err *err) {
	struct tsdb_options options;
	struct tsdb *db = NULL;
	tsdb_options_init(&options);
	options.path = place->where;
	options.read_only = true;
	options.no_lockfile = true;
	options.retention_ms = INT64_MAX / 4;
	log_set_level(LOG_WARN);
	int rc = tsdb_open(&options, &db, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", place->where);
	}
	rc = ask_database(db, place, path, form, body, err);
	struct err closing = { 0 };
	(void)tsdb_close(db, &closing);
	return rc;
}

int query_ask(const struct query_place *place, const char *path, struct str form, struct buf *body,
	struct err *err) {
	struct str where = str_of(place->where);
	if (str_starts(where, STR("http://")) || str_starts(where, STR("https://"))) {
		return ask_server(place, path, form, body, err);
	}
	return ask_directory(place, path, form, body, err);
}
