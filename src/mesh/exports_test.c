#include "mesh/exports.h"

#include "base/test.h"

#define HUB "hub.atoll.serviceaccount.identity.linkerd.hub.mesh"
#define ONE                                                                                        \
	"exports:\n  - name: prometheus\n    kind: prometheus\n    url: http://127.0.0.1:9090/\n"

static struct exports *parse(const char *yaml) {
	struct exports *exports = NULL;
	struct err err = { 0 };
	assert_ok(exports_parse(str_of(yaml), &exports, &err), err);
	return exports;
}

static void reads_an_export_with_its_limits(void **state) {
	(void)state;
	struct exports *exports = parse(ONE "    allow: [" HUB "]\n"
					    "    limits: {concurrency: 7, request_bytes: 64KB,\n"
					    "      response_bytes: 2GiB, timeout: 30s}\n");
	const struct exported *exported = exports_find(exports, STR("prometheus"));
	assert_non_null(exported);
	assert_str_equal(exported->url, STR("http://127.0.0.1:9090"));
	assert_int_equal(exported->limits.concurrency, 7);
	assert_int_equal(exported->limits.request_bytes, 65536);
	assert_int_equal(exported->limits.response_bytes, INT64_C(2) << 30);
	assert_int_equal(exported->limits.timeout_ms, 30000);
	assert_null(exports_find(exports, STR("Prometheus")));
	assert_null(exports_find(exports, STR("")));
	exports_unref(exports);
}

static void nothing_is_exported_by_an_empty_file(void **state) {
	(void)state;
	static const char *const empty[] = { "", "# nothing\n", "exports:\n", "exports: []\n",
		"{}" };
	for (size_t i = 0; i < ARRAY_COUNT(empty); i++) {
		struct exports *exports = parse(empty[i]);
		assert_int_equal(exports->count, 0);
		assert_null(exports_find(exports, STR("prometheus")));
		exports_unref(exports);
	}
}

static void an_identity_is_allowed_by_name_or_by_cluster(void **state) {
	(void)state;
	struct exports *exports = parse(ONE "    allow: [" HUB ", '*.ops.mesh']\n");
	const struct exported *exported = &exports->items[0];
	assert_true(exported_allows(exported, STR(HUB)));
	assert_true(exported_allows(exported, STR("a.b.serviceaccount.identity.linkerd.ops.mesh")));
	static const char *const others[] = {
		"hub2.atoll.serviceaccount.identity.linkerd.hub.mesh",
		"hub.atoll.serviceaccount.identity.linkerd.hub.mesh.evil",
		"hub.other.serviceaccount.identity.linkerd.hub.mesh",
		"a.b.serviceaccount.identity.linkerd.x.ops.mesh",
		"a.b.serviceaccount.identity.linkerd.devops.mesh",
		"a.ops.mesh",
		"ops.mesh",
		"",
	};
	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		assert_false(exported_allows(exported, str_of(others[i])));
	}
	exports_unref(exports);
}

