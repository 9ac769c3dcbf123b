#include "mesh/link.h"

#include "mesh/test_world.h"

static int call(struct world *world, const struct link_request *request, struct arena *arena,
	struct link_response *response, struct err *err) {
	return link_call_wait(link_call_start(world->links, request), arena, response, err);
}

static void a_link_comes_up_and_shows_what_it_may_use(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	struct link_status status = world_wait_link(&world, "west", world_is_up, &arena);
	assert_int_equal(status.export_count, 1);
	assert_str_equal(status.exports[0].name, STR("prometheus"));
	assert_str_equal(status.exports[0].kind, STR("prometheus"));
	assert_str_equal(status.identity, STR(GATEWAY_IDENTITY));
	assert_str_equal(status.last_error, STR(""));
	assert_true(status.cert_not_after_ms > clock_now_ms(clock_system()));
	assert_true(status.own_cert_not_after_ms > clock_now_ms(clock_system()));
	assert_true(status.catalogue_age_ms >= 0);
	world_deinit(&world);
}

static void a_call_reaches_the_service_and_says_who_asks(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/query?query=up");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_int_equal(response.status, 200);
	assert_str_equal(response.content_type, STR("application/json"));
	assert_str_equal(response.body, STR("GET /api/v1/query?query=up "));
	assert_non_null(strstr(world.seen, "l5d-client-id: " HUB_IDENTITY "\n"));
	assert_non_null(strstr(world.seen,
		"forwarded: by=" GATEWAY_IDENTITY ";for=" HUB_IDENTITY ";host=prometheus;"
		"proto=https\n"));
	assert_non_null(strstr(world.seen, "atoll-via: " GATEWAY_IDENTITY "\n"));
	assert_non_null(strstr(world.seen, "accept-encoding: identity\n"));
	world_deinit(&world);
}

static void a_form_is_passed_on(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/query");
	request.method = STR("POST");
	request.content_type = STR("application/x-www-form-urlencoded");
	request.body = STR("query=up%7B%7D");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_str_equal(response.body, STR("POST /api/v1/query query=up%7B%7D"));
	world_deinit(&world);
}

static void a_large_answer_crosses_small_and_comes_whole(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/series");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_int_equal(response.body.len, TEST_LARGE_BYTES);
	assert_true(response.received_bytes < TEST_LARGE_BYTES / 100);
	for (size_t i = 0; i < response.body.len; i += 997) {
		assert_int_equal(response.body.ptr[i], 'a' + i % 4096 % 23);
	}
	world_deinit(&world);
}

static void an_answer_larger_than_asked_for_is_refused(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/series");
	request.body_bytes_max = TEST_LARGE_BYTES - 1;
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_LIMIT);
	request.body_bytes_max = 100;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_LIMIT);
	world_deinit(&world);
}

static void what_is_not_exported_is_denied(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/status/config");
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_DENIED);
	assert_string_equal(err.text, "gateway of west: the gateway does not let path "
				      "\"/api/v1/status/config\" through");
	request = world_request("/api/v1/query");
	request.export_name = STR("other");
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_INVAL);
	assert_string_equal(err.text, "cluster west exports no \"other\" to us");
	request.cluster = STR("nowhere");
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_INVAL);
	world_deinit(&world);
}

static void a_body_over_the_limit_is_denied(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	static char body[2000];
	memset(body, 'a', sizeof(body));
	world_init(&world);
	struct link_request request = world_request("/api/v1/query");
	request.method = STR("POST");
	request.content_type = STR("application/x-www-form-urlencoded");
	request.body = (struct str){ body, sizeof(body) };
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "limits.request_bytes of export \"prometheus\" is 1024"));
	world_deinit(&world);
}

static void a_canceled_call_ends_at_the_service_too(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	_Atomic bool canceled = false;
	struct link_request request = world_request("/api/v1/labels");
	request.canceled = &canceled;
	struct link_call *started = link_call_start(world.links, &request);
	world_wait_count(&world, &world.asked, 0);
	atomic_store(&canceled, true);
	struct link_response response;
	assert_int_equal(link_call_wait(started, &arena, &response, &err), ERR_CANCELED);
	world_wait_count(&world, &world.aborted, 0);
	world_deinit(&world);
}

