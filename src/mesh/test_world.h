/*
 * For tests: two clusters in one process. A gateway in front of a service of the test's own, and a
 * set of links that dials it, on one loop in a thread; the test's own thread is the querying one.
 */
#ifndef MESH_TEST_WORLD_H
#define MESH_TEST_WORLD_H

#include "base/log.h"
#include "base/test.h"
#include "base/thread.h"
#include "http/router.h"
#include "io/file.h"
#include "mesh/gateway.h"
#include "mesh/link.h"
#include "trust/authority.h"
#include "trust/identity.h"

#include <unistd.h>

#define TEST_WAIT_NS (20 * NS_PER_S)
#define TEST_LARGE_BYTES (12 * 1024 * 1024)
#define GATEWAY_IDENTITY "gateway.atoll.serviceaccount.identity.linkerd.west.mesh"
#define HUB_IDENTITY "hub.atoll.serviceaccount.identity.linkerd.hub.mesh"
#define EXPORT_TEXT                                                                                \
	"  - {name: %s, kind: prometheus, url: 'http://127.0.0.1:%u', allow: ['*.hub.mesh'],"      \
	" limits: {concurrency: 2, timeout: 5s, request_bytes: 1KB, response_bytes: 64MB}}\n"

struct world {
	char folder[64];
	struct clock *clock;
	uint16_t links_port; /* Where gateways may dial. */
	struct authority *anchor;
	struct authority *issuers[2]; /* west, hub */
	struct loop *loop;
	pthread_t thread;
	struct metric_registry *metrics;
	struct router *router;
	struct http_server *service; /* What stands behind the gateway. */
	uint16_t service_port;
	struct trust_identity *gateway_identity;
	struct trust_identity *hub_identity;
	struct gateway *gateway;
	uint16_t gateway_port;
	struct links *links;

	struct lock lock;
	struct condition changed;
	unsigned changes; /* Of links. */
	unsigned asked;   /* Requests that the service keeps waiting. */
	unsigned aborted; /* Of those, how many were given up. */
	char seen[4096];  /* Headers of the last request that the service saw. */
};

static inline const char *world_path(struct world *world, const char *name) {
	static _Thread_local char path[512];
	(void)snprintf(path, sizeof(path), "%s/%s", world->folder, name);
	return path;
}

static inline void world_write(struct world *world, const char *name, const char *text) {
	struct err err = { 0 };
	assert_ok(file_write_atomic(world_path(world, name), str_of(text), 0600, &err), err);
}

static inline void world_tell(struct world *world, unsigned *count) {
	lock_take(&world->lock);
	(*count)++;
	condition_broadcast(&world->changed);
	lock_drop(&world->lock);
}

/* Waits until '*count' is more than 'before'. */
static inline void world_wait_count(struct world *world, const unsigned *count, unsigned before) {
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	lock_take(&world->lock);
	while (*count <= before && clock_mono_ns(clock_system()) < end_ns) {
		(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S);
	}
	bool is_there = *count > before;
	lock_drop(&world->lock);
	assert_true(is_there);
}

static inline void world_on_change(void *context) {
	struct world *world = context;
	world_tell(world, &world->changes);
}

/* Runs a function on the loop and waits for its end. */
struct world_job {
	struct world *world;
	void (*run)(struct world *world);
	unsigned done;
};

static inline void world_run_job(void *context) {
	struct world_job *job = context;
	job->run(job->world);
	world_tell(job->world, &job->done);
}

static inline void world_do(struct world *world, void (*run)(struct world *world)) {
	struct world_job job = { .world = world, .run = run };
	assert_true(loop_post(world->loop, world_run_job, &job));
	world_wait_count(world, &job.done, 0);
}

static inline void world_loop(void *context) {
	loop_run(((struct world *)context)->loop);
}

/* The service: small, large, never. */
static inline void world_small(void *context, struct exchange *exchange, struct str param) {
	struct world *world = context;
	const struct http_request *request = exchange_request(exchange);
	AUTO(buf_deinit) struct buf seen = { 0 };
	(void)param;
	for (size_t i = 0; i < request->headers.count; i++) {
		buf_printf(&seen, "%.*s: %.*s\n", STR_ARG(request->headers.items[i].name),
			STR_ARG(request->headers.items[i].value));
	}
	lock_take(&world->lock);
	(void)snprintf(world->seen, sizeof(world->seen), "%s", buf_text(&seen));
	lock_drop(&world->lock);
	AUTO(buf_deinit) struct buf body = { 0 };
	buf_printf(&body, "%.*s %.*s %.*s", STR_ARG(request->method), STR_ARG(request->target),
		STR_ARG(request->body));
	exchange_respond(exchange, 200, STR("application/json"), buf_str(&body));
}

