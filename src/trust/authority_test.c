#include "trust/authority.h"

#include "base/test.h"
#include "io/file.h"
#include "trust/certificate.h"
#include "trust/verify.h"

#include <sys/stat.h>
#include <unistd.h>

#define NOW_MS INT64_C(1795341600000)
#define HOUR_MS (INT64_C(3600) * MS_PER_S)

static struct clock test_clock;
static char folder[64];

static const char *path_of(const char *name) {
	static char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state) {
	(void)state;
	clock_init_manual(&test_clock, NOW_MS);
	(void)snprintf(folder, sizeof(folder), "/tmp/atoll-trust-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
	(void)state;
	return dir_remove_tree(folder, NULL);
}

static struct authority *make_anchor(void) {
	struct authority *anchor = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh"), 0, &test_clock, &anchor, &err), err);
	return anchor;
}

static struct authority *make_issuer(const struct authority *anchor, const char *cluster) {
	struct authority *issuer = NULL;
	struct err err = { 0 };
	assert_ok(
		authority_new_issuer(anchor, str_of(cluster), 0, &test_clock, &issuer, &err), err);
	return issuer;
}

static const struct leaf_request gateway = {
	.name = { "gateway", 7 },
	.name_space = { "atoll", 5 },
};

static void a_signed_leaf_is_believed(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	struct err err = { 0 };
	assert_ok(authority_sign(issuer, &gateway, &test_clock, &leaf, &err), err);
	for (int is_client = 0; is_client < 2; is_client++) {
		char name[256];
		assert_ok(trust_verify_pem(buf_str(&leaf.chain), buf_str(&leaf.anchors), NOW_MS,
				  is_client, name, sizeof(name), &err),
			err);
		assert_string_equal(
			name, "gateway.atoll.serviceaccount.identity.linkerd.west.mesh");
	}
	authority_free(issuer);
	authority_free(anchor);
}

static void a_leaf_ends_after_a_day_by_the_clock(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	struct err err = { 0 };
	char name[256];
	assert_ok(authority_sign(issuer, &gateway, &test_clock, &leaf, &err), err);
	struct str chain = buf_str(&leaf.chain);
	struct str anchors = buf_str(&leaf.anchors);
	int64_t last_ms = NOW_MS + LEAF_LIFETIME_MS - 1000;
	assert_ok(trust_verify_pem(chain, anchors, last_ms, true, name, sizeof(name), &err), err);
	assert_int_equal(
		trust_verify_pem(chain, anchors, last_ms + 2000, true, name, sizeof(name), &err),
		ERR_DENIED);
	int64_t first_ms = NOW_MS - CERTIFICATE_BACKDATE_MS;
	assert_ok(trust_verify_pem(chain, anchors, first_ms, true, name, sizeof(name), &err), err);
	assert_int_equal(
		trust_verify_pem(chain, anchors, first_ms - 1000, true, name, sizeof(name), &err),
		ERR_DENIED);
	authority_free(issuer);
	authority_free(anchor);
}

static void read_first(void *context, struct str der) {
	struct certificate_info *info = context;
	if (info->digest[0] == '\0') {
		assert_int_equal(certificate_read(der, info, NULL), 0);
	}
}

static void nothing_outlives_its_issuer(void **state) {
	(void)state;
	struct authority *anchor = NULL;
	struct authority *issuer = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh"), 10 * HOUR_MS, &test_clock, &anchor, &err), err);
	assert_ok(authority_new_issuer(anchor, STR("west"), 0, &test_clock, &issuer, &err), err);
	assert_int_equal(authority_not_after_ms(issuer), NOW_MS + 10 * HOUR_MS);
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	assert_ok(authority_sign(issuer, &gateway, &test_clock, &leaf, &err), err);
	struct certificate_info info = { 0 };
	assert_int_equal(certificates_walk(buf_str(&leaf.chain), read_first, &info, &err), 2);
	assert_int_equal(info.not_after_ms, NOW_MS + 10 * HOUR_MS);
	authority_free(issuer);
	authority_free(anchor);
}

static void an_expired_authority_signs_nothing(void **state) {
	(void)state;
	struct clock later;
	clock_init_manual(&later, NOW_MS + 2 * HOUR_MS);
	struct authority *anchor = make_anchor();
	struct authority *issuer = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_issuer(anchor, STR("west"), HOUR_MS, &test_clock, &issuer, &err),
		err);
	struct credentials leaf = { 0 };
	assert_int_equal(authority_sign(issuer, &gateway, &later, &leaf, &err), ERR_DENIED);
	assert_string_equal(err.text,
		"the issuer of west.mesh expired at 2026-11-22T11:00:00Z; make a new one");
	authority_free(issuer);
	authority_free(anchor);
}

