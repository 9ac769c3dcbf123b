#include "mesh/export_files.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "io/file.h"

#include <stdlib.h>

struct export_file {
	struct export_file *next;
	char *name;
	uint64_t seen; /* Hash of what was read last, good or not. */
	bool has_been_read;
	bool is_good;    /* 'text' is an export. */
	bool is_current; /* And it is what stands in the file. */
	bool is_listed;
	struct buf text;
	struct err failure;
};

struct export_files {
	char *directory;
	struct export_file *first; /* By name. */
};

struct export_files *export_files_new(const char *directory) {
	struct export_files *files = MEMORY_NEW(struct export_files, 1);
	files->directory = strdup(directory);
	CHECK(files->directory);
	return files;
}

static void file_free(struct export_file *file) {
	buf_deinit(&file->text);
	free(file->name);
	free(file);
}

void export_files_free(struct export_files *files) {
	if (!files) {
		return;
	}
	while (files->first) {
		struct export_file *file = files->first;
		files->first = file->next;
		file_free(file);
	}
	free(files->directory);
	free(files);
}

/* Looks from '*cursor' on, and moves it there: names come sorted. */
static struct export_file *find_or_add(struct export_file ***cursor, const char *name) {
	struct export_file **at = *cursor;
	while (*at && strcmp((*at)->name, name) < 0) {
		at = &(*at)->next;
	}
	*cursor = at;
	if (*at && strcmp((*at)->name, name) == 0) {
		return *at;
	}
	struct export_file *file = MEMORY_NEW(struct export_file, 1);
	file->name = strdup(name);
	CHECK(file->name);
	file->next = *at;
	*at = file;
	return file;
}

/* Takes a text that is another than before. Returns whether it is good. */
static bool take_text(struct export_file *file, struct buf *text) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct str name;
	file->is_current = export_check(&arena, buf_str(text), &name, &file->failure) == 0;
	if (file->is_current) {
		buf_deinit(&file->text);
		file->text = *text;
		*text = (struct buf){ 0 };
		file->is_good = true;
	}
	return file->is_current;
}

/* Returns whether the file's export is another one now. */
static bool read_one(struct export_files *files, struct export_file *file) {
	AUTO(buf_deinit) struct buf path = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	buf_printf(&path, "%s/%s", files->directory, file->name);
	if (file_read(buf_text(&path), EXPORT_FILE_BYTES_MAX, &text, &file->failure) < 0) {
		file->is_current = false;
		file->has_been_read = false;
		return false;
	}
	uint64_t hash = hash_str(buf_str(&text), 1);
	if (file->has_been_read && file->seen == hash) {
		return false;
	}
	file->has_been_read = true;
	file->seen = hash;
	return take_text(file, &text);
}

static bool remove_missing(struct export_files *files) {
	bool has_changed = false;
	struct export_file **at = &files->first;
	while (*at) {
		struct export_file *file = *at;
		if (file->is_listed) {
			at = &file->next;
			continue;
		}
		has_changed = true;
		*at = file->next;
		file_free(file);
	}
	return has_changed;
}

static void complain(struct buf *complaints, const char *file, const char *what, const char *tail) {
	buf_printf(complaints, "%s%s: %s%s", complaints->len > 0 ? "; " : "", file, what, tail);
}

bool export_files_look(struct export_files *files, struct buf *complaints) {
	struct dir_list list = { 0 };
	struct err err = { 0 };
	bool has_changed = false;
	if (dir_list(files->directory, &list, &err) < 0) {
		complain(complaints, files->directory, err.text, "");
		return false;
	}
	for (struct export_file *file = files->first; file; file = file->next) {
		file->is_listed = false;
	}
	struct export_file **cursor = &files->first;
	for (size_t i = 0; i < list.count && i < EXPORTS_MAX; i++) {
		const char *name = list.names[i];
		if (name[0] == '.' || !str_ends(str_of(name), STR(EXPORT_FILE_SUFFIX))) {
			continue;
		}
		struct export_file *file = find_or_add(&cursor, name);
		file->is_listed = true;
		has_changed = read_one(files, file) || has_changed;
		if (!file->is_current) {
			complain(complaints, name, file->failure.text,
				file->is_good ? " (what it was before counts)" : "");
		}
	}
	dir_list_free(&list);
	return remove_missing(files) || has_changed;
}

void export_files_add(
	const struct export_files *files, struct exports *exports, struct buf *complaints) {
	for (const struct export_file *file = files->first; file; file = file->next) {
		struct err err = { 0 };
		if (file->is_good &&
			exports_add(exports, str_of(file->name), buf_str(&file->text), &err) < 0) {
			complain(complaints, file->name, err.text, "");
		}
	}
}
