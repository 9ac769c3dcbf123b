#include "trust/identity.h"

#include "base/test.h"

static void takes_a_name_apart(void **state) {
	(void)state;
	struct identity identity;
	struct err err = { 0 };
	assert_ok(identity_parse(STR("gateway.atoll.serviceaccount.identity.linkerd.west.mesh"),
			  &identity, &err),
		err);
	assert_str_equal(identity.name, STR("gateway"));
	assert_str_equal(identity.name_space, STR("atoll"));
	assert_str_equal(identity.trust_domain, STR("west.mesh"));
}

static void a_workloads_name_may_have_dots(void **state) {
	(void)state;
	struct identity identity;
	struct err err = { 0 };
	struct str text = STR("a.b.atoll.serviceaccount.identity.linkerd.west.mesh");
	assert_ok(identity_parse(text, &identity, &err), err);
	assert_str_equal(identity.name, STR("a.b"));
	assert_str_equal(identity.name_space, STR("atoll"));
	AUTO(buf_deinit) struct buf again = { 0 };
	identity_format(&identity, &again);
	assert_str_equal(buf_str(&again), text);
}

static void refuses_what_is_no_identity(void **state) {
	(void)state;
	static const char *const wrong[] = {
		"",
		"gateway",
		"gateway.atoll.serviceaccount.identity.linkerd",
		"gateway.atoll.serviceaccount.identity.linkerd.",
		"gateway.serviceaccount.identity.linkerd.west.mesh",
		".atoll.serviceaccount.identity.linkerd.west.mesh",
		"Gateway.atoll.serviceaccount.identity.linkerd.west.mesh",
		"gateway..atoll.serviceaccount.identity.linkerd.west.mesh",
		"*.atoll.serviceaccount.identity.linkerd.west.mesh",
		"gate_way.atoll.serviceaccount.identity.linkerd.west.mesh",
		"-g.atoll.serviceaccount.identity.linkerd.west.mesh",
		"g.atoll.serviceaccount.identity.linkerd.west.mesh.",
		"g.atoll.serviceaccount.identity.linkerd.west mesh",
		"a.b.serviceaccount.identity.linkerd.c.d.serviceaccount.identity.linkerd.west.mesh",
	};
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		struct identity identity;
		struct err err = { 0 };
		if (identity_parse(str_of(wrong[i]), &identity, &err) != ERR_INVAL) {
			fail_msg("\"%s\" was taken", wrong[i]);
		}
	}
}

static void names_have_a_length(void **state) {
	(void)state;
	char label[65];
	memset(label, 'a', sizeof(label));
	assert_true(dns_label_is_valid((struct str){ label, 63 }));
	assert_false(dns_label_is_valid((struct str){ label, 64 }));
	char name[256];
	for (size_t i = 0; i < sizeof(name); i++) {
		name[i] = i % 2 ? '.' : 'a';
	}
	assert_true(dns_name_is_valid((struct str){ name, 253 }));
	assert_false(dns_name_is_valid((struct str){ name, 255 }));
	assert_false(dns_name_is_valid((struct str){ "a\0b", 3 }));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(takes_a_name_apart),
		TEST(a_workloads_name_may_have_dots),
		TEST(refuses_what_is_no_identity),
		TEST(names_have_a_length),
	};
	return TEST_RUN(tests);
}
