/*
 * Commands to a running demo. One change at a time: it goes from step to step whenever a part
 * becomes ready or ends, and its client is told every two seconds that we are at it.
 */
#include "demo/demo_internal.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PULSE_MS 2000

static const char *verb(enum operation_kind kind) {
	switch (kind) {
	case OPERATION_RESTART:
		return "restarting";
	case OPERATION_ADD:
		return "adding";
	case OPERATION_REMOVE:
		return "removing";
	case OPERATION_NONE:
		break;
	}
	return "";
}

/* The operation is over; its client learns how. */
static void end(struct demo *demo, const struct err *failure) {
	struct operation *operation = &demo->operation;
	loop_timer_clear(demo->loop, &operation->timer);
	if (operation->call) {
		control_end(operation->call, failure);
	}
	*operation = (struct operation){ .timer.run = operation->timer.run };
}

static void say(struct demo *demo, const char *fmt, ...) PRINTF(2, 3);
static void say(struct demo *demo, const char *fmt, ...) {
	AUTO(buf_deinit) struct buf text = { 0 };
	va_list args;
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	control_say(demo->operation.call, buf_str(&text));
}

/* Takes a cluster out again: first the hub forgets it, then its parts end, then its files go. */
static void begin_removal(struct demo *demo) {
	struct operation *operation = &demo->operation;
	struct err err = { 0 };
	operation->kind = OPERATION_REMOVE;
	if (group_unlink(operation->group, &err) < 0) {
		end(demo, &err);
		return;
	}
	group_stop(operation->group);
	demo_advance(demo);
}

/* An operation that cannot succeed. What was added is taken out again. */
static void fail(struct demo *demo, const struct err *failure) {
	struct operation *operation = &demo->operation;
	if (operation->kind == OPERATION_ADD) {
		operation->failure = *failure;
		begin_removal(demo);
	} else {
		end(demo, failure);
	}
}

static void on_pulse(struct timer *timer) {
	struct operation *operation = CONTAINER_OF(timer, struct operation, timer);
	struct demo *demo = CONTAINER_OF(operation, struct demo, operation);
	control_say(operation->call, STR_EMPTY);
	loop_timer_after_ms(demo->loop, &operation->timer, PULSE_MS);
	if (operation->kind == OPERATION_REMOVE || loop_now_ns(demo->loop) < operation->due_ns) {
		return;
	}
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	demo_describe_wait(demo, operation->group, &text);
	control_say(operation->call, buf_str(&text));
	(void)err_set(&err, ERR_TIMEOUT, "%s is not up within %" PRId64 " s",
		operation->group->name, demo->options->ready_timeout_ms / MS_PER_S);
	fail(demo, &err);
}

static void begin(struct demo *demo, enum operation_kind kind, struct control_call *call,
	struct group *group) {
	struct operation *operation = &demo->operation;
	int64_t now_ns = loop_now_ns(demo->loop);
	*operation = (struct operation){
		.kind = kind,
		.call = call,
		.group = group,
		.begin_ns = now_ns,
		.due_ns = now_ns + demo->options->ready_timeout_ms * NS_PER_MS,
		.timer.run = on_pulse,
	};
	loop_timer_after_ms(demo->loop, &operation->timer, PULSE_MS);
}

static double seconds_since(struct demo *demo) {
	int64_t ns = loop_now_ns(demo->loop) - demo->operation.begin_ns;
	return (double)ns / (double)NS_PER_S;
}

static bool is_meant(const struct operation *operation, const struct part *part) {
	const struct part *parts = operation->group->parts;
	bool is_in_group = part >= parts && part < parts + operation->group->part_count;
	return is_in_group && (!operation->part || operation->part == part);
}

static void start_again(struct demo *demo) {
	struct operation *operation = &demo->operation;
	struct err err = { 0 };
	operation->is_starting = true;
	for (size_t i = 0; i < operation->group->part_count; i++) {
		struct part *part = &operation->group->parts[i];
		if (is_meant(operation, part) && part_start(part, &err) < 0) {
			end(demo, &err);
			return;
		}
	}
}

