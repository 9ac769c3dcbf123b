#include "demo/part.h"

#include "base/check.h"
#include "io/file.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define QUESTION_EVERY_MS 100
#define QUESTION_TIMEOUT_MS 2000
#define TAIL_BYTES 4096
#define TAIL_LINES 15

static void ask(struct part *part);

static void on_timer(struct timer *timer) {
	struct part *part = CONTAINER_OF(timer, struct part, timer);
	if (part->state == PART_STARTING) {
		ask(part);
	} else if (part->state == PART_STOPPING) {
		part_kill(part);
	}
}

static const char *add_text(struct part *part, const char *text) {
	return arena_copy(&part->arena, str_of(text)).ptr;
}

void part_init(struct part *part, const struct part_options *options) {
	*part = (struct part){
		.loop = options->loop,
		.fetcher = options->fetcher,
		.changed = options->changed,
		.context = options->context,
		.kind = options->kind,
		.timer.run = on_timer,
	};
	part->log_path = add_text(part, options->log_path);
	part->ready_url = arena_printf(&part->arena, "http://127.0.0.1:%u%s", options->ready_port,
		layout_ready_path(options->kind))
				  .ptr;
	part_argument(part, "%s", options->program);
}

static void stop_asking(struct part *part) {
	if (part->question) {
		fetch_cancel(part->question);
		part->question = NULL;
	}
	loop_timer_clear(part->loop, &part->timer);
}

void part_deinit(struct part *part) {
	stop_asking(part);
	process_free(part->process);
	arena_deinit(&part->arena);
}

void part_argument(struct part *part, const char *fmt, ...) {
	char text[4096];
	va_list args;
	CHECK(part->argument_count < PART_ARGUMENTS_MAX);
	va_start(args, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	CHECK(len >= 0 && (size_t)len < sizeof(text)); /* Paths of a socket's folder are short. */
	part->arguments[part->argument_count++] = add_text(part, text);
}

static void on_exit(void *context, int status) {
	struct part *part = context;
	part->was_told = part->state == PART_STOPPING;
	part->state = PART_ENDED;
	part->status = status;
	stop_asking(part);
	part->changed(part->context, part);
}

static void on_answer(struct fetch *fetch, const struct fetch_result *result) {
	struct part *part = fetch_context(fetch);
	part->question = NULL;
	if (result->failure || result->status != 200) {
		loop_timer_after_ms(part->loop, &part->timer, QUESTION_EVERY_MS);
		return;
	}
	part->state = PART_READY;
	part->changed(part->context, part);
}

static void ask(struct part *part) {
	const struct fetch_request request = {
		.url = part->ready_url,
		.timeout_ms = QUESTION_TIMEOUT_MS,
		.context = part,
		.on_done = on_answer,
	};
	part->question = fetch_start(part->fetcher, &request);
}

int part_start(struct part *part, struct err *err) {
	CHECK(!part_is_running(part));
	const struct process_options options = {
		.argv = part->arguments,
		.log_path = part->log_path,
		.on_exit = on_exit,
		.context = part,
	};
	process_free(part->process);
	part->process = NULL;
	int rc = process_start(part->loop, &options, &part->process, err);
	if (rc < 0) {
		return rc;
	}
	part->state = PART_STARTING;
	part->was_told = false;
	ask(part);
	return 0;
}

void part_stop(struct part *part) {
	if (!part_is_running(part) || part->state == PART_STOPPING) {
		return;
	}
	stop_asking(part);
	part->state = PART_STOPPING;
	process_signal(part->process, SIGTERM);
	loop_timer_after_ms(part->loop, &part->timer, PART_STOP_MS);
}

void part_kill(struct part *part) {
	if (part_is_running(part)) {
		stop_asking(part);
		part->state = PART_STOPPING;
		process_signal(part->process, SIGKILL);
	}
}

bool part_is_running(const struct part *part) {
	return part->process && process_running(part->process);
}

void part_describe_end(const struct part *part, struct buf *out) {
	if (part->status >= 0) {
		buf_printf(out, "exit code %d", part->status);
		return;
	}
	const char *name = sigabbrev_np(-part->status);
	if (name) {
		buf_printf(out, "killed by SIG%s", name);
	} else {
		buf_printf(out, "killed by signal %d", -part->status);
	}
}

void part_log_tail(const struct part *part, struct buf *out) {
	AUTO(buf_deinit) struct buf tail = { 0 };
	struct err err = { 0 };
	if (file_read_tail(part->log_path, TAIL_BYTES, &tail, &err) < 0) {
		buf_printf(out, "  (%s)\n", err.text);
		return;
	}
	struct str text = str_trim(buf_str(&tail));
	size_t from = text.len;
	for (int lines = 0; from > 0 && lines < TAIL_LINES; lines++) {
		from--;
		while (from > 0 && text.ptr[from - 1] != '\n') {
			from--;
		}
	}
	struct str rest = str_from(text, from);
	if (rest.len == 0) {
		buf_add_text(out, "  (nothing)\n");
	}
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');
		buf_printf(out, "  %.*s\n", STR_ARG(line));
	}
}