static const struct {
	const char *yaml;
	const char *sentence;
} wrong[] = {
	{ "exports:\n  - name: a\n    kind: prometheus\n    url: http://a\n",
		"line 2: export lacks \"allow\"" },
	{ "exports:\n  - nme: a\n",
		"line 2: unknown key \"nme\" in export; known are name, kind, url, allow, limits" },
	{ "export: []\n",
		"line 1: unknown key \"export\" in the configuration; known are exports, hubs" },
	{ "exports: {}\n", "line 1: exports must be a list" },
	{ "exports: [1]\n", "line 1: export must be a mapping of keys to values" },
	{ ONE "    allow: []\n", "line 2: export \"prometheus\" allows nobody" },
	{ ONE "    allow: ['*']\n",
		"line 2: \"*\" is neither an identity (NAME.NAMESPACE.serviceaccount.identity."
		"linkerd.TRUSTDOMAIN) nor *.TRUSTDOMAIN" },
	{ ONE "    allow: " HUB "\n", "line 5: a list is expected" },
	{ ONE "    allow: [" HUB "]\n    limits: {timeout: soon}\n",
		"line 6: \"soon\" is not a duration like 500ms, 30s or 5m" },
	{ ONE "    allow: [" HUB "]\n    limits: {request_bytes: 1XB}\n",
		"line 6: \"1XB\" is not a size like 512, 64KB or 10MiB" },
	{ ONE "    allow: [" HUB "]\n    limits: {request_bytes: 11MB}\n",
		"line 2: request_bytes is at most 10485760" },
	{ ONE "    allow: [" HUB "]\n    limits: {concurrency: -1}\n",
		"line 6: \"-1\" is not a whole number" },
	{ ONE "    allow: [" HUB "]\n    limits: {concurrency: 0}\n",
		"line 2: a limit of 0 lets nothing through" },
	{ ONE "    allow: [" HUB "]\n    limits: {response_bytes: 99999999999GiB}\n",
		"line 6: \"99999999999GiB\" is not a size like 512, 64KB or 10MiB" },
	{ "exports:\n  - {name: a, kind: grpc, url: 'http://a', allow: ['*.m']}\n",
		"line 2: export kind \"grpc\" is not built; \"prometheus\" is" },
	{ "exports:\n  - {name: atoll, kind: prometheus, url: 'http://a', allow: ['*.m']}\n",
		"line 2: export name \"atoll\" must be lower-case letters, digits and '-', and not "
		"\"atoll\"" },
	{ "exports:\n  - {name: a.b, kind: prometheus, url: 'http://a', allow: ['*.m']}\n",
		"line 2: export name \"a.b\" must be lower-case letters, digits and '-', and not "
		"\"atoll\"" },
	{ "exports:\n  - {name: a, kind: prometheus, url: 'ftp://a', allow: ['*.m']}\n",
		"line 2: url \"ftp://a\" is not like http://127.0.0.1:9090" },
	{ "exports:\n  - {name: a, kind: prometheus, url: 'http://u:p@a', allow: ['*.m']}\n",
		"line 2: url \"http://u:p@a\" is not like http://127.0.0.1:9090" },
	{ "exports:\n  - {name: a, kind: prometheus, url: 'http://a?x', allow: ['*.m']}\n",
		"line 2: url \"http://a?x\" is not like http://127.0.0.1:9090" },
	{ "exports:\n  - {name: a, kind: prometheus, url: 'http://', allow: ['*.m']}\n",
		"line 2: url \"http://\" is not like http://127.0.0.1:9090" },
	{ "exports:\n  - {name: a, kind: prometheus, url: 'http://a', allow: ['*.m']}\n"
	  "  - {name: a, kind: prometheus, url: 'http://b', allow: ['*.m']}\n",
		"export \"a\" is given twice" },
	{ "hubs: {}\n", "line 1: hubs must be a list" },
	{ "hubs:\n  - {identity: " HUB "}\n", "line 2: a hub lacks \"addresses\"" },
	{ "hubs:\n  - {identity: hub, addresses: ['a:1']}\n",
		"line 2: identity \"hub\" is not of the form "
		"NAME.NAMESPACE.serviceaccount.identity.linkerd.TRUSTDOMAIN" },
	{ "hubs:\n  - {identity: " HUB ", addresses: ['a']}\n",
		"line 2: address \"a\" is not like host:4143 or [::1]:4143" },
	{ "hubs:\n  - {identity: " HUB ", addresses: ['a:1']}\n"
	  "  - {identity: " HUB ", addresses: ['b:1']}\n",
		"hub \"" HUB "\" is given twice" },
};

static void errors_say_the_line_and_what_to_do(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		struct exports *exports = NULL;
		struct err err = { 0 };
		assert_true(exports_parse(str_of(wrong[i].yaml), &exports, &err) < 0);
		assert_string_equal(err.text, wrong[i].sentence);
	}
}

static void reads_hubs_to_dial(void **state) {
	(void)state;
	struct exports *exports =
		parse("hubs:\n  - {identity: " HUB ", addresses: ['h:1', '[::1]:2']}\n");
	assert_int_equal(exports->count, 0);
	assert_int_equal(exports->hub_count, 1);
	assert_string_equal(exports->hubs[0].identity.ptr, HUB);
	assert_int_equal(exports->hubs[0].address_count, 2);
	assert_string_equal(exports->hubs[0].addresses[1].host.ptr, "::1");
	struct exports *other = parse("hubs:\n  - {identity: " HUB ", addresses: ['h:1']}\n");
	assert_true(exports->hubs[0].version != other->hubs[0].version);
	exports_unref(exports);
	exports_unref(other);
}

static void the_version_changes_with_the_export(void **state) {
	(void)state;
	struct exports *one = parse(ONE "    allow: [" HUB "]\n");
	struct exports *same = parse("# moved\n" ONE "    allow: [" HUB "]\n");
	struct exports *other = parse(ONE "    allow: [" HUB "]\n    limits: {concurrency: 5}\n");
	assert_true(one->items[0].version == same->items[0].version);
	assert_true(one->items[0].version != other->items[0].version);
	exports_unref(one);
	exports_unref(same);
	exports_unref(other);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(reads_an_export_with_its_limits),
		TEST(nothing_is_exported_by_an_empty_file),
		TEST(an_identity_is_allowed_by_name_or_by_cluster),
		TEST(errors_say_the_line_and_what_to_do),
		TEST(reads_hubs_to_dial),
		TEST(the_version_changes_with_the_export),
	};
	return TEST_RUN(tests);
}
