#include "mesh/export_state.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The statuses that get a count of their own; "other" takes the rest, "aborted" is 0. */
static const int statuses[] = { 200, 204, 400, 404, 405, 413, 422, 500, 502, 503, 504 };

void export_metrics_init(struct export_metrics *families, struct metric_registry *metrics) {
	static const char *const labels[] = { "export", NULL };
	static const char *const request_labels[] = { "export", "code", NULL };
	static const double bounds[] = { 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60 };
	families->requests = metric_declare(metrics, METRIC_COUNTER, "atoll_gateway_requests_total",
		"Requests let through to an export, by the status of the answer.", request_labels);
	families->in_flight = metric_declare(metrics, METRIC_GAUGE,
		"atoll_gateway_requests_in_flight", "Requests to an export under way now.", labels);
	families->upstream_bytes = metric_declare(metrics, METRIC_COUNTER,
		"atoll_gateway_upstream_received_bytes_total",
		"Bytes of answers' bodies received from the service behind an export.", labels);
	families->sent_bytes =
		metric_declare(metrics, METRIC_COUNTER, "atoll_gateway_response_bytes_total",
			"Bytes of answers' bodies sent to peers, after compression.", labels);
	families->duration =
		metric_declare_histogram(metrics, "atoll_gateway_request_duration_seconds",
			"Time from a request to the end of its answer.", labels, bounds,
			ARRAY_COUNT(bounds));
}

static struct export_state *make(const struct export_metrics *families, struct str name) {
	struct export_state *state = MEMORY_NEW(struct export_state, 1);
	state->families = families;
	state->name = strndup(name.ptr, name.len);
	CHECK(state->name);
	const char *const values[] = { state->name };
	state->gauge = metric_child(families->in_flight, values);
	state->upstream_bytes = metric_child(families->upstream_bytes, values);
	state->sent_bytes = metric_child(families->sent_bytes, values);
	state->duration = metric_child(families->duration, values);
	return state;
}

struct export_state *export_states_get(
	struct export_state **list, const struct export_metrics *families, struct str name) {
	for (struct export_state *state = *list; state; state = state->next) {
		if (str_equal(str_of(state->name), name)) {
			return state;
		}
	}
	struct export_state *state = make(families, name);
	state->next = *list;
	*list = state;
	return state;
}

static const char *status_text(int status, char text[8]) {
	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		if (statuses[i] == status) {
			(void)snprintf(text, 8, "%d", status);
			return text;
		}
	}
	return status == 0 ? "aborted" : "other";
}

static void remove_requests(const struct export_state *state, const char *code) {
	const char *const values[] = { state->name, code };
	metric_remove(state->families->requests, values);
}

static void release(struct export_state *state) {
	const char *const values[] = { state->name };
	metric_remove(state->families->in_flight, values);
	metric_remove(state->families->upstream_bytes, values);
	metric_remove(state->families->sent_bytes, values);
	metric_remove(state->families->duration, values);
	for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
		char text[8];
		remove_requests(state, status_text(statuses[i], text));
	}
	remove_requests(state, "aborted");
	remove_requests(state, "other");
	free(state->name);
	free(state);
}

void export_states_sweep(struct export_state **list) {
	while (*list) {
		struct export_state *state = *list;
		if (state->is_listed || state->in_flight > 0) {
			list = &state->next;
			continue;
		}
		*list = state->next;
		release(state);
	}
}

void export_state_begin(struct export_state *state) {
	state->in_flight++;
	metric_set(state->gauge, (double)state->in_flight);
}

void export_state_end(struct export_state *state, int status, int64_t duration_ns) {
	char text[8];
	const char *const values[] = { state->name, status_text(status, text) };
	CHECK(state->in_flight > 0);
	state->in_flight--;
	metric_set(state->gauge, (double)state->in_flight);
	metric_inc(metric_child(state->families->requests, values));
	metric_observe(state->duration, (double)duration_ns / (double)NS_PER_S);
}
