/*
 * The set of links: what stands in the directory, and what is known of each.
 */
#include "mesh/link.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/watch.h"
#include "mesh/link_internal.h"
#include "mesh/link_stream.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)64 * 1024)
#define LINKS_MAX 10000
#define TICK_MS 1000
#define FILE_SUFFIX STR(".yaml")

struct links *links_ref(struct links *links) {
	atomic_fetch_add_explicit(&links->refs, 1, memory_order_relaxed);
	return links;
}

void links_unref(struct links *links) {
	/* Released by every holder, acquired by the last: it sees all that they did. */
	if (atomic_fetch_sub_explicit(&links->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	lock_deinit(&links->lock);
	failures_deinit(&links->refused);
	buf_deinit(&links->complaint_text);
	free(links->directory);
	free(links);
}

struct link *links_find(struct links *links, struct str cluster) {
	for (struct link *link = links->first; link; link = link->next) {
		if (str_equal(link->config.cluster, cluster)) {
			return link;
		}
	}
	return NULL;
}

void links_changed(struct links *links) {
	if (links->on_change && !links->is_closed) {
		links->on_change(links->context);
	}
}

static struct metric *child(struct metric_family *family, const struct link *link) {
	const char *const values[] = { link->config.cluster.ptr };
	return family ? metric_child(family, values) : NULL;
}

static void add_metrics(struct link *link) {
	struct links *links = link->links;
	link->received_metric = child(links->received, link);
	link->sent_metric = child(links->sent, link);
	link->up_metric = child(links->up, link);
	link->rtt_metric = child(links->rtt, link);
	link->skew_metric = child(links->skew, link);
	link->expiry_metric = child(links->expiry, link);
}

static void remove_metrics(struct link *link) {
	static const char *const outcomes[] = { "ok", "error", "denied", "limit", "timeout",
		"canceled", "closed" };
	struct links *links = link->links;
	if (!link->received_metric) {
		return;
	}
	const char *const values[] = { link->config.cluster.ptr };
	metric_remove(links->received, values);
	metric_remove(links->sent, values);
	metric_remove(links->up, values);
	metric_remove(links->rtt, values);
	metric_remove(links->skew, values);
	metric_remove(links->expiry, values);
	for (size_t i = 0; i < ARRAY_COUNT(outcomes); i++) {
		const char *const pair[] = { link->config.cluster.ptr, outcomes[i] };
		metric_remove(links->requests, pair);
	}
	link->received_metric = NULL;
	link->sent_metric = NULL;
	link->up_metric = NULL;
	link->rtt_metric = NULL;
	link->skew_metric = NULL;
	link->expiry_metric = NULL;
}

/* Puts the link into the list, which is sorted by cluster. */
static void insert(struct links *links, struct link *link) {
	lock_take(&links->lock);
	struct link **at = &links->first;
	while (*at && str_cmp((*at)->config.cluster, link->config.cluster) < 0) {
		at = &(*at)->next;
	}
	link->next = *at;
	*at = link;
	lock_drop(&links->lock);
}

static void take_out(struct links *links, struct link *link) {
	lock_take(&links->lock);
	struct link **at = &links->first;
	while (*at != link) {
		at = &(*at)->next;
	}
	*at = link->next;
	lock_drop(&links->lock);
}

static void drop(struct links *links, struct link *link, const char *why) {
	log_info("link removed", KV("cluster", link->config.cluster.ptr), KV("why", why));
	take_out(links, link);
	remove_metrics(link);
	link_remove(link, why);
}

/* Takes the arena and what was parsed into it. */
static void add(struct links *links, const char *file, uint64_t hash, struct arena *arena,
	const struct link_config *config) {
	struct link *link = MEMORY_NEW(struct link, 1);
	link->links = links_ref(links);
	link->file = strdup(file);
	CHECK(link->file);
	link->file_hash = hash;
	link->arena = *arena;
	*arena = (struct arena){ 0 };
	link->config = *config;
	link->active_max = LINK_CALLS_MAX;
	link->streams_max = LINK_STREAMS_MAX;
	link->failures.max = FAILURES_OF_LINK_MAX;
	add_metrics(link);
	insert(links, link);
	log_info("link added", KV("cluster", link->config.cluster.ptr),
		KV("identity", link->config.identity.ptr),
		KV("address",
			config->address_count > 0 ? config->addresses[0].text.ptr : "it dials"));
	link_start(link);
}

static struct link *find_file(struct links *links, const char *file) {
	for (struct link *link = links->first; link; link = link->next) {
		if (strcmp(link->file, file) == 0) {
			return link;
		}
	}
	return NULL;
}

/* The link that a gateway with this identity would be, if it dials. */
static const struct link *find_dialling(
	const struct links *links, const struct link_config *config) {
	for (const struct link *link = links->first; link; link = link->next) {
		if (config->is_dialled_by_gateway && link->config.is_dialled_by_gateway &&
			str_equal(link->config.identity, config->identity)) {
			return link;
		}
	}
	return NULL;
}

/* Brings the link of one file in line with it. Returns 1 if anything changed, 0 if not. */
static int load_file(struct links *links, const char *file, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(arena_deinit) struct arena arena = { 0 };
	buf_printf(&path, "%s/%s", links->directory, file);
	int rc = file_read(buf_text(&path), FILE_BYTES_MAX, &text, err);
	if (rc < 0) {
		return rc;
	}
	struct link *old = find_file(links, file);
	uint64_t hash = hash_str(buf_str(&text), 1);
	if (old && old->file_hash == hash) {
		return 0;
	}
	struct link_config config;
	rc = link_config_parse(&arena, buf_str(&text), &config, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", buf_text(&path));
	}
	struct link *same = links_find(links, config.cluster);
	if (same && same != old) {
		return err_set(err, ERR_INVAL, "%s: cluster \"%s\" is linked by %s already",
			buf_text(&path), config.cluster.ptr, same->file);
	}
	const struct link *rival = find_dialling(links, &config);
	if (rival && rival != old) {
		return err_set(err, ERR_INVAL, "%s: %s dials for cluster \"%s\" already (%s)",
			buf_text(&path), config.identity.ptr, rival->config.cluster.ptr,
			rival->file);
	}
	if (old) {
		drop(links, old, "its file changed");
	}
	add(links, file, hash, &arena, &config);
	return 1;
}

static bool is_listed(const struct dir_list *list, const char *file) {
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->names[i], file) == 0) {
			return true;
		}
	}
	return false;
}

