#include "trust/verify.h"

#include "trust/test_certificates.h"

/* An anchor, an issuer under it and a leaf, judged as a client's. */
struct chain {
	struct test_certificate anchor;
	struct test_certificate issuer;
	struct test_certificate leaf;
};

static void chain_release(struct chain *chain) {
	test_release(&chain->anchor);
	test_release(&chain->issuer);
	test_release(&chain->leaf);
}

static struct chain make_chain(
	const struct test_form *issuer_form, const struct test_form *leaf_form) {
	struct chain chain = { .anchor = test_anchor() };
	chain.issuer = test_make(&chain.anchor, issuer_form);
	chain.leaf = test_make(&chain.issuer, leaf_form);
	return chain;
}

static int judge_as(const struct chain *chain, bool is_client, char *name, struct err *err) {
	AUTO(buf_deinit) struct buf presented = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	test_pem(&chain->leaf, &presented);
	test_pem(&chain->issuer, &presented);
	test_pem(&chain->anchor, &anchors);
	return trust_verify_pem(
		buf_str(&presented), buf_str(&anchors), TEST_NOW_MS, is_client, name, 256, err);
}

static int judge(const struct test_form *issuer_form, const struct test_form *leaf_form, char *name,
	struct err *err) {
	struct chain chain = make_chain(issuer_form, leaf_form);
	int rc = judge_as(&chain, true, name, err);
	chain_release(&chain);
	return rc;
}

/* What OpenSSL alone says of the same chain: 0 or its error number. */
static int judge_openssl(const struct test_form *issuer_form, const struct test_form *leaf_form) {
	struct chain chain = make_chain(issuer_form, leaf_form);
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	STACK_OF(X509) *presented = sk_X509_new_null();
	STACK_OF(X509) *anchors = sk_X509_new_null();
	(void)sk_X509_push(presented, chain.issuer.certificate);
	(void)sk_X509_push(anchors, chain.anchor.certificate);
	(void)X509_STORE_CTX_init(store, NULL, chain.leaf.certificate, presented);
	X509_STORE_CTX_set0_trusted_stack(store, anchors);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(store), (time_t)(TEST_NOW_MS / 1000));
	(void)X509_verify_cert(store);
	int code = X509_STORE_CTX_get_error(store);
	X509_STORE_CTX_free(store);
	sk_X509_free(presented);
	sk_X509_free(anchors);
	chain_release(&chain);
	return code;
}

static void assert_refused(
	const struct test_form *issuer, const struct test_form *leaf, const char *sentence) {
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge(issuer, leaf, name, &err), ERR_DENIED);
	if (!strstr(err.text, sentence)) {
		fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
	}
}

static void assert_leaf_refused(const struct test_form *leaf, const char *sentence) {
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	assert_refused(&issuer, leaf, sentence);
}

static void accepts_a_leaf_of_its_issuers_domain(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	struct err err = { 0 };
	char name[256] = "";
	assert_ok(judge(&issuer, &leaf, name, &err), err);
	assert_string_equal(name, WEST);
}

#define DNS_LIMIT "critical,permitted;DNS:west.mesh"
#define URI_DOT_LIMIT "critical,permitted;URI:.west.mesh"