static void advance_restart(struct demo *demo) {
	struct operation *operation = &demo->operation;
	bool have_ended = true;
	bool are_ready = true;
	for (size_t i = 0; i < operation->group->part_count; i++) {
		const struct part *part = &operation->group->parts[i];
		if (is_meant(operation, part)) {
			have_ended = have_ended && !part_is_running(part);
			are_ready = are_ready && part->state == PART_READY;
		}
	}
	if (!operation->is_starting && have_ended) {
		start_again(demo);
	} else if (operation->is_starting && are_ready) {
		say(demo, "ready after %.1f s", seconds_since(demo));
		end(demo, NULL);
	}
}

static void advance_removal(struct demo *demo) {
	struct operation *operation = &demo->operation;
	struct group *group = operation->group;
	struct err failure = operation->failure;
	struct err err = { 0 };
	if (group_is_running(group)) {
		return;
	}
	if (group_remove_files(group, &err) < 0 && failure.code == 0) {
		failure = err;
	}
	if (failure.code == 0) {
		say(demo, "%s is gone", group->name);
	}
	demo_remove_group(demo, group);
	end(demo, failure.code < 0 ? &failure : NULL);
}

void operation_advance(struct demo *demo) {
	struct operation *operation = &demo->operation;
	switch (operation->kind) {
	case OPERATION_NONE:
		return;
	case OPERATION_RESTART:
		advance_restart(demo);
		return;
	case OPERATION_ADD:
		if (demo_group_is_up(operation->group)) {
			say(demo, "%s answers over the hub after %.1f s", operation->group->name,
				seconds_since(demo));
			end(demo, NULL);
		}
		return;
	case OPERATION_REMOVE:
		advance_removal(demo);
		return;
	}
}

bool operation_takes_end(struct demo *demo, const struct part *part) {
	struct operation *operation = &demo->operation;
	bool is_starting = operation->kind == OPERATION_ADD ||
			   (operation->kind == OPERATION_RESTART && operation->is_starting);
	if (!is_starting || !is_meant(operation, part)) {
		return false;
	}
	AUTO(buf_deinit) struct buf how = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	part_describe_end(part, &how);
	(void)err_set(&err, ERR_IO, "%s/%s ended before it was ready: %s", operation->group->name,
		layout_part_name(part->kind), buf_text(&how));
	buf_printf(&text, "the last lines of %s:\n", part->log_path);
	part_log_tail(part, &text);
	control_say(operation->call, buf_str(&text));
	fail(demo, &err);
	return true;
}

void operation_cancel(struct demo *demo) {
	struct err err = { 0 };
	if (demo->operation.kind != OPERATION_NONE) {
		(void)err_set(&err, ERR_CANCELED, "the demo is ending");
		end(demo, &err);
	}
}

/* Names what could have been meant. */
static int unknown(const struct demo *demo, struct str name, struct err *err) {
	AUTO(buf_deinit) struct buf names = { 0 };
	for (size_t i = 0; i < demo->group_count; i++) {
		buf_printf(&names, "%s%s", i > 0 ? ", " : "", demo->groups[i]->name);
	}
	return err_set(err, ERR_INVAL, "\"%.*s\" is none of %s", STR_ARG(str_first(name, 100)),
		buf_text(&names));
}

static int find_part(struct group *group, struct str name, struct part **out, struct err *err) {
	AUTO(buf_deinit) struct buf names = { 0 };
	struct part *part = group_find_part(group, name);
	for (size_t i = 0; !part && i < group->part_count; i++) {
		buf_printf(
			&names, "%s%s", i > 0 ? ", " : "", layout_part_name(group->parts[i].kind));
	}
	if (!part) {
		return err_set(err, ERR_INVAL, "%s has no part \"%.*s\", but %s", group->name,
			STR_ARG(str_first(name, 100)), buf_text(&names));
	}
	*out = part;
	return 0;
}

static int restart(
	struct demo *demo, struct control_call *call, struct str target, struct err *err) {
	struct str part_name = target;
	struct str group_name = str_cut(&part_name, '/');
	struct group *group = demo_find_group(demo, group_name);
	struct part *part = NULL;
	if (!group) {
		return unknown(demo, group_name, err);
	}
	int rc = part_name.ptr ? find_part(group, part_name, &part, err) : 0;
	if (rc < 0) {
		return rc;
	}
	begin(demo, OPERATION_RESTART, call, group);
	demo->operation.part = part;
	for (size_t i = 0; i < group->part_count; i++) {
		if (is_meant(&demo->operation, &group->parts[i])) {
			part_stop(&group->parts[i]);
		}
	}
	demo_advance(demo);
	return 0;
}

