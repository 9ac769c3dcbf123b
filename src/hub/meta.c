/*
 * Series, labels, values, metadata and targets over all clusters.
 *
 * Matchers on the cluster label choose which clusters are asked; the others go to them. Limits go
 * too: each cluster gives at most that many and the API cuts the merged list. A cluster that does
 * not answer is named in a warning.
 */
#include "hub/state.h"

#include "http/uri.h"
#include "hub/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The clusters to ask, one fetch each. */
struct fetch_list {
	struct hub_fetch *items;
	size_t count;
};

static void add_param(struct buf *form, const char *name, struct str value) {
	if (form->len > 0) {
		buf_add_byte(form, '&');
	}
	uri_encode(str_of(name), form);
	buf_add_byte(form, '=');
	uri_encode(value, form);
}

/* Milliseconds as exact decimal seconds. */
static void add_time(struct buf *form, const char *name, int64_t ms) {
	char text[40];
	uint64_t positive = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	(void)snprintf(text, sizeof(text), "%s%" PRIu64 ".%03" PRIu64, ms < 0 ? "-" : "",
		positive / 1000, positive % 1000);
	add_param(form, name, str_of(text));
}

/* Writes the parameters for one cluster. Returns whether it has to be asked at all. */
static bool build_form(const struct hub *hub, const struct meta_request *request,
	struct str cluster, struct buf *form) {
	bool is_asked = request->selector_count == 0;
	for (size_t i = 0; i < request->selector_count; i++) {
		if (!hub_route_selector(hub, request->selectors[i], cluster)) {
			continue;
		}
		AUTO(buf_deinit) struct buf text = { 0 };
		hub_print_routed(hub, request->selectors[i], &text);
		add_param(form, "match[]", buf_str(&text));
		is_asked = true;
	}
	if (request->min_ms != INT64_MIN) {
		add_time(form, "start", request->min_ms);
	}
	if (request->max_ms != INT64_MAX) {
		add_time(form, "end", request->max_ms);
	}
	if (request->limit > 0) {
		char text[24];
		(void)snprintf(text, sizeof(text), "%zu", request->limit);
		add_param(form, "limit", str_of(text));
	}
	return is_asked;
}

static struct fetch_list plan_fetches(struct hub *hub, const struct meta_request *request,
	struct str path, bool is_get, struct arena *arena) {
	struct hub_cluster *clusters = NULL;
	size_t count = 0;
	struct fetch_list list = { 0 };
	hub->options.transport->ops->clusters(hub->options.transport, arena, &clusters, &count);
	list.items = ARENA_NEW(arena, struct hub_fetch, count + 1);
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf form = { 0 };
		if (build_form(hub, request, clusters[i].name, &form)) {
			list.items[list.count++] = (struct hub_fetch){ .cluster = clusters[i],
				.path = path,
				.form = arena_copy(arena, buf_str(&form)),
				.is_get = is_get };
		}
	}
	return list;
}

static struct fetch_list ask(struct hub *hub, const struct meta_request *request, struct str path,
	bool is_get, struct arena *arena) {
	struct fetch_list list = plan_fetches(hub, request, path, is_get, arena);
	hub_fetch_all(hub, list.items, list.count, request->control, arena);
	return list;
}

/* A failed answer: a bad or too large request is the asker's to mend, anything else is a missing
 * cluster. */
static int take_failure(struct hub *hub, struct hub_fetch *fetch, struct arena *arena,
	struct annotations *notes, struct err *err) {
	hub_note_answer(hub, fetch, -1);
	if (fetch->rc == ERR_INVAL || fetch->rc == ERR_CANCELED || fetch->rc == ERR_LIMIT) {
		*err = fetch->err;
		return err_wrap(err, fetch->rc, "cluster \"%.*s\"", STR_ARG(fetch->cluster.name));
	}
	hub_warn_missing(fetch, arena, notes);
	return 0;
}

static int compare_strings(const void *a, const void *b) {
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int compare_labels(const void *a, const void *b) {
	return labels_cmp(a, b);
}

static struct str_list sort_strings(struct str *items, size_t count) {
	size_t kept = 0;
	qsort(items, count, sizeof(items[0]), compare_strings);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || !str_equal(items[kept - 1], items[i])) {
			items[kept++] = items[i];
		}
	}
	return (struct str_list){ items, kept };
}

/* The union of what the clusters list under 'path', with 'extra' added if anybody lists anything.
 */
