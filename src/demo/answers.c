#include "demo/answers.h"

#include "cxx/json.h"
#include "cxx/number.h"

#include <math.h>

static struct str text_of(struct json_value object, struct str name, struct arena *arena) {
	struct json_value value;
	if (!json_member(object, name, &value)) {
		return STR_EMPTY;
	}
	return arena_copy(arena, json_string(value));
}

/* The number, or NaN where there is none. */
static double number_of(struct json_value object, struct str name) {
	struct json_value value;
	bool is_number = json_member(object, name, &value) && json_type_of(value) == JSON_NUMBER;
	return is_number ? json_double(value) : (double)NAN;
}

/* Goes down to the array that an answer's data has under 'name'. */
static int open_answer(struct str body, struct str name, struct json_document **document,
	struct json_value *out, struct err *err) {
	struct json_value data;
	int rc = json_document_new(body, document, err);
	if (rc < 0) {
		return err_wrap(err, ERR_CORRUPT, "answer of the hub");
	}
	struct json_value root = json_root(*document);
	if (!json_member(root, STR("data"), &data) || !json_member(data, name, out) ||
		json_type_of(*out) != JSON_ARRAY) {
		struct json_value reason = root;
		struct str text = json_member(root, STR("error"), &reason) ? json_string(reason)
									   : str_first(body, 200);
		return err_set(err, ERR_CORRUPT, "the hub answers: %.*s", STR_ARG(text));
	}
	return 0;
}

/* One {"metric":{"cluster":...},"value":[time,"2"]}. */
static struct answer_up read_up(struct json_value item, struct arena *arena) {
	struct answer_up up = { .cluster = STR_EMPTY };
	struct json_value metric;
	struct json_value value;
	struct json_value part;
	if (json_member(item, STR("metric"), &metric)) {
		up.cluster = text_of(metric, STR("cluster"), arena);
	}
	if (json_member(item, STR("value"), &value)) {
		struct json_iterator parts = json_iterate(value);
		while (json_next(&parts, &part, NULL)) {
			(void)number_parse(json_string(part), &up.count, NULL);
		}
	}
	return up;
}

int answers_read_up(struct str body, struct arena *arena, struct answer_up **out, size_t *count,
	struct err *err) {
	struct json_document *document = NULL;
	struct json_value list;
	int rc = open_answer(body, STR("result"), &document, &list, err);
	if (rc == 0) {
		size_t found = 0;
		struct json_iterator items = json_iterate(list);
		struct json_value item;
		*out = ARENA_NEW(arena, struct answer_up, json_count(list) + 1);
		while (json_next(&items, &item, NULL)) {
			(*out)[found++] = read_up(item, arena);
		}
		*count = found;
	}
	json_document_free(document);
	return rc;
}

static struct answer_cluster read_cluster(struct json_value item, struct arena *arena) {
	struct answer_cluster cluster = {
		.cluster = text_of(item, STR("cluster"), arena),
		.state = text_of(item, STR("state"), arena),
		.last_error = text_of(item, STR("lastError"), arena),
		.series = number_of(item, STR("series")),
	};
	struct json_value answer;
	if (json_member(item, STR("lastAnswer"), &answer) && json_type_of(answer) == JSON_OBJECT) {
		cluster.has_answered = true;
		cluster.last_bytes = number_of(answer, STR("bytes"));
		cluster.last_ms = number_of(answer, STR("durationMs"));
	}
	return cluster;
}

int answers_read_clusters(struct str body, struct arena *arena, struct answer_cluster **out,
	size_t *count, struct err *err) {
	struct json_document *document = NULL;
	struct json_value list;
	int rc = open_answer(body, STR("clusters"), &document, &list, err);
	if (rc == 0) {
		size_t found = 0;
		struct json_iterator items = json_iterate(list);
		struct json_value item;
		*out = ARENA_NEW(arena, struct answer_cluster, json_count(list) + 1);
		while (json_next(&items, &item, NULL)) {
			(*out)[found++] = read_cluster(item, arena);
		}
		*count = found;
	}
	json_document_free(document);
	return rc;
}
