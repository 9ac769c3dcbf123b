#include "mesh/link_bundle.h"

#include "base/test.h"
#include "io/file.h"
#include "trust/signed.h"

#include <string.h>
#include <unistd.h>

#define GATEWAY "gateway.atoll.serviceaccount.identity.linkerd.west.mesh"
#define HUB "hub.atoll.serviceaccount.identity.linkerd.hub.mesh"
/* 2026-11-22T10:00:00Z */
#define NOW_MS INT64_C(1795341600000)
#define HOUR_MS (INT64_C(3600) * MS_PER_S)

struct fixture {
	struct clock clock;
	struct authority *anchor;
	struct authority *issuer;
	struct credentials leaf;
	struct arena arena;
	struct buf text;
};

static void setup(struct fixture *fixture) {
	struct err err = { 0 };
	*fixture = (struct fixture){ 0 };
	clock_init_manual(&fixture->clock, NOW_MS);
	assert_ok(
		authority_new_anchor(STR("mesh"), 0, &fixture->clock, &fixture->anchor, &err), err);
	assert_ok(authority_new_issuer(
			  fixture->anchor, STR("west"), 0, &fixture->clock, &fixture->issuer, &err),
		err);
	const struct leaf_request request = { STR("gateway"), STR("atoll"), 0 };
	assert_ok(authority_sign(fixture->issuer, &request, &fixture->clock, &fixture->leaf, &err),
		err);
}

static void teardown(struct fixture *fixture) {
	credentials_deinit(&fixture->leaf);
	authority_free(fixture->issuer);
	authority_free(fixture->anchor);
	arena_deinit(&fixture->arena);
	buf_deinit(&fixture->text);
}

static struct link_bundle make(struct link_address *addresses) {
	addresses[0] = (struct link_address){ STR("gw.example"), 4143, STR("gw.example:4143") };
	addresses[1] = (struct link_address){ STR("::1"), 4143, STR("[::1]:4143") };
	return (struct link_bundle){ .id = STR("0123456789abcdef0123456789abcdef"),
		.cluster = STR("west"),
		.identity = STR(GATEWAY),
		.addresses = addresses,
		.address_count = 2,
		.created_ms = NOW_MS,
		.expires_ms = NOW_MS + HOUR_MS };
}

static void put_bundle(struct fixture *fixture, const struct link_bundle *bundle) {
	struct err err = { 0 };
	assert_ok(link_bundle_write(bundle, &fixture->leaf, &fixture->text, &err), err);
}

static int parse(struct fixture *fixture, struct link_bundle *out, struct err *err) {
	return link_bundle_parse(&fixture->arena, buf_str(&fixture->text), out, err);
}

static void says_all_that_a_link_file_needs(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	struct link_config config;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf file = { 0 };
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	assert_int_equal(read.created_ms, NOW_MS);
	assert_int_equal(read.trust.anchor_count, 1);
	assert_string_equal(read.trust.anchors[0], read.trust.chain_anchor);
	link_bundle_format_file(&read, &file);
	assert_ok(link_config_parse(&fixture.arena, buf_str(&file), &config, &err), err);
	assert_int_equal(config.address_count, 2);
	assert_str_equal(config.identity, STR(GATEWAY));
	assert_str_equal(config.addresses[1].host, STR("::1"));
	teardown(&fixture);
}

static void a_changed_byte_anywhere_in_its_lines_is_noticed(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	size_t end = (size_t)(strstr(buf_text(&fixture.text), "-----BEGIN") - fixture.text.ptr);
	for (size_t i = 0; i < end; i++) {
		struct err err = { 0 };
		fixture.text.ptr[i] ^= 1;
		assert_true(parse(&fixture, &read, &err) < 0);
		fixture.text.ptr[i] ^= 1;
		arena_reset(&fixture.arena);
	}
	teardown(&fixture);
}

static void certificates_that_were_exchanged_are_noticed(void **state) {
	(void)state;
	struct fixture fixture;
	struct fixture other;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	setup(&fixture);
	setup(&other);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	char *anchors = strstr(fixture.text.ptr, "\nanchors\n");
	fixture.text.len = (size_t)(anchors - fixture.text.ptr) + strlen("\nanchors\n");
	buf_add_str(&fixture.text, buf_str(&other.leaf.anchors));
	assert_int_equal(parse(&fixture, &read, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "its anchors are not those whose digests were signed"));
	teardown(&other);
	teardown(&fixture);
}

