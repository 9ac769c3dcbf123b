/*
 * The set of mirrors, kept in line with what the links know.
 *
 * A mirror's name is its cluster and its export's name; both are DNS labels. Its port is chosen
 * once and then stands in the state file, also for a while after it was removed. After a restart
 * those of the state are there again at once, not ready until their link's catalogue has come.
 */
#include "mirror/mirror.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/file.h"
#include "mirror/internal.h"
#include "mirror/state.h"

#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 1000
#define STATE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define DIRECTORY_MODE 0755

/* In the order in which they are written: a port stands in the state before anybody is told. */
enum file {
	FILE_STATE,
	FILE_DISCOVERY,
	FILE_GRAFANA
};

static const struct writer_file files[] = {
	[FILE_STATE] = { "state.json", 0600 },
	[FILE_DISCOVERY] = { "prometheus.json", 0644 },
	[FILE_GRAFANA] = { "grafana.yaml", 0644 },
};

bool mirrors_has_port(const struct mirrors *mirrors, uint16_t port) {
	for (size_t i = 0; i < mirrors->count; i++) {
		if (mirrors->items[i]->port == port) {
			return true;
		}
	}
	return false;
}

static int compare_names(const struct mirror *mirror, struct str cluster, struct str export_name) {
	int cmp = str_cmp(str_of(mirror->cluster), cluster);
	return cmp != 0 ? cmp : str_cmp(str_of(mirror->export_name), export_name);
}

/* Where a mirror stands, or would. */
static size_t find_slot(const struct mirrors *mirrors, struct str cluster, struct str export_name) {
	size_t from = 0;
	size_t to = mirrors->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (compare_names(mirrors->items[middle], cluster, export_name) < 0) {
			from = middle + 1;
		} else {
			to = middle;
		}
	}
	return from;
}

static struct mirror *find(
	const struct mirrors *mirrors, struct str cluster, struct str export_name) {
	size_t slot = find_slot(mirrors, cluster, export_name);
	bool is_there = slot < mirrors->count &&
			compare_names(mirrors->items[slot], cluster, export_name) == 0;
	return is_there ? mirrors->items[slot] : NULL;
}

static void copy_text(char *to, size_t size, struct str from) {
	(void)snprintf(to, size, "%.*s", STR_ARG(from));
}

static struct mirror *insert(struct mirrors *mirrors, struct str cluster, struct str export_name) {
	size_t slot = find_slot(mirrors, cluster, export_name);
	if (mirrors->count == mirrors->capacity) {
		mirrors->capacity = mirrors->capacity > 0 ? 2 * mirrors->capacity : 16;
		mirrors->items =
			memory_resize(mirrors->items, mirrors->capacity, sizeof(struct mirror *));
	}
	struct mirror *mirror = MEMORY_NEW(struct mirror, 1);
	mirror->set = mirrors;
	copy_text(mirror->cluster, sizeof(mirror->cluster), cluster);
	copy_text(mirror->export_name, sizeof(mirror->export_name), export_name);
	mirror->catalogue_age_ms = -1;
	memmove(&mirrors->items[slot + 1], &mirrors->items[slot],
		(mirrors->count - slot) * sizeof(struct mirror *));
	mirrors->items[slot] = mirror;
	mirrors->count++;
	return mirror;
}

static int64_t now_ms(const struct mirrors *mirrors) {
	return clock_now_ms(loop_clock(mirrors->loop));
}

static void set_state(struct mirror *mirror, enum mirror_state state, const char *reason) {
	bool is_news = mirror->state != state;
	mirror->state = state;
	(void)snprintf(mirror->reason, sizeof(mirror->reason), "%s", reason);
	if (is_news && state == MIRROR_READY) {
		log_info("mirror ready", KV("cluster", mirror->cluster),
			KV("export", mirror->export_name), KV_INT("port", mirror->port));
	} else if (is_news && state != MIRROR_REMOVED) {
		log_warn("mirror not ready", KV("cluster", mirror->cluster),
			KV("export", mirror->export_name), KV("why", reason));
	}
}

static const char *link_trouble(const struct link_status *link) {
	if (link->state == LINK_UP) {
		return "it is up";
	}
	return link->last_error.len > 0 ? link->last_error.ptr : "it is being made";
}