static bool remove_missing(struct links *links, const struct dir_list *list) {
	bool has_changed = false;
	struct link *next = NULL;
	for (struct link *link = links->first; link; link = next) {
		next = link->next;
		if (!is_listed(list, link->file)) {
			drop(links, link, "its file is gone");
			has_changed = true;
		}
	}
	return has_changed;
}

/* Says what is wrong with files once, not at every look. */
static void complain(struct links *links, const struct buf *complaints) {
	uint64_t hash = complaints->len > 0 ? hash_str(buf_str(complaints), 1) : 0;
	if (hash != 0 && hash != links->complaints) {
		log_error("link files not used", KV_STR("err", buf_str(complaints)));
	}
	links->complaints = hash;
	buf_reset(&links->complaint_text);
	buf_add_str(&links->complaint_text, buf_str(complaints));
}

static void look(struct links *links) {
	struct err err = { 0 };
	struct dir_list list = { 0 };
	AUTO(buf_deinit) struct buf complaints = { 0 };
	if (dir_list(links->directory, &list, &err) < 0) {
		buf_add_text(&complaints, err.text);
		complain(links, &complaints);
		return;
	}
	bool has_changed = remove_missing(links, &list);
	for (size_t i = 0; i < list.count && i < LINKS_MAX; i++) {
		struct str name = str_of(list.names[i]);
		if (!str_ends(name, FILE_SUFFIX) || name.ptr[0] == '.') {
			continue;
		}
		int rc = load_file(links, list.names[i], &err);
		if (rc < 0) {
			buf_printf(&complaints, "%s%s", complaints.len > 0 ? "; " : "", err.text);
		}
		has_changed = has_changed || rc > 0;
	}
	dir_list_free(&list);
	complain(links, &complaints);
	if (has_changed) {
		links_changed(links);
	}
}

static void on_watch(void *context) {
	look(context);
}

static void on_tick(struct timer *timer) {
	struct links *links = CONTAINER_OF(timer, struct links, timer);
	for (struct link *link = links->first; link; link = link->next) {
		link_count_bytes(link);
	}
	loop_timer_after_ms(links->loop, timer, TICK_MS);
}

static void on_denied_timer(struct timer *timer) {
	links_denied_changed(CONTAINER_OF(timer, struct links, denied_timer));
}

void links_denied_soon(struct links *links) {
	loop_timer_after_ms(links->loop, &links->denied_timer, 0);
}

static void declare_metrics(struct links *links, struct metric_registry *metrics) {
	static const char *const labels[] = { "cluster", NULL };
	static const char *const outcome_labels[] = { "cluster", "outcome", NULL };
	static const char *const reason_labels[] = { "reason", NULL };
	refusals_init(&links->refusals,
		metric_declare(metrics, METRIC_COUNTER, "atoll_link_refused_total",
			"Gateways that dialled and were not let in, by why.", reason_labels),
		loop_now_ns(links->loop));
	links->received = metric_declare(metrics, METRIC_COUNTER, "atoll_link_received_bytes_total",
		"Bytes received from a linked cluster, TLS included.", labels);
	links->sent = metric_declare(metrics, METRIC_COUNTER, "atoll_link_sent_bytes_total",
		"Bytes sent to a linked cluster, TLS included.", labels);
	links->up = metric_declare(metrics, METRIC_GAUGE, "atoll_link_up",
		"Whether a link is connected and its catalogue is followed.", labels);
	links->rtt = metric_declare(metrics, METRIC_GAUGE, "atoll_link_rtt_seconds",
		"Round trip of the last keep-alive over a link.", labels);
	links->skew = metric_declare(metrics, METRIC_GAUGE, "atoll_link_clock_skew_seconds",
		"The gateway's clock less ours, to within a round trip.", labels);
	links->expiry = metric_declare(metrics, METRIC_GAUGE,
		"atoll_link_peer_certificate_not_after_seconds",
		"When the certificate that the gateway presented expires, in seconds since 1970.",
		labels);
	links->requests = metric_declare(metrics, METRIC_COUNTER, "atoll_link_requests_total",
		"Requests over a link, by how they ended.", outcome_labels);
}

