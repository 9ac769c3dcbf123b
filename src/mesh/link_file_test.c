#include "mesh/link_file.h"

#include "base/test.h"

#define HEAD "cluster: west\nidentity: gateway.atoll.serviceaccount.identity.linkerd.west.mesh\n"

static void reads_a_link(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_config config;
	struct err err = { 0 };
	assert_ok(link_config_parse(&arena,
			  STR(HEAD "addresses: ['10.0.0.1:4143', 'gw.example:443', '[::1]:1']\n"),
			  &config, &err),
		err);
	assert_str_equal(config.cluster, STR("west"));
	assert_int_equal(config.address_count, 3);
	assert_string_equal(config.addresses[0].host.ptr, "10.0.0.1");
	assert_int_equal(config.addresses[0].port, 4143);
	assert_string_equal(config.addresses[1].host.ptr, "gw.example");
	assert_string_equal(config.addresses[2].host.ptr, "::1");
	assert_string_equal(config.addresses[2].text.ptr, "[::1]:1");
}

static void a_gateway_that_dials_has_no_address(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_config config;
	struct err err = { 0 };
	assert_ok(link_config_parse(&arena, STR(HEAD "dials: gateway\n"), &config, &err), err);
	assert_true(config.is_dialled_by_gateway);
	assert_int_equal(config.address_count, 0);
	assert_ok(link_config_parse(
			  &arena, STR(HEAD "dials: hub\naddresses: ['a:1']\n"), &config, &err),
		err);
	assert_false(config.is_dialled_by_gateway);
}

static const struct {
	const char *yaml;
	const char *sentence;
} wrong[] = {
	{ "", "line 1: a link must be a mapping of keys to values" },
	{ "cluster: west\n", "line 1: a link lacks \"identity\"" },
	{ HEAD, "0 addresses, must be 1 to 64" },
	{ HEAD "addresses: []\n", "0 addresses, must be 1 to 64" },
	{ HEAD "addresses: [a]\n", "address \"a\" is not like host:4143 or [::1]:4143" },
	{ HEAD "addresses: ['a:0']\n", "address \"a:0\" is not like host:4143 or [::1]:4143" },
	{ HEAD "addresses: ['a:65536']\n",
		"address \"a:65536\" is not like host:4143 or [::1]:4143" },
	{ HEAD "addresses: ['::1:4143']\n",
		"address \"::1:4143\" is not like host:4143 or [::1]:4143" },
	{ HEAD "addresses: ['/run/x:1']\n",
		"address \"/run/x:1\" is not like host:4143 or [::1]:4143" },
	{ HEAD "adresses: ['a:1']\n", "line 3: unknown key \"adresses\" in a link; known are "
				      "cluster, identity, addresses, dials" },
	{ HEAD "dials: me\n", "dials \"me\" is neither \"hub\" nor \"gateway\"" },
	{ HEAD "dials: hub\n", "0 addresses, must be 1 to 64" },
	{ HEAD "dials: gateway\naddresses: ['a:1']\n",
		"a link that the gateway dials has no addresses here; they stand in the gateway's "
		"configuration" },
	{ "cluster: We st\nidentity: a\naddresses: ['a:1']\n",
		"cluster \"We st\" is not a name of lower-case letters, digits and '-'" },
	{ "cluster: west\nidentity: a\naddresses: ['a:1']\n",
		"identity \"a\" is not of the form "
		"NAME.NAMESPACE.serviceaccount.identity.linkerd.TRUSTDOMAIN" },
};

static void errors_say_what_to_do(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct link_config config;
		struct err err = { 0 };
		assert_int_equal(
			link_config_parse(&arena, str_of(wrong[i].yaml), &config, &err), ERR_INVAL);
		assert_string_equal(err.text, wrong[i].sentence);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_a_link),
		TEST(a_gateway_that_dials_has_no_address),
		TEST(errors_say_what_to_do),
	};
	return TEST_RUN(tests);
}