/* Whether it is ready, from the link's state and its own. */
static void judge(struct mirror *mirror, const struct link_status *link) {
	int64_t stale_ms = mirror->set->options.stale_ms;
	struct err why = { 0 };
	mirror->catalogue_age_ms = link->catalogue_age_ms;
	if (!mirror->server) {
		set_state(mirror, MIRROR_FAILED, mirror->failure.text);
	} else if (link->catalogue_age_ms < 0) {
		(void)err_set(&why, ERR_CLOSED,
			"no catalogue of cluster %s has come since the start; its link: %s",
			mirror->cluster, link_trouble(link));
		set_state(mirror, MIRROR_STALE, why.text);
	} else if (link->catalogue_age_ms > stale_ms) {
		(void)err_set(&why, ERR_CLOSED,
			"the catalogue of cluster %s is %lld s old, more than --mirror.max-stale "
			"allows (%lld s); its link: %s",
			mirror->cluster, (long long)(link->catalogue_age_ms / MS_PER_S),
			(long long)(stale_ms / MS_PER_S), link_trouble(link));
		set_state(mirror, MIRROR_STALE, why.text);
	} else {
		set_state(mirror, MIRROR_READY, "");
	}
	metric_set(mirror->ready, mirror->state == MIRROR_READY);
	metric_set(mirror->age, (double)link->catalogue_age_ms / MS_PER_S);
}

static void keep(struct mirror *mirror, const struct link_status *link) {
	int64_t now_ns = loop_now_ns(mirror->set->loop);
	mirror->is_listed = true;
	mirror->removed_ms = 0;
	if (link->identity.len > 0) {
		copy_text(mirror->identity, sizeof(mirror->identity), link->identity);
	}
	if (!mirror->server && now_ns >= mirror->retry_ns) {
		mirror_listen(mirror);
	}
	judge(mirror, link);
}

/* Only its port is kept. */
static void remove_mirror(struct mirror *mirror, const char *why) {
	log_info("mirror removed", KV("cluster", mirror->cluster),
		KV("export", mirror->export_name), KV("why", why));
	mirror_close(mirror);
	mirror->failure = (struct err){ 0 };
	mirror->retry_ns = 0;
	mirror->removed_ms = now_ms(mirror->set);
	set_state(mirror, MIRROR_REMOVED, why);
}

/* Those that were there before a restart, while nobody knows what the cluster exports now. */
static void keep_known(struct mirrors *mirrors, const struct link_status *link) {
	size_t i = find_slot(mirrors, link->cluster, STR_EMPTY);
	for (; i < mirrors->count; i++) {
		struct mirror *mirror = mirrors->items[i];
		if (!str_equal(str_of(mirror->cluster), link->cluster)) {
			break;
		}
		if (mirror->state != MIRROR_REMOVED) {
			keep(mirror, link);
		}
	}
}

/* How many of a cluster's mirrors are there, removed ones left out. */
static size_t count_live(const struct mirrors *mirrors, struct str cluster) {
	size_t count = 0;
	for (size_t i = find_slot(mirrors, cluster, STR_EMPTY); i < mirrors->count; i++) {
		if (!str_equal(str_of(mirrors->items[i]->cluster), cluster)) {
			break;
		}
		count += mirrors->items[i]->state != MIRROR_REMOVED ? 1 : 0;
	}
	return count;
}

static struct mirror *revive_or_make(
	struct mirrors *mirrors, const struct link_status *link, const struct link_export *export) {
	struct mirror *mirror = find(mirrors, link->cluster, export->name);
	if (!mirror) {
		mirror = insert(mirrors, link->cluster, export->name);
	}
	mirror->state = MIRROR_STALE;
	return mirror;
}

