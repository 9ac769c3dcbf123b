#include "mesh/failure.h"

#include "base/test.h"

#include <string.h>

static struct err make(int code, const char *text) {
	struct err err = { 0 };
	(void)err_set(&err, code, "%s", text);
	return err;
}

static void decodes_each_kind_of_failure(void **state) {
	static const struct {
		int code;
		const char *text;
		const char *reason;
		enum failure_stage stage;
	} cases[] = {
		{ ERR_IO, "host \"gw\": name or service not known", "dns", STAGE_DNS },
		{ ERR_IO, "connect to gw:4143: Connection refused", "refused", STAGE_CONNECT },
		{ ERR_IO, "connect to gw:4143: No route to host", "unreachable", STAGE_CONNECT },
		{ ERR_TIMEOUT, "connect to gw:4143: no answer in time", "timeout", STAGE_CONNECT },
		{ ERR_DENIED,
			"certificate of issuer \"x\" refused: unable to get local issuer "
			"certificate",
			"wrong_anchor", STAGE_TLS },
		{ ERR_DENIED,
			"certificate of peer \"x\" refused: certificate has expired; it is valid",
			"expired", STAGE_TLS },
		{ ERR_DENIED, "certificate of peer \"x\" refused: certificate is not yet valid",
			"not_yet_valid", STAGE_TLS },
		{ ERR_DENIED, "peer is \"a\", expected \"b\"", "identity", STAGE_TLS },
		{ ERR_DENIED, "peer refused us: tlsv1 alert unknown ca", "refused_anchor",
			STAGE_TLS },
		{ ERR_DENIED, "peer refused us: sslv3 alert certificate expired", "refused_expired",
			STAGE_TLS },
		{ ERR_DENIED, "peer refused us: sslv3 alert bad certificate", "by_peer",
			STAGE_TLS },
		{ ERR_DENIED, "gateway.a is revoked: by the list of west", "revoked", STAGE_TLS },
		{ ERR_IO, "TLS handshake: wrong version number", "protocol", STAGE_TLS },
		{ ERR_CLOSED, "the connection was closed", "closed", STAGE_TLS },
		{ ERR_DENIED, "the gateway answered 403 when asked for its catalogue", "denied",
			STAGE_TLS },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct err err = make(cases[i].code, cases[i].text);
		assert_string_equal(failure_reason(&err), cases[i].reason);
		assert_int_equal(failure_stage_of(&err), cases[i].stage);
		assert_null(strstr(failure_advice(cases[i].reason), "all that is known"));
	}
}

static void counts_what_repeats_itself_and_keeps_the_newest(void **state) {
	(void)state;
	struct failures failures = { .max = 3 };
	struct err errs[4];
	for (size_t i = 0; i < ARRAY_COUNT(errs); i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "failure %zu", i);
		errs[i] = make(ERR_IO, text);
		failures_note(&failures, (int64_t)i * 1000, "gw:1", STAGE_TLS, &errs[i]);
	}
	failures_note(&failures, 9000, "gw:1", STAGE_TLS, &errs[1]);
	assert_int_equal(failures.count, 3);
	assert_int_equal(failures.total, 5);
	assert_string_equal(failures.items[0].text, "failure 2");
	assert_string_equal(failures.items[2].text, "failure 1");
	assert_int_equal(failures.items[2].count, 2);
	assert_int_equal(failures.items[2].first_ms, 1000);
	assert_int_equal(failures.items[2].last_ms, 9000);
	failures_deinit(&failures);
}

static void refusals_are_told_apart_by_host_not_by_port(void **state) {
	(void)state;
	struct failures failures = { .max = 3 };
	struct err err = make(ERR_DENIED, "peer sent no certificate");
	failures_note_refusal(&failures, 1, "127.0.0.1:1001", &err);
	failures_note_refusal(&failures, 2, "127.0.0.1:1002", &err);
	failures_note_refusal(&failures, 3, "[::1]:1003", &err);
	assert_int_equal(failures.count, 2);
	assert_string_equal(failures.items[0].address, "127.0.0.1");
	assert_string_equal(failures.items[1].address, "[::1]");
	failures_deinit(&failures);
}

static void writes_the_newest_first_with_what_to_do(void **state) {
	(void)state;
	struct failures failures = { .max = 3 };
	struct err first = make(ERR_IO, "connect to gw:1: Connection refused");
	struct err second = make(ERR_IO, "host \"gw\": unknown");
	AUTO(buf_deinit) struct buf out = { 0 };
	struct json_writer writer;
	failures_note(&failures, 1000, "gw:1", STAGE_CONNECT, &first);
	failures_note(&failures, 2000, "gw:1", STAGE_DNS, &second);
	json_writer_init(&writer, &out);
	failures_write(&failures, &writer);
	const char *newest = strstr(buf_text(&out), "\"reason\":\"dns\"");
	const char *oldest = strstr(buf_text(&out), "\"reason\":\"refused\"");
	assert_true(newest && oldest && newest < oldest);
	assert_non_null(strstr(buf_text(&out), "\"time\":\"1970-01-01T00:00:02Z\""));
	assert_non_null(strstr(buf_text(&out), "nothing listens on that port"));
	failures_deinit(&failures);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(decodes_each_kind_of_failure),
		TEST(counts_what_repeats_itself_and_keeps_the_newest),
		TEST(refusals_are_told_apart_by_host_not_by_port),
		TEST(writes_the_newest_first_with_what_to_do),
	};
	return TEST_RUN(tests);
}
