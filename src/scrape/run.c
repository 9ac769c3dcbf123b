#include "scrape/run.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "expfmt/expfmt.h"
#include "scrape/ending.h"
#include "scrape/ingest.h"
#include "scrape/request.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const report_names[RUN_REPORTS] = { "up", "scrape_duration_seconds",
	"scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
	"scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes" };
/* How many of them there are without extra_scrape_metrics. */
#define REPORTS_BASIC 5
/* Memory that one huge answer took is not kept for the others. */
#define BODY_BYTES_KEPT_MAX ((size_t)32 * 1024 * 1024)

/* One answer, from its arrival to the commit of its samples. */
struct outcome {
	struct ingest_counts counts;
	struct err failure; /* Its text is empty when all went well. */
	bool failed;
	int64_t duration_ns;
	int64_t body_bytes; /* 0: there is none; -1: more than body_size_limit. */
	bool metadata_changed;
};

static void plan(struct scrape_run *run) {
	struct scrape_shared *shared = run->shared;
	int64_t wait_ms = run->due_ms - clock_now_ms(shared->clock);
	loop_timer_set(shared->options.loop, &run->timer,
		clock_mono_ns(shared->clock) + (wait_ms > 0 ? wait_ms * NS_PER_MS : 0));
}

/* The first point of the target's grid after now. */
static int64_t next_due(const struct scrape_run *run) {
	int64_t interval_ms = run->target->interval_ms;
	int64_t now_ms = clock_now_ms(run->shared->clock);
	uint64_t interval_ns = (uint64_t)interval_ms * (uint64_t)NS_PER_MS;
	uint64_t phase_ns = (run->target->hash ^ run->shared->phase_seed) % interval_ns;
	int64_t due_ms = now_ms - now_ms % interval_ms + (int64_t)(phase_ns / (uint64_t)NS_PER_MS);
	return due_ms > now_ms ? due_ms : due_ms + interval_ms;
}

/* Where the scrape that begins now stands: on the grid if it is near it. Moves the grid on. */
static int64_t take_due(struct scrape_run *run) {
	const struct scraper_options *options = &run->shared->options;
	int64_t interval_ms = run->target->interval_ms;
	int64_t now_ms = clock_now_ms(run->shared->clock);
	int64_t tolerance_ms = interval_ms / 100 < options->timestamp_tolerance_ms
				       ? interval_ms / 100
				       : options->timestamp_tolerance_ms;
	int64_t grid_ms = run->due_ms;

	if (now_ms < grid_ms - interval_ms || now_ms > grid_ms + 2 * interval_ms) {
		grid_ms = next_due(run) - interval_ms; /* The clock was set. */
	}
	while (now_ms - grid_ms >= interval_ms) {
		grid_ms += interval_ms;
	}
	run->due_ms = grid_ms + interval_ms;
	bool is_near = now_ms <= grid_ms + tolerance_ms;
	return options->adjust_timestamps && is_near ? grid_ms : now_ms;
}

static void set_status(
	struct scrape_run *run, const struct outcome *outcome, struct families *families) {
	struct target_status *status = &run->target->status;
	struct scrape_shared *shared = run->shared;
	char *text = NULL;

	if (outcome->failed) {
		text = strndup(outcome->failure.text, sizeof(outcome->failure.text));
		CHECK(text);
	}
	lock_take(&shared->lock);
	char *old_text = status->last_error;
	struct families *old_families = families ? status->families : NULL;
	status->last_error = text;
	status->health = outcome->failed ? TARGET_DOWN : TARGET_UP;
	status->last_scrape_ms = run->time_ms;
	status->last_duration_ns = outcome->duration_ns;
	status->families = families ? families : status->families;
	lock_drop(&shared->lock);
	free(old_text);
	families_unref(old_families);
}