/* Returns how many exports were left out because the cluster has too many. */
static size_t follow(struct mirrors *mirrors, const struct link_status *link) {
	if (link->catalogue_age_ms < 0) {
		keep_known(mirrors, link);
		return 0;
	}
	/* Those that are there keep their place: they are first. */
	for (size_t i = 0; i < link->export_count; i++) {
		struct mirror *mirror = find(mirrors, link->cluster, link->exports[i].name);
		if (mirror && mirror->state != MIRROR_REMOVED) {
			copy_text(mirror->kind, sizeof(mirror->kind), link->exports[i].kind);
			keep(mirror, link);
		}
	}
	size_t live = count_live(mirrors, link->cluster);
	size_t left_out = 0;
	for (size_t i = 0; i < link->export_count; i++) {
		struct mirror *mirror = find(mirrors, link->cluster, link->exports[i].name);
		if (mirror && mirror->state != MIRROR_REMOVED) {
			continue;
		}
		if (live >= mirrors->options.per_cluster_max) {
			left_out++;
			continue;
		}
		live++;
		mirror = revive_or_make(mirrors, link, &link->exports[i]);
		copy_text(mirror->kind, sizeof(mirror->kind), link->exports[i].kind);
		keep(mirror, link);
	}
	return left_out;
}

static bool has_link(const struct link_status *links, size_t count, const char *cluster) {
	for (size_t i = 0; i < count; i++) {
		if (str_equal(links[i].cluster, str_of(cluster))) {
			return true;
		}
	}
	return false;
}

static bool is_over(const struct mirror *mirror) {
	const struct mirrors_options *options = &mirror->set->options;
	bool has_port = options->kind == MIRROR_TCP && mirror->port > 0;
	int64_t age_ms = now_ms(mirror->set) - mirror->removed_ms;
	return mirror->state == MIRROR_REMOVED &&
	       (!has_port || age_ms < 0 || age_ms >= options->grace_ms);
}

/* Removes what no link lists any more, and forgets what was removed long ago. */
static void sweep(struct mirrors *mirrors, const struct link_status *links, size_t link_count) {
	size_t kept = 0;
	for (size_t i = 0; i < mirrors->count; i++) {
		struct mirror *mirror = mirrors->items[i];
		if (!mirror->is_listed && mirror->state != MIRROR_REMOVED) {
			remove_mirror(mirror, has_link(links, link_count, mirror->cluster)
						      ? "the cluster exports it no more"
						      : "the link is gone");
		}
		if (is_over(mirror)) {
			free(mirror);
		} else {
			mirrors->items[kept++] = mirror;
		}
	}
	mirrors->count = kept;
}

/* What is seen of all mirrors; borrows their strings. */
static struct mirror_view *make_views(const struct mirrors *mirrors, struct arena *arena) {
	struct mirror_view *views = ARENA_NEW(arena, struct mirror_view, mirrors->count + 1);
	for (size_t i = 0; i < mirrors->count; i++) {
		const struct mirror *mirror = mirrors->items[i];
		views[i] = (struct mirror_view){
			.cluster = str_of(mirror->cluster),
			.export_name = str_of(mirror->export_name),
			.kind = str_of(mirror->kind),
			.identity = str_of(mirror->identity),
			.state = mirror->state,
			.reason = str_of(mirror->reason),
			.port = mirror->port,
			.path = mirror->path ? str_of(mirror->path) : STR_EMPTY,
			.removed_ms = mirror->removed_ms,
			.catalogue_age_ms = mirror->catalogue_age_ms,
		};
	}
	return views;
}

static void publish(struct mirrors *mirrors) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf state = { 0 };
	AUTO(buf_deinit) struct buf grafana = { 0 };
	const struct mirror_view *views = make_views(mirrors, &arena);
	state_format(views, mirrors->count, &state);
	view_put_grafana(views, mirrors->count, &grafana);
	buf_reset(&mirrors->discovery);
	view_put_discovery(views, mirrors->count, mirrors->cluster_label, &mirrors->discovery);
	writer_put(mirrors->writer, FILE_STATE, buf_str(&state));
	writer_put(mirrors->writer, FILE_DISCOVERY, buf_str(&mirrors->discovery));
	writer_put(mirrors->writer, FILE_GRAFANA, buf_str(&grafana));
	writer_run(mirrors->writer);
}

static void count_states(const struct mirrors *mirrors) {
	size_t counts[MIRROR_REMOVED + 1] = { 0 };
	for (size_t i = 0; i < mirrors->count; i++) {
		counts[mirrors->items[i]->state]++;
	}
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		const char *const values[] = { mirror_state_name((enum mirror_state)i) };
		metric_set(metric_child(mirrors->metrics.count, values), (double)counts[i]);
	}
}

