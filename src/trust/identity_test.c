#include "trust/identity.h"

#include "trust/test_folder.h"

static void on_change(void *context) {
	unsigned *changes = context;
	(*changes)++;
}

static struct trust_identity *open_identity(
	struct folder *folder, struct metric_registry *metrics, unsigned *changes) {
	struct trust_identity *identity = NULL;
	struct err err = { 0 };
	assert_ok(trust_identity_open(folder->loop,
			  &(struct trust_identity_options){
				  .directory = folder_path(folder, "leaf"),
				  .metrics = metrics,
				  .on_change = changes ? on_change : NULL,
				  .context = changes,
			  },
			  &identity, &err),
		err);
	return identity;
}

static void a_directory_says_who_we_are(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	struct trust_identity *identity = open_identity(&folder, NULL, NULL);
	assert_string_equal(trust_identity_name(identity), FOLDER_IDENTITY);
	assert_int_equal(trust_identity_not_after_ms(identity), FOLDER_NOW_MS + LEAF_LIFETIME_MS);
	trust_identity_close(identity);
	folder_deinit(&folder);
}

static void new_credentials_are_presented_without_a_restart(void **state) {
	(void)state;
	struct folder folder;
	unsigned changes = 0;
	folder_init(&folder);
	struct trust_identity *identity = open_identity(&folder, NULL, &changes);
	struct tls_identity *before = tls_slot_get(trust_identity_slot(identity));
	folder_pass(&folder, FOLDER_HOUR_MS);
	assert_int_equal(changes, 0);
	folder_sign(&folder, "leaf", 0);
	folder_pass(&folder, 31 * MS_PER_S);
	assert_int_equal(changes, 1);
	struct tls_identity *after = tls_slot_get(trust_identity_slot(identity));
	assert_ptr_not_equal(before, after);
	assert_true(trust_identity_not_after_ms(identity) > FOLDER_NOW_MS + LEAF_LIFETIME_MS);
	tls_identity_unref(before);
	tls_identity_unref(after);
	trust_identity_close(identity);
	folder_deinit(&folder);
}

static void copy(const struct folder *folder, const char *from, const char *to, mode_t mode) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	assert_ok(file_read(folder_path(folder, from), 1 << 20, &text, &err), err);
	assert_ok(file_write_atomic(folder_path(folder, to), buf_str(&text), mode, &err), err);
}

static void half_written_credentials_wait_for_the_other_half(void **state) {
	(void)state;
	struct folder folder;
	unsigned changes = 0;
	folder_init(&folder);
	struct trust_identity *identity = open_identity(&folder, NULL, &changes);
	folder_sign(&folder, "new", 2 * FOLDER_HOUR_MS);
	copy(&folder, "new/tls.crt", "leaf/tls.crt", 0644);
	folder_pass(&folder, 31 * MS_PER_S);
	assert_int_equal(changes, 0);
	assert_int_equal(trust_identity_not_after_ms(identity), FOLDER_NOW_MS + LEAF_LIFETIME_MS);
	copy(&folder, "new/tls.key", "leaf/tls.key", 0600);
	folder_pass(&folder, 31 * MS_PER_S);
	assert_int_equal(changes, 1);
	assert_int_equal(trust_identity_not_after_ms(identity), FOLDER_NOW_MS + 2 * FOLDER_HOUR_MS);
	trust_identity_close(identity);
	folder_deinit(&folder);
}

static void what_is_broken_leaves_the_last_good_one(void **state) {
	(void)state;
	struct folder folder;
	struct err err = { 0 };
	unsigned changes = 0;
	folder_init(&folder);
	struct metric_registry *metrics = metric_registry_new();
	struct trust_identity *identity = open_identity(&folder, metrics, &changes);
	assert_ok(file_write_atomic(
			  folder_path(&folder, "leaf/tls.crt"), STR("garbage\n"), 0644, &err),
		err);
	folder_pass(&folder, 31 * MS_PER_S);
	assert_int_equal(changes, 0);
	AUTO(buf_deinit) struct buf text = { 0 };
	metric_write(metrics, &text);
	assert_non_null(
		strstr(buf_text(&text), "atoll_certificate_reloads_total{outcome=\"failed\"} 1\n"));
	folder_sign(&folder, "leaf", 0);
	folder_pass(&folder, 31 * MS_PER_S);
	assert_int_equal(changes, 1);
	trust_identity_close(identity);
	metric_registry_free(metrics);
	folder_deinit(&folder);
}