static int merge_strings(struct hub *hub, const struct meta_request *request, struct str path,
	struct str extra, bool is_get, struct arena *arena, struct str_list *out,
	struct annotations *notes, struct err *err) {
	struct fetch_list list = ask(hub, request, path, is_get, arena);
	struct str_list *parts = ARENA_NEW(arena, struct str_list, list.count + 1);
	size_t total = 0;
	for (size_t i = 0; i < list.count; i++) {
		struct hub_fetch *fetch = &list.items[i];
		if (fetch->rc == 0) {
			fetch->rc = decode_strings(fetch->response.body, fetch->response.status,
				arena, &parts[i], &fetch->err);
		}
		int rc = fetch->rc < 0 ? take_failure(hub, fetch, arena, notes, err) : 0;
		if (rc < 0) {
			return rc;
		}
		total += parts[i].count;
	}
	struct str *items = ARENA_TRY_NEW(arena, struct str, total + 2, err);
	if (!items) {
		return ERR_LIMIT;
	}
	size_t count = 0;
	for (size_t i = 0; i < list.count; i++) {
		for (size_t j = 0; j < parts[i].count; j++) {
			items[count++] = parts[i].items[j];
		}
	}
	if (count > 0 && extra.len > 0) {
		items[count++] = extra;
	}
	*out = sort_strings(items, count);
	return 0;
}

int hub_label_names(struct source *source, const struct meta_request *request, struct arena *arena,
	struct str_list *out, struct annotations *notes, struct err *err) {
	struct hub *hub = CONTAINER_OF(source, struct hub, source);
	struct hub_charge charge;
	hub_charge_init(hub, arena, &charge);
	int rc = merge_strings(
		hub, request, STR("/api/v1/labels"), hub->label, false, arena, out, notes, err);
	hub_charge_deinit(&charge);
	return rc;
}

/* Which clusters have a series that matches: one series of each is enough to know. */
static int cluster_values(struct hub *hub, const struct meta_request *request, struct arena *arena,
	struct str_list *out, struct annotations *notes, struct err *err) {
	struct meta_request one = *request;
	one.limit = 1;
	if (request->selector_count == 0) {
		struct hub_cluster *clusters = NULL;
		size_t count = 0;
		hub->options.transport->ops->clusters(
			hub->options.transport, arena, &clusters, &count);
		struct str *names = ARENA_NEW(arena, struct str, count + 1);
		for (size_t i = 0; i < count; i++) {
			names[i] = clusters[i].name;
		}
		*out = (struct str_list){ names, count };
		return 0;
	}
	struct fetch_list list = ask(hub, &one, STR("/api/v1/series"), false, arena);
	struct str *names = ARENA_NEW(arena, struct str, list.count + 1);
	size_t count = 0;
	for (size_t i = 0; i < list.count; i++) {
		struct hub_fetch *fetch = &list.items[i];
		struct labels_list series = { 0 };
		const struct decode_options options = { .cluster_label = hub->label,
			.cluster = fetch->cluster.name };
		if (fetch->rc == 0) {
			fetch->rc = decode_series(fetch->response.body, fetch->response.status,
				&options, arena, &series, &fetch->err);
		}
		int rc = fetch->rc < 0 ? take_failure(hub, fetch, arena, notes, err) : 0;
		if (rc < 0) {
			return rc;
		}
		if (series.count > 0) {
			names[count++] = fetch->cluster.name;
		}
	}
	*out = (struct str_list){ names, count };
	return 0;
}

static int label_values(struct hub *hub, struct str name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	if (str_equal(name, hub->label)) {
		return cluster_values(hub, request, arena, out, notes, err);
	}
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_add_text(&path, "/api/v1/label/");
	uri_encode(name, &path);
	buf_add_text(&path, "/values");
	return merge_strings(hub, request, buf_str(&path), STR_EMPTY, true, arena, out, notes, err);
}

int hub_label_values(struct source *source, struct str name, const struct meta_request *request,
	struct arena *arena, struct str_list *out, struct annotations *notes, struct err *err) {
	struct hub *hub = CONTAINER_OF(source, struct hub, source);
	struct hub_charge charge;
	hub_charge_init(hub, arena, &charge);
	int rc = label_values(hub, name, request, arena, out, notes, err);
	hub_charge_deinit(&charge);
	return rc;
}