static void each_kind_signs_only_its_own(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	struct authority *second = NULL;
	struct credentials leaf = { 0 };
	struct err err = { 0 };
	assert_int_equal(authority_new_issuer(issuer, STR("east"), 0, &test_clock, &second, &err),
		ERR_DENIED);
	assert_int_equal(authority_sign(anchor, &gateway, &test_clock, &leaf, &err), ERR_DENIED);
	authority_free(issuer);
	authority_free(anchor);
}

static void refuses_names_and_lifetimes_that_are_none(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	struct authority *none = NULL;
	struct credentials leaf = { 0 };
	struct err err = { 0 };
	static const char *const clusters[] = { "", "West", "we.st", "w,permitted;DNS:east", "-w" };
	for (size_t i = 0; i < ARRAY_COUNT(clusters); i++) {
		assert_int_equal(authority_new_issuer(
					 anchor, str_of(clusters[i]), 0, &test_clock, &none, &err),
			ERR_INVAL);
	}
	struct leaf_request request = gateway;
	request.name = STR("gate way");
	assert_int_equal(authority_sign(issuer, &request, &test_clock, &leaf, &err), ERR_INVAL);
	request = gateway;
	request.name_space = STR("a.b");
	assert_int_equal(authority_sign(issuer, &request, &test_clock, &leaf, &err), ERR_INVAL);
	request = gateway;
	request.lifetime_ms = LEAF_LIFETIME_MS + 1000;
	assert_int_equal(authority_sign(issuer, &request, &test_clock, &leaf, &err), ERR_INVAL);
	assert_int_equal(authority_new_anchor(STR("Mesh"), 0, &test_clock, &none, &err), ERR_INVAL);
	authority_free(issuer);
	authority_free(anchor);
}

static mode_t mode_of(const char *path) {
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	return info.st_mode & 0777;
}

static void keys_on_disk_are_the_owners_alone(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct err err = { 0 };
	mode_t before = umask(0);
	assert_ok(authority_save(anchor, path_of("anchor"), &err), err);
	(void)umask(before);
	assert_int_equal(mode_of(path_of("anchor/tls.key")), 0600);
	assert_int_equal(mode_of(path_of("anchor")), 0700);
	assert_int_equal(mode_of(path_of("anchor/tls.crt")), 0644);
	authority_free(anchor);
}

static void an_authority_survives_being_saved(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	struct authority *loaded = NULL;
	struct err err = { 0 };
	assert_ok(authority_save(issuer, path_of("issuer"), &err), err);
	assert_ok(authority_save(anchor, path_of("anchor"), &err), err);
	authority_free(issuer);
	authority_free(anchor);
	assert_ok(authority_load(path_of("issuer"), &loaded, &err), err);
	assert_true(authority_is_issuer(loaded));
	assert_str_equal(authority_domain(loaded), STR("west.mesh"));
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	assert_ok(authority_sign(loaded, &gateway, &test_clock, &leaf, &err), err);
	char name[256];
	assert_ok(trust_verify_pem(buf_str(&leaf.chain), buf_str(&leaf.anchors), NOW_MS, true, name,
			  sizeof(name), &err),
		err);
	authority_free(loaded);
	assert_ok(authority_load(path_of("anchor"), &loaded, &err), err);
	assert_false(authority_is_issuer(loaded));
	authority_free(loaded);
}

static void a_leaf_is_no_authority(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *issuer = make_issuer(anchor, "west");
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	struct authority *loaded = NULL;
	struct err err = { 0 };
	assert_ok(authority_sign(issuer, &gateway, &test_clock, &leaf, &err), err);
	assert_ok(credentials_save(path_of("leaf"), &leaf, &err), err);
	assert_int_equal(authority_load(path_of("leaf"), &loaded, &err), ERR_DENIED);
	authority_free(issuer);
	authority_free(anchor);
}

static void a_key_of_another_certificate_is_found_out(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *other = make_anchor();
	struct authority *loaded = NULL;
	struct err err = { 0 };
	assert_ok(authority_save(anchor, path_of("one"), &err), err);
	assert_ok(authority_save(other, path_of("two"), &err), err);
	AUTO(credentials_deinit) struct credentials one = { 0 };
	AUTO(credentials_deinit) struct credentials two = { 0 };
	assert_ok(credentials_load(path_of("one"), &one, &err), err);
	assert_ok(credentials_load(path_of("two"), &two, &err), err);
	struct buf key = one.key;
	one.key = two.key;
	two.key = key;
	assert_ok(credentials_save(path_of("one"), &one, &err), err);
	assert_int_equal(authority_load(path_of("one"), &loaded, &err), ERR_INVAL);
	assert_non_null(strstr(err.text, "does not belong"));
	authority_free(anchor);
	authority_free(other);
}

