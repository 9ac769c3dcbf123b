#include "mesh/refusal.h"

#include "base/test.h"

static const char *reason_of(int code, const char *text) {
	struct err err = { 0 };
	(void)err_set(&err, code, "%s", text);
	return refusal_reason(&err);
}

static void certificates_are_told_apart_by_what_is_wrong(void **state) {
	static const char refused[] = "certificate of peer \"x\" refused: ";
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{ "certificate has expired", "expired" },
		{ "certificate is not yet valid", "not_yet_valid" },
		{ "unable to get local issuer certificate", "wrong_anchor" },
		{ "self-signed certificate in certificate chain", "wrong_anchor" },
		{ "permitted subtree violation", "name_constraint" },
		{ "unsuitable certificate purpose", "certificate" },
		{ "something of a later OpenSSL", "certificate" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char text[200];
		(void)snprintf(text, sizeof(text), "%s%s", refused, cases[i].text);
		assert_string_equal(reason_of(ERR_DENIED, text), cases[i].reason);
	}
	assert_string_equal(reason_of(ERR_DENIED, "peer sent no certificate"), "no_certificate");
	assert_string_equal(
		reason_of(ERR_DENIED, "certificate of x: it has 2 DNS names"), "identity");
}

static void what_is_no_certificates_fault_has_reasons_of_its_own(void **state) {
	(void)state;
	assert_string_equal(
		reason_of(ERR_DENIED, "peer offers none of our protocols (ALPN)"), "protocol");
	assert_string_equal(reason_of(ERR_IO, "TLS handshake: http request"), "protocol");
	assert_string_equal(reason_of(ERR_TIMEOUT, "too slow"), "timeout");
	assert_string_equal(reason_of(ERR_LIMIT, "x has 64 connections"), "limit");
	assert_string_equal(reason_of(ERR_CLOSED, "peer left"), "other");
}

static void a_peer_that_refuses_us_is_not_one_we_refuse(void **state) {
	(void)state;
	assert_string_equal(
		reason_of(ERR_DENIED, "peer refused us: sslv3 alert bad certificate"), "by_peer");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(certificates_are_told_apart_by_what_is_wrong),
		TEST(what_is_no_certificates_fault_has_reasons_of_its_own),
		TEST(a_peer_that_refuses_us_is_not_one_we_refuse),
	};
	return TEST_RUN(tests);
}