static void a_call_ends_in_time(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/labels");
	request.timeout_ms = 100;
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_TIMEOUT);
	world_wait_count(&world, &world.aborted, 0);
	world_deinit(&world);
}

static void more_at_once_than_the_gateway_allows_take_turns(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	struct link_call *hanging[2];
	struct link_call *others[40];
	_Atomic bool canceled[2] = { false, false };
	struct link_response response;
	world_init(&world);
	struct link_request request = world_request("/api/v1/labels");
	for (unsigned i = 0; i < ARRAY_COUNT(hanging); i++) {
		request.canceled = &canceled[i];
		hanging[i] = link_call_start(world.links, &request);
		world_wait_count(&world, &world.asked, i);
	}
	request = world_request("/api/v1/query");
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++) {
		others[i] = link_call_start(world.links, &request);
	}
	request.timeout_ms = 200;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_TIMEOUT);
	for (unsigned i = 0; i < ARRAY_COUNT(hanging); i++) {
		atomic_store(&canceled[i], true);
		assert_int_equal(link_call_wait(hanging[i], &arena, &response, &err), ERR_CANCELED);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(others); i++) {
		assert_ok(link_call_wait(others[i], &arena, &response, &err), err);
		assert_int_equal(response.status, 200);
	}
	world_deinit(&world);
}

static bool has_two_exports(const struct link_status *status) {
	return status->export_count == 2;
}

static bool has_no_exports(const struct link_status *status) {
	return status->state == LINK_UP && status->export_count == 0;
}

static void exports_come_and_go_live(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_write_exports(&world, "prometheus", "second");
	struct link_status status = world_wait_link(&world, "west", has_two_exports, &arena);
	assert_str_equal(status.exports[1].name, STR("second"));
	struct link_request request = world_request("/api/v1/query");
	request.export_name = STR("second");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_write(&world, "gateway.yaml", "exports: []\n");
	(void)world_wait_link(&world, "west", has_no_exports, &arena);
	world_deinit(&world);
}

static void a_broken_configuration_changes_nothing(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_write(&world, "gateway.yaml", "exports: [{nme: x}]\n");
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_write_exports(&world, "prometheus", "second");
	(void)world_wait_link(&world, "west", has_two_exports, &arena);
	world_deinit(&world);
}

static void a_gateway_that_comes_back_is_found(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_do(&world, world_close_gateway);
	struct link_status status = world_wait_link(&world, "west", world_is_down, &arena);
	assert_true(status.last_error.len > 0);
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_CLOSED);
	assert_non_null(strstr(err.text, "link to west is down: "));
	world_do(&world, world_open_gateway);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_deinit(&world);
}

static void a_gateway_of_another_name_is_not_believed(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	world_write_link(&world, "east", "gateway.atoll.serviceaccount.identity.linkerd.east.mesh",
		world.gateway_port);
	struct link_status status = world_wait_link(&world, "east", world_is_down, &arena);
	assert_str_equal(status.last_error,
		STR("peer is \"" GATEWAY_IDENTITY "\", expected "
		    "\"gateway.atoll.serviceaccount.identity.linkerd.east.mesh\""));
	world_deinit(&world);
}

static void break_gateway_trust(struct world *world) {
	struct authority *anchor = NULL;
	struct authority *issuer = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh"), 0, clock_system(), &anchor, &err), err);
	assert_ok(authority_new_issuer(anchor, STR("west"), 0, clock_system(), &issuer, &err), err);
	world_close_gateway(world);
	trust_identity_close(world->gateway_identity);
	world_sign(world, issuer, "gateway", "gateway-tls", 0);
	const struct trust_identity_options options = {
		.directory = world_path(world, "gateway-tls"),
	};
	assert_ok(trust_identity_open(world->loop, &options, &world->gateway_identity, &err), err);
	world_open_gateway(world);
	authority_free(issuer);
	authority_free(anchor);
}

