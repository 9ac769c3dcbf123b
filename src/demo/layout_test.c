#include "demo/layout.h"

#include "base/test.h"

static void every_port_comes_from_one_block_and_none_twice(void **state) {
	(void)state;
	static const enum part_kind kinds[] = { PART_NODE_EXPORTER, PART_MONITOR, PART_GATEWAY };
	bool is_taken[LAYOUT_PORTS] = { false };

	assert_int_equal(layout_port(9490, 0, PART_HUB), 9490);
	assert_int_equal(layout_port(9490, 0, PART_GATEWAY), 9493);
	is_taken[0] = true;
	for (size_t slot = 0; slot < LAYOUT_CLUSTERS_MAX; slot++) {
		assert_int_equal(layout_port(9490, slot, PART_MONITOR),
			layout_port(9490, slot, PART_PROMETHEUS));
		for (size_t i = 0; i <= ARRAY_COUNT(kinds); i++) {
			int port = i < ARRAY_COUNT(kinds) ? layout_port(9490, slot, kinds[i])
							  : layout_gateway_web_port(9490, slot);
			assert_in_range(port, 9490, 9490 + LAYOUT_PORTS - 1);
			assert_false(is_taken[port - 9490]);
			is_taken[port - 9490] = true;
		}
	}
}

static void the_map_names_every_cluster(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	const struct layout_cluster clusters[] = {
		{ .name = "frankfurt", .slot = 0, .first_port = 9490 },
		{ .name = "bahrain", .slot = 1, .first_port = 9490 },
	};
	layout_port_map(clusters, ARRAY_COUNT(clusters), &text);
	assert_string_equal(buf_text(&text), "9491-9494 frankfurt, 9495-9498 bahrain");
}

static void a_gateway_lets_in_the_hub_alone(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	const struct layout_cluster cluster = { .name = "madrid", .slot = 2, .first_port = 9490 };
	layout_gateway_yaml(&cluster, "hub.identity", &text);
	assert_non_null(strstr(buf_text(&text), "url: http://127.0.0.1:9500\n"));
	assert_non_null(strstr(buf_text(&text), "allow:\n      - hub.identity\n"));
	buf_reset(&text);
	layout_link_yaml(&cluster, "gateway.identity", &text);
	assert_non_null(strstr(buf_text(&text), "cluster: madrid\nidentity: gateway.identity\n"));
	assert_non_null(strstr(buf_text(&text), "- 127.0.0.1:9501\n"));
}

static void a_cluster_scrapes_its_node_and_itself(void **state) {
	(void)state;
	AUTO(buf_deinit) struct buf text = { 0 };
	struct layout_cluster cluster = { .name = "madrid", .slot = 0, .first_port = 9490 };
	layout_prometheus_yaml(&cluster, &text);
	assert_non_null(strstr(buf_text(&text), "job_name: node\n"));
	assert_non_null(strstr(buf_text(&text), "'127.0.0.1:9491'"));
	assert_non_null(strstr(buf_text(&text), "job_name: monitor\n"));
	assert_non_null(strstr(buf_text(&text), "'127.0.0.1:9492'"));
	buf_reset(&text);
	cluster.is_stock = true;
	layout_prometheus_yaml(&cluster, &text);
	assert_non_null(strstr(buf_text(&text), "job_name: prometheus\n"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(every_port_comes_from_one_block_and_none_twice),
		TEST(the_map_names_every_cluster),
		TEST(a_gateway_lets_in_the_hub_alone),
		TEST(a_cluster_scrapes_its_node_and_itself),
	};
	return TEST_RUN(tests);
}