/* What OpenSSL does with constraints, and where we are stricter. 0 stands for "accepted". */
static const struct {
	const char *limits;
	const char *names; /* NULL: the leaf has none. */
	const char *common_name;
	int openssl;
	bool ours;
} constraint_table[] = {
	{ DNS_LIMIT, "DNS:" WEST, "leaf", 0, true },
	{ DNS_LIMIT, "DNS:" EAST, "leaf", X509_V_ERR_PERMITTED_VIOLATION, false },
	{ DNS_LIMIT, "URI:spiffe://east.mesh/ns/m/sa/p", "leaf", 0, false },
	{ DNS_LIMIT, "DNS:" WEST, EAST, 0, true },
	{ DNS_LIMIT, NULL, EAST, X509_V_ERR_PERMITTED_VIOLATION, false },
	{ FULL_LIMITS, "URI:spiffe://west.mesh/ns/a/sa/b", "leaf", 0, false },
	{ FULL_LIMITS, "URI:spiffe://east.mesh/ns/a/sa/b", "leaf", X509_V_ERR_PERMITTED_VIOLATION,
		false },
	{ FULL_LIMITS, "URI:spiffe://sub.west.mesh/a", "leaf", X509_V_ERR_PERMITTED_VIOLATION,
		false },
	{ FULL_LIMITS, "URI:spiffe://u@west.mesh/a", "leaf", X509_V_ERR_PERMITTED_VIOLATION,
		false },
	{ FULL_LIMITS, "URI:spiffe://east.mesh@west.mesh/a", "leaf", X509_V_ERR_PERMITTED_VIOLATION,
		false },
	{ FULL_LIMITS, "URI:spiffe://west.mesh:443/a", "leaf", 0, false },
	{ FULL_LIMITS, "URI:spiffe:west.mesh", "leaf", X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, false },
	{ FULL_LIMITS, "IP:10.0.0.1", "leaf", X509_V_ERR_EXCLUDED_VIOLATION, false },
	{ DNS_LIMIT, "email:a@east.mesh", "leaf", 0, false },
	{ FULL_LIMITS, "email:a@east.mesh", "leaf", X509_V_ERR_PERMITTED_VIOLATION, false },
	{ FULL_LIMITS, "DNS:*.west.mesh", "leaf", 0, false },
	{ FULL_LIMITS, "DNS:*.m.serviceaccount.identity.linkerd.west.mesh", "leaf", 0, false },
	{ FULL_LIMITS, "DNS:p.m.serviceaccount.identity.linkerd.evilwest.mesh", "leaf",
		X509_V_ERR_PERMITTED_VIOLATION, false },
	{ FULL_LIMITS, "DNS:P.m.serviceaccount.identity.linkerd.WEST.mesh", "leaf", 0, false },
	{ FULL_LIMITS, "DNS:p.m.serviceaccount.identity.linkerd.a.west.mesh", "leaf", 0, false },
	{ URI_DOT_LIMIT, "URI:spiffe://west.mesh/", "leaf", X509_V_ERR_PERMITTED_VIOLATION, false },
	{ URI_DOT_LIMIT, "URI:spiffe://a.west.mesh/", "leaf", 0, false },
	{ NULL, "DNS:" WEST, "leaf", 0, false },
};

static void name_constraints_hold_and_their_holes_are_closed(void **state) {
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(constraint_table); i++) {
		struct test_form issuer = test_issuer_form(constraint_table[i].limits);
		struct test_form leaf = test_leaf_form(constraint_table[i].names);
		leaf.common_name = constraint_table[i].common_name;
		struct err err = { 0 };
		char name[256];
		int openssl = judge_openssl(&issuer, &leaf);
		bool ours = judge(&issuer, &leaf, name, &err) == 0;
		if (openssl != constraint_table[i].openssl || ours != constraint_table[i].ours) {
			fail_msg("row %zu: issuer \"%s\", leaf \"%s\": OpenSSL %d, we %s: %s", i,
				constraint_table[i].limits ? constraint_table[i].limits : "",
				constraint_table[i].names ? constraint_table[i].names : "", openssl,
				ours ? "accept" : "refuse", err.text);
		}
	}
}

static void refuses_two_identities(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST ",DNS:q.m.serviceaccount.identity."
					       "linkerd.west.mesh");
	assert_leaf_refused(&leaf, "it has 2 DNS names, must have exactly one");
}

static void refuses_another_kind_of_name_beside_the_identity(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST ",URI:spiffe://west.mesh/ns/m/sa/p");
	assert_leaf_refused(&leaf, "alternative name of type URI");
}

static void refuses_a_name_that_is_no_identity(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:prometheus.west.mesh");
	assert_leaf_refused(&leaf, "is not of the form NAME.NAMESPACE.serviceaccount");
}

static void refuses_a_name_with_a_trailing_dot(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(DNS_LIMIT);
	struct test_form leaf = test_leaf_form("DNS:" WEST ".");
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge(&issuer, &leaf, name, &err), ERR_DENIED);
}

static void refuses_an_issuer_that_no_constraint_limits(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(NULL);
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	assert_refused(&issuer, &leaf, "is not limited to a trust domain by name constraints");
}

static void refuses_an_issuer_of_a_wider_domain(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form("critical,permitted;DNS:mesh");
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	assert_refused(&issuer, &leaf, "belongs to trust domain mesh");
}

static void refuses_an_issuer_of_two_domains(void **state) {
	(void)state;
	struct test_form issuer =
		test_issuer_form("critical,permitted;DNS:west.mesh,permitted;DNS:east.mesh");
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	assert_refused(&issuer, &leaf, "permit several domains");
}

