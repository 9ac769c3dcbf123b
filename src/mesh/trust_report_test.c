#include "mesh/trust_report.h"

#include "base/test.h"
#include "mesh/catalogue.h"

#define OLD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NEW "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FACTS "{\"anchors\":[\"" OLD "\",\"" NEW "\"],\"chain_anchor\":\"" OLD "\"}"

static struct trust_facts make_facts(void) {
	struct trust_facts facts = { .anchor_count = 2 };
	memcpy(facts.anchors[0], OLD, sizeof(OLD));
	memcpy(facts.anchors[1], NEW, sizeof(NEW));
	memcpy(facts.chain_anchor, OLD, sizeof(OLD));
	return facts;
}

static void a_catalogue_carries_what_its_gateway_believes(void **state) {
	(void)state;
	struct trust_facts facts = make_facts();
	struct catalogue sent = { .trust = &facts };
	struct catalogue received;
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf line = { 0 };
	struct err err = { 0 };
	catalogue_format(&sent, &line);
	assert_ok(catalogue_parse(&arena, buf_str(&line), &received, &err), err);
	assert_non_null(received.trust);
	assert_true(trust_facts_equal(received.trust, &facts));
	sent.trust = NULL;
	buf_reset(&line);
	catalogue_format(&sent, &line);
	assert_ok(catalogue_parse(&arena, buf_str(&line), &received, &err), err);
	assert_null(received.trust);
}

static void a_report_is_read(void **state) {
	(void)state;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct trust_report report;
	struct err err = { 0 };
	assert_ok(trust_report_parse(&arena,
			  STR("{\"status\":\"success\",\"data\":{\"identity\":\"hub\","
			      "\"trust\":" FACTS
			      ",\"links\":[{\"cluster\":\"west\",\"identity\":\"g\",\"trouble\":"
			      "\"\",\"trust\":" FACTS "},{\"cluster\":\"east\",\"trouble\":\"its "
			      "link is not up\"},{\"cluster\":\"north\",\"trouble\":\"\"}]}}"),
			  &report, &err),
		err);
	struct trust_facts facts = make_facts();
	assert_true(trust_facts_equal(&report.facts, &facts));
	assert_int_equal(report.link_count, 3);
	assert_true(trust_facts_equal(report.links[0].facts, &facts));
	assert_null(report.links[1].facts);
	assert_true(str_equal(report.links[1].trouble, STR("its link is not up")));
	/* Who says nothing is not taken to agree. */
	assert_true(report.links[2].trouble.len > 0);
}

static void what_is_no_report_is_refused(void **state) {
	(void)state;
	static const struct {
		const char *body;
		const char *reason;
	} cases[] = {
		{ "", "report of trust: " },
		{ "[]", "no anchors" },
		{ "{\"data\":{\"trust\":{\"anchors\":{},\"chain_anchor\":\"\"}}}", "no anchors" },
		{ "{\"data\":{\"trust\":{\"anchors\":[\"\"],\"chain_anchor\":\"\"}}}",
			"an anchor that is no SHA-256" },
		{ "{\"data\":{\"trust\":{\"anchors\":[\"../../../../../../../../../../../../../../"
		  "../"
		  "../../../../../../\"],\"chain_anchor\":\"\"}}}",
			"an anchor that is no SHA-256" },
		{ "{\"data\":{\"trust\":{\"anchors\":[],\"chain_anchor\":\"x\"}}}",
			"a chain_anchor that is no SHA-256" },
		{ "{\"data\":{\"trust\":{\"anchors\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
		  "\"chain_anchor\":\"\"}}}",
			"17 anchors, at most 16" },
		{ "{\"data\":{\"trust\":" FACTS "}}", "no links" },
		{ "{\"data\":{\"trust\":" FACTS ",\"links\":[{}]}}",
			"a link without the name of its cluster" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct trust_report report;
		struct err err = { 0 };
		assert_true(trust_report_parse(&arena, str_of(cases[i].body), &report, &err) < 0);
		if (!strstr(err.text, cases[i].reason)) {
			fail_msg("%s: %s", cases[i].body, err.text);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_catalogue_carries_what_its_gateway_believes),
		TEST(a_report_is_read),
		TEST(what_is_no_report_is_refused),
	};
	return TEST_RUN(tests);
}