static int merge_series(struct hub *hub, const struct meta_request *request, struct arena *arena,
	struct labels_list *out, struct annotations *notes, struct err *err) {
	struct fetch_list list = ask(hub, request, STR("/api/v1/series"), false, arena);
	struct labels_list *parts = ARENA_NEW(arena, struct labels_list, list.count + 1);
	size_t total = 0;
	for (size_t i = 0; i < list.count; i++) {
		struct hub_fetch *fetch = &list.items[i];
		const struct decode_options options = { .cluster_label = hub->label,
			.cluster = fetch->cluster.name };
		if (fetch->rc == 0) {
			fetch->rc = decode_series(fetch->response.body, fetch->response.status,
				&options, arena, &parts[i], &fetch->err);
		}
		int rc = fetch->rc < 0 ? take_failure(hub, fetch, arena, notes, err) : 0;
		if (rc < 0) {
			return rc;
		}
		total += parts[i].count;
	}
	struct labels *items = ARENA_TRY_NEW(arena, struct labels, total + 1, err);
	if (!items) {
		return ERR_LIMIT;
	}
	size_t count = 0;
	for (size_t i = 0; i < list.count; i++) {
		for (size_t j = 0; j < parts[i].count; j++) {
			items[count++] = parts[i].items[j];
		}
	}
	qsort(items, count, sizeof(items[0]), compare_labels);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || !labels_equal(&items[kept - 1], &items[i])) {
			items[kept++] = items[i];
		}
	}
	*out = (struct labels_list){ items, kept };
	return 0;
}

int hub_series(struct source *source, const struct meta_request *request, struct arena *arena,
	struct labels_list *out, struct annotations *notes, struct err *err) {
	struct hub *hub = CONTAINER_OF(source, struct hub, source);
	struct hub_charge charge;
	hub_charge_init(hub, arena, &charge);
	int rc = merge_series(hub, request, arena, out, notes, err);
	hub_charge_deinit(&charge);
	return rc;
}

/* A metric's entry {type, help, unit} as text, to tell equal ones of several clusters. */
struct metadata_entry {
	struct str metric;
	struct str json;
};

static int compare_entries(const void *a, const void *b) {
	const struct metadata_entry *left = a;
	const struct metadata_entry *right = b;
	int cmp = str_cmp(left->metric, right->metric);
	return cmp != 0 ? cmp : str_cmp(left->json, right->json);
}

struct entry_list {
	struct metadata_entry *items;
	size_t count;
	size_t capacity;
};

static void add_entries(struct entry_list *list, struct str metric, struct json_value entries,
	struct arena *arena) {
	struct json_iterator walk = json_iterate(entries);
	struct json_value entry;
	while (json_next(&walk, &entry, NULL)) {
		AUTO(buf_deinit) struct buf text = { 0 };
		struct json_writer json;
		json_writer_init(&json, &text);
		decode_copy(entry, &json);
		if (list->count == list->capacity) {
			size_t capacity = list->capacity * 2 + 64;
			struct metadata_entry *grown =
				ARENA_NEW(arena, struct metadata_entry, capacity);
			if (list->count > 0) {
				memcpy(grown, list->items, list->count * sizeof(grown[0]));
			}
			list->items = grown;
			list->capacity = capacity;
		}
		list->items[list->count++] = (struct metadata_entry){ arena_copy(arena, metric),
			arena_copy(arena, buf_str(&text)) };
	}
}

static void write_metadata(struct entry_list *list, struct buf *out) {
	struct json_writer json;
	json_writer_init(&json, out);
	json_begin_object(&json);
	if (list->count > 0) {
		qsort(list->items, list->count, sizeof(list->items[0]), compare_entries);
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct metadata_entry *entry = &list->items[i];
		bool is_new = i == 0 || !str_equal(entry[-1].metric, entry->metric);
		bool is_last = i + 1 == list->count || !str_equal(entry[1].metric, entry->metric);
		if (is_new) {
			json_key(&json, entry->metric);
			json_begin_array(&json);
		}
		if (is_new || !str_equal(entry[-1].json, entry->json)) {
			json_put_raw(&json, entry->json);
		}
		if (is_last) {
			json_end_array(&json);
		}
	}
	json_end_object(&json);
}

