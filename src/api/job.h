/*
 * Requests as jobs: read on the loop, run on a query thread, answered on the loop again.
 *
 * A job owns an arena, its parameters and the answer's bytes. While it runs only the query thread
 * touches it, but for 'control', which the loop sets when the client goes away.
 */
#ifndef API_JOB_H
#define API_JOB_H

#include "api/api.h"
#include "base/arena.h"
#include "base/buf.h"
#include "codec/compress.h"
#include "http/uri.h"
#include "label/regex.h"

#include <stdatomic.h>

struct api {
	struct api_options options;
	struct regex *origin; /* NULL: no CORS. */
	_Atomic bool is_ready;
	_Atomic bool was_ready;
	struct metric_family *durations;
	struct metric *under_way;
};

struct job;
/* Runs on a query thread: appends the whole answer to job->body and sets job->status. */
typedef void job_fn(struct job *job);

struct job {
	struct api *api;
	struct exchange *exchange; /* Touched on the loop only. */
	struct loop *loop;
	job_fn *run;
	const char *handler; /* The route, for metrics. */
	struct uri_params params;
	struct str param;     /* From the path. */
	struct str query;     /* The URL's query string, for documents. */
	struct budget budget; /* The query's: its evaluation, the result, the answer's text. */
	struct arena arena;
	struct query_control control;
	int64_t began_ns;
	int64_t waited_ns; /* For a thread. */
	enum compression compression;
	bool takes_matrix; /* The client understands the compact matrix. */
	bool is_matrix;    /* That is what the body is, compressed already. */
	int status;
	struct buf body;
};

/* Answers, or hands the request to the pool. 'handler' is static. On the loop. */
void job_start(struct api *api, struct exchange *exchange, const char *handler, struct str param,
	job_fn *run);
/* Runs a job here and now; see api_call. Returns the HTTP status. */
int job_call(struct api *api, struct str param, struct str form, job_fn *run, struct buf *body);
/* Replaces what was written by the answer for an error. On the query thread. */
void job_fail(struct job *job, const struct err *err);
/* Has the budget pay for the job's arena, and for what 'json' writes to its body; what that fails
 * for is put into 'err'. */
void job_open_json(struct job *job, struct json_writer *json, struct err *err);
/* The answer is written: if the writer has failed, it is that error. */
void job_close_json(struct job *job, const struct json_writer *json, const struct err *err);
/* The query must be through 'timeout_ms' after the request came. */
void job_set_deadline(struct job *job, int64_t timeout_ms);

/* Whether the API may be used now; if not, it has been answered with 503. Adds CORS headers. */
bool api_check_ready(struct api *api, struct exchange *exchange);
/* Headers that let browsers of other origins read the answer. */
void api_put_cors(struct api *api, struct exchange *exchange);
/* Answers with Prometheus' JSON for an error. On the loop. */
void api_answer_error(struct exchange *exchange, const struct err *err);

/* Handlers of queries and of what they find: /query, /query_range, /series, ... */
void api_register_queries(struct api *api, struct router *router);
/* Handlers of what we tell about ourselves: /status/..., /-/..., /metrics. */
void api_register_status(struct api *api, struct router *router);
/* A route of the API with its preflight: "GET" also answers HEAD and OPTIONS. */
void api_add_route(struct api *api, struct router *router, const char *methods, const char *path,
	route_fn *run);

#endif
