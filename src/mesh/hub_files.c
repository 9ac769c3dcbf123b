#include "mesh/hub_files.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "io/file.h"

#include <stdlib.h>

struct hub_file {
	char *name;
	struct buf text;
};

struct hub_files {
	char *directory;
	uint64_t seen; /* Hash of all names and texts. */
	struct hub_file items[HUBS_MAX];
	size_t count;
};

struct hub_files *hub_files_new(const char *directory) {
	struct hub_files *files = MEMORY_NEW(struct hub_files, 1);
	files->directory = strdup(directory);
	CHECK(files->directory);
	return files;
}

static void forget(struct hub_files *files) {
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].name);
		buf_deinit(&files->items[i].text);
	}
	files->count = 0;
}

void hub_files_free(struct hub_files *files) {
	if (files) {
		forget(files);
		free(files->directory);
		free(files);
	}
}

static void complain(struct buf *complaints, const char *file, const char *what) {
	buf_printf(complaints, "%s%s: %s", complaints->len > 0 ? "; " : "", file, what);
}

static void read_one(struct hub_files *files, const char *name, struct buf *complaints) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	buf_printf(&path, "%s/%s", files->directory, name);
	if (files->count == HUBS_MAX) {
		complain(complaints, name, "more hubs than a gateway dials");
		return;
	}
	if (file_read(buf_text(&path), HUB_FILE_BYTES_MAX, &text, &err) < 0) {
		complain(complaints, name, err.text);
		return;
	}
	struct hub_file *file = &files->items[files->count++];
	file->name = strdup(name);
	CHECK(file->name);
	file->text = text;
	text = (struct buf){ 0 };
}

bool hub_files_look(struct hub_files *files, struct buf *complaints) {
	struct dir_list list = { 0 };
	struct err err = { 0 };
	if (dir_list(files->directory, &list, &err) < 0) {
		complain(complaints, files->directory, err.text);
		return false;
	}
	forget(files);
	for (size_t i = 0; i < list.count; i++) {
		if (list.names[i][0] != '.' && str_ends(str_of(list.names[i]), STR(".yaml"))) {
			read_one(files, list.names[i], complaints);
		}
	}
	dir_list_free(&list);
	uint64_t hash = hash_mix(1, files->count);
	for (size_t i = 0; i < files->count; i++) {
		hash = hash_str(str_of(files->items[i].name), hash);
		hash = hash_str(buf_str(&files->items[i].text), hash);
	}
	bool has_changed = hash != files->seen;
	files->seen = hash;
	return has_changed;
}

void hub_files_add(const struct hub_files *files, struct exports *exports, struct buf *complaints) {
	for (size_t i = 0; i < files->count; i++) {
		struct err err = { 0 };
		if (exports_add_hub(exports, buf_str(&files->items[i].text), &err) < 0) {
			complain(complaints, files->items[i].name, err.text);
		}
	}
}
