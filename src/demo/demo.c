/*
 * The supervisor: checks first, then starts everything at once, then waits for every cluster to
 * answer over the hub. After that it only reacts: to children that end, to commands, to signals.
 */
#include "demo/demo_internal.h"

#include "base/check.h"
#include "io/file.h"
#include "io/stream.h"
#include "io/system.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After SIGKILL nothing lives long; this is for processes stuck in the kernel. */
#define STOP_MAX_MS 4500
#define PATH_BYTES_MAX 4096

static const struct {
	const char *name;
	bool is_stock;
} first_clusters[] = {
	{ "frankfurt", false },
	{ "bahrain", false },
	{ "madrid", true },
};

void demo_say(struct demo *demo, const char *fmt, ...) {
	va_list args;
	demo->lines_shown = 0;
	va_start(args, fmt);
	(void)vprintf(fmt, args);
	va_end(args);
	(void)printf("\n");
	(void)fflush(stdout);
}

void demo_advance(struct demo *demo) {
	loop_timer_after_ms(demo->loop, &demo->advance, 0);
}

struct group *demo_find_group(struct demo *demo, struct str name) {
	for (size_t i = 0; i < demo->group_count; i++) {
		if (str_equal(name, str_of(demo->groups[i]->name))) {
			return demo->groups[i];
		}
	}
	return NULL;
}

void demo_add_group(struct demo *demo, struct group *group) {
	CHECK(demo->group_count < DEMO_GROUPS_MAX);
	demo->groups[demo->group_count++] = group;
}

void demo_remove_group(struct demo *demo, struct group *group) {
	size_t at = 0;
	while (demo->groups[at] != group) {
		at++;
	}
	demo->group_count--;
	memmove(demo->groups + at, demo->groups + at + 1,
		(demo->group_count - at) * sizeof(demo->groups[0]));
	group_free(group);
}

bool demo_group_is_up(const struct group *group) {
	bool is_up = group->is_hub || group->has_answered;
	for (size_t i = 0; i < group->part_count; i++) {
		is_up = is_up && group->parts[i].state == PART_READY;
	}
	return is_up;
}

static struct group *group_of(struct demo *demo, const struct part *part) {
	for (size_t i = 0; i < demo->group_count; i++) {
		struct group *group = demo->groups[i];
		if (part >= group->parts && part < group->parts + GROUP_PARTS_MAX) {
			return group;
		}
	}
	return NULL;
}

void demo_describe_wait(const struct demo *demo, const struct group *group, struct buf *out) {
	bool are_ready = true;
	for (size_t i = 0; i < group->part_count; i++) {
		const struct part *part = &group->parts[i];
		if (part->state != PART_READY) {
			are_ready = false;
			buf_printf(out, "%s/%s does not answer at %s; the last lines of %s:\n",
				group->name, layout_part_name(part->kind), part->ready_url,
				part->log_path);
			part_log_tail(part, out);
		}
	}
	if (!are_ready || group->is_hub || group->has_answered) {
		return;
	}
	buf_printf(out, "%s: all its parts are up, but over the hub fewer than %d of its targets",
		group->name, LAYOUT_TARGETS);
	if (demo->up.last_err.code < 0) {
		buf_printf(out, " (%s)", demo->up.last_err.text);
	}
	for (size_t i = 0; i < demo->answer_count; i++) {
		const struct answer_cluster *answer = &demo->answers[i];
		if (str_equal(answer->cluster, str_of(group->name)) && answer->last_error.len > 0) {
			buf_printf(out, " (link: %.*s)", STR_ARG(answer->last_error));
		}
	}
	buf_add_text(out, "\n");
}

void demo_stop(struct demo *demo, const struct err *failure) {
	if (demo->phase == DEMO_STOPPING) {
		return;
	}
	demo->phase = DEMO_STOPPING;
	if (failure) {
		demo->failure = *failure;
	}
	operation_cancel(demo);
	for (size_t i = 0; i < demo->group_count; i++) {
		group_stop(demo->groups[i]);
	}
	loop_timer_after_ms(demo->loop, &demo->deadline, STOP_MAX_MS);
	demo_advance(demo);
}