static int append_report(struct scrape_run *run, struct appender *appender, size_t index,
	double value, struct err *err) {
	struct arena *scratch = &run->shared->scratch;
	struct series_ref *ref = &run->reports[index];
	int rc = ref->v == 0 ? APPEND_UNKNOWN_REF
			     : appender_append(appender, ref, NULL, run->time_ms, value, err);

	if (rc == APPEND_UNKNOWN_REF) {
		struct labels set = labels_with(
			scratch, &run->target->own, LABEL_NAME, str_of(report_names[index]));
		*ref = (struct series_ref){ 0 };
		rc = appender_append(appender, ref, &set, run->time_ms, value, err);
	}
	return rc < 0 ? rc : 0;
}

static int append_reports(struct scrape_run *run, struct appender *appender,
	const struct outcome *outcome, struct err *err) {
	const double values[RUN_REPORTS] = {
		outcome->failed ? 0 : 1,
		(double)outcome->duration_ns / (double)NS_PER_S,
		(double)outcome->counts.scraped,
		(double)outcome->counts.kept,
		(double)outcome->counts.added,
		(double)run->target->timeout_ms / MS_PER_S,
		(double)run->job->limits.sample_limit,
		(double)outcome->body_bytes,
	};
	size_t count = run->job->limits.extra_scrape_metrics ? RUN_REPORTS : REPORTS_BASIC;
	for (size_t i = 0; i < count; i++) {
		int rc = append_report(run, appender, i, values[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static void log_refused(const struct scrape_run *run, const char *message, uint64_t count) {
	if (count > 0) {
		log_warn(message, KV_STR("scrape_pool", run->job->job_name),
			KV("target", run->target->url.ptr), KV_INT("num_dropped", count));
	}
}

static void count_outcome(struct scrape_run *run, const struct outcome *outcome) {
	struct scrape_metrics *metrics = &run->shared->metrics;
	const struct ingest_counts *counts = &outcome->counts;

	metric_add(metrics->samples, (double)counts->scraped);
	metric_add(metrics->out_of_order, (double)counts->out_of_order);
	metric_add(metrics->duplicates, (double)counts->duplicates);
	metric_add(metrics->out_of_bounds, (double)counts->out_of_bounds);
	metric_add(metrics->sample_limit_hits, counts->sample_limit_hit);
	metric_add(metrics->label_limit_hits, counts->label_limit_hit);
	log_refused(run, "Error on ingesting out-of-order samples", counts->out_of_order);
	log_refused(run, "Error on ingesting samples with different value but same timestamp",
		counts->duplicates);
	log_refused(run,
		"Error on ingesting samples that are too old or are too far into the future",
		counts->out_of_bounds);
	if (outcome->failed) {
		log_debug("scrape failed", KV_STR("scrape_pool", run->job->job_name),
			KV("target", run->target->url.ptr), KV_ERR(&outcome->failure));
	}
}

/*
 * Appends the body; or, when the scrape failed (or the body turns out to be bad), the end marks of
 * all series. '*appender' is the transaction to go on with.
 */
static int append_all(struct scrape_run *run, int format, struct buf *body,
	struct appender **appender, struct outcome *outcome, struct err *err) {
	struct appendable *appendable = run->shared->options.appendable;
	struct ingest ingest = {
		.job = run->job,
		.own = &run->target->own,
		.cache = &run->cache,
		.appender = *appender,
		.scratch = &run->shared->scratch,
		.time_ms = run->time_ms,
		.now_ms = clock_now_ms(run->shared->clock),
	};
	bool has_body = !outcome->failed && body->len > 0;

	cache_begin(&run->cache);
	if (has_body) {
		int rc = ingest_body(
			&ingest, (enum exposition_format)format, body, &outcome->failure);
		outcome->failed = rc < 0;
		outcome->counts = ingest.counts;
		outcome->metadata_changed = ingest.metadata_changed;
	}
	if (has_body && !outcome->failed) {
		return 0;
	}
	if (has_body) {
		appender_rollback(*appender);
		*appender = appendable->begin(appendable);
		ingest.appender = *appender;
	}
	return ingest_failure(&ingest, err);
}

static void finish(struct scrape_run *run, int format, struct buf *body, struct outcome *outcome) {
	struct scrape_shared *shared = run->shared;
	struct appendable *appendable = shared->options.appendable;
	struct appender *appender = appendable->begin(appendable);
	struct families *families = NULL;
	struct err err = { 0 };

	int rc = append_all(run, format, body, &appender, outcome, &err);
	outcome->duration_ns = clock_mono_ns(shared->clock) - run->start_ns;
	if (rc == 0) {
		rc = append_reports(run, appender, outcome, &err);
	}
	if (rc == 0) {
		rc = appender_commit(appender, &err);
	} else {
		appender_rollback(appender);
	}
	if (rc < 0) {
		log_error("scrape commit failed", KV_STR("scrape_pool", run->job->job_name),
			KV("target", run->target->url.ptr), KV_ERR(&err));
	}
	if (cache_commit(&run->cache, outcome->failed)) {
		metric_inc(shared->metrics.cache_flushes);
	}
	count_outcome(run, outcome);
	if (outcome->metadata_changed && !outcome->failed) {
		families = families_new((enum exposition_format)format, body);
	}
	set_status(run, outcome, families);
	arena_reset(&shared->scratch);
}

/* The words Go puts behind a status code. */
static const char *status_words(int status) {
	static const struct {
		int status;
		const char *words;
	} known[] = {
		{ 301, " Moved Permanently" },
		{ 302, " Found" },
		{ 400, " Bad Request" },
		{ 401, " Unauthorized" },
		{ 403, " Forbidden" },
		{ 404, " Not Found" },
		{ 405, " Method Not Allowed" },
		{ 406, " Not Acceptable" },
		{ 429, " Too Many Requests" },
		{ 500, " Internal Server Error" },
		{ 502, " Bad Gateway" },
		{ 503, " Service Unavailable" },
		{ 504, " Gateway Timeout" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (known[i].status == status) {
			return known[i].words;
		}
	}
	return "";
}

static int body_limit_error(struct scrape_run *run, struct err *err) {
	metric_inc(run->shared->metrics.body_size_limit_hits);
	return err_set(err, ERR_LIMIT,
		"body size limit exceeded; body_size_limit of job \"%.*s\" is %" PRIu64 " bytes",
		STR_ARG(run->job->job_name), run->job->limits.body_size_limit);
}

/* Checks an answer and puts its uncompressed body into 'body'. Returns its format. */
static int read_answer(struct scrape_run *run, const struct fetch_result *result, struct buf *body,
	struct err *err) {
	enum exposition_format format = EXPOSITION_FORMAT_TEXT;
	uint64_t limit = run->job->limits.body_size_limit;
	size_t max = limit > 0 && limit <= SCRAPE_BODY_BYTES_MAX ? (size_t)limit - 1
								 : SCRAPE_BODY_BYTES_MAX;
	bool is_gzip = str_equal_nocase(result->content_encoding, STR("gzip"));

	if (result->failure) {
		if (result->failure->code == ERR_LIMIT) {
			return body_limit_error(run, err);
		}
		return err_set(err, result->failure->code, "Get \"%s\": %s", run->target->url.ptr,
			result->failure->text);
	}
	if (result->status != 200) {
		return err_set(err, ERR_IO, "server returned HTTP status %d%s", result->status,
			status_words(result->status));
	}
	int rc = decompress_body(
		is_gzip ? COMPRESSION_GZIP : COMPRESSION_NONE, result->body, max, body, err);
	if (rc < 0) {
		return rc == ERR_LIMIT ? body_limit_error(run, err) : rc;
	}
	if (body->len == 0) {
		return 0;
	}
	rc = exposition_negotiate(
		result->content_type, scrape_request_fallback(run->job), &format, err);
	if (rc < 0) {
		log_error("Failed to determine correct type of scrape target.",
			KV_STR("scrape_pool", run->job->job_name),
			KV("target", run->target->url.ptr), KV_ERR(err));
	}
	return rc < 0 ? rc : (int)format;
}

static void on_answer(struct fetch *fetch, const struct fetch_result *result) {
	struct scrape_run *run = fetch_context(fetch);
	struct scrape_shared *shared = run->shared;
	struct outcome outcome = { .failed = false };

	run->fetch = NULL;
	buf_reset(&shared->body);
	int format = read_answer(run, result, &shared->body, &outcome.failure);
	outcome.failed = format < 0;
	outcome.body_bytes = (int64_t)shared->body.len;
	if (outcome.failed) {
		outcome.body_bytes = outcome.failure.code == ERR_LIMIT ? -1 : 0;
	}
	metric_add(shared->metrics.wire_bytes, (double)result->wire_bytes);
	metric_add(shared->metrics.body_bytes, (double)shared->body.len);
	finish(run, format, &shared->body, &outcome);
	if (shared->body.capacity > BODY_BYTES_KEPT_MAX) {
		buf_deinit(&shared->body);
	}
}

static void fail_at_once(struct scrape_run *run, const struct err *reason) {
	struct outcome outcome = { .failure = *reason, .failed = true };
	buf_reset(&run->shared->body);
	finish(run, 0, &run->shared->body, &outcome);
}

static void note_interval(struct scrape_run *run) {
	struct scrape_shared *shared = run->shared;
	if (run->last_start_ns != 0) {
		AUTO(buf_deinit) struct buf interval = { 0 };
		config_duration_format(run->target->interval_ms, &interval);
		metric_observe(
			scrape_metric_of(shared->metrics.interval_seconds, buf_text(&interval)),
			(double)(run->start_ns - run->last_start_ns) / (double)NS_PER_S);
	}
	run->last_start_ns = run->start_ns;
}

static void on_timer(struct timer *timer) {
	struct scrape_run *run = CONTAINER_OF(timer, struct scrape_run, timer);
	struct scrape_shared *shared = run->shared;
	struct fetch_request request = { 0 };
	struct err err = { 0 };

	int64_t time_ms = take_due(run);
	plan(run);
	if (run->fetch) {
		return; /* The one before is still under way; its timeout is near. */
	}
	run->time_ms = time_ms;
	run->start_ns = clock_mono_ns(shared->clock);
	note_interval(run);
	if (run->forced) {
		fail_at_once(run, run->forced);
		return;
	}
	int rc = scrape_request_build(
		run->job, run->folder, run->target, &shared->scratch, &request, &err);
	if (rc < 0) {
		fail_at_once(run, &err);
		return;
	}
	request.context = run;
	request.on_done = on_answer;
	run->fetch = fetch_start(shared->fetcher, &request);
	arena_reset(&shared->scratch);
}

struct scrape_run *scrape_run_start(struct scrape_shared *shared, const struct config_scrape *job,
	struct str folder, struct target *target) {
	struct scrape_run *run = MEMORY_NEW(struct scrape_run, 1);
	*run = (struct scrape_run){ .timer = { .run = on_timer },
		.shared = shared,
		.job = job,
		.folder = folder,
		.target = target_ref(target) };
	cache_init(&run->cache, shared->cache_seed);
	run->due_ms = next_due(run);
	plan(run);
	return run;
}

void scrape_run_stop(struct scrape_run *run, bool marks_end) {
	loop_timer_clear(run->shared->options.loop, &run->timer);
	if (run->fetch) {
		fetch_cancel(run->fetch);
	}
	if (marks_end && run->last_start_ns != 0) {
		ending_start(run);
	}
	cache_deinit(&run->cache);
	target_unref(run->target);
	free(run);
}

void scrape_run_forget_series(struct scrape_run *run) {
	if (run->last_start_ns != 0) {
		ending_start(run);
	}
	cache_deinit(&run->cache);
	cache_init(&run->cache, run->shared->cache_seed);
}

void scrape_run_set_target(struct scrape_run *run, struct target *target) {
	struct target *old = run->target;
	lock_take(&run->shared->lock);
	struct target_status empty = target->status;
	target->status = old->status;
	old->status = empty;
	run->target = target_ref(target);
	lock_drop(&run->shared->lock);
	target_unref(old);
}