static bool names_both_anchors(const struct link_status *status) {
	char text[600];
	(void)snprintf(text, sizeof(text), "%.*s", STR_ARG(status->last_error));
	const char *theirs = strstr(text, "signed by \"trust anchor ");
	const char *ours = strstr(text, "we trust \"trust anchor ");
	return status->state == LINK_DOWN && theirs && ours;
}

static void a_wrong_anchor_is_told_with_both_digests(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_do(&world, break_gateway_trust);
	(void)world_wait_link(&world, "west", names_both_anchors, &arena);
	world_deinit(&world);
}

static bool has_short_certificate(const struct link_status *status) {
	return status->state == LINK_UP &&
	       status->cert_not_after_ms < clock_now_ms(clock_system()) + 3600 * MS_PER_S;
}

static void a_renewed_certificate_is_used_without_a_restart(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_sign(&world, world.issuers[0], "gateway", "gateway-tls", 600 * MS_PER_S);
	/* The open link goes on; one that is made from now on sees the new certificate. */
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	bool is_seen = false;
	for (unsigned i = 0; !is_seen && clock_mono_ns(clock_system()) < end_ns; i++) {
		AUTO(buf_deinit) struct buf name = { 0 };
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&name, "new%u", i);
		world_write_link(&world, buf_text(&name), GATEWAY_IDENTITY, world.gateway_port);
		struct link_status status =
			world_wait_link(&world, buf_text(&name), world_is_up, &arena);
		is_seen = has_short_certificate(&status);
		buf_printf(&path, "links/%s.yaml", buf_text(&name));
		assert_ok(file_remove(world_path(&world, buf_text(&path)), &err), err);
	}
	assert_true(is_seen);
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_deinit(&world);
}

/* Until what the hub presents from now on has the lifetime given. */
static void wait_for_hub_leaf(struct world *world, bool is_short) {
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	bool is_seen = false;
	do {
		lock_take(&world->lock);
		(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S / 50);
		lock_drop(&world->lock);
		struct tls_identity *own = tls_slot_get(trust_identity_slot(world->hub_identity));
		int64_t left_ms = tls_identity_not_after_ms(own) - clock_now_ms(clock_system());
		tls_identity_unref(own);
		is_seen = (left_ms < 60 * MS_PER_S) == is_short;
		assert_true(clock_mono_ns(clock_system()) < end_ns);
	} while (!is_seen);
}

/*
 * The link moves to the new certificate in time, what was under way goes on; the gateway cuts what
 * outlives the old one.
 */
static void no_session_outlives_its_certificate(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_sign(&world, world.issuers[1], "hub", "hub-tls", 5 * MS_PER_S);
	wait_for_hub_leaf(&world, true);
	world_write_link(&world, "brief", GATEWAY_IDENTITY, world.gateway_port);
	int64_t since_ms = world_wait_link(&world, "brief", world_is_up, &arena).since_ms;
	struct link_request request = world_request("/api/v1/labels");
	request.cluster = STR("brief");
	struct link_call *kept = link_call_start(world.links, &request);
	world_wait_count(&world, &world.asked, 0);
	world_sign(&world, world.issuers[0], "gateway", "gateway-tls", 600 * MS_PER_S);
	world_sign(&world, world.issuers[1], "hub", "hub-tls", 0);
	wait_for_hub_leaf(&world, false);

	(void)world_wait_link(&world, "brief", has_short_certificate, &arena);
	assert_int_equal(world.aborted, 0);
	struct link_response response;
	request.target = STR("/api/v1/query");
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_wait_count(&world, &world.aborted, 0);
	assert_int_equal(link_call_wait(kept, &arena, &response, &err), ERR_CLOSED);
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_int_equal(world_wait_link(&world, "brief", world_is_up, &arena).since_ms, since_ms);
	AUTO(buf_deinit) struct buf metrics = { 0 };
	metric_write(world.metrics, &metrics);
	assert_non_null(
		strstr(buf_text(&metrics), "atoll_gateway_refused_total{reason=\"expired\"} 1\n"));
	world_deinit(&world);
}

static void listen_for_gateways(struct world *world) {
	struct err err = { 0 };
	assert_ok(links_listen(world->links, "127.0.0.1", 0, &err), err);
	world->links_port = links_port(world->links);
}

