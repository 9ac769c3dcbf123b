#include "mirror/state.h"

#include "base/memory.h"
#include "codec/json_writer.h"

#include <jansson.h>
#include <stdlib.h>

#define FORMAT_VERSION 1
/* DNS labels, and the longest identity. */
#define NAME_BYTES_MAX 63
#define IDENTITY_BYTES_MAX 253

static void put_member(struct json_writer *writer, const char *name, struct str value) {
	json_key(writer, str_of(name));
	json_put_str(writer, value);
}

void state_format(const struct mirror_view *views, size_t count, struct buf *out) {
	struct json_writer writer;
	json_writer_init(&writer, out);
	json_begin_object(&writer);
	json_key(&writer, STR("format"));
	json_put_int(&writer, FORMAT_VERSION);
	json_key(&writer, STR("mirrors"));
	json_begin_array(&writer);
	for (size_t i = 0; i < count; i++) {
		json_begin_object(&writer);
		put_member(&writer, "cluster", views[i].cluster);
		put_member(&writer, "export", views[i].export_name);
		put_member(&writer, "kind", views[i].kind);
		put_member(&writer, "identity", views[i].identity);
		json_key(&writer, STR("port"));
		json_put_int(&writer, views[i].port);
		if (views[i].state == MIRROR_REMOVED) {
			json_key(&writer, STR("removed_ms"));
			json_put_int(&writer, views[i].removed_ms);
		}
		json_end_object(&writer);
	}
	json_end_array(&writer);
	json_end_object(&writer);
	buf_add_byte(out, '\n');
}

int view_compare(const struct mirror_view *a, const struct mirror_view *b) {
	int cmp = str_cmp(a->cluster, b->cluster);
	return cmp != 0 ? cmp : str_cmp(a->export_name, b->export_name);
}

static int compare(const void *a, const void *b) {
	return view_compare(a, b);
}

static bool is_label(struct str name) {
	bool is_fine = name.len > 0 && name.len <= NAME_BYTES_MAX && name.ptr[0] != '-' &&
		       name.ptr[name.len - 1] != '-';
	for (size_t i = 0; i < name.len && is_fine; i++) {
		char c = name.ptr[i];
		is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	}
	return is_fine;
}

/* Letters, digits, '-' and '.'; may be empty. */
static bool is_identity(struct str name) {
	bool is_fine = name.len <= IDENTITY_BYTES_MAX;
	for (size_t i = 0; i < name.len && is_fine; i++) {
		char c = name.ptr[i];
		is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '-' || c == '.';
	}
	return is_fine;
}

static struct str text_of(struct arena *arena, const json_t *object, const char *name) {
	const json_t *value = json_object_get(object, name);
	struct str text = { json_string_value(value), json_string_length(value) };
	return text.ptr ? arena_copy(arena, text) : STR_EMPTY;
}

static int read_mirror(
	struct arena *arena, const json_t *object, struct mirror_view *out, struct err *err) {
	const json_t *port = json_object_get(object, "port");
	const json_t *removed = json_object_get(object, "removed_ms");
	json_int_t number = json_integer_value(port);
	*out = (struct mirror_view){
		.cluster = text_of(arena, object, "cluster"),
		.export_name = text_of(arena, object, "export"),
		.kind = text_of(arena, object, "kind"),
		.identity = text_of(arena, object, "identity"),
		.state = removed ? MIRROR_REMOVED : MIRROR_STALE,
		.reason = STR_EMPTY,
		.path = STR_EMPTY,
		.port = (uint16_t)number,
		.removed_ms = json_integer_value(removed),
		.catalogue_age_ms = -1,
	};
	bool is_port = json_is_integer(port) && number >= 0 && number <= UINT16_MAX;
	if (!is_label(out->cluster) || !is_label(out->export_name) || !is_label(out->kind) ||
		!is_identity(out->identity) || !is_port || (removed && !json_is_integer(removed))) {
		return err_set(err, ERR_CORRUPT,
			"a mirror without cluster, export, kind, identity or port");
	}
	return 0;
}

static int check_ports(const struct mirror_view *views, size_t count, struct err *err) {
	bool *taken = MEMORY_NEW(bool, UINT16_MAX + 1);
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		uint16_t port = views[i].port;
		if (port > 0 && taken[port]) {
			rc = err_set(err, ERR_CORRUPT, "port %u stands twice", port);
		}
		taken[port] = true;
	}
	free(taken);
	return rc;
}

static int read_list(struct arena *arena, const json_t *list, struct mirror_view **out,
	size_t *count, struct err *err) {
	size_t size = json_array_size(list);
	if (size > STATE_MIRRORS_MAX) {
		return err_set(err, ERR_LIMIT, "%zu mirrors, at most %d are read", size,
			STATE_MIRRORS_MAX);
	}
	struct mirror_view *views = ARENA_NEW(arena, struct mirror_view, size + 1);
	for (size_t i = 0; i < size; i++) {
		int rc = read_mirror(arena, json_array_get(list, i), &views[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	qsort(views, size, sizeof(views[0]), compare);
	for (size_t i = 1; i < size; i++) {
		if (view_compare(&views[i - 1], &views[i]) == 0) {
			return err_set(err, ERR_CORRUPT, "mirror %.*s/%.*s stands twice",
				STR_ARG(views[i].cluster), STR_ARG(views[i].export_name));
		}
	}
	int rc = check_ports(views, size, err);
	if (rc == 0) {
		*out = views;
		*count = size;
	}
	return rc;
}

int state_parse(struct arena *arena, struct str text, struct mirror_view **out, size_t *count,
	struct err *err) {
	json_error_t reason;
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &reason);
	if (!root) {
		return err_set(err, ERR_CORRUPT, "line %d: %s", reason.line, reason.text);
	}
	json_int_t format = json_integer_value(json_object_get(root, "format"));
	const json_t *list = json_object_get(root, "mirrors");
	int rc = 0;
	if (format != FORMAT_VERSION || !json_is_array(list)) {
		rc = err_set(err, ERR_CORRUPT, "format %lld, this program reads %d",
			(long long)format, FORMAT_VERSION);
	} else {
		rc = read_list(arena, list, out, count, err);
	}
	json_decref(root);
	return rc;
}