/* The first block of ports that no cluster has. */
static int find_slot(const struct demo *demo, size_t *out, struct err *err) {
	bool is_taken[LAYOUT_CLUSTERS_MAX] = { false };
	for (size_t i = 1; i < demo->group_count; i++) {
		is_taken[demo->groups[i]->slot] = true;
	}
	for (size_t slot = 0; slot < LAYOUT_CLUSTERS_MAX; slot++) {
		if (!is_taken[slot]) {
			*out = slot;
			return 0;
		}
	}
	return err_set(err, ERR_LIMIT, "the demo has its %d clusters", LAYOUT_CLUSTERS_MAX);
}

static int make_cluster(struct demo *demo, struct str name, struct group **out, struct err *err) {
	char text[128];
	size_t slot = 0;
	if (demo_find_group(demo, name) || str_equal(name, STR(GROUP_NAME_HUB))) {
		return err_set(err, ERR_INVAL, "%.*s is there already", STR_ARG(name));
	}
	(void)snprintf(text, sizeof(text), "%.*s", STR_ARG(str_first(name, sizeof(text) - 1)));
	int rc = find_slot(demo, &slot, err);
	if (rc == 0) {
		rc = demo_check_ports(demo, slot, err);
	}
	return rc == 0 ? group_new(&demo->shared, text, slot, false, out, err) : rc;
}

static int add(struct demo *demo, struct control_call *call, struct str name, struct err *err) {
	struct group *group = NULL;
	int rc = make_cluster(demo, name, &group, err);
	if (rc < 0) {
		return rc;
	}
	demo_add_group(demo, group);
	begin(demo, OPERATION_ADD, call, group);
	rc = group_link(group, err);
	if (rc == 0) {
		rc = group_start(group, err);
	}
	if (rc < 0) {
		struct err failure = *err;
		fail(demo, &failure);
		return 0; /* The call is the operation's by now. */
	}
	say(demo, "%s: ports %u to %u", group->name,
		layout_port(demo->options->first_port, group->slot, PART_NODE_EXPORTER),
		layout_gateway_web_port(demo->options->first_port, group->slot));
	status_follow_up(demo);
	return 0;
}

static int take_out(
	struct demo *demo, struct control_call *call, struct str name, struct err *err) {
	struct group *group = demo_find_group(demo, name);
	if (!group) {
		return unknown(demo, name, err);
	}
	if (group->is_hub) {
		return err_set(
			err, ERR_INVAL, "the hub is no cluster; without it there is no demo");
	}
	begin(demo, OPERATION_REMOVE, call, group);
	begin_removal(demo);
	return 0;
}

static int change(struct demo *demo, struct control_call *call, struct str command,
	struct str argument, struct err *err) {
	const struct operation *operation = &demo->operation;
	if (demo->phase != DEMO_RUNNING) {
		return err_set(err, ERR_CLOSED, "the demo is %s",
			demo->phase == DEMO_STARTING ? "not ready yet; try again when it is"
						     : "ending");
	}
	if (operation->kind != OPERATION_NONE) {
		return err_set(err, ERR_LIMIT, "the demo is busy %s %s; try again",
			verb(operation->kind), operation->group->name);
	}
	if (str_equal(command, STR("restart"))) {
		return restart(demo, call, argument, err);
	}
	if (str_equal(command, STR("add-cluster"))) {
		return add(demo, call, argument, err);
	}
	if (str_equal(command, STR("remove-cluster"))) {
		return take_out(demo, call, argument, err);
	}
	return err_set(err, ERR_INVAL, "the demo knows no command \"%.*s\"", STR_ARG(command));
}

void operation_run(void *context, struct control_call *call, struct str line) {
	struct demo *demo = context;
	struct str argument = line;
	struct str command = str_cut(&argument, ' ');
	struct err err = { 0 };
	if (str_equal(command, STR("status"))) {
		AUTO(buf_deinit) struct buf text = { 0 };
		status_format(demo, &text);
		control_say(call, buf_str(&text));
		control_end(call, NULL);
	} else if (change(demo, call, command, argument, &err) < 0) {
		control_end(call, &err);
	}
}
