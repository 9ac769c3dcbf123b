#include "mesh/export_files.h"

#include "base/test.h"
#include "io/file.h"

#define ONE "kind: prometheus\nurl: http://127.0.0.1:9090\nallow: ['*.hub.mesh']\n"

struct folder {
	char path[64];
	struct export_files *files;
};

static struct folder folder_new(void) {
	struct folder folder = { .path = "/tmp/atoll-exports-XXXXXX" };
	assert_non_null(mkdtemp(folder.path));
	folder.files = export_files_new(folder.path);
	return folder;
}

static void folder_free(struct folder *folder) {
	struct err err = { 0 };
	export_files_free(folder->files);
	assert_ok(dir_remove_tree(folder->path, &err), err);
}

static void put(const struct folder *folder, const char *name, const char *text) {
	char path[256];
	struct err err = { 0 };
	(void)snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	if (text) {
		assert_ok(file_write_atomic(path, str_of(text), 0600, &err), err);
	} else {
		assert_ok(file_remove(path, &err), err);
	}
}

/* The names that are exported, and what is wrong with files. */
static void expect(
	const struct folder *folder, bool has_changed, const char *names, const char *complaint) {
	AUTO(buf_deinit) struct buf complaints = { 0 };
	AUTO(buf_deinit) struct buf found = { 0 };
	struct exports *exports = NULL;
	struct err err = { 0 };
	assert_int_equal(has_changed, export_files_look(folder->files, &complaints));
	assert_ok(exports_parse(STR("exports:\n  - {name: main, "
				    "kind: prometheus, url: 'http://a', allow: ['*.hub.mesh']}\n"),
			  &exports, &err),
		err);
	export_files_add(folder->files, exports, &complaints);
	for (size_t i = 0; i < exports->count; i++) {
		buf_printf(&found, "%s%.*s", i > 0 ? " " : "", STR_ARG(exports->items[i].name));
	}
	assert_string_equal(names, buf_text(&found));
	if (complaint ? !strstr(buf_text(&complaints), complaint) : complaints.len > 0) {
		fail_msg("complaints: \"%s\"", buf_text(&complaints));
	}
	exports_unref(exports);
}

static void files_come_change_and_go(void **state) {
	(void)state;
	struct folder folder = folder_new();
	expect(&folder, false, "main", NULL);
	put(&folder, "b.yaml", "name: b\n" ONE);
	put(&folder, "a.yaml",
		"{\"name\": \"a\", \"kind\": \"prometheus\", \"url\": \"http://x\", "
		"\"allow\": [\"*.hub.mesh\"]}");
	put(&folder, ".z.yaml", "name: z\n" ONE);
	put(&folder, "z.yml", "name: z\n" ONE);
	expect(&folder, true, "a b main", NULL);
	expect(&folder, false, "a b main", NULL);
	put(&folder, "a.yaml", "name: c\n" ONE);
	expect(&folder, true, "b c main", NULL);
	put(&folder, "b.yaml", NULL);
	expect(&folder, true, "c main", NULL);
	folder_free(&folder);
}

static void a_broken_file_harms_no_other_and_keeps_what_it_was(void **state) {
	(void)state;
	struct folder folder = folder_new();
	put(&folder, "a.yaml", "name: a\n" ONE);
	put(&folder, "b.yaml", "name: b\nkind: nothing\n");
	expect(&folder, true, "a main", "b.yaml: line 1: ");
	put(&folder, "a.yaml", "name: [");
	expect(&folder, false, "a main", "(what it was before counts)");
	put(&folder, "b.yaml", "name: b\n" ONE);
	expect(&folder, true, "a b main", "a.yaml: ");
	put(&folder, "a.yaml", NULL);
	expect(&folder, true, "b main", NULL);
	put(&folder, "c.yaml", "name: c\n");
	expect(&folder, false, "b main", "c.yaml: ");
	put(&folder, "c.yaml", NULL);
	expect(&folder, true, "b main", NULL);
	folder_free(&folder);
}

static void a_name_belongs_to_the_configuration_or_the_first_file(void **state) {
	(void)state;
	struct folder folder = folder_new();
	put(&folder, "1.yaml", "name: main\n" ONE);
	expect(&folder, true, "main", "1.yaml: export \"main\" is in the configuration already");
	put(&folder, "1.yaml", "name: a\n" ONE);
	put(&folder, "2.yaml", "name: a\n" ONE);
	expect(&folder, true, "a main", "2.yaml: export \"a\" is in 1.yaml already");
	put(&folder, "1.yaml", NULL);
	expect(&folder, true, "a main", NULL);
	folder_free(&folder);
}

static void a_directory_that_is_gone_changes_nothing(void **state) {
	(void)state;
	struct folder folder = folder_new();
	struct err err = { 0 };
	put(&folder, "a.yaml", "name: a\n" ONE);
	expect(&folder, true, "a main", NULL);
	assert_ok(dir_remove_tree(folder.path, &err), err);
	expect(&folder, false, "a main", folder.path);
	folder_free(&folder);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(files_come_change_and_go),
		TEST(a_broken_file_harms_no_other_and_keeps_what_it_was),
		TEST(a_name_belongs_to_the_configuration_or_the_first_file),
		TEST(a_directory_that_is_gone_changes_nothing),
	};
	return TEST_RUN(tests);
}