static void pem_with_other_line_ends_is_read(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf changed = { 0 };
	struct err err = { 0 };
	assert_ok(file_read(folder_path(&folder, "leaf/ca.crt"), 1 << 20, &text, &err), err);
	buf_add_text(&changed, "\n\n# our anchors\r\n");
	for (size_t i = 0; i < text.len; i++) {
		buf_add_text(&changed, text.ptr[i] == '\n' ? "\r" : "");
		buf_add_byte(&changed, text.ptr[i]);
	}
	buf_add_text(&changed, "\n\n");
	assert_ok(file_write_atomic(
			  folder_path(&folder, "leaf/ca.crt"), buf_str(&changed), 0644, &err),
		err);
	struct trust_identity *identity = open_identity(&folder, NULL, NULL);
	trust_identity_close(identity);
	folder_deinit(&folder);
}

static void assert_not_opened(struct folder *folder, const char *sentence) {
	struct trust_identity *identity = NULL;
	struct err err = { 0 };
	const struct trust_identity_options options = {
		.directory = folder_path(folder, "leaf"),
	};
	assert_true(trust_identity_open(folder->loop, &options, &identity, &err) < 0);
	if (!strstr(err.text, sentence)) {
		fail_msg("\"%s\" does not say \"%s\"", err.text, sentence);
	}
}

static void nobody_starts_with_credentials_that_no_peer_believes(void **state) {
	(void)state;
	struct folder folder;
	struct err err = { 0 };
	folder_init(&folder);
	folder_pass(&folder, 25 * FOLDER_HOUR_MS);
	assert_not_opened(&folder, "certificate has expired");
	folder_sign(&folder, "leaf", 0);
	copy(&folder, "issuer/tls.key", "leaf/tls.key", 0600);
	assert_not_opened(&folder, "private key does not belong to the certificate");
	assert_ok(file_remove(folder_path(&folder, "leaf/ca.crt"), &err), err);
	assert_not_opened(&folder, "ca.crt");
	folder_deinit(&folder);
}

static void expiry_of_every_certificate_is_a_metric(void **state) {
	(void)state;
	struct folder folder;
	folder_init(&folder);
	struct metric_registry *metrics = metric_registry_new();
	struct trust_identity *identity = open_identity(&folder, metrics, NULL);
	AUTO(buf_deinit) struct buf text = { 0 };
	metric_write(metrics, &text);
	assert_non_null(strstr(buf_text(&text),
		"atoll_certificate_not_after_seconds{kind=\"leaf\",name=\"" FOLDER_IDENTITY
		"\"} 1795428000\n"));
	assert_non_null(strstr(buf_text(&text), "{kind=\"issuer\",name=\"issuer of west "));
	assert_non_null(strstr(buf_text(&text), "{kind=\"anchor\",name=\"trust anchor "));
	trust_identity_close(identity);
	AUTO(buf_deinit) struct buf after = { 0 };
	metric_write(metrics, &after);
	assert_null(strstr(buf_text(&after), "kind="));
	metric_registry_free(metrics);
	folder_deinit(&folder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_directory_says_who_we_are),
		TEST(new_credentials_are_presented_without_a_restart),
		TEST(half_written_credentials_wait_for_the_other_half),
		TEST(what_is_broken_leaves_the_last_good_one),
		TEST(pem_with_other_line_ends_is_read),
		TEST(nobody_starts_with_credentials_that_no_peer_believes),
		TEST(expiry_of_every_certificate_is_a_metric),
	};
	return TEST_RUN(tests);
}