static void refuses_a_leaf_without_digital_signature(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.usage = "critical,keyAgreement";
	assert_leaf_refused(&leaf, "digitalSignature");
	leaf.usage = NULL;
	assert_leaf_refused(&leaf, "digitalSignature");
}

static void refuses_a_leaf_not_meant_for_clients(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.extended_usage = NULL;
	assert_leaf_refused(&leaf, "lacks clientAuth");
	leaf.extended_usage = "codeSigning";
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge(&issuer, &leaf, name, &err), ERR_DENIED);
}

static void a_servers_leaf_is_not_a_clients(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.extended_usage = "serverAuth";
	struct chain chain = make_chain(&issuer, &leaf);
	struct err err = { 0 };
	char name[256];
	assert_ok(judge_as(&chain, false, name, &err), err);
	assert_int_equal(judge_as(&chain, true, name, &err), ERR_DENIED);
	chain_release(&chain);
}

static void refuses_keys_it_does_not_know(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.curve = "RSA";
	assert_leaf_refused(&leaf, "not P-256, P-384 or Ed25519");
	leaf.curve = "secp256k1";
	assert_leaf_refused(&leaf, "not P-256, P-384 or Ed25519");
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	issuer.curve = "RSA";
	leaf.curve = NULL;
	assert_refused(&issuer, &leaf, "issuer \"issuer\": its key is not P-256");
}

static void accepts_p384_and_ed25519(void **state) {
	(void)state;
	static const char *const curves[] = { "P-384", "ED25519" };
	for (size_t i = 0; i < ARRAY_COUNT(curves); i++) {
		struct test_form issuer = test_issuer_form(FULL_LIMITS);
		struct test_form leaf = test_leaf_form("DNS:" WEST);
		issuer.curve = curves[i];
		leaf.curve = curves[i];
		struct err err = { 0 };
		char name[256];
		assert_ok(judge(&issuer, &leaf, name, &err), err);
	}
}

static void refuses_a_weak_digest(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.digest = EVP_sha1();
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge(&issuer, &leaf, name, &err), ERR_DENIED);
}

static void refuses_a_leaf_that_lives_for_years(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.not_after_ms = TEST_NOW_MS + 26 * HOUR_MS;
	assert_leaf_refused(&leaf, "it is valid for 27 hours, at most 25 are allowed");
}

static void expiry_is_judged_by_the_clock_given(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.not_after_ms = TEST_NOW_MS + 1000;
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct err err = { 0 };
	char name[256];
	assert_ok(judge(&issuer, &leaf, name, &err), err);
	leaf.not_after_ms = TEST_NOW_MS - 1000;
	assert_leaf_refused(&leaf, "certificate has expired");
	leaf.not_after_ms = 0;
	leaf.not_before_ms = TEST_NOW_MS + 1000;
	assert_leaf_refused(&leaf, "certificate is not yet valid");
}

static void an_expired_issuer_ends_its_leaves(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	issuer.not_after_ms = TEST_NOW_MS - 1000;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	assert_refused(&issuer, &leaf, "certificate has expired");
}

static void refuses_a_leaf_signed_by_a_leaf(void **state) {
	(void)state;
	struct test_form issuer = test_leaf_form("DNS:" WEST);
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	assert_refused(&issuer, &leaf, "invalid CA certificate");
}

static void refuses_an_authority_as_a_peer(void **state) {
	(void)state;
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	leaf.constraints = "critical,CA:TRUE";
	leaf.usage = "critical,keyCertSign,digitalSignature";
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	issuer.constraints = "critical,CA:TRUE";
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge(&issuer, &leaf, name, &err), ERR_DENIED);
}

static void refuses_another_anchor(void **state) {
	(void)state;
	struct test_form issuer = test_issuer_form(FULL_LIMITS);
	struct test_form leaf = test_leaf_form("DNS:" WEST);
	struct chain chain = make_chain(&issuer, &leaf);
	struct test_certificate other = test_make(NULL, &(struct test_form){
								.common_name = "another",
								.constraints = "critical,CA:TRUE",
								.usage = "critical,keyCertSign",
							});
	struct test_certificate own = chain.anchor;
	chain.anchor = other;
	struct err err = { 0 };
	char name[256];
	assert_int_equal(judge_as(&chain, true, name, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "issuer"));
	chain.anchor = own;
	test_release(&other);
	chain_release(&chain);
}

