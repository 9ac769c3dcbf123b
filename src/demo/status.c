/*
 * What the hub says, asked again and again: whether all targets are up while somebody waits for
 * that, and the clusters' state every few seconds.
 */
#include "demo/demo_internal.h"

#include "io/system.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define UP_EVERY_MS 200
#define CLUSTERS_EVERY_MS 3000
#define INQUIRY_TIMEOUT_MS 6000
#define ANSWER_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* Above all that a line may take on a terminal that is not very narrow. */
#define NAME_WIDTH 12

static void ask(struct demo *demo, struct inquiry *inquiry,
	void (*on_done)(struct fetch *fetch, const struct fetch_result *result)) {
	const struct fetch_request request = {
		.url = buf_text(&inquiry->url),
		.timeout_ms = INQUIRY_TIMEOUT_MS,
		.body_bytes_max = ANSWER_BYTES_MAX,
		.context = demo,
		.on_done = on_done,
	};
	inquiry->fetch = fetch_start(demo->fetcher, &request);
}

static bool is_awaited(const struct demo *demo) {
	return demo->phase == DEMO_STARTING || demo->operation.kind == OPERATION_ADD;
}

/* Notes which groups have answered with all their targets. */
static void take_up(struct demo *demo, struct str body) {
	struct arena arena = { 0 };
	struct answer_up *ups = NULL;
	size_t count = 0;
	demo->up.last_err = (struct err){ 0 };
	if (answers_read_up(body, &arena, &ups, &count, &demo->up.last_err) == 0) {
		for (size_t i = 0; i < demo->group_count; i++) {
			demo->groups[i]->has_answered = false;
		}
		for (size_t i = 0; i < count; i++) {
			struct group *group = demo_find_group(demo, ups[i].cluster);
			if (group) {
				group->has_answered = ups[i].count >= LAYOUT_TARGETS;
			}
		}
		demo_advance(demo);
	}
	arena_deinit(&arena);
}

static void on_up(struct fetch *fetch, const struct fetch_result *result) {
	struct demo *demo = fetch_context(fetch);
	demo->up.fetch = NULL;
	if (result->failure) {
		demo->up.last_err = *result->failure;
	} else {
		take_up(demo, result->body);
	}
	if (is_awaited(demo)) {
		loop_timer_after_ms(demo->loop, &demo->up.timer, UP_EVERY_MS);
	}
}

static void on_up_timer(struct timer *timer) {
	struct inquiry *inquiry = CONTAINER_OF(timer, struct inquiry, timer);
	struct demo *demo = CONTAINER_OF(inquiry, struct demo, up);
	status_follow_up(demo);
}

void status_follow_up(struct demo *demo) {
	if (is_awaited(demo) && !demo->up.fetch) {
		loop_timer_clear(demo->loop, &demo->up.timer);
		ask(demo, &demo->up, on_up);
	}
}

static void take_clusters(struct demo *demo, struct str body) {
	demo->clusters.last_err = (struct err){ 0 };
	arena_reset(&demo->status);
	demo->answers = NULL;
	demo->answer_count = 0;
	struct err err = { 0 };
	if (answers_read_clusters(body, &demo->status, &demo->answers, &demo->answer_count, &err) <
		0) {
		demo->clusters.last_err = err;
	}
}

/* Prints lines, each cut to fit: one that wraps could not be drawn over. Returns how many. */
static unsigned print_lines(struct str text) {
	size_t width = system_terminal_width(STDOUT_FILENO);
	unsigned count = 0;
	while (text.len > 0) {
		struct str line = str_cut(&text, '\n');
		(void)printf("%.*s\n", STR_ARG(str_first(line, width - 1)));
		count++;
	}
	(void)fflush(stdout);
	return count;
}

static void format_clusters(const struct demo *demo, bool with_parts, struct buf *out);

/* Draws the lines over those of the last time. */
static void show(struct demo *demo) {
	AUTO(buf_deinit) struct buf text = { 0 };
	if (demo->lines_shown > 0) {
		(void)printf("\033[%uA\033[J", demo->lines_shown);
	}
	format_clusters(demo, false, &text);
	demo->lines_shown = print_lines(buf_str(&text));
}

static void on_clusters(struct fetch *fetch, const struct fetch_result *result) {
	struct demo *demo = fetch_context(fetch);
	demo->clusters.fetch = NULL;
	if (result->failure) {
		demo->clusters.last_err = *result->failure;
		demo->answer_count = 0;
	} else {
		take_clusters(demo, result->body);
	}
	if (demo->options->is_terminal && demo->phase == DEMO_RUNNING) {
		show(demo);
	}
	loop_timer_after_ms(demo->loop, &demo->clusters.timer, CLUSTERS_EVERY_MS);
}

void status_follow_clusters(struct demo *demo) {
	if (!demo->clusters.fetch) {
		ask(demo, &demo->clusters, on_clusters);
	}
}

