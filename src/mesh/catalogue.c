#include "mesh/catalogue.h"

#include "base/check.h"
#include "base/hash.h"
#include "codec/json_writer.h"
#include "mesh/exports.h"
#include "mesh/trust_report.h"
#include "trust/identity.h"

#include <jansson.h>
#include <stdlib.h>

#define FORMAT_VERSION 1
#define VERSION_TEXT_LEN 16

uint64_t catalogue_digest(const struct catalogue_entry *entries, size_t count) {
	uint64_t hash = hash_mix(1, count);
	for (size_t i = 0; i < count; i++) {
		hash = hash_str(entries[i].name, hash);
		hash = hash_str(entries[i].kind, hash);
		hash = hash_mix(hash, entries[i].version);
	}
	return hash;
}

static void put_digest(struct json_writer *writer, const char *name, uint64_t version) {
	char text[VERSION_TEXT_LEN + 1];
	(void)snprintf(text, sizeof(text), "%016llx", (unsigned long long)version);
	json_key(writer, str_of(name));
	json_put_text(writer, text);
}

static void put_entry(struct json_writer *writer, const struct catalogue_entry *entry) {
	json_begin_object(writer);
	json_key(writer, STR("name"));
	json_put_str(writer, entry->name);
	json_key(writer, STR("kind"));
	json_put_str(writer, entry->kind);
	put_digest(writer, "version", entry->version);
	json_end_object(writer);
}

void catalogue_format(const struct catalogue *catalogue, struct buf *out) {
	struct json_writer writer;
	json_writer_init(&writer, out);
	json_begin_object(&writer);
	json_key(&writer, STR("format"));
	json_put_int(&writer, FORMAT_VERSION);
	put_digest(&writer, "version", catalogue->version);
	if (catalogue->time_ms > 0) {
		json_key(&writer, STR("time_ms"));
		json_put_int(&writer, catalogue->time_ms);
	}
	if (catalogue->is_heartbeat) {
		json_key(&writer, STR("age_ms"));
		json_put_int(&writer, catalogue->age_ms);
	} else {
		json_key(&writer, STR("exports"));
		json_begin_array(&writer);
		for (size_t i = 0; i < catalogue->count; i++) {
			put_entry(&writer, &catalogue->entries[i]);
		}
		json_end_array(&writer);
		if (catalogue->trust) {
			json_key(&writer, STR("trust"));
			trust_facts_format(catalogue->trust, &writer);
		}
		if (catalogue->has_denied) {
			put_digest(&writer, "denied", catalogue->denied);
		}
	}
	json_end_object(&writer);
	buf_add_byte(out, '\n');
}

static struct str text_of(const json_t *value) {
	if (!json_is_string(value)) {
		return STR_EMPTY;
	}
	return (struct str){ json_string_value(value), json_string_length(value) };
}

static bool read_digest(const json_t *object, const char *name, uint64_t *out) {
	struct str text = text_of(json_object_get(object, name));
	uint64_t version = 0;
	if (text.len != VERSION_TEXT_LEN) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_digit = c >= '0' && c <= '9';
		if (!is_digit && !(c >= 'a' && c <= 'f')) {
			return false;
		}
		version = version << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
	}
	*out = version;
	return true;
}

static int read_entry(
	struct arena *arena, const json_t *object, struct catalogue_entry *out, struct err *err) {
	struct str name = text_of(json_object_get(object, "name"));
	struct str kind = text_of(json_object_get(object, "kind"));
	uint64_t version = 0;
	if (!dns_label_is_valid(name) || !dns_label_is_valid(kind) ||
		!read_digest(object, "version", &version)) {
		return err_set(
			err, ERR_CORRUPT, "catalogue: an export without name, kind or version");
	}
	*out = (struct catalogue_entry){
		.name = arena_copy(arena, name),
		.kind = arena_copy(arena, kind),
		.version = version,
	};
	return 0;
}

static int compare_entries(const void *a, const void *b) {
	return str_cmp(((const struct catalogue_entry *)a)->name,
		((const struct catalogue_entry *)b)->name);
}

static int read_entries(
	struct arena *arena, const json_t *list, struct catalogue *out, struct err *err) {
	size_t count = json_array_size(list);
	if (count > EXPORTS_MAX) {
		return err_set(err, ERR_LIMIT, "catalogue: %zu exports, at most %d are followed",
			count, EXPORTS_MAX);
	}
	out->entries = ARENA_NEW(arena, struct catalogue_entry, count);
	for (size_t i = 0; i < count; i++) {
		int rc = read_entry(arena, json_array_get(list, i), &out->entries[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	out->count = count;
	if (count > 0) {
		qsort(out->entries, count, sizeof(out->entries[0]), compare_entries);
	}
	for (size_t i = 1; i < count; i++) {
		if (str_equal(out->entries[i - 1].name, out->entries[i].name)) {
			return err_set(err, ERR_CORRUPT, "catalogue: export \"%.*s\" stands twice",
				STR_ARG(out->entries[i].name));
		}
	}
	return 0;
}

static int read_trust(
	struct arena *arena, const json_t *root, struct catalogue *out, struct err *err) {
	const json_t *object = json_object_get(root, "trust");
	if (!object) {
		return 0;
	}
	struct trust_facts *facts = ARENA_NEW(arena, struct trust_facts, 1);
	int rc = trust_facts_read_json(object, facts, err);
	if (rc < 0) {
		return err_wrap(err, rc, "catalogue");
	}
	out->trust = facts;
	return 0;
}

static int read_document(
	struct arena *arena, const json_t *root, struct catalogue *out, struct err *err) {
	struct catalogue catalogue = { 0 };
	json_int_t format = json_integer_value(json_object_get(root, "format"));
	if (format != FORMAT_VERSION) {
		return err_set(err, ERR_CORRUPT, "catalogue: format %lld, this program reads %d",
			(long long)format, FORMAT_VERSION);
	}
	if (!read_digest(root, "version", &catalogue.version)) {
		return err_set(err, ERR_CORRUPT, "catalogue: no version");
	}
	const json_t *age = json_object_get(root, "age_ms");
	const json_t *time = json_object_get(root, "time_ms");
	if (json_is_integer(time) && json_integer_value(time) > 0) {
		catalogue.time_ms = json_integer_value(time);
	}
	const json_t *exports = json_object_get(root, "exports");
	if (json_is_array(exports)) {
		int rc = read_entries(arena, exports, &catalogue, err);
		if (rc == 0) {
			rc = read_trust(arena, root, &catalogue, err);
		}
		catalogue.has_denied = read_digest(root, "denied", &catalogue.denied);
		if (rc < 0) {
			return rc;
		}
	} else if (json_is_integer(age)) {
		catalogue.is_heartbeat = true;
		catalogue.age_ms = json_integer_value(age);
	} else {
		return err_set(err, ERR_CORRUPT, "catalogue: neither exports nor a heartbeat");
	}
	*out = catalogue;
	return 0;
}

int catalogue_parse(struct arena *arena, struct str line, struct catalogue *out, struct err *err) {
	if (line.len > CATALOGUE_LINE_MAX) {
		return err_set(err, ERR_LIMIT, "catalogue: a line of %zu bytes", line.len);
	}
	json_error_t reason;
	json_t *root = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &reason);
	if (!root) {
		return err_set(err, ERR_CORRUPT, "catalogue: %s", reason.text);
	}
	int rc = read_document(arena, root, out, err);
	json_decref(root);
	return rc;
}
