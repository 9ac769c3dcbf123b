#include "mesh/exports.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/time.h"
#include "trust/identity.h"

#include <stdlib.h>
#include <string.h>

/* Reserved: the gateway itself (its catalogue). */
#define GATEWAY_AUTHORITY "atoll"
/* What the server in front takes at most. */
#define REQUEST_BYTES_MAX (UINT64_C(10) * 1024 * 1024)

static const struct export_limits default_limits = {
	.concurrency = 64,
	.request_bytes = UINT64_C(1024) * 1024,
	.response_bytes = UINT64_C(1024) * 1024 * 1024,
	.timeout_ms = 120 * MS_PER_S,
};

#define LIMIT_FIELD(kind, member)                                                                  \
	{ #member, kind, offsetof(struct export_limits, member), false }

static const struct field limit_fields[] = {
	LIMIT_FIELD(FIELD_COUNT, concurrency),
	LIMIT_FIELD(FIELD_BYTES, request_bytes),
	LIMIT_FIELD(FIELD_BYTES, response_bytes),
	{ "timeout", FIELD_DURATION, offsetof(struct export_limits, timeout_ms), false },
};

/* An export as it is written. */
struct raw_export {
	struct exported exported;
	const struct yaml_node *limits;
};

static const struct field export_fields[] = {
	{ "name", FIELD_TEXT, offsetof(struct raw_export, exported.name), true },
	{ "kind", FIELD_TEXT, offsetof(struct raw_export, exported.kind), true },
	{ "url", FIELD_TEXT, offsetof(struct raw_export, exported.url), true },
	{ "allow", FIELD_TEXTS, offsetof(struct raw_export, exported.allow), true },
	{ "limits", FIELD_NODE, offsetof(struct raw_export, limits), false },
};

static int check_url(struct exported *exported, unsigned line, struct err *err) {
	struct str url = exported->url;
	struct str rest = str_starts(url, STR("http://"))    ? str_from(url, 7)
			  : str_starts(url, STR("https://")) ? str_from(url, 8)
							     : STR_EMPTY;
	bool is_fine = rest.len > 0 && rest.ptr[0] != '/';
	for (size_t i = 0; i < rest.len; i++) {
		char c = rest.ptr[i];
		is_fine = is_fine && c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '@';
	}
	if (!is_fine) {
		return err_set(err, ERR_INVAL,
			"line %u: url \"%.*s\" is not like http://127.0.0.1:9090", line,
			STR_ARG(str_first(url, 200)));
	}
	while (exported->url.ptr[exported->url.len - 1] == '/') {
		exported->url.len--;
	}
	return 0;
}

static int check_allow(const struct exported *exported, unsigned line, struct err *err) {
	if (exported->allow.count == 0) {
		return err_set(err, ERR_INVAL, "line %u: export \"%.*s\" allows nobody", line,
			STR_ARG(exported->name));
	}
	for (size_t i = 0; i < exported->allow.count; i++) {
		struct str text = exported->allow.items[i];
		struct identity identity;
		bool is_domain =
			str_starts(text, STR("*.")) && dns_name_is_valid(str_from(text, 2));
		if (!is_domain && identity_parse(text, &identity, NULL) < 0) {
			return err_set(err, ERR_INVAL,
				"line %u: \"%.*s\" is neither an identity "
				"(NAME.NAMESPACE.serviceaccount.identity.linkerd.TRUSTDOMAIN) nor "
				"*.TRUSTDOMAIN",
				line, STR_ARG(str_first(text, 200)));
		}
	}
	return 0;
}

static int check_limits(const struct export_limits *limits, unsigned line, struct err *err) {
	if (limits->request_bytes > REQUEST_BYTES_MAX) {
		return err_set(err, ERR_INVAL, "line %u: request_bytes is at most %llu", line,
			(unsigned long long)REQUEST_BYTES_MAX);
	}
	if (limits->concurrency == 0 || limits->response_bytes == 0 || limits->timeout_ms == 0) {
		return err_set(err, ERR_INVAL, "line %u: a limit of 0 lets nothing through", line);
	}
	return 0;
}

static int check_export(struct exported *exported, unsigned line, struct err *err) {
	if (!dns_label_is_valid(exported->name) ||
		str_equal(exported->name, STR(GATEWAY_AUTHORITY))) {
		return err_set(err, ERR_INVAL,
			"line %u: export name \"%.*s\" must be lower-case letters, digits and '-', "
			"and not \"%s\"",
			line, STR_ARG(str_first(exported->name, 60)), GATEWAY_AUTHORITY);
	}
	if (!str_equal(exported->kind, STR(EXPORT_KIND_PROMETHEUS))) {
		return err_set(err, ERR_INVAL,
			"line %u: export kind \"%.*s\" is not built; \"prometheus\" is", line,
			STR_ARG(str_first(exported->kind, 60)));
	}
	int rc = check_url(exported, line, err);
	if (rc == 0) {
		rc = check_allow(exported, line, err);
	}
	return rc == 0 ? check_limits(&exported->limits, line, err) : rc;
}

static uint64_t digest(const struct exported *exported) {
	uint64_t hash = hash_str(exported->name, 1);
	hash = hash_str(exported->kind, hash);
	hash = hash_str(exported->url, hash);
	for (size_t i = 0; i < exported->allow.count; i++) {
		hash = hash_str(exported->allow.items[i], hash);
	}
	return hash_bytes(&exported->limits, sizeof(exported->limits), hash);
}

static int read_export(
	struct arena *arena, const struct yaml_node *node, struct exported *out, struct err *err) {
	struct raw_export raw = { .exported.limits = default_limits };
	int rc = fields_read(
		arena, node, "export", export_fields, ARRAY_COUNT(export_fields), &raw, err);
	if (rc == 0 && raw.limits && !yaml_is_null(raw.limits)) {
		rc = fields_read(arena, raw.limits, "limits", limit_fields,
			ARRAY_COUNT(limit_fields), &raw.exported.limits, err);
	}
	if (rc == 0) {
		rc = check_export(&raw.exported, node->line, err);
	}
	if (rc < 0) {
		return rc;
	}
	raw.exported.version = digest(&raw.exported);
	raw.exported.file = STR_EMPTY;
	*out = raw.exported;
	return 0;
}

static int compare_exports(const void *a, const void *b) {
	return str_cmp(((const struct exported *)a)->name, ((const struct exported *)b)->name);
}

static int read_all(struct exports *exports, const struct yaml_node *list, struct err *err) {
	if (list->count > EXPORTS_MAX) {
		return err_set(err, ERR_LIMIT, "line %u: %zu exports, at most %d are allowed",
			list->line, list->count, EXPORTS_MAX);
	}
	exports->items = ARENA_NEW(&exports->arena, struct exported, list->count);
	for (size_t i = 0; i < list->count; i++) {
		struct exported *exported = &exports->items[i];
		int rc = read_export(&exports->arena, &list->items[i], exported, err);
		if (rc < 0) {
			return rc;
		}
	}
	exports->count = exports->capacity = list->count;
	if (exports->count > 0) {
		qsort(exports->items, exports->count, sizeof(exports->items[0]), compare_exports);
	}
	for (size_t i = 1; i < exports->count; i++) {
		if (str_equal(exports->items[i - 1].name, exports->items[i].name)) {
			return err_set(err, ERR_INVAL, "export \"%.*s\" is given twice",
				STR_ARG(exports->items[i].name));
		}
	}
	return 0;
}

/* A hub as it is written. */
struct raw_hub {
	struct str identity;
	struct texts addresses;
};

static const struct field hub_fields[] = {
	{ "identity", FIELD_TEXT, offsetof(struct raw_hub, identity), true },
	{ "addresses", FIELD_TEXTS, offsetof(struct raw_hub, addresses), true },
};

static int read_hub(struct arena *arena, const struct yaml_node *node, struct hub_to_dial *out,
	struct err *err) {
	struct raw_hub raw = { 0 };
	struct identity identity;
	int rc = fields_read(arena, node, "a hub", hub_fields, ARRAY_COUNT(hub_fields), &raw, err);
	if (rc < 0) {
		return rc;
	}
	rc = identity_parse(raw.identity, &identity, err);
	if (rc == 0) {
		rc = link_addresses_read(arena, &raw.addresses, &out->addresses, err);
	}
	if (rc < 0) {
		return err_wrap(err, rc, "line %u", node->line);
	}
	out->identity = arena_copy(arena, raw.identity);
	out->address_count = raw.addresses.count;
	out->version = hash_str(raw.identity, 1);
	for (size_t i = 0; i < raw.addresses.count; i++) {
		out->version = hash_str(raw.addresses.items[i], out->version);
	}
	return 0;
}

static int compare_hubs(const void *a, const void *b) {
	return str_cmp(((const struct hub_to_dial *)a)->identity,
		((const struct hub_to_dial *)b)->identity);
}

static int read_hubs(struct exports *exports, const struct yaml_node *list, struct err *err) {
	if (list->count > HUBS_MAX) {
		return err_set(err, ERR_LIMIT, "line %u: %zu hubs, at most %d are allowed",
			list->line, list->count, HUBS_MAX);
	}
	exports->hubs = ARENA_NEW(&exports->arena, struct hub_to_dial, list->count);
	for (size_t i = 0; i < list->count; i++) {
		int rc = read_hub(&exports->arena, &list->items[i], &exports->hubs[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	exports->hub_count = list->count;
	if (exports->hub_count > 0) {
		qsort(exports->hubs, exports->hub_count, sizeof(exports->hubs[0]), compare_hubs);
	}
	for (size_t i = 1; i < exports->hub_count; i++) {
		if (str_equal(exports->hubs[i - 1].identity, exports->hubs[i].identity)) {
			return err_set(err, ERR_INVAL, "hub \"%.*s\" is given twice",
				STR_ARG(exports->hubs[i].identity));
		}
	}
	return 0;
}

/* Reads a list of the file, which may be missing. */
static int read_list(struct exports *exports, const struct yaml_node *list, const char *name,
	int (*read)(struct exports *, const struct yaml_node *, struct err *), struct err *err) {
	if (!list || yaml_is_null(list)) {
		return 0;
	}
	if (list->kind != YAML_SEQUENCE) {
		return err_set(err, ERR_INVAL, "line %u: %s must be a list", list->line, name);
	}
	return read(exports, list, err);
}

/* The file's lists. */
struct raw_lists {
	const struct yaml_node *exports;
	const struct yaml_node *hubs;
};

static int parse(struct exports *exports, struct str yaml, struct err *err) {
	static const struct field fields[] = {
		{ "exports", FIELD_NODE, offsetof(struct raw_lists, exports), false },
		{ "hubs", FIELD_NODE, offsetof(struct raw_lists, hubs), false },
	};
	struct yaml_node *root = NULL;
	struct raw_lists lists = { 0 };
	int rc = yaml_parse(&exports->arena, arena_copy(&exports->arena, yaml), &root, err);
	if (rc < 0 || yaml_is_null(root)) {
		return rc;
	}
	rc = fields_read(&exports->arena, root, "the configuration", fields, ARRAY_COUNT(fields),
		&lists, err);
	if (rc == 0) {
		rc = read_list(exports, lists.exports, "exports", read_all, err);
	}
	return rc == 0 ? read_list(exports, lists.hubs, "hubs", read_hubs, err) : rc;
}

int exports_parse(struct str yaml, struct exports **out, struct err *err) {
	struct exports *exports = MEMORY_NEW(struct exports, 1);
	exports->refs = 1;
	int rc = parse(exports, yaml, err);
	if (rc < 0) {
		exports_unref(exports);
		return rc;
	}
	*out = exports;
	return 0;
}

/* Reads a file that is one export. */
static int read_alone(struct arena *arena, struct str yaml, struct exported *out, struct err *err) {
	struct yaml_node *root = NULL;
	int rc = yaml_parse(arena, arena_copy(arena, yaml), &root, err);
	return rc == 0 ? read_export(arena, root, out, err) : rc;
}

int export_check(struct arena *arena, struct str yaml, struct str *name, struct err *err) {
	struct exported exported;
	int rc = read_alone(arena, yaml, &exported, err);
	if (rc == 0) {
		*name = exported.name;
	}
	return rc;
}

/* Puts an export where its name belongs. */
static void insert(struct exports *exports, const struct exported *exported) {
	if (exports->count == exports->capacity) {
		exports->capacity = 2 * exports->capacity + 8;
		struct exported *items =
			ARENA_NEW(&exports->arena, struct exported, exports->capacity);
		if (exports->count > 0) {
			memcpy(items, exports->items, exports->count * sizeof(items[0]));
		}
		exports->items = items;
	}
	size_t at = exports->count++;
	while (at > 0 && compare_exports(&exports->items[at - 1], exported) > 0) {
		exports->items[at] = exports->items[at - 1];
		at--;
	}
	exports->items[at] = *exported;
}

int exports_add(struct exports *exports, struct str file, struct str yaml, struct err *err) {
	struct exported exported;
	CHECK(exports->refs == 1);
	int rc = read_alone(&exports->arena, yaml, &exported, err);
	if (rc < 0) {
		return rc;
	}
	const struct exported *same = exports_find(exports, exported.name);
	if (same) {
		return err_set(err, ERR_INVAL, "export \"%.*s\" is in %.*s already",
			STR_ARG(exported.name),
			STR_ARG(same->file.len > 0 ? same->file : STR("the configuration")));
	}
	if (exports->count >= EXPORTS_MAX) {
		return err_set(err, ERR_LIMIT, "there are %d exports already, no more are allowed",
			EXPORTS_MAX);
	}
	exported.file = arena_copy(&exports->arena, file);
	insert(exports, &exported);
	return 0;
}

static bool has_hub(const struct exports *exports, struct str identity) {
	for (size_t i = 0; i < exports->hub_count; i++) {
		if (str_equal(exports->hubs[i].identity, identity)) {
			return true;
		}
	}
	return false;
}

int exports_add_hub(struct exports *exports, struct str yaml, struct err *err) {
	struct arena *arena = &exports->arena;
	struct yaml_node *root = NULL;
	struct hub_to_dial hub;
	CHECK(exports->refs == 1);
	int rc = yaml_parse(arena, arena_copy(arena, yaml), &root, err);
	if (rc == 0) {
		rc = read_hub(arena, root, &hub, err);
	}
	if (rc < 0) {
		return rc;
	}
	if (has_hub(exports, hub.identity)) {
		return err_set(
			err, ERR_INVAL, "hub \"%.*s\" is given twice", STR_ARG(hub.identity));
	}
	if (exports->hub_count == HUBS_MAX) {
		return err_set(
			err, ERR_LIMIT, "there are %d hubs already, no more are dialled", HUBS_MAX);
	}
	struct hub_to_dial *hubs = ARENA_NEW(arena, struct hub_to_dial, exports->hub_count + 1);
	if (exports->hub_count > 0) {
		memcpy(hubs, exports->hubs, exports->hub_count * sizeof(hubs[0]));
	}
	hubs[exports->hub_count++] = hub;
	qsort(hubs, exports->hub_count, sizeof(hubs[0]), compare_hubs);
	exports->hubs = hubs;
	return 0;
}

struct exports *exports_ref(struct exports *exports) {
	exports->refs++;
	return exports;
}

void exports_unref(struct exports *exports) {
	if (exports && --exports->refs == 0) {
		arena_deinit(&exports->arena);
		free(exports);
	}
}

const struct exported *exports_find(const struct exports *exports, struct str name) {
	const struct exported key = { .name = name };
	if (exports->count == 0) {
		return NULL;
	}
	return bsearch(&key, exports->items, exports->count, sizeof(key), compare_exports);
}

bool exported_allows(const struct exported *exported, struct str identity) {
	struct identity parts;
	if (identity_parse(identity, &parts, NULL) < 0) {
		return false;
	}
	for (size_t i = 0; i < exported->allow.count; i++) {
		struct str allowed = exported->allow.items[i];
		bool matches = str_starts(allowed, STR("*."))
				       ? str_equal(parts.trust_domain, str_from(allowed, 2))
				       : str_equal(identity, allowed);
		if (matches) {
			return true;
		}
	}
	return false;
}