/* The gateway exports as ever, and dials a hub at the port of the links. */
static void write_dialling(struct world *world, const char *hub) {
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_add_text(&text, "exports:\n");
	buf_printf(&text, EXPORT_TEXT, "prometheus", world->service_port);
	buf_printf(&text, "hubs: [{identity: %s, addresses: ['127.0.0.1:%u']}]\n", hub,
		world->links_port);
	world_write(world, "gateway.yaml", buf_text(&text));
}

static void world_init_dialling(struct world *world) {
	world_init(world);
	world_do(world, listen_for_gateways);
	world_write(world, "links/west.yaml",
		"cluster: west\nidentity: " GATEWAY_IDENTITY "\ndials: gateway\n");
}

static bool waits_for_its_gateway(const struct link_status *status) {
	return status->state == LINK_DOWN &&
	       str_equal(status->last_error, STR("its gateway has not dialled yet"));
}

static void a_gateway_may_dial(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init_dialling(&world);
	(void)world_wait_link(&world, "west", waits_for_its_gateway, &arena);
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_CLOSED);
	assert_string_equal(err.text, "link to west is down: its gateway has not dialled yet");

	write_dialling(&world, HUB_IDENTITY);
	struct link_status status = world_wait_link(&world, "west", world_is_up, &arena);
	assert_str_equal(status.identity, STR(GATEWAY_IDENTITY));
	assert_true(str_starts(status.address, STR("127.0.0.1:")));
	assert_int_equal(status.export_count, 1);
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_str_equal(response.body, STR("GET /api/v1/query "));
	assert_non_null(strstr(world.seen, "l5d-client-id: " HUB_IDENTITY "\n"));
	request.target = STR("/api/v1/admin/tsdb/snapshot");
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_DENIED);

	world_write_exports(&world, "prometheus", NULL);
	(void)world_wait_link(&world, "west", world_is_down, &arena);
	write_dialling(&world, HUB_IDENTITY);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_deinit(&world);
}

static void a_gateway_that_dials_comes_back_after_either_side_went_away(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init_dialling(&world);
	write_dialling(&world, HUB_IDENTITY);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_do(&world, world_close_gateway);
	(void)world_wait_link(&world, "west", world_is_down, &arena);
	world_do(&world, world_open_gateway);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	/* The link's file changes: its connection is ended, and made again from the other side. */
	world_write(&world, "links/west.yaml",
		"# again\ncluster: west\nidentity: " GATEWAY_IDENTITY "\ndials: gateway\n");
	(void)world_wait_link(&world, "west", waits_for_its_gateway, &arena);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_deinit(&world);
}

static double metric_of(struct world *world, const char *name) {
	AUTO(buf_deinit) struct buf text = { 0 };
	metric_write(world->metrics, &text);
	const char *line = strstr(buf_text(&text), name);
	return line ? strtod(line + strlen(name), NULL) : 0;
}

static void wait_for_metric(struct world *world, const char *name) {
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	while (metric_of(world, name) < 1) {
		lock_take(&world->lock);
		(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S / 50);
		lock_drop(&world->lock);
		assert_true(clock_mono_ns(clock_system()) < end_ns);
	}
}

static bool waits_for_nothing(const struct link_status *status) {
	return status->state == LINK_DOWN &&
	       str_ends(status->last_error, STR("(--links.listen-address)"));
}

static void a_hub_that_does_not_listen_says_so(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init(&world);
	world_write(&world, "links/west.yaml",
		"cluster: west\nidentity: " GATEWAY_IDENTITY "\ndials: gateway\n");
	(void)world_wait_link(&world, "west", waits_for_nothing, &arena);
	world_do(&world, listen_for_gateways);
	(void)world_wait_link(&world, "west", waits_for_its_gateway, &arena);
	world_deinit(&world);
}

static void a_gateway_that_no_file_expects_is_refused(void **state) {
	(void)state;
	struct world world;
	world_init(&world);
	world_do(&world, listen_for_gateways);
	/* There is a link to it, but one that we dial. */
	write_dialling(&world, HUB_IDENTITY);
	wait_for_metric(&world, "\natoll_link_refused_total{reason=\"unexpected\"} ");
	world_deinit(&world);
}