static bool all_ended(const struct demo *demo) {
	bool is_running = false;
	for (size_t i = 0; i < demo->group_count; i++) {
		is_running = is_running || group_is_running(demo->groups[i]);
	}
	return !is_running;
}

static bool all_up(const struct demo *demo) {
	bool is_up = true;
	for (size_t i = 0; i < demo->group_count; i++) {
		is_up = is_up && demo_group_is_up(demo->groups[i]);
	}
	return is_up;
}

static void become_ready(struct demo *demo) {
	int64_t took_ms = (loop_now_ns(demo->loop) - demo->begin_ns) / NS_PER_MS;
	demo->phase = DEMO_RUNNING;
	loop_timer_clear(demo->loop, &demo->deadline);
	demo_say(demo, "ready: http://127.0.0.1:%u/", demo->options->first_port);
	demo_say(demo, "grafana: %s/grafana/atoll.yaml", buf_text(&demo->folder.path));
	demo_say(demo, "after %" PRId64 ".%" PRId64 " s; Ctrl-C ends it. In another terminal:",
		took_ms / MS_PER_S, took_ms % MS_PER_S / 100);
	demo_say(demo, "  %s demo add-cluster lisbon%s", demo->options->program,
		demo->options->more_flags);
	demo_say(demo, "  %s demo status%s", demo->options->program, demo->options->more_flags);
	status_follow_clusters(demo);
}

static void on_advance(struct timer *timer) {
	struct demo *demo = CONTAINER_OF(timer, struct demo, advance);
	if (demo->phase == DEMO_STARTING && all_up(demo)) {
		become_ready(demo);
	}
	operation_advance(demo);
	if (demo->phase == DEMO_STOPPING && all_ended(demo)) {
		loop_stop(demo->loop);
	}
}

static void on_deadline(struct timer *timer) {
	struct demo *demo = CONTAINER_OF(timer, struct demo, deadline);
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf names = { 0 };
	struct err err = { 0 };
	if (demo->phase == DEMO_STOPPING) {
		loop_stop(demo->loop); /* What is left is killed and waited for. */
		return;
	}
	for (size_t i = 0; i < demo->group_count; i++) {
		if (!demo_group_is_up(demo->groups[i])) {
			buf_printf(
				&names, "%s%s", names.len > 0 ? ", " : "", demo->groups[i]->name);
			demo_describe_wait(demo, demo->groups[i], &text);
		}
	}
	(void)fputs(buf_text(&text), stderr);
	(void)err_set(&err, ERR_TIMEOUT,
		"not ready within %" PRId64 " s (--ready-timeout): no answer from %s",
		demo->options->ready_timeout_ms / MS_PER_S, buf_text(&names));
	demo_stop(demo, &err);
}

/* A part ended that nobody told to. */
static void part_was_lost(struct demo *demo, const struct group *group, const struct part *part) {
	AUTO(buf_deinit) struct buf how = { 0 };
	const char *name = layout_part_name(part->kind);
	part_describe_end(part, &how);
	if (operation_takes_end(demo, part)) {
		return;
	}
	if (demo->phase == DEMO_RUNNING) {
		demo_say(demo, "%s/%s ended: %s; atoll demo restart %s/%s brings it back",
			group->name, name, buf_text(&how), group->name, name);
		return;
	}
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	buf_printf(&text, "the last lines of %s:\n", part->log_path);
	part_log_tail(part, &text);
	(void)fputs(buf_text(&text), stderr);
	(void)err_set(&err, ERR_IO, "%s/%s ended before the demo was ready: %s", group->name, name,
		buf_text(&how));
	demo_stop(demo, &err);
}

static void on_part_changed(void *context, struct part *part) {
	struct demo *demo = context;
	const struct group *group = group_of(demo, part);
	if (group && part->state == PART_ENDED && !part->was_told && demo->phase != DEMO_STOPPING) {
		part_was_lost(demo, group, part);
	}
	demo_advance(demo);
}