static void only_its_own_identity_may_sign_it(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct err err = { 0 };
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	bundle.identity = STR("other.atoll.serviceaccount.identity.linkerd.west.mesh");
	assert_int_equal(link_bundle_write(&bundle, &fixture.leaf, &fixture.text, &err), ERR_INVAL);
	assert_non_null(strstr(err.text, "signed by " GATEWAY ", and speaks of other"));
	teardown(&fixture);
}

static void tells_an_anchor_of_ours_from_another(void **state) {
	(void)state;
	struct fixture fixture;
	struct fixture other;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	setup(&fixture);
	setup(&other);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	struct str own = buf_str(&fixture.leaf.anchors);
	struct str foreign = buf_str(&other.leaf.anchors);
	assert_int_equal(link_bundle_judge(&read, own, NOW_MS, &err), 1);
	assert_int_equal(link_bundle_judge(&read, foreign, NOW_MS, &err), 0);
	assert_int_equal(link_bundle_judge(&read, STR_EMPTY, NOW_MS, &err), 0);
	teardown(&other);
	teardown(&fixture);
}

static void is_refused_before_and_after_its_time(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	struct str own = buf_str(&fixture.leaf.anchors);
	assert_int_equal(link_bundle_judge(&read, own, NOW_MS - LINK_BUNDLE_SKEW_MS, &err), 1);
	assert_int_equal(
		link_bundle_judge(&read, own, NOW_MS - LINK_BUNDLE_SKEW_MS - 1, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "was made at 2026-11-22T10:00:00Z, our clock says"));
	assert_int_equal(link_bundle_judge(&read, own, NOW_MS + HOUR_MS - 1, &err), 1);
	assert_int_equal(link_bundle_judge(&read, own, NOW_MS + HOUR_MS, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "it ended at 2026-11-22T11:00:00Z"));
	teardown(&fixture);
}

static void counts_once(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	char folder[] = "/tmp/atoll-bundle-XXXXXX";
	assert_non_null(mkdtemp(folder));
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	assert_ok(link_bundle_use(folder, &read, NOW_MS, &err), err);
	assert_int_equal(link_bundle_use(folder, &read, NOW_MS + 1, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "used here already"));
	/* Long after its end it is forgotten: its time refuses it then. */
	read.id = STR("ffffffffffffffffffffffffffffffff");
	assert_ok(link_bundle_use(folder, &read, NOW_MS + 2 * HOUR_MS, &err), err);
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/.bundles/%.*s", folder, STR_ARG(bundle.id));
	assert_false(path_exists(buf_text(&path)));
	assert_ok(dir_remove_tree(folder, &err), err);
	teardown(&fixture);
}

static void one_of_a_hub_names_the_gateway_that_shall_dial(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf file = { 0 };
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	bundle.is_of_hub = true;
	assert_int_equal(link_bundle_write(&bundle, &fixture.leaf, &fixture.text, &err), ERR_INVAL);
	bundle.peer = STR(HUB);
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	assert_true(read.is_of_hub);
	link_bundle_format_file(&read, &file);
	assert_string_equal(buf_text(&file),
		"identity: " GATEWAY "\naddresses: ['gw.example:4143', '[::1]:4143']\n");
	teardown(&fixture);
}

static void what_it_says_of_joining_is_whole_or_absent(void **state) {
	(void)state;
	struct fixture fixture;
	struct link_address addresses[2];
	struct link_bundle read;
	struct err err = { 0 };
	char token[65];
	memset(token, 'a', 64);
	token[64] = '\0';
	setup(&fixture);
	struct link_bundle bundle = make(addresses);
	bundle.join.url = STR("https://issuer:4144");
	bundle.join.token = str_of(token);
	assert_int_equal(link_bundle_write(&bundle, &fixture.leaf, &fixture.text, &err), ERR_INVAL);
	bundle.join.server = STR(GATEWAY);
	bundle.join.identity = STR("hub.atoll.serviceaccount.identity.linkerd.west.mesh");
	put_bundle(&fixture, &bundle);
	assert_ok(parse(&fixture, &read, &err), err);
	assert_str_equal(read.join.token, str_of(token));
	teardown(&fixture);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(says_all_that_a_link_file_needs),
		TEST(a_changed_byte_anywhere_in_its_lines_is_noticed),
		TEST(certificates_that_were_exchanged_are_noticed),
		TEST(only_its_own_identity_may_sign_it),
		TEST(tells_an_anchor_of_ours_from_another),
		TEST(is_refused_before_and_after_its_time),
		TEST(counts_once),
		TEST(one_of_a_hub_names_the_gateway_that_shall_dial),
		TEST(what_it_says_of_joining_is_whole_or_absent),
	};
	return TEST_RUN(tests);
}