struct world_large {
	struct exchange *exchange;
	size_t written;
};

static inline void world_write_large(void *context) {
	struct world_large *large = context;
	char block[4096];
	for (size_t i = 0; i < sizeof(block); i++) {
		block[i] = (char)('a' + i % 23);
	}
	while (large->written < TEST_LARGE_BYTES) {
		large->written += sizeof(block);
		if (exchange_write(large->exchange, (struct str){ block, sizeof(block) }) >
			STREAM_LOW_WATER) {
			return;
		}
	}
	if (large->exchange) {
		struct exchange *exchange = large->exchange;
		large->exchange = NULL;
		exchange_end(exchange);
	}
}

static inline void world_abort_large(void *context) {
	struct world_large *large = context;
	exchange_fail(large->exchange);
}

static inline void world_serve_large(void *context, struct exchange *exchange, struct str param) {
	(void)context, (void)param;
	struct world_large *large = ARENA_NEW(exchange_arena(exchange), struct world_large, 1);
	large->exchange = exchange;
	exchange_on_drain(exchange, world_write_large, large);
	exchange_on_abort(exchange, world_abort_large, large);
	exchange_begin(exchange, 200, STR("application/json"));
	world_write_large(large);
}

struct world_kept {
	struct world *world;
	struct exchange *exchange;
};

static inline void world_abort_kept(void *context) {
	struct world_kept *kept = context;
	struct world *world = kept->world;
	exchange_fail(kept->exchange);
	world_tell(world, &world->aborted);
}

static inline void world_keep(void *context, struct exchange *exchange, struct str param) {
	struct world *world = context;
	struct world_kept *kept = ARENA_NEW(exchange_arena(exchange), struct world_kept, 1);
	(void)param;
	*kept = (struct world_kept){ world, exchange };
	exchange_on_abort(exchange, world_abort_kept, kept);
	world_tell(world, &world->asked);
}

static inline void world_serve(struct world *world) {
	struct err err = { 0 };
	world->router = router_new();
	router_add(world->router, "GET,POST", "/api/v1/query", world_small, world);
	router_add(world->router, "GET,POST", "/api/v1/series", world_serve_large, world);
	router_add(world->router, "GET,POST", "/api/v1/labels", world_keep, world);
	assert_ok(http_server_open(world->loop,
			  &(struct http_server_options){ .host = "127.0.0.1",
				  .handler = router_handle,
				  .context = world->router },
			  &world->service, &err),
		err);
	world->service_port = http_server_port(world->service);
}

/* Signs a leaf into a folder of the world. */
static inline void world_sign(struct world *world, const struct authority *issuer, const char *name,
	const char *folder, int64_t lifetime_ms) {
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	struct err err = { 0 };
	const struct leaf_request request = { str_of(name), STR("atoll"), lifetime_ms };
	assert_ok(authority_sign(issuer, &request, world->clock, &leaf, &err), err);
	assert_ok(credentials_save(world_path(world, folder), &leaf, &err), err);
}

static inline void world_trust(struct world *world) {
	static const char *const clusters[] = { "west", "hub" };
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh"), 0, world->clock, &world->anchor, &err), err);
	for (size_t i = 0; i < ARRAY_COUNT(clusters); i++) {
		assert_ok(authority_new_issuer(world->anchor, str_of(clusters[i]), 0, world->clock,
				  &world->issuers[i], &err),
			err);
	}
	world_sign(world, world->issuers[0], "gateway", "gateway-tls", 0);
	world_sign(world, world->issuers[1], "hub", "hub-tls", 0);
}

static inline void world_open_gateway(struct world *world) {
	struct err err = { 0 };
	assert_ok(gateway_open(world->loop,
			  &(struct gateway_options){
				  .config_file = world_path(world, "gateway.yaml"),
				  .host = "127.0.0.1",
				  .port = world->gateway_port,
				  .tls = trust_identity_slot(world->gateway_identity),
				  .identity = trust_identity_name(world->gateway_identity),
				  .metrics = world->metrics,
			  },
			  &world->gateway, &err),
		err);
	world->gateway_port = gateway_port(world->gateway);
}

static inline void world_close_gateway(struct world *world) {
	gateway_close(world->gateway);
	world->gateway = NULL;
}

static inline void world_open_identities(struct world *world) {
	struct err err = { 0 };
	const struct trust_identity_options gateway = {
		.directory = world_path(world, "gateway-tls"),
	};
	assert_ok(trust_identity_open(world->loop, &gateway, &world->gateway_identity, &err), err);
	const struct trust_identity_options hub = {
		.directory = world_path(world, "hub-tls"),
	};
	assert_ok(trust_identity_open(world->loop, &hub, &world->hub_identity, &err), err);
}

