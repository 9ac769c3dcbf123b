#include "api/job.h"

#include "api/params.h"
#include "api/render.h"
#include "base/check.h"
#include "base/memory.h"
#include "matrix/matrix.h"

#include <stdlib.h>

/* Smaller answers go out as they are: a packet is a packet. */
#define COMPRESS_MIN_BYTES 1024
/* Answers are read once and links are not slow: speed counts. */
#define COMPRESS_LEVEL 1

static void job_free(struct job *job) {
	buf_deinit(&job->body);
	arena_deinit(&job->arena);
	free(job);
}

/* Back on the loop. */
static void answer(void *context) {
	struct job *job = context;

	metric_add(job->api->under_way, -1);
	if (job->compression != COMPRESSION_NONE) {
		exchange_header(job->exchange, STR("content-encoding"),
			str_of(compression_name(job->compression)));
	}
	exchange_respond_buf(job->exchange, job->status,
		job->is_matrix ? STR(MATRIX_MEDIA_TYPE) : STR("application/json"), &job->body);
	job_free(job);
}

static void compress(struct job *job) {
	struct buf packed = { 0 };

	if (job->is_matrix || job->compression == COMPRESSION_NONE ||
		job->body.len < COMPRESS_MIN_BYTES) {
		job->compression = COMPRESSION_NONE;
		return;
	}
	compress_body(job->compression, COMPRESS_LEVEL, buf_str(&job->body), &packed);
	buf_deinit(&job->body);
	job->body = packed;
}

static void run(void *context) {
	struct job *job = context;
	const struct clock *clock = job->api->options.clock;
	const char *labels[] = { job->handler, NULL };

	job->waited_ns = clock_mono_ns(clock) - job->began_ns;
	job->run(job);
	compress(job);
	metric_observe(metric_child(job->api->durations, labels),
		(double)(clock_mono_ns(clock) - job->began_ns) / (double)NS_PER_S);
	/* Jobs under way are bounded by the pool's queue, far below LOOP_POST_MAX. */
	CHECK(loop_post(job->loop, answer, job));
}

static void cancel(void *context) {
	struct job *job = context;

	/* Relaxed: the query looks at it now and then, nothing is published with it. */
	atomic_store_explicit(&job->control.canceled, true, memory_order_relaxed);
}

void job_start(struct api *api, struct exchange *exchange, const char *handler, struct str param,
	job_fn *run_job) {
	const struct http_request *request = exchange_request(exchange);
	struct uri_params params = { 0 };
	struct err err = { 0 };

	if (!api_check_ready(api, exchange)) {
		return;
	}
	if (params_collect(exchange, &params, &err) < 0) {
		api_answer_error(exchange, &err);
		return;
	}
	struct job *job = MEMORY_NEW(struct job, 1);
	job->api = api;
	job->exchange = exchange;
	job->loop = exchange_loop(exchange);
	job->run = run_job;
	job->handler = handler;
	job->params = params;
	job->param = param;
	job->query = request->query;
	job->began_ns = clock_mono_ns(api->options.clock);
	job->status = 200;
	job->compression = compression_negotiate(
		http_headers_get(&request->headers, STR("accept-encoding")), true);
	job->takes_matrix = matrix_is_accepted(http_headers_get(&request->headers, STR("accept")));
	exchange_on_abort(exchange, cancel, job);
	metric_add(api->under_way, 1);
	if (!pool_submit(api->options.pool, run, job)) {
		metric_add(api->under_way, -1);
		exchange_on_abort(exchange, NULL, NULL);
		job_free(job);
		(void)err_set(&err, ERR_CLOSED,
			"too many queries are waiting; raise --query.max-concurrency or ask less");
		api_answer_error(exchange, &err);
	}
}

int job_call(
	struct api *api, struct str param, struct str form, job_fn *run_job, struct buf *body) {
	struct err err = { 0 };
	struct job job = { .api = api,
		.param = param,
		.query = form,
		.began_ns = clock_mono_ns(api->options.clock),
		.status = 200 };
	if (uri_params_parse(&job.arena, form, &job.params, &err) < 0) {
		job_fail(&job, &err);
	} else {
		run_job(&job);
	}
	buf_add_str(body, buf_str(&job.body));
	buf_deinit(&job.body);
	arena_deinit(&job.arena);
	return job.status;
}

void job_fail(struct job *job, const struct err *err) {
	buf_reset(&job->body);
	job->is_matrix = false;
	job->status = render_error(&job->body, err);
}

void job_set_deadline(struct job *job, int64_t timeout_ms) {
	job->control.deadline_ns = job->began_ns + timeout_ms * NS_PER_MS;
}