static void a_gateway_does_not_serve_a_hub_of_another_name(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	world_init_dialling(&world);
	write_dialling(&world, "other.atoll.serviceaccount.identity.linkerd.hub.mesh");
	wait_for_metric(&world, "\natoll_link_refused_total{reason=\"by_peer\"} ");
	(void)world_wait_link(&world, "west", waits_for_its_gateway, &arena);
	world_deinit(&world);
}

/* As no_session_outlives_its_certificate, from the other side. */
static void a_gateway_that_dials_renews_in_time(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init_dialling(&world);
	world_sign(&world, world.issuers[1], "hub", "hub-tls", 5 * MS_PER_S);
	wait_for_hub_leaf(&world, true);
	write_dialling(&world, HUB_IDENTITY);
	int64_t since_ms = world_wait_link(&world, "west", world_is_up, &arena).since_ms;
	struct link_request request = world_request("/api/v1/labels");
	struct link_call *kept = link_call_start(world.links, &request);
	world_wait_count(&world, &world.asked, 0);
	world_sign(&world, world.issuers[0], "gateway", "gateway-tls", 600 * MS_PER_S);
	world_sign(&world, world.issuers[1], "hub", "hub-tls", 0);
	wait_for_hub_leaf(&world, false);

	(void)world_wait_link(&world, "west", has_short_certificate, &arena);
	struct link_response response;
	request.target = STR("/api/v1/query");
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_wait_count(&world, &world.aborted, 0);
	assert_int_equal(link_call_wait(kept, &arena, &response, &err), ERR_CLOSED);
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_int_equal(world_wait_link(&world, "west", world_is_up, &arena).since_ms, since_ms);
	world_deinit(&world);
}

static void wait_until_gone(struct world *world) {
	int64_t end_ns = clock_mono_ns(clock_system()) + TEST_WAIT_NS;
	size_t count = 1;
	while (count > 0) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct link_status *all = NULL;
		lock_take(&world->lock);
		(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S / 10);
		lock_drop(&world->lock);
		links_snapshot(world->links, &arena, &all, &count);
		assert_true(clock_mono_ns(clock_system()) < end_ns);
	}
}

static void a_removed_file_takes_link_calls_and_metrics_with_it(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/labels");
	struct link_call *started = link_call_start(world.links, &request);
	world_wait_count(&world, &world.asked, 0);
	AUTO(buf_deinit) struct buf before = { 0 };
	metric_write(world.metrics, &before);
	assert_non_null(strstr(buf_text(&before), "atoll_link_up{cluster=\"west\"} 1\n"));
	assert_ok(file_remove(world_path(&world, "links/west.yaml"), &err), err);
	struct link_response response;
	assert_int_equal(link_call_wait(started, &arena, &response, &err), ERR_CLOSED);
	assert_string_equal(err.text, "link to west: the link was removed: its file is gone");
	wait_until_gone(&world);
	AUTO(buf_deinit) struct buf after = { 0 };
	metric_write(world.metrics, &after);
	assert_null(strstr(buf_text(&after), "cluster=\"west\""));
	assert_int_equal(call(&world, &request, &arena, &response, &err), ERR_INVAL);
	world_deinit(&world);
}

static void a_malformed_file_harms_no_other_link(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	(void)world_wait_link(&world, "west", world_is_up, &arena);
	world_write(&world, "links/bad.yaml", "cluster: [\n");
	world_write(&world, "links/same.yaml",
		"cluster: west\nidentity: " GATEWAY_IDENTITY "\naddresses: ['127.0.0.1:1']\n");
	world_write_link(&world, "other", GATEWAY_IDENTITY, world.gateway_port);
	(void)world_wait_link(&world, "other", world_is_up, &arena);
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	world_deinit(&world);
}

static void close_service(struct world *world) {
	http_server_close(world->service);
	router_free(world->router);
	world_serve(world);
}

static void a_service_that_is_down_is_told_in_a_sentence(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	world_do(&world, close_service); /* It listens on another port now. */
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	assert_int_equal(response.status, 502);
	char body[1000];
	(void)snprintf(body, sizeof(body), "%.*s", STR_ARG(response.body));
	assert_non_null(
		strstr(body, "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":"
			     "\"export \\\"prometheus\\\" at http://127.0.0.1:"));
	world_deinit(&world);
}