static void on_clusters_timer(struct timer *timer) {
	struct inquiry *inquiry = CONTAINER_OF(timer, struct inquiry, timer);
	status_follow_clusters(CONTAINER_OF(inquiry, struct demo, clusters));
}

void status_init(struct demo *demo) {
	uint16_t port = demo->options->first_port;
	demo->up.timer.run = on_up_timer;
	demo->clusters.timer.run = on_clusters_timer;
	buf_printf(&demo->up.url, "http://127.0.0.1:%u%s", port, ANSWERS_UP_PATH);
	buf_printf(&demo->clusters.url, "http://127.0.0.1:%u%s", port, ANSWERS_CLUSTERS_PATH);
}

static void inquiry_deinit(struct demo *demo, struct inquiry *inquiry) {
	if (inquiry->fetch) {
		fetch_cancel(inquiry->fetch);
	}
	if (demo->loop) {
		loop_timer_clear(demo->loop, &inquiry->timer);
	}
	buf_deinit(&inquiry->url);
}

void status_deinit(struct demo *demo) {
	inquiry_deinit(demo, &demo->up);
	inquiry_deinit(demo, &demo->clusters);
}

static void format_bytes(double bytes, struct buf *out) {
	if (bytes < 10000) {
		buf_printf(out, "%.0f B", bytes);
	} else if (bytes < 1e7) {
		buf_printf(out, "%.1f kB", bytes / 1e3);
	} else {
		buf_printf(out, "%.1f MB", bytes / 1e6);
	}
}

static void format_answer(const struct answer_cluster *answer, struct buf *out) {
	buf_printf(out, "%-10.*s", STR_ARG(answer->state));
	if (isnan(answer->series)) {
		buf_printf(out, "  %6s series", "?");
	} else {
		buf_printf(out, "  %6.0f series", answer->series);
	}
	if (answer->has_answered) {
		buf_add_text(out, "  last answer ");
		format_bytes(answer->last_bytes, out);
		buf_printf(out, " in %.1f ms", answer->last_ms);
	}
	if (answer->last_error.len > 0) {
		buf_printf(out, "  %.*s", STR_ARG(answer->last_error));
	}
}

static void format_lost_parts(const struct group *group, struct buf *out) {
	for (size_t i = 0; i < group->part_count; i++) {
		const struct part *part = &group->parts[i];
		if (part->state == PART_ENDED) {
			buf_printf(out, "  %s ended: ", layout_part_name(part->kind));
			part_describe_end(part, out);
		}
	}
}

static void format_parts(const struct group *group, struct buf *out) {
	static const char *const states[] = {
		[PART_STOPPED] = "not started",
		[PART_STARTING] = "starting",
		[PART_READY] = "ready",
		[PART_STOPPING] = "stopping",
		[PART_ENDED] = "ended",
	};
	for (size_t i = 0; i < group->part_count; i++) {
		const struct part *part = &group->parts[i];
		const char *name = layout_part_name(part->kind);
		buf_printf(out, "  %-14s %-9s", name, states[part->state]);
		if (part_is_running(part)) {
			buf_printf(out, " pid %ld", (long)process_pid(part->process));
		}
		if (part->state == PART_ENDED) {
			buf_add_text(out, " (");
			part_describe_end(part, out);
			buf_printf(out, "; atoll demo restart %s/%s)", group->name, name);
		}
		buf_add_byte(out, '\n');
	}
}

static const struct answer_cluster *answer_of(const struct demo *demo, const char *cluster) {
	for (size_t i = 0; i < demo->answer_count; i++) {
		if (str_equal(demo->answers[i].cluster, str_of(cluster))) {
			return &demo->answers[i];
		}
	}
	return NULL;
}

static void format_clusters(const struct demo *demo, bool with_parts, struct buf *out) {
	for (size_t i = 0; i < demo->group_count; i++) {
		const struct group *group = demo->groups[i];
		const struct answer_cluster *answer = answer_of(demo, group->name);
		if (group->is_hub && !with_parts && demo->clusters.last_err.code == 0) {
			continue;
		}
		buf_printf(out, "%-*s ", NAME_WIDTH, group->name);
		if (answer) {
			format_answer(answer, out);
		} else if (group->is_hub) {
			buf_printf(out, "http://127.0.0.1:%u/", demo->options->first_port);
			if (demo->clusters.last_err.code < 0) {
				buf_printf(out, "  %s", demo->clusters.last_err.text);
			}
		} else {
			buf_add_text(out, "unknown");
		}
		if (!with_parts) {
			format_lost_parts(group, out);
		}
		buf_add_byte(out, '\n');
		if (with_parts) {
			format_parts(group, out);
		}
	}
}

void status_format(struct demo *demo, struct buf *out) {
	if (demo->phase == DEMO_STARTING) {
		buf_add_text(out, "not ready yet\n");
	}
	format_clusters(demo, true, out);
}