/* Writes a target with its cluster among its labels. */
static void copy_target(const struct hub *hub, struct json_value target, struct str cluster,
	struct json_writer *json) {
	struct json_iterator walk = json_iterate(target);
	struct json_value member;
	struct str name;
	json_begin_object(json);
	while (json_next(&walk, &member, &name)) {
		json_key(json, name);
		if (!str_equal(name, STR("labels"))) {
			decode_copy(member, json);
			continue;
		}
		struct json_iterator labels = json_iterate(member);
		struct json_value value;
		struct str label;
		json_begin_object(json);
		while (json_next(&labels, &value, &label)) {
			if (!str_equal(label, hub->label)) {
				json_key(json, label);
				decode_copy(value, json);
			}
		}
		json_key(json, hub->label);
		json_put_str(json, cluster);
		json_end_object(json);
	}
	json_end_object(json);
}

static void copy_targets(const struct hub *hub, struct json_value data, const char *key,
	struct str cluster, struct json_writer *json) {
	struct json_value list;
	struct json_value target;
	if (!json_member(data, str_of(key), &list)) {
		return;
	}
	struct json_iterator walk = json_iterate(list);
	while (json_next(&walk, &target, NULL)) {
		copy_target(hub, target, cluster, json);
	}
}

/* The opened answers of one document request; NULL where a cluster gave none. */
struct answers {
	struct fetch_list list;
	struct json_document **documents;
	struct json_value *data;
};

static int open_answers(struct hub *hub, struct answers *answers, struct arena *arena,
	struct annotations *notes, struct err *err) {
	size_t count = answers->list.count;
	answers->documents = ARENA_NEW(arena, struct json_document *, count + 1);
	answers->data = ARENA_NEW(arena, struct json_value, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct hub_fetch *fetch = &answers->list.items[i];
		if (fetch->rc == 0) {
			fetch->rc = decode_open(fetch->response.body, fetch->response.status,
				&answers->documents[i], &answers->data[i], &fetch->err);
		}
		int rc = fetch->rc < 0 ? take_failure(hub, fetch, arena, notes, err) : 0;
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static void close_answers(struct answers *answers) {
	for (size_t i = 0; answers->documents && i < answers->list.count; i++) {
		json_document_free(answers->documents[i]);
	}
}

static void write_targets(const struct hub *hub, const struct answers *answers, struct buf *out) {
	static const char *const keys[] = { "activeTargets", "droppedTargets" };
	struct json_writer json;
	json_writer_init(&json, out);
	json_begin_object(&json);
	for (size_t k = 0; k < ARRAY_COUNT(keys); k++) {
		json_key(&json, str_of(keys[k]));
		json_begin_array(&json);
		for (size_t i = 0; i < answers->list.count; i++) {
			if (answers->documents[i]) {
				copy_targets(hub, answers->data[i], keys[k],
					answers->list.items[i].cluster.name, &json);
			}
		}
		json_end_array(&json);
	}
	json_end_object(&json);
}

static int make_document(struct hub *hub, struct str path, struct str args, struct buf *out,
	struct arena *arena, struct annotations *notes, struct err *err) {
	const struct meta_request everything = { .min_ms = INT64_MIN, .max_ms = INT64_MAX };
	struct answers answers = { 0 };
	struct str full = arena_printf(
		arena, "/api/v1/%.*s%s%.*s", STR_ARG(path), args.len > 0 ? "?" : "", STR_ARG(args));
	answers.list = ask(hub, &everything, full, true, arena);
	int rc = open_answers(hub, &answers, arena, notes, err);
	if (rc == 0 && str_equal(path, STR("metadata"))) {
		struct entry_list entries = { 0 };
		for (size_t i = 0; i < answers.list.count; i++) {
			if (!answers.documents[i]) {
				continue;
			}
			struct json_iterator walk = json_iterate(answers.data[i]);
			struct json_value list;
			struct str metric;
			while (json_next(&walk, &list, &metric)) {
				add_entries(&entries, metric, list, arena);
			}
		}
		write_metadata(&entries, out);
	} else if (rc == 0) {
		write_targets(hub, &answers, out);
	}
	close_answers(&answers);
	return rc;
}

int hub_document(struct source *source, struct str path, struct str args, struct buf *out,
	struct arena *arena, struct annotations *notes, struct err *err) {
	struct hub *hub = CONTAINER_OF(source, struct hub, source);
	struct hub_charge charge;
	hub_charge_init(hub, arena, &charge);
	int rc = make_document(hub, path, args, out, arena, notes, err);
	hub_charge_deinit(&charge);
	return rc;
}