static void replacing_credentials_leaves_no_old_ones(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct err err = { 0 };
	for (int i = 0; i < 3; i++) {
		assert_ok(authority_save(anchor, path_of("again"), &err), err);
	}
	struct dir_list list = { 0 };
	assert_ok(dir_list(path_of("again"), &list, &err), err);
	assert_int_equal(list.count, 5); /* Three names, "..data" and one version. */
	dir_list_free(&list);
	authority_free(anchor);
}

static void bundles_compare_by_digest_in_any_order(void **state) {
	(void)state;
	struct authority *one = make_anchor();
	struct authority *two = make_anchor();
	struct err err = { 0 };
	assert_ok(authority_save(one, path_of("a"), &err), err);
	assert_ok(authority_save(two, path_of("b"), &err), err);
	AUTO(buf_deinit) struct buf forth = { 0 };
	AUTO(buf_deinit) struct buf back = { 0 };
	assert_ok(file_read(path_of("a/ca.crt"), 1 << 20, &forth, &err), err);
	char alone[65];
	assert_ok(certificates_digest(buf_str(&forth), alone, &err), err);
	assert_ok(file_read(path_of("b/ca.crt"), 1 << 20, &forth, &err), err);
	assert_ok(file_read(path_of("b/ca.crt"), 1 << 20, &back, &err), err);
	buf_add_text(&back, "\r\n\n");
	assert_ok(file_read(path_of("a/ca.crt"), 1 << 20, &back, &err), err);
	char digests[2][65];
	assert_ok(certificates_digest(buf_str(&forth), digests[0], &err), err);
	assert_ok(certificates_digest(buf_str(&back), digests[1], &err), err);
	assert_string_equal(digests[0], digests[1]);
	assert_string_not_equal(digests[0], alone);
	authority_free(one);
	authority_free(two);
}