static void bytes_are_counted_per_cluster(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/query");
	struct link_response response;
	assert_ok(call(&world, &request, &arena, &response, &err), err);
	struct link_status status = world_wait_link(&world, "west", world_is_up, &arena);
	assert_true(status.received_bytes > response.received_bytes);
	assert_true(status.sent_bytes > 0);
	AUTO(buf_deinit) struct buf text = { 0 };
	metric_write(world.metrics, &text);
	assert_non_null(
		strstr(buf_text(&text), "atoll_link_received_bytes_total{cluster=\"west\"} "));
	assert_non_null(strstr(
		buf_text(&text), "atoll_link_requests_total{cluster=\"west\",outcome=\"ok\"} 1\n"));
	world_deinit(&world);
}

struct caller {
	struct world *world;
	unsigned failures;
};

static void call_often(void *context) {
	struct caller *caller = context;
	for (int i = 0; i < 30; i++) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct err err = { 0 };
		struct link_request request = world_request("/api/v1/query");
		struct link_response response;
		int rc = call(caller->world, &request, &arena, &response, &err);
		/* The export takes two at once. */
		bool is_fine = rc == ERR_DENIED || (rc == 0 && response.status == 200);
		caller->failures += is_fine ? 0 : 1;
	}
}

static void many_threads_may_call(void **state) {
	(void)state;
	struct world world;
	struct caller callers[4];
	pthread_t threads[4];
	world_init(&world);
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
		callers[i] = (struct caller){ .world = &world };
		threads[i] = thread_start(THREAD_QUERY, "caller", call_often, &callers[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
		thread_join(threads[i]);
		assert_int_equal(callers[i].failures, 0);
	}
	world_deinit(&world);
}

static void shutting_down_ends_calls(void **state) {
	(void)state;
	struct world world;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	world_init(&world);
	struct link_request request = world_request("/api/v1/labels");
	struct link_call *started = link_call_start(world.links, &request);
	world_wait_count(&world, &world.asked, 0);
	world_deinit(&world);
	struct link_response response;
	assert_int_equal(link_call_wait(started, &arena, &response, &err), ERR_CLOSED);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_link_comes_up_and_shows_what_it_may_use),
		TEST(a_call_reaches_the_service_and_says_who_asks),
		TEST(a_form_is_passed_on),
		TEST(a_large_answer_crosses_small_and_comes_whole),
		TEST(an_answer_larger_than_asked_for_is_refused),
		TEST(what_is_not_exported_is_denied),
		TEST(a_body_over_the_limit_is_denied),
		TEST(a_canceled_call_ends_at_the_service_too),
		TEST(a_call_ends_in_time),
		TEST(more_at_once_than_the_gateway_allows_take_turns),
		TEST(exports_come_and_go_live),
		TEST(a_broken_configuration_changes_nothing),
		TEST(a_gateway_that_comes_back_is_found),
		TEST(a_gateway_of_another_name_is_not_believed),
		TEST(a_wrong_anchor_is_told_with_both_digests),
		TEST(a_renewed_certificate_is_used_without_a_restart),
		TEST(no_session_outlives_its_certificate),
		TEST(a_gateway_may_dial),
		TEST(a_gateway_that_dials_comes_back_after_either_side_went_away),
		TEST(a_hub_that_does_not_listen_says_so),
		TEST(a_gateway_that_no_file_expects_is_refused),
		TEST(a_gateway_does_not_serve_a_hub_of_another_name),
		TEST(a_gateway_that_dials_renews_in_time),
		TEST(a_removed_file_takes_link_calls_and_metrics_with_it),
		TEST(a_malformed_file_harms_no_other_link),
		TEST(a_service_that_is_down_is_told_in_a_sentence),
		TEST(bytes_are_counted_per_cluster),
		TEST(many_threads_may_call),
		TEST(shutting_down_ends_calls),
	};
	thread_set_role(THREAD_QUERY, "test");
	return TEST_RUN(tests);
}
