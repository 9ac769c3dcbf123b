#include "cmd/link_files.h"

#include "io/file.h"

#define LINK_BYTES_MAX ((size_t)64 * 1024)

static void read_one(
	struct arena *arena, const char *path, const char *name, struct link_files *files) {
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = file_read(path, LINK_BYTES_MAX, &text, &err);
	if (rc == 0) {
		rc = link_config_parse(arena, buf_str(&text), &files->configs[files->count], &err);
	}
	if (rc < 0) {
		files->complaints[files->complaint_count++] =
			arena_printf(arena, "%s: %s", name, err.text);
	} else {
		files->names[files->count++] = arena_copy(arena, str_of(name));
	}
}

int link_files_read(
	struct arena *arena, const char *directory, struct link_files *out, struct err *err) {
	struct dir_list list = { 0 };
	int rc = dir_list(directory, &list, err);
	if (rc < 0) {
		return rc;
	}
	struct link_files files = {
		.configs = ARENA_NEW(arena, struct link_config, list.count),
		.names = ARENA_NEW(arena, struct str, list.count),
		.complaints = ARENA_NEW(arena, struct str, list.count),
	};
	for (size_t i = 0; i < list.count; i++) {
		AUTO(buf_deinit) struct buf path = { 0 };
		if (list.names[i][0] != '.' && str_ends(str_of(list.names[i]), STR(".yaml"))) {
			buf_printf(&path, "%s/%s", directory, list.names[i]);
			read_one(arena, buf_text(&path), list.names[i], &files);
		}
	}
	dir_list_free(&list);
	*out = files;
	return 0;
}
