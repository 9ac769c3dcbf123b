#include "base/test.h"
#include "mirror/view.h"

#include <jansson.h>

static struct mirror_view west(enum mirror_state state) {
	return (struct mirror_view){ .cluster = STR("west"),
		.export_name = STR("prometheus"),
		.kind = STR("prometheus"),
		.identity = STR("gateway.atoll.example"),
		.state = state,
		.reason = STR("because \"so\""),
		.port = 19501,
		.path = STR_EMPTY,
		.catalogue_age_ms = 1500 };
}

static json_t *discover(const struct mirror_view *views, size_t count) {
	AUTO(buf_deinit) struct buf text = { 0 };
	view_put_discovery(views, count, "cluster", &text);
	json_t *root = json_loads(buf_text(&text), 0, NULL);
	assert_non_null(root);
	return root;
}

static void discovery_names_address_and_labels(void **state) {
	(void)state;
	struct mirror_view view = west(MIRROR_READY);
	json_t *root = discover(&view, 1);
	const json_t *group = json_array_get(root, 0);
	const json_t *labels = json_object_get(group, "labels");
	assert_string_equal("127.0.0.1:19501",
		json_string_value(json_array_get(json_object_get(group, "targets"), 0)));
	assert_string_equal("west", json_string_value(json_object_get(labels, "cluster")));
	assert_string_equal("prometheus", json_string_value(json_object_get(labels, "export")));
	assert_string_equal("gateway.atoll.example",
		json_string_value(json_object_get(labels, "__meta_atoll_identity")));
	assert_string_equal(
		"ready", json_string_value(json_object_get(labels, "__meta_atoll_state")));
	json_decref(root);
}

static void discovery_keeps_what_is_stale_and_says_so(void **state) {
	(void)state;
	struct mirror_view view = west(MIRROR_STALE);
	json_t *root = discover(&view, 1);
	const json_t *labels = json_object_get(json_array_get(root, 0), "labels");
	assert_string_equal(
		"stale", json_string_value(json_object_get(labels, "__meta_atoll_state")));
	json_decref(root);
}

static void discovery_leaves_out_sockets_and_what_is_removed(void **state) {
	(void)state;
	struct mirror_view views[] = { west(MIRROR_REMOVED), west(MIRROR_READY) };
	views[1].port = 0;
	views[1].path = STR("/run/west.prometheus");
	json_t *root = discover(views, ARRAY_COUNT(views));
	assert_int_equal(0, json_array_size(root));
	json_decref(root);
}

static void grafana_gets_sources_and_what_to_delete(void **state) {
	(void)state;
	struct mirror_view views[] = { west(MIRROR_READY), west(MIRROR_REMOVED) };
	AUTO(buf_deinit) struct buf text = { 0 };
	views[1].cluster = STR("east");
	view_put_grafana(views, ARRAY_COUNT(views), &text);
	assert_string_equal("apiVersion: 1\n"
			    "deleteDatasources:\n"
			    "  - name: \"east/prometheus\"\n"
			    "    orgId: 1\n"
			    "\n"
			    "datasources:\n"
			    "  - name: \"west/prometheus\"\n"
			    "    uid: \"atoll_west_prometheus\"\n"
			    "    type: prometheus\n"
			    "    access: proxy\n"
			    "    orgId: 1\n"
			    "    url: \"http://127.0.0.1:19501\"\n"
			    "    editable: false\n"
			    "    jsonData:\n"
			    "      httpMethod: POST\n"
			    "      prometheusType: Prometheus\n"
			    "\n",
		buf_text(&text));
}

static void grafana_of_nothing_is_empty_lists(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	view_put_grafana(NULL, 0, &text);
	assert_string_equal(
		"apiVersion: 1\ndeleteDatasources: []\ndatasources: []\n", buf_text(&text));
}

static void a_uid_is_short_and_different_for_each(void **state) {
	(void)state;
	struct mirror_view a = west(MIRROR_READY);
	struct mirror_view b = west(MIRROR_READY);
	AUTO(buf_deinit) struct buf first = { 0 };
	AUTO(buf_deinit) struct buf second = { 0 };
	a.cluster = STR("a-cluster-with-a-name-that-is-long");
	b.cluster = STR("a-cluster-with-a-name-that-is-long2");
	view_uid(&a, &first);
	view_uid(&b, &second);
	assert_true(first.len <= 40 && second.len <= 40);
	assert_string_not_equal(buf_text(&first), buf_text(&second));
	a.cluster = STR("x-y");
	b.cluster = STR("x");
	b.export_name = STR("y-prometheus");
	buf_reset(&first);
	buf_reset(&second);
	view_uid(&a, &first);
	view_uid(&b, &second);
	assert_string_equal("atoll_x-y_prometheus", buf_text(&first));
	assert_string_equal("atoll_x_y-prometheus", buf_text(&second));
}

static void status_tells_reasons_and_ages(void **state) {
	(void)state;
	struct mirror_view view = west(MIRROR_STALE);
	AUTO(buf_deinit) struct buf text = { 0 };
	view_put_status(&view, 1, &text);
	json_t *root = json_loads(buf_text(&text), 0, NULL);
	const json_t *mirror =
		json_array_get(json_object_get(json_object_get(root, "data"), "mirrors"), 0);
	assert_string_equal("stale", json_string_value(json_object_get(mirror, "state")));
	assert_string_equal("because \"so\"", json_string_value(json_object_get(mirror, "reason")));
	assert_int_equal(1500, json_integer_value(json_object_get(mirror, "catalogue_age_ms")));
	json_decref(root);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(discovery_names_address_and_labels),
		TEST(discovery_keeps_what_is_stale_and_says_so),
		TEST(discovery_leaves_out_sockets_and_what_is_removed),
		TEST(grafana_gets_sources_and_what_to_delete),
		TEST(grafana_of_nothing_is_empty_lists),
		TEST(a_uid_is_short_and_different_for_each),
		TEST(status_tells_reasons_and_ages),
	};
	return TEST_RUN(tests);
}