static void openssl_s_own_tool_verifies_our_chains(void **state) {
	(void)state;
	if (system("command -v openssl >/dev/null") != 0) { // NOLINT(cert-env33-c): a test's peer
		TEST_SKIP("no openssl program");
	}
	struct authority *anchor = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh"), 0, clock_system(), &anchor, &err), err);
	struct authority *issuer = NULL;
	assert_ok(authority_new_issuer(anchor, STR("west"), 0, clock_system(), &issuer, &err), err);
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	assert_ok(authority_sign(issuer, &gateway, clock_system(), &leaf, &err), err);
	assert_ok(credentials_save(path_of("leaf"), &leaf, &err), err);
	assert_ok(authority_save(issuer, path_of("issuer"), &err), err);
	char command[512];
	static const char *const purposes[] = { "sslclient", "sslserver" };
	for (size_t i = 0; i < ARRAY_COUNT(purposes); i++) {
		(void)snprintf(command, sizeof(command),
			"openssl verify -x509_strict -purpose %s -CAfile %s/leaf/ca.crt "
			"-untrusted %s/issuer/tls.crt %s/leaf/tls.crt >/dev/null",
			purposes[i], folder, folder, folder);
		assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test's peer
	}
	authority_free(issuer);
	authority_free(anchor);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

static void an_issuer_has_a_successor_that_believes_what_it_did(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *old = make_issuer(anchor, "west");
	struct authority *successor = NULL;
	AUTO(credentials_deinit) struct credentials leaf = { 0 };
	AUTO(credentials_deinit) struct credentials before = { 0 };
	struct err err = { 0 };
	char name[256];
	assert_ok(authority_save(old, path_of("issuer"), &err), err);
	assert_ok(credentials_load(path_of("issuer"), &before, &err), err);
	assert_ok(authority_new_successor(
			  anchor, path_of("issuer"), HOUR_MS, &test_clock, &successor, &err),
		err);
	assert_true(str_equal(authority_domain(successor), STR("west.mesh")));
	assert_int_equal(authority_not_after_ms(successor), NOW_MS + HOUR_MS);
	assert_ok(authority_sign(successor, &gateway, &test_clock, &leaf, &err), err);
	assert_ok(trust_verify_pem(buf_str(&leaf.chain), buf_str(&before.anchors), NOW_MS, true,
			  name, sizeof(name), &err),
		err);
	authority_free(successor);
	authority_free(old);
	authority_free(anchor);
}

static void no_successor_under_an_anchor_that_is_not_believed(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *stranger = make_anchor();
	struct authority *old = make_issuer(anchor, "west");
	struct authority *successor = NULL;
	struct err err = { 0 };
	assert_ok(authority_save(old, path_of("issuer"), &err), err);
	assert_int_equal(authority_new_successor(
				 stranger, path_of("issuer"), 0, &test_clock, &successor, &err),
		ERR_DENIED);
	assert_non_null(strstr(err.text, "/issuer/ca.crt does not hold the anchor "));
	assert_ok(authority_save(anchor, path_of("anchor"), &err), err);
	assert_int_equal(authority_new_successor(
				 anchor, path_of("anchor"), 0, &test_clock, &successor, &err),
		ERR_DENIED);
	assert_non_null(strstr(err.text, "holds a trust anchor, not an issuer"));
	authority_free(old);
	authority_free(stranger);
	authority_free(anchor);
}

static void no_successor_in_another_mesh(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *old = make_issuer(anchor, "west");
	struct authority *elsewhere = NULL;
	struct authority *successor = NULL;
	struct err err = { 0 };
	assert_ok(authority_new_anchor(STR("mesh.other"), 0, &test_clock, &elsewhere, &err), err);
	assert_ok(authority_save(old, path_of("issuer"), &err), err);
	assert_int_equal(authority_new_successor(
				 elsewhere, path_of("issuer"), 0, &test_clock, &successor, &err),
		ERR_DENIED);
	assert_non_null(strstr(err.text, "is not a cluster of the anchor's mesh, mesh.other"));
	authority_free(elsewhere);
	authority_free(old);
	authority_free(anchor);
}

static void an_encrypted_key_needs_its_passphrase(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *read = NULL;
	struct err err = { 0 };
	const char *directory = path_of("locked");
	assert_ok(authority_lock(anchor, STR("correct horse battery"), directory, &err), err);

	assert_int_equal(authority_load(directory, &read, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "needs its passphrase"));
	assert_int_equal(
		authority_unlock(directory, STR("wrong horse battery"), &read, &err), ERR_DENIED);
	assert_non_null(strstr(err.text, "not the private key's"));
	assert_null(read);

	assert_ok(authority_unlock(directory, STR("correct horse battery"), &read, &err), err);
	struct authority *issuer = make_issuer(read, "west");
	authority_free(issuer);
	authority_free(read);
	authority_free(anchor);
}

static void an_authority_can_be_looked_at_without_its_passphrase(void **state) {
	(void)state;
	struct authority *anchor = make_anchor();
	struct authority *read = NULL;
	struct err err = { 0 };
	const char *directory = path_of("locked");
	assert_ok(authority_lock(anchor, STR("correct horse battery"), directory, &err), err);
	assert_ok(authority_load_certificate(directory, &read, &err), err);
	assert_str_equal(authority_domain(read), STR("mesh"));
	assert_false(authority_is_issuer(read));
	authority_free(read);
	authority_free(anchor);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_signed_leaf_is_believed),
		IN_FOLDER(a_leaf_ends_after_a_day_by_the_clock),
		IN_FOLDER(nothing_outlives_its_issuer),
		IN_FOLDER(an_expired_authority_signs_nothing),
		IN_FOLDER(each_kind_signs_only_its_own),
		IN_FOLDER(refuses_names_and_lifetimes_that_are_none),
		IN_FOLDER(keys_on_disk_are_the_owners_alone),
		IN_FOLDER(an_authority_survives_being_saved),
		IN_FOLDER(a_leaf_is_no_authority),
		IN_FOLDER(an_issuer_has_a_successor_that_believes_what_it_did),
		IN_FOLDER(no_successor_under_an_anchor_that_is_not_believed),
		IN_FOLDER(no_successor_in_another_mesh),
		IN_FOLDER(a_key_of_another_certificate_is_found_out),
		IN_FOLDER(an_encrypted_key_needs_its_passphrase),
		IN_FOLDER(an_authority_can_be_looked_at_without_its_passphrase),
		IN_FOLDER(replacing_credentials_leaves_no_old_ones),
		IN_FOLDER(bundles_compare_by_digest_in_any_order),
		IN_FOLDER(openssl_s_own_tool_verifies_our_chains),
	};
	return TEST_RUN(tests);
}
