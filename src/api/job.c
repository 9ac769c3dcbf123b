#include "api/job.h"

#include "api/params.h"
#include "api/render.h"
#include "base/check.h"
#include "base/memory.h"
#include "codec/compress_stream.h"
#include "matrix/matrix.h"

#include <stdlib.h>

/* Smaller answers go out as they are: a packet is a packet. */
#define COMPRESS_MIN_BYTES 1024
/* Answers are read once and links are not slow: speed counts. */
#define COMPRESS_LEVEL 1
/* Bytes between two looks at whether the client is still there: a few milliseconds. */
#define COMPRESS_PIECE ((size_t)1 << 20)

static void job_charge(struct job *job) {
	if (job->api->options.engine) {
		engine_budget_init(job->api->options.engine, &job->budget);
		job->arena.budget = &job->budget;
	}
}

/* Frees all but the answer. */
static void job_settle(struct job *job) {
	arena_deinit(&job->arena);
	budget_deinit(&job->budget);
}

static void job_free(struct job *job) {
	buf_deinit(&job->body);
	job_settle(job);
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

/* Whether there is room for the answer once more; what it was made of is not needed any more. */
static bool has_room_to_compress(struct job *job) {
	arena_deinit(&job->arena);
	return budget_charge(&job->budget, job->body.len, NULL) == 0;
}

/* A large answer takes long: meanwhile the client may go away. */
static void compress_in_pieces(struct job *job, struct buf *packed) {
	struct compressor *compressor = compressor_new(job->compression);
	struct str rest = buf_str(&job->body);

	/* Relaxed: as in cancel. */
	while (rest.len > 0 &&
		!atomic_load_explicit(&job->control.canceled, memory_order_relaxed)) {
		struct str piece =
			str_first(rest, rest.len < COMPRESS_PIECE ? rest.len : COMPRESS_PIECE);

		compressor_write(compressor, piece, packed);
		rest = str_from(rest, piece.len);
	}
	compressor_end(compressor, packed);
	compressor_free(compressor);
}

static void compress(struct job *job) {
	struct buf packed = { 0 };

	if (job->is_matrix || job->compression == COMPRESSION_NONE ||
		job->body.len < COMPRESS_MIN_BYTES || !has_room_to_compress(job)) {
		job->compression = COMPRESSION_NONE;
		return;
	}
	if (job->body.len > COMPRESS_PIECE && job->compression != COMPRESSION_DEFLATE) {
		compress_in_pieces(job, &packed);
	} else {
		compress_body(job->compression, COMPRESS_LEVEL, buf_str(&job->body), &packed);
	}
	buf_deinit(&job->body);
	job->body = packed;
}

static void run(void *context) {
	struct job *job = context;
	const struct clock *clock = job->api->options.clock;
	const char *labels[] = { job->handler, NULL };

	job_charge(job);
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
		job_charge(&job);
		run_job(&job);
	}
	if (body->len == 0) {
		buf_deinit(body);
		*body = job.body;
	} else {
		buf_add_str(body, buf_str(&job.body));
		buf_deinit(&job.body);
	}
	job_settle(&job);
	return job.status;
}

void job_fail(struct job *job, const struct err *err) {
	buf_reset(&job->body);
	job->is_matrix = false;
	job->status = render_error(&job->body, err);
}

void job_open_json(struct job *job, struct json_writer *json, struct err *err) {
	json_writer_init(json, &job->body);
	json_writer_limit(json, &job->budget, err);
}

void job_close_json(struct job *job, const struct json_writer *json, const struct err *err) {
	if (json->has_failed) {
		job_fail(job, err);
	}
}

void job_set_deadline(struct job *job, int64_t timeout_ms) {
	job->control.deadline_ns = job->began_ns + timeout_ms * NS_PER_MS;
}