static inline void world_open_links(struct world *world) {
	struct err err = { 0 };
	assert_ok(links_new(world->loop,
			  &(struct links_options){
				  .directory = world_path(world, "links"),
				  .tls = trust_identity_slot(world->hub_identity),
				  .metrics = world->metrics,
				  .on_change = world_on_change,
				  .context = world,
			  },
			  &world->links, &err),
		err);
}

static inline void world_write_link(
	struct world *world, const char *name, const char *identity, unsigned port) {
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf file = { 0 };
	buf_printf(&text, "cluster: %s\nidentity: %s\naddresses: [127.0.0.1:%u]\n", name, identity,
		port);
	buf_printf(&file, "links/%s.yaml", name);
	world_write(world, buf_text(&file), buf_text(&text));
}

static inline void world_write_exports(struct world *world, const char *first, const char *second) {
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, "exports:\n");
	buf_printf(&text, EXPORT_TEXT, first, world->service_port);
	if (second) {
		buf_printf(&text, EXPORT_TEXT, second, world->service_port);
	}
	world_write(world, "gateway.yaml", buf_text(&text));
}

/* A gateway of cluster west that exports "prometheus", and a link to it; all by that clock. */
static inline void world_init_at(struct world *world, struct clock *clock) {
	struct err err = { 0 };
	*world = (struct world){ .clock = clock };
	log_set_level(LOG_ERROR);
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/atoll-mesh-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	assert_ok(dir_make(world_path(world, "links"), 0700, &err), err);
	lock_init(&world->lock, LOCK_RANK_LEAF);
	condition_init(&world->changed);
	world->metrics = metric_registry_new();
	world->loop = loop_new(clock);
	world_trust(world);
	world_serve(world);
	world_write_exports(world, "prometheus", NULL);
	world_open_identities(world);
	world_open_gateway(world);
	world_write_link(world, "west", GATEWAY_IDENTITY, world->gateway_port);
	world_open_links(world);
	world->thread = thread_start(THREAD_LOOP, "loop", world_loop, world);
}

static inline void world_init(struct world *world) {
	world_init_at(world, clock_system());
}

static inline void world_deinit(struct world *world) {
	loop_stop(world->loop);
	thread_join(world->thread);
	links_free(world->links);
	gateway_close(world->gateway);
	http_server_close(world->service);
	trust_identity_close(world->gateway_identity);
	trust_identity_close(world->hub_identity);
	loop_free(world->loop);
	router_free(world->router);
	metric_registry_free(world->metrics);
	for (size_t i = 0; i < ARRAY_COUNT(world->issuers); i++) {
		authority_free(world->issuers[i]);
	}
	authority_free(world->anchor);
	condition_deinit(&world->changed);
	lock_deinit(&world->lock);
	struct err err = { 0 };
	assert_ok(dir_remove_tree(world->folder, &err), err);
}

/* Waits until what is known of a cluster's link satisfies 'is_fine'; the result lives in 'arena'.
 */
typedef bool world_status_fn(const struct link_status *status);

static inline struct link_status world_wait_link(
	struct world *world, const char *cluster, world_status_fn *is_fine, struct arena *arena) {
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	for (;;) {
		lock_take(&world->lock);
		unsigned before = world->changes;
		lock_drop(&world->lock);
		struct link_status *all = NULL;
		size_t count = 0;
		links_snapshot(world->links, arena, &all, &count);
		for (size_t i = 0; i < count; i++) {
			if (str_equal(all[i].cluster, str_of(cluster)) && is_fine(&all[i])) {
				return all[i];
			}
			if (clock_mono_ns(clock_system()) > end_ns) {
				fail_msg("link to %s: state %d, %.*s", cluster, (int)all[i].state,
					STR_ARG(all[i].last_error));
			}
		}
		lock_take(&world->lock);
		if (world->changes == before) {
			(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S / 10);
		}
		lock_drop(&world->lock);
		assert_true(clock_mono_ns(clock_system()) < end_ns + NS_PER_S);
	}
}

static inline bool world_is_up(const struct link_status *status) {
	return status->state == LINK_UP;
}

static inline bool world_is_down(const struct link_status *status) {
	return status->state == LINK_DOWN;
}

static inline struct link_request world_request(const char *target) {
	return (struct link_request){
		.cluster = STR("west"),
		.export_name = STR("prometheus"),
		.method = STR("GET"),
		.target = str_of(target),
		.timeout_ms = 10000,
		.body_bytes_max = 64 * 1024 * 1024,
	};
}

#endif
