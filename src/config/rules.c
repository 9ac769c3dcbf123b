/*
 * relabel_configs and metric_relabel_configs: reading, building, printing.
 */
#include "config/blocks.h"

#include <inttypes.h>

/* Remembers where the rules stand; they are built when the job's naming scheme is known. */
int relabel_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	if (node->kind != YAML_SEQUENCE && !yaml_is_null(node)) {
		return reader_fail(reader, node, err, "relabel_configs: expected a list of rules");
	}
	((struct config_relabels *)member)->written = node;
	return 0;
}

static struct str *text_field(struct relabel_spec *spec, struct str key) {
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "separator", offsetof(struct relabel_spec, separator) },
		{ "regex", offsetof(struct relabel_spec, regex) },
		{ "target_label", offsetof(struct relabel_spec, target_label) },
		{ "replacement", offsetof(struct relabel_spec, replacement) },
		{ "action", offsetof(struct relabel_spec, action) },
	};
	for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
		if (str_equal(key, str_of(fields[i].name))) {
			return (void *)((char *)spec + fields[i].offset);
		}
	}
	return NULL;
}

static int read_field(struct reader *reader, const struct yaml_node *key,
	const struct yaml_node *value, struct relabel_spec *spec, struct err *err) {
	struct str *text = text_field(spec, key->text);
	if (text) {
		if (yaml_is_null(value) && text == &spec->action) {
			return reader_fail(reader, value, err,
				"relabel action cannot be empty; leave the key out for replace");
		}
		return reader_text(reader, value, "relabel rule", text, err);
	}
	if (str_equal(key->text, STR("source_labels"))) {
		struct config_list list = { 0 };
		int rc = reader_list(reader, value, "source_labels", &list, err);
		spec->source_labels = list.items;
		spec->source_count = list.count;
		return rc;
	}
	if (str_equal(key->text, STR("modulus"))) {
		return value->kind == YAML_SCALAR && str_to_u64(value->text, &spec->modulus)
			       ? 0
			       : reader_fail(
					 reader, value, err, "modulus: expected a whole number");
	}
	return reader_fail(
		reader, key, err, "unknown key \"%.*s\" in a relabel rule", STR_ARG(key->text));
}

static int build_rule(struct reader *reader, bool legacy_names, const struct yaml_node *node,
	struct relabel_rule *out, struct err *err) {
	struct relabel_spec spec = { .legacy_names = legacy_names };
	if (node->kind != YAML_MAPPING) {
		return reader_fail(reader, node, err, "empty or null relabel rule");
	}
	for (size_t i = 0; i < node->count; i++) {
		int rc = read_field(
			reader, &node->items[2 * i], &node->items[2 * i + 1], &spec, err);
		if (rc < 0) {
			return rc;
		}
	}
	int rc = relabel_rule_build(&spec, &reader->config->regexes, out, err);
	return rc < 0 ? reader_wrap(reader, node, rc, err) : 0;
}

int relabels_build(struct reader *reader, const struct config_scrape *scrape,
	struct config_relabels *relabels, const char *key, struct err *err) {
	const struct yaml_node *list = relabels->written;
	if (!list || list->count == 0 || list->kind != YAML_SEQUENCE) {
		return 0;
	}
	struct relabel_rule *rules =
		ARENA_NEW(&reader->config->arena, struct relabel_rule, list->count);
	for (size_t i = 0; i < list->count; i++) {
		if (yaml_is_null(&list->items[i])) {
			return reader_fail(reader, &list->items[i], err,
				"empty or null rule in %s of job \"%.*s\"", key,
				STR_ARG(scrape->job_name));
		}
		int rc = build_rule(
			reader, scrape->limits.legacy_names, &list->items[i], &rules[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	relabels->items = rules;
	relabels->count = list->count;
	return 0;
}

static void print_rule(const struct relabel_rule *rule, int indent, struct buf *out) {
	if (rule->source_count > 0) {
		buf_printf(out, "%*ssource_labels: [", indent, "");
		for (size_t i = 0; i < rule->source_count; i++) {
			buf_add_text(out, i > 0 ? ", " : "");
			yaml_put(rule->source_labels[i], out);
		}
		buf_add_text(out, "]\n");
	}
	if (rule->separator.len > 0) {
		buf_printf(out, "%*sseparator: ", indent, "");
		yaml_put(rule->separator, out);
		buf_add_byte(out, '\n');
	}
	if (rule->regex) {
		buf_printf(out, "%*sregex: ", indent, "");
		yaml_put(regex_pattern(rule->regex), out);
		buf_add_byte(out, '\n');
	}
	if (rule->modulus > 0) {
		buf_printf(out, "%*smodulus: %" PRIu64 "\n", indent, "", rule->modulus);
	}
	if (rule->target_label.len > 0) {
		buf_printf(out, "%*starget_label: ", indent, "");
		yaml_put(rule->target_label, out);
		buf_add_byte(out, '\n');
	}
	if (rule->replacement.ptr) {
		buf_printf(out, "%*sreplacement: ", indent, "");
		yaml_put(rule->replacement, out);
		buf_add_byte(out, '\n');
	}
	buf_printf(out, "%*saction: %s\n", indent, "", relabel_action_text(rule->action));
}

void relabel_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config_relabels *relabels = member;
	if (relabels->count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < relabels->count; i++) {
		size_t start = out->len;
		print_rule(&relabels->items[i], indent + 2, out);
		out->ptr[start + (size_t)indent] = '-';
	}
}