/* Says which clusters have too many exports, once. */
static void tell_left_out(struct mirrors *mirrors, const struct buf *clusters) {
	uint64_t hash = clusters->len > 0 ? hash_str(buf_str(clusters), 1) : 0;
	if (hash != 0 && hash != mirrors->left_out) {
		log_warn("exports without a mirror; raise --mirror.max-per-cluster",
			KV_STR("clusters", buf_str(clusters)));
	}
	mirrors->left_out = hash;
}

void mirrors_update(struct mirrors *mirrors) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf left_out = { 0 };
	struct link_status *links = NULL;
	size_t count = 0;
	links_snapshot(mirrors->options.links, &arena, &links, &count);
	for (size_t i = 0; i < mirrors->count; i++) {
		mirrors->items[i]->is_listed = false;
	}
	for (size_t i = 0; i < count; i++) {
		size_t number = follow(mirrors, &links[i]);
		if (number > 0) {
			buf_printf(&left_out, "%s%.*s: %zu", left_out.len > 0 ? ", " : "",
				STR_ARG(links[i].cluster), number);
		}
	}
	sweep(mirrors, links, count);
	tell_left_out(mirrors, &left_out);
	count_states(mirrors);
	publish(mirrors);
}

static void on_tick(struct timer *timer) {
	struct mirrors *mirrors = CONTAINER_OF(timer, struct mirrors, timer);
	mirrors_update(mirrors);
	loop_timer_after_ms(mirrors->loop, timer, TICK_MS);
}

static void declare_metrics(struct mirrors *mirrors, struct metric_registry *metrics) {
	static const char *const labels[] = { "cluster", "export", NULL };
	static const char *const code_labels[] = { "cluster", "export", "code", NULL };
	static const char *const state_labels[] = { "state", NULL };
	static const char *const file_labels[] = { "file", NULL };
	static const double bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
		30, 60 };
	mirrors->metrics = (struct mirror_metrics){
		.requests = metric_declare(metrics, METRIC_COUNTER, "atoll_mirror_requests_total",
			"Requests that came in by a mirror, by the status of the answer.",
			code_labels),
		.in_flight =
			metric_declare(metrics, METRIC_GAUGE, "atoll_mirror_requests_in_flight",
				"Requests under way through a mirror.", labels),
		.bytes =
			metric_declare(metrics, METRIC_COUNTER, "atoll_mirror_response_bytes_total",
				"Bytes of answers, as they came over the link.", labels),
		.duration =
			metric_declare_histogram(metrics, "atoll_mirror_request_duration_seconds",
				"From a request to the end of its answer.", labels, bounds,
				ARRAY_COUNT(bounds)),
		.ready = metric_declare(metrics, METRIC_GAUGE, "atoll_mirror_ready",
			"Whether a mirror passes requests on.", labels),
		.age = metric_declare(metrics, METRIC_GAUGE, "atoll_mirror_catalogue_age_seconds",
			"Since the cluster last confirmed what it exports; below 0: not since the "
			"start.",
			labels),
		.count = metric_declare(
			metrics, METRIC_GAUGE, "atoll_mirrors", "Mirrors, by state.", state_labels),
	};
	mirrors->writer = writer_new(mirrors->loop, mirrors->directory, files, ARRAY_COUNT(files),
		metric_declare(metrics, METRIC_COUNTER, "atoll_mirror_file_errors_total",
			"Times that a file of the mirrors could not be written.", file_labels));
}

static int make_folder(const struct mirrors *mirrors, const char *name, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/%s", mirrors->directory, name);
	return dir_make(buf_text(&path), DIRECTORY_MODE, err);
}

static int take_directory(struct mirrors *mirrors, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/lock", mirrors->directory);
	int rc = make_folder(mirrors, "", err);
	if (rc == 0 && mirrors->options.kind == MIRROR_UNIX) {
		rc = make_folder(mirrors, "sockets", err);
	}
	return rc == 0 ? file_lock(buf_text(&path), &mirrors->lock_fd, err) : rc;
}