static void refuses_a_leaf_signed_by_the_anchor(void **state) {
	(void)state;
	struct chain chain = { .anchor = test_anchor() };
	struct test_form form = test_leaf_form("DNS:" WEST);
	chain.leaf = test_make(&chain.anchor, &form);
	AUTO(buf_deinit) struct buf presented = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	test_pem(&chain.leaf, &presented);
	test_pem(&chain.anchor, &anchors);
	struct err err = { 0 };
	char name[256];
	assert_int_equal(trust_verify_pem(buf_str(&presented), buf_str(&anchors), TEST_NOW_MS, true,
				 name, sizeof(name), &err),
		ERR_DENIED);
	assert_non_null(strstr(err.text, "not limited to a trust domain"));
	chain_release(&chain);
}

static void refuses_a_chain_of_four(void **state) {
	(void)state;
	struct test_certificate anchor = test_anchor();
	struct test_form middle_form = test_issuer_form(FULL_LIMITS);
	middle_form.constraints = "critical,CA:TRUE";
	middle_form.common_name = "middle";
	struct test_certificate middle = test_make(&anchor, &middle_form);
	struct test_form issuer_form = test_issuer_form(FULL_LIMITS);
	struct test_certificate issuer = test_make(&middle, &issuer_form);
	struct test_form leaf_form = test_leaf_form("DNS:" WEST);
	struct test_certificate leaf = test_make(&issuer, &leaf_form);
	AUTO(buf_deinit) struct buf presented = { 0 };
	AUTO(buf_deinit) struct buf anchors = { 0 };
	test_pem(&leaf, &presented);
	test_pem(&issuer, &presented);
	test_pem(&middle, &presented);
	test_pem(&anchor, &anchors);
	struct err err = { 0 };
	char name[256];
	assert_int_equal(trust_verify_pem(buf_str(&presented), buf_str(&anchors), TEST_NOW_MS, true,
				 name, sizeof(name), &err),
		ERR_DENIED);
	assert_string_equal(err.text, "a chain of 4 certificates, must be leaf, issuer and anchor");
	test_release(&anchor);
	test_release(&middle);
	test_release(&issuer);
	test_release(&leaf);
}

static void malformed_input_is_refused(void **state) {
	(void)state;
	const struct str ders[] = { STR("\x30\x03\x02\x01\x01"), STR("not a certificate") };
	struct err err = { 0 };
	char name[256];
	assert_int_equal(trust_verify(NULL, ders, 2, true, name, sizeof(name), &err), ERR_DENIED);
	assert_int_equal(trust_verify_pem(STR("nothing"), STR("nothing"), TEST_NOW_MS, true, name,
				 sizeof(name), &err),
		ERR_INVAL);
	assert_string_equal(err.text, "tls.crt: no certificate in PEM found");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(accepts_a_leaf_of_its_issuers_domain),
		TEST(name_constraints_hold_and_their_holes_are_closed),
		TEST(refuses_two_identities),
		TEST(refuses_another_kind_of_name_beside_the_identity),
		TEST(refuses_a_name_that_is_no_identity),
		TEST(refuses_a_name_with_a_trailing_dot),
		TEST(refuses_an_issuer_that_no_constraint_limits),
		TEST(refuses_an_issuer_of_a_wider_domain),
		TEST(refuses_an_issuer_of_two_domains),
		TEST(refuses_a_leaf_without_digital_signature),
		TEST(refuses_a_leaf_not_meant_for_clients),
		TEST(a_servers_leaf_is_not_a_clients),
		TEST(refuses_keys_it_does_not_know),
		TEST(accepts_p384_and_ed25519),
		TEST(refuses_a_weak_digest),
		TEST(refuses_a_leaf_that_lives_for_years),
		TEST(expiry_is_judged_by_the_clock_given),
		TEST(an_expired_issuer_ends_its_leaves),
		TEST(refuses_a_leaf_signed_by_a_leaf),
		TEST(refuses_an_authority_as_a_peer),
		TEST(refuses_another_anchor),
		TEST(refuses_a_leaf_signed_by_the_anchor),
		TEST(refuses_a_chain_of_four),
		TEST(malformed_input_is_refused),
	};
	return TEST_RUN(tests);
}