static void on_stop_signal(void *context) {
	struct demo *demo = context;
	if (demo->phase != DEMO_STOPPING) {
		demo_say(demo, "stopping");
		demo_stop(demo, NULL);
		return;
	}
	/* Asked twice: no more patience. */
	for (size_t i = 0; i < demo->group_count; i++) {
		for (size_t j = 0; j < demo->groups[i]->part_count; j++) {
			part_kill(&demo->groups[i]->parts[j]);
		}
	}
}

static int check_programs(struct err *err) {
	static const enum part_kind kinds[] = { PART_NODE_EXPORTER, PART_PROMETHEUS };
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		const char *program = layout_program(kinds[i]);
		if (!system_has_program(program)) {
			return err_set(
				err, ERR_IO, "%s not found; apt-get install %s", program, program);
		}
	}
	return 0;
}

static void refuse_all(struct listener *listener, struct stream *stream) {
	(void)listener;
	stream_abort(stream, NULL);
}

/* Whether we could listen on the port now. */
static int check_port(struct demo *demo, uint16_t port, struct err *err) {
	static const struct listener_ops ops = { .on_accept = refuse_all };
	const struct listener_options options = { .ops = &ops };
	struct listener *listener = NULL;
	struct err reason = { 0 };
	int rc = listener_open(demo->loop, "127.0.0.1", port, &options, &listener, &reason);
	listener_close(listener);
	if (rc < 0 && strstr(reason.text, "in use")) {
		return err_set(err, ERR_IO,
			"port %u is in use by something else; use --port to move the demo", port);
	}
	return rc < 0 ? err_set(err, ERR_IO, "port %u: %s; use --port", port, reason.text) : 0;
}

int demo_check_ports(struct demo *demo, size_t slot, struct err *err) {
	uint16_t begin = layout_port(demo->options->first_port, slot, PART_NODE_EXPORTER);
	int rc = 0;
	for (uint16_t i = 0; rc == 0 && i < LAYOUT_CLUSTER_PORTS; i++) {
		rc = check_port(demo, (uint16_t)(begin + i), err);
	}
	return rc;
}

static int check_all_ports(struct demo *demo, struct err *err) {
	int rc = check_port(demo, demo->options->first_port, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(first_clusters); i++) {
		rc = demo_check_ports(demo, i, err);
	}
	return rc;
}

static bool is_first_cluster(const char *name) {
	bool is_first = false;
	for (size_t i = 0; i < ARRAY_COUNT(first_clusters); i++) {
		is_first = is_first || strcmp(name, first_clusters[i].name) == 0;
	}
	return is_first;
}

/* Clusters that were added to an earlier demo are not part of a new one. */
static int remove_added_clusters(struct demo *demo, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct dir_list list = { 0 };
	buf_printf(&path, "%s/clusters", buf_text(&demo->folder.path));
	int rc = dir_make(buf_text(&path), 0700, err);
	if (rc == 0) {
		rc = dir_list(buf_text(&path), &list, err);
	}
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		AUTO(buf_deinit) struct buf cluster = { 0 };
		buf_printf(&cluster, "%s/%s", buf_text(&path), list.names[i]);
		rc = is_first_cluster(list.names[i]) ? 0 : dir_remove_tree(buf_text(&cluster), err);
	}
	dir_list_free(&list);
	return rc;
}

static int write_grafana(struct demo *demo, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&path, "%s/grafana", buf_text(&demo->folder.path));
	int rc = dir_make(buf_text(&path), 0755, err);
	if (rc == 0) {
		buf_add_text(&path, "/atoll.yaml");
		layout_grafana_yaml(demo->options->first_port, &text);
		rc = file_write_atomic(buf_text(&path), buf_str(&text), 0644, err);
	}
	return rc;
}

static int add_new_group(
	struct demo *demo, const char *name, size_t slot, bool is_stock, struct err *err) {
	struct group *group = NULL;
	int rc = group_new(&demo->shared, name, slot, is_stock, &group, err);
	if (rc == 0) {
		demo_add_group(demo, group);
	}
	return rc;
}