static void restore(struct mirrors *mirrors, const struct mirror_view *view) {
	struct mirror *mirror = insert(mirrors, view->cluster, view->export_name);
	copy_text(mirror->kind, sizeof(mirror->kind), view->kind);
	copy_text(mirror->identity, sizeof(mirror->identity), view->identity);
	mirror->state = view->state;
	mirror->port = mirrors->options.kind == MIRROR_TCP ? view->port : 0;
	mirror->removed_ms = view->removed_ms;
}

static int load_state(struct mirrors *mirrors, struct err *err) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct mirror_view *views = NULL;
	size_t count = 0;
	buf_printf(&path, "%s/%s", mirrors->directory, files[FILE_STATE].name);
	if (!path_exists(buf_text(&path))) {
		return 0;
	}
	int rc = file_read(buf_text(&path), STATE_BYTES_MAX, &text, err);
	if (rc == 0) {
		rc = state_parse(&arena, buf_str(&text), &views, &count, err);
	}
	if (rc < 0) {
		return err_wrap(
			err, rc, "%s (without it, mirrors may get other ports)", buf_text(&path));
	}
	for (size_t i = 0; i < count; i++) {
		restore(mirrors, &views[i]);
	}
	return 0;
}

static int check_options(const struct mirrors_options *options, struct err *err) {
	if (options->kind == MIRROR_TCP &&
		(options->port_first == 0 || options->port_last < options->port_first)) {
		return err_set(err, ERR_INVAL, "ports %u-%u are not a range", options->port_first,
			options->port_last);
	}
	if (options->stale_ms <= 0 || options->grace_ms < 0 || options->timeout_ms <= 0 ||
		options->per_cluster_max == 0) {
		return err_set(err, ERR_INVAL,
			"how old a catalogue may be, how long a request may take and how many "
			"mirrors a cluster may have must be more than 0");
	}
	return 0;
}

int mirrors_new(struct loop *loop, const struct mirrors_options *options, struct mirrors **out,
	struct err *err) {
	int rc = check_options(options, err);
	if (rc < 0) {
		return rc;
	}
	struct mirrors *mirrors = MEMORY_NEW(struct mirrors, 1);
	mirrors->loop = loop;
	mirrors->options = *options;
	mirrors->directory = strdup(options->directory);
	mirrors->cluster_label = strdup(options->cluster_label);
	CHECK(mirrors->directory && mirrors->cluster_label);
	mirrors->lock_fd = -1;
	mirrors->timer.run = on_tick;
	rc = take_directory(mirrors, err);
	if (rc == 0) {
		rc = load_state(mirrors, err);
	}
	if (rc < 0) {
		mirrors_free(mirrors);
		return rc;
	}
	declare_metrics(mirrors, options->metrics);
	mirrors_update(mirrors);
	loop_timer_after_ms(loop, &mirrors->timer, TICK_MS);
	*out = mirrors;
	return 0;
}

void mirrors_free(struct mirrors *mirrors) {
	if (!mirrors) {
		return;
	}
	loop_timer_clear(mirrors->loop, &mirrors->timer);
	for (size_t i = 0; i < mirrors->count; i++) {
		mirror_close(mirrors->items[i]);
		free(mirrors->items[i]);
	}
	writer_free(mirrors->writer);
	file_close(mirrors->lock_fd);
	buf_deinit(&mirrors->discovery);
	free(mirrors->items);
	free(mirrors->directory);
	free(mirrors->cluster_label);
	free(mirrors);
}

static void serve_discovery(void *context, struct exchange *exchange, struct str param) {
	const struct mirrors *mirrors = context;
	(void)param;
	exchange_respond(exchange, 200, STR("application/json"), buf_str(&mirrors->discovery));
}

static void serve_status(void *context, struct exchange *exchange, struct str param) {
	struct mirrors *mirrors = context;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct buf body = { 0 };
	(void)param;
	view_put_status(make_views(mirrors, &arena), mirrors->count, &body);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

void mirrors_register(struct mirrors *mirrors, struct router *router) {
	router_add(router, "GET", "/api/v1/atoll/mirrors", serve_status, mirrors);
	router_add(router, "GET", "/api/v1/atoll/mirrors/sd", serve_discovery, mirrors);
}
