#include "hub/state.h"

#include "base/check.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct hub *hub_new(const struct hub_options *options) {
	static const struct source_ops ops = {
		.query = hub_query,
		.series = hub_series,
		.label_names = hub_label_names,
		.label_values = hub_label_values,
		.document = hub_document,
	};
	static const char *const by_outcome[] = { "cluster", "outcome", NULL };
	static const char *const by_cluster[] = { "cluster", NULL };
	static const double bounds[] = { 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10 };
	struct hub *hub = MEMORY_NEW(struct hub, 1);
	hub->source.ops = &ops;
	hub->options = *options;
	hub->label = str_of(options->cluster_label);
	lock_init(&hub->lock, LOCK_RANK_SERVICE);
	hub->fragments_total =
		metric_declare(options->metrics, METRIC_COUNTER, "atoll_hub_fragments_total",
			"Requests to clusters, by what came of them.", by_outcome);
	hub->wait_seconds = metric_declare_histogram(options->metrics, "atoll_hub_fragment_seconds",
		"How long clusters took to answer.", by_cluster, bounds, ARRAY_COUNT(bounds));
	return hub;
}

void hub_free(struct hub *hub) {
	lock_take(&hub->lock);
	while (hub->figures) {
		struct hub_figures *figures = hub->figures;
		hub->figures = figures->next;
		free(figures->cluster);
		free(figures);
	}
	lock_drop(&hub->lock);
	lock_deinit(&hub->lock);
	free(hub);
}

struct source *hub_source(struct hub *hub) {
	return &hub->source;
}

struct hub_figures *hub_figures_locked(struct hub *hub, struct str cluster) {
	for (struct hub_figures *figures = hub->figures; figures; figures = figures->next) {
		if (str_equal(cluster, str_of(figures->cluster))) {
			return figures;
		}
	}
	if (hub->figure_count == HUB_CLUSTERS_MAX) {
		return NULL;
	}
	struct hub_figures *figures = MEMORY_NEW(struct hub_figures, 1);
	figures->cluster = strndup(cluster.ptr, cluster.len);
	CHECK(figures->cluster);
	figures->head_series = (double)NAN;
	figures->next = hub->figures;
	hub->figures = figures;
	hub->figure_count++;
	return figures;
}

void hub_note_answer(struct hub *hub, const struct hub_fetch *fetch, int64_t series) {
	char name[256];
	(void)snprintf(name, sizeof(name), "%.*s", STR_ARG(fetch->cluster.name));
	const char *const outcome[] = { name, fetch->rc == 0 ? "ok" : err_name(fetch->rc) };
	metric_inc(metric_child(hub->fragments_total, outcome));
	if (fetch->rc == 0) {
		metric_observe(metric_child(hub->wait_seconds, outcome),
			(double)fetch->response.duration_ns / (double)NS_PER_S);
	}
	lock_take(&hub->lock);
	struct hub_figures *figures = hub_figures_locked(hub, fetch->cluster.name);
	if (figures && fetch->rc < 0) {
		figures->errors++;
	} else if (figures && series >= 0) {
		figures->queries++;
		figures->last_bytes = fetch->response.received_bytes;
		figures->last_duration_ns = fetch->response.duration_ns;
		figures->last_series = series;
		figures->last_at_ms = clock_now_ms(hub->options.clock);
	}
	lock_drop(&hub->lock);
}

void hub_warn_missing(
	const struct hub_fetch *fetch, struct arena *arena, struct annotations *notes) {
	annotations_add(notes, arena, false,
		arena_printf(arena, "cluster \"%.*s\" is missing from this answer: %s",
			STR_ARG(fetch->cluster.name), fetch->err.text));
}

void hub_charge_init(struct hub *hub, struct arena *arena, struct hub_charge *charge) {
	*charge = (struct hub_charge){ .arena = arena, .is_ours = arena->budget == NULL };
	engine_budget_init(hub->options.engine, &charge->budget);
	if (charge->is_ours) {
		arena->budget = &charge->budget;
	}
}

void hub_charge_deinit(struct hub_charge *charge) {
	if (charge->is_ours) {
		charge->arena->budget = NULL;
	}
	budget_deinit(&charge->budget);
}

int64_t hub_time_left_ms(const struct hub *hub, const struct query_control *control) {
	int64_t left_ms = hub->options.cluster_timeout_ms;
	if (control && control->deadline_ns > 0) {
		int64_t until_ms =
			(control->deadline_ns - clock_mono_ns(hub->options.clock)) / NS_PER_MS;
		left_ms = until_ms < left_ms ? until_ms : left_ms;
	}
	return left_ms > 1 ? left_ms : 1;
}

void hub_fetch_start(
	struct hub *hub, struct hub_fetch *fetches, size_t count, struct query_control *control) {
	struct hub_transport *transport = hub->options.transport;
	int64_t timeout_ms = hub_time_left_ms(hub, control);
	for (size_t i = 0; i < count; i++) {
		struct hub_fetch *fetch = &fetches[i];
		if (fetch->cluster.down.len > 0) {
			continue;
		}
		const struct hub_request request = {
			.cluster = fetch->cluster.name,
			.export_name = fetch->cluster.export_name,
			.path = fetch->path,
			.form = fetch->form,
			.is_get = fetch->is_get,
			.timeout_ms = timeout_ms,
			.body_bytes_max = hub->options.answer_bytes_max,
			.canceled = control ? &control->canceled : NULL,
		};
		fetch->call = transport->ops->start(transport, &request);
	}
}

void hub_fetch_wait(struct hub *hub, struct hub_fetch *fetch, struct arena *arena) {
	struct hub_transport *transport = hub->options.transport;
	fetch->rc = fetch->call ? transport->ops->wait(transport, fetch->call, arena,
					  &fetch->response, &fetch->err)
				: err_set(&fetch->err, ERR_CLOSED, "%.*s",
					  STR_ARG(fetch->cluster.down));
	fetch->call = NULL;
	if (fetch->rc == ERR_LIMIT) {
		const struct err reason = fetch->err;
		(void)err_set(&fetch->err, ERR_LIMIT,
			"%.400s; ask for less, or raise --hub.max-answer-bytes", reason.text);
	}
}

void hub_fetch_all(struct hub *hub, struct hub_fetch *fetches, size_t count,
	struct query_control *control, struct arena *arena) {
	hub_fetch_start(hub, fetches, count, control);
	for (size_t i = 0; i < count; i++) {
		hub_fetch_wait(hub, &fetches[i], arena);
	}
}

bool hub_route_selector(
	const struct hub *hub, const struct selector *selector, struct str cluster) {
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];
		if (str_equal(matcher->name, hub->label) && !matcher_matches(matcher, cluster)) {
			return false;
		}
	}
	return true;
}

void hub_print_routed(const struct hub *hub, const struct selector *selector, struct buf *out) {
	size_t written = 0;
	buf_add_byte(out, '{');
	for (size_t i = 0; i < selector->matcher_count; i++) {
		const struct matcher *matcher = &selector->matchers[i];
		if (str_equal(matcher->name, hub->label)) {
			continue;
		}
		buf_add_text(out, written++ > 0 ? "," : "");
		matcher_format(matcher, out);
	}
	if (written == 0) {
		buf_add_text(out, "__name__!=\"\"");
	}
	buf_add_byte(out, '}');
}