int links_new(struct loop *loop, const struct links_options *options, struct links **out,
	struct err *err) {
	if (!path_exists(options->directory)) {
		return err_set(err, ERR_IO, "directory of link files %s does not exist",
			options->directory);
	}
	size_t window = options->window_bytes_max;
	if (window != 0 && (window < HTTP_WINDOW_BYTES_LEAST || window > HTTP_WINDOW_BYTES_MOST)) {
		return err_set(err, ERR_INVAL, "--links.max-window of %zu bytes: give 1MB to 512MB",
			window);
	}
	struct links *links = MEMORY_NEW(struct links, 1);
	uint64_t seed = 0;
	rand_secure(&seed, sizeof(seed));
	rand_init(&links->rand, seed);
	atomic_init(&links->refs, 1);
	lock_init(&links->lock, LOCK_RANK_SERVICE);
	links->loop = loop;
	links->directory = strdup(options->directory);
	CHECK(links->directory);
	links->slot = options->tls;
	links->denied = options->denied;
	links->window_bytes_max = options->window_bytes_max;
	links->timer.run = on_tick;
	links->denied_timer.run = on_denied_timer;
	links->refused.max = FAILURES_OF_LISTENER_MAX;
	declare_metrics(links, options->metrics);
	look(links);
	links->on_change = options->on_change;
	links->context = options->context;
	links->watch = watch_start(loop, links->directory, 0, on_watch, links);
	loop_timer_after_ms(loop, &links->timer, TICK_MS);
	*out = links;
	return 0;
}

void links_free(struct links *links) {
	if (!links) {
		return;
	}
	links->is_closed = true;
	listener_close(links->listener);
	watch_stop(links->watch);
	loop_timer_clear(links->loop, &links->timer);
	loop_timer_clear(links->loop, &links->denied_timer);
	while (links->first) {
		drop(links, links->first, "shutting down");
	}
	links_unref(links);
}

void links_denied_changed(struct links *links) {
	for (struct link *link = links->first; link; link = link->next) {
		link_denied_cut(link);
		link_denied_sync(link);
	}
}

void links_retry(struct links *links) {
	for (struct link *link = links->first; link; link = link->next) {
		link_retry(link);
	}
}

static void copy_exports(const struct link *link, struct arena *arena, struct link_status *status) {
	status->exports = ARENA_NEW(arena, struct link_export, link->export_count);
	status->export_count = link->export_count;
	for (size_t i = 0; i < link->export_count; i++) {
		status->exports[i] = (struct link_export){
			.name = arena_copy(arena, link->exports[i].name),
			.kind = arena_copy(arena, link->exports[i].kind),
			.version = link->exports[i].version,
		};
	}
}

static void fill(const struct link *link, int64_t now_ns, int64_t own_not_after_ms,
	struct arena *arena, struct link_status *out) {
	*out = (struct link_status){
		.cluster = arena_copy(arena, link->config.cluster),
		.state = link->state,
		.address = arena_copy(arena, str_of(link_address_text(link))),
		.identity = arena_copy(arena, str_of(link->identity)),
		.last_error = arena_copy(arena, str_of(link->last_error)),
		.since_ms = link->since_ms,
		.cert_not_after_ms = link->cert_not_after_ms,
		.own_cert_not_after_ms = own_not_after_ms,
		.rtt_ns = link->rtt_ns,
		.skew_ms = link->skew_ms,
		.has_skew = link->has_skew,
		.received_bytes = link->received_bytes,
		.sent_bytes = link->sent_bytes,
		.catalogue_age_ms = -1,
	};
	if (link->confirmed_ns > 0) {
		out->catalogue_age_ms = (now_ns - link->confirmed_ns) / NS_PER_MS;
	}
	if (link->has_trust) {
		struct trust_facts *trust = ARENA_NEW(arena, struct trust_facts, 1);
		*trust = link->trust;
		out->trust = trust;
	}
	copy_exports(link, arena, out);
}

void links_snapshot(
	struct links *links, struct arena *arena, struct link_status **out, size_t *count) {
	struct tls_identity *own = tls_slot_get(links->slot);
	int64_t own_not_after_ms = tls_identity_not_after_ms(own);
	tls_identity_unref(own);
	int64_t now_ns = clock_mono_ns(loop_clock(links->loop));
	lock_take(&links->lock);
	size_t link_count = 0;
	for (const struct link *link = links->first; link; link = link->next) {
		link_count++;
	}
	struct link_status *items = ARENA_NEW(arena, struct link_status, link_count);
	struct link_status *at = items;
	for (const struct link *link = links->first; link; link = link->next) {
		fill(link, now_ns, own_not_after_ms, arena, at++);
	}
	lock_drop(&links->lock);
	*out = items;
	*count = link_count;
}