static int make_groups(struct demo *demo, struct err *err) {
	int rc = group_make_anchor(demo->shared.folder, err);
	if (rc == 0) {
		rc = add_new_group(demo, GROUP_NAME_HUB, 0, false, err);
	}
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(first_clusters); i++) {
		rc = add_new_group(
			demo, first_clusters[i].name, i, first_clusters[i].is_stock, err);
		if (rc == 0) {
			rc = group_link(demo->groups[demo->group_count - 1], err);
		}
	}
	return rc;
}

static int prepare(struct demo *demo, const char *program, struct err *err) {
	int rc = check_programs(err);
	if (rc < 0) {
		return rc;
	}
	demo->loop = loop_new(clock_system());
	demo->fetcher = fetcher_new(demo->loop);
	demo->shared = (struct group_context){
		.loop = demo->loop,
		.fetcher = demo->fetcher,
		.folder = buf_text(&demo->folder.path),
		.program = program,
		.first_port = demo->options->first_port,
		.changed = on_part_changed,
		.context = demo,
	};
	rc = check_all_ports(demo, err);
	if (rc == 0) {
		rc = remove_added_clusters(demo, err);
	}
	if (rc == 0) {
		rc = make_groups(demo, err);
	}
	if (rc == 0) {
		rc = write_grafana(demo, err);
	}
	return rc == 0 ? control_open(demo->loop, demo->shared.folder, operation_run, demo,
				 &demo->control, err)
		       : rc;
}

static void announce(struct demo *demo) {
	AUTO(buf_deinit) struct buf map = { 0 };
	struct layout_cluster clusters[ARRAY_COUNT(first_clusters)];
	for (size_t i = 0; i < ARRAY_COUNT(first_clusters); i++) {
		clusters[i] = (struct layout_cluster){
			.name = first_clusters[i].name,
			.slot = i,
			.first_port = demo->options->first_port,
		};
	}
	layout_port_map(clusters, ARRAY_COUNT(clusters), &map);
	demo_say(demo, "state: %s", demo->shared.folder);
	demo_say(demo, "ports: %u hub, %s; up to %d for clusters added later",
		demo->options->first_port, buf_text(&map),
		demo->options->first_port + LAYOUT_PORTS - 1);
}

static int start(struct demo *demo, struct err *err) {
	int rc = 0;
	announce(demo);
	status_init(demo);
	demo->begin_ns = loop_now_ns(demo->loop);
	demo->advance.run = on_advance;
	demo->deadline.run = on_deadline;
	loop_on_signal(demo->loop, SIGINT, on_stop_signal, demo);
	loop_on_signal(demo->loop, SIGTERM, on_stop_signal, demo);
	loop_on_signal(demo->loop, SIGHUP, on_stop_signal, demo);
	/* The hub, which is the first, comes last: then there is somebody for it to call. */
	for (size_t i = demo->group_count; rc == 0 && i > 0; i--) {
		rc = group_start(demo->groups[i - 1], err);
	}
	if (rc == 0) {
		loop_timer_after_ms(demo->loop, &demo->deadline, demo->options->ready_timeout_ms);
		status_follow_up(demo);
	}
	return rc;
}

/* Ends what is left; fine after a failure half way. */
static void close_all(struct demo *demo) {
	status_deinit(demo);
	control_close(demo->control);
	for (size_t i = 0; i < demo->group_count; i++) {
		group_free(demo->groups[i]);
	}
	fetcher_free(demo->fetcher);
	loop_free(demo->loop);
	state_folder_close(&demo->folder);
	arena_deinit(&demo->status);
}

int demo_run(const struct demo_options *options, struct err *err) {
	struct demo demo = { .options = options };
	char program[PATH_BYTES_MAX];
	system_self_path(program, sizeof(program));
	int rc = state_folder_open(options->folder, &demo.folder, err);
	if (rc == 0) {
		rc = prepare(&demo, program, err);
	}
	if (rc == 0) {
		rc = start(&demo, err);
	}
	if (rc == 0) {
		loop_run(demo.loop);
		rc = demo.failure.code;
		if (rc < 0 && err) {
			*err = demo.failure;
		}
	}
	close_all(&demo);
	return rc;
}
