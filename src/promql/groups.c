#include "promql/groups.h"

#include <stdlib.h>

static int cmp_names(const void *a, const void *b) {
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int groups_init(struct groups *groups, struct eval *ev, const struct str *names, size_t name_count,
	bool without) {
	struct str *sorted = EVAL_NEW(ev, struct str, name_count + 1);
	size_t count = 0;

	*groups = (struct groups){ .ev = ev, .names = sorted, .without = without };
	groups->table = eval_table_new(ev);
	if (!sorted || !groups->table) {
		return ERR_LIMIT;
	}
	if (without) {
		sorted[count++] = LABEL_NAME;
	}
	for (size_t i = 0; i < name_count; i++) {
		sorted[count++] = names[i];
	}
	if (count > 0) {
		qsort(sorted, count, sizeof(*sorted), cmp_names);
	}
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !str_equal(sorted[i], sorted[i - 1])) {
			sorted[groups->name_count++] = sorted[i];
		}
	}
	return 0;
}

int groups_init_except(struct groups *groups, struct eval *ev, struct str name) {
	struct str *names = EVAL_NEW(ev, struct str, 1);

	*groups = (struct groups){ .ev = ev, .names = names, .name_count = 1, .without = true };
	groups->table = eval_table_new(ev);
	if (!names || !groups->table) {
		return ERR_LIMIT;
	}
	names[0] = name;
	return 0;
}

static uint64_t group_hash(const struct groups *groups, const struct labels *set) {
	return groups->without ? labels_hash_without(set, groups->names, groups->name_count)
			       : labels_hash_only(set, groups->names, groups->name_count);
}

static bool is_named(const struct groups *groups, struct str name) {
	for (size_t i = 0; i < groups->name_count; i++) {
		int cmp = str_cmp(groups->names[i], name);

		if (cmp >= 0) {
			return cmp == 0;
		}
	}
	return false;
}

static size_t skip_named(const struct groups *groups, const struct labels *set, size_t at) {
	while (at < set->count && is_named(groups, set->pairs[at].name)) {
		at++;
	}
	return at;
}

static bool equal_without(
	const struct groups *groups, const struct labels *a, const struct labels *b) {
	size_t i = skip_named(groups, a, 0);
	size_t j = skip_named(groups, b, 0);

	while (i < a->count && j < b->count) {
		if (!str_equal(a->pairs[i].name, b->pairs[j].name) ||
			!str_equal(a->pairs[i].value, b->pairs[j].value)) {
			return false;
		}
		i = skip_named(groups, a, i + 1);
		j = skip_named(groups, b, j + 1);
	}
	return i == a->count && j == b->count;
}

static bool equal_only(
	const struct groups *groups, const struct labels *a, const struct labels *b) {
	for (size_t i = 0; i < groups->name_count; i++) {
		if (!str_equal(labels_get(a, groups->names[i]), labels_get(b, groups->names[i]))) {
			return false;
		}
	}
	return true;
}

struct group_key {
	const struct groups *groups;
	const struct labels *set;
};

static bool group_equal(uint64_t value, const void *key) {
	const struct group_key *wanted = key;
	const struct groups *groups = wanted->groups;
	const struct labels *example = &groups->examples[value];

	return groups->without ? equal_without(groups, example, wanted->set)
			       : equal_only(groups, example, wanted->set);
}

bool groups_find(const struct groups *groups, const struct labels *set, size_t *index) {
	struct group_key key = { groups, set };
	uint64_t value;

	if (!map_find(&groups->table->map, group_hash(groups, set), group_equal, &key, &value)) {
		return false;
	}
	*index = (size_t)value;
	return true;
}

static int grow(struct groups *groups) {
	size_t capacity = groups->capacity ? groups->capacity * 2 : 16;
	struct labels *examples = EVAL_NEW(groups->ev, struct labels, capacity);

	if (!examples) {
		return ERR_LIMIT;
	}
	if (groups->count > 0) {
		memcpy(examples, groups->examples, groups->count * sizeof(*examples));
	}
	groups->examples = examples;
	groups->capacity = capacity;
	return 0;
}

int groups_add(struct groups *groups, const struct labels *set, size_t *index) {
	struct group_key key = { groups, set };
	uint64_t hash = group_hash(groups, set);
	uint64_t value;
	int rc;

	if (map_find(&groups->table->map, hash, group_equal, &key, &value)) {
		*index = (size_t)value;
		return 0;
	}
	rc = groups->count == groups->capacity ? grow(groups) : 0;
	rc = rc < 0 ? rc : eval_table_add(groups->ev, groups->table, hash, groups->count);
	if (rc < 0) {
		return rc;
	}
	groups->examples[groups->count] = *set;
	*index = groups->count++;
	return 0;
}

struct labels groups_reduce(const struct groups *groups, const struct labels *set) {
	return groups->without
		       ? labels_without(&groups->ev->arena, set, groups->names, groups->name_count)
		       : labels_only(&groups->ev->arena, set, groups->names, groups->name_count);
}

struct labels groups_labels(const struct groups *groups, size_t index) {
	return groups_reduce(groups, &groups->examples[index]);
}
