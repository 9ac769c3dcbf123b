#include "label/relabel.h"

#include "base/quote.h"
#include "label/letter_case.h"

#include <inttypes.h>
/* The plain MD5 function: it is a spreading of load, not a secret, and always there. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>

static const char *const action_names[] = {
	[RELABEL_REPLACE] = "replace",
	[RELABEL_KEEP] = "keep",
	[RELABEL_DROP] = "drop",
	[RELABEL_KEEPEQUAL] = "keepequal",
	[RELABEL_DROPEQUAL] = "dropequal",
	[RELABEL_HASHMOD] = "hashmod",
	[RELABEL_LABELMAP] = "labelmap",
	[RELABEL_LABELDROP] = "labeldrop",
	[RELABEL_LABELKEEP] = "labelkeep",
	[RELABEL_LOWERCASE] = "lowercase",
	[RELABEL_UPPERCASE] = "uppercase",
};

#define SEPARATOR_DEFAULT STR(";")
#define REGEX_DEFAULT STR("(.*)")
#define REPLACEMENT_DEFAULT STR("$1")

static int action_parse(struct str name, enum relabel_action *out, struct err *err) {
	struct buf quoted = { 0 };
	int rc;

	for (size_t i = 0; i < ARRAY_COUNT(action_names); i++) {
		if (str_equal_nocase(name, str_of(action_names[i]))) {
			*out = (enum relabel_action)i;
			return 0;
		}
	}
	quote_append(name, &quoted);
	rc = err_set(err, ERR_INVAL, "unknown relabel action %s", buf_text(&quoted));
	buf_deinit(&quoted);
	return rc;
}

const char *relabel_action_text(enum relabel_action action) {
	return action_names[action];
}

static bool name_is_valid(const struct relabel_rule *rule, struct str name) {
	return rule->legacy_names ? label_name_is_legacy(name) : label_name_is_valid(name);
}

static bool has_reference(struct str text) {
	return str_find(text, '$') != SIZE_MAX;
}

static bool is_word(char c) {
	return label_name_is_legacy((struct str){ &c, 1 }) || (c >= '0' && c <= '9');
}

/* The bytes of the "$name" or "${name}" that 'text' starts with; 0 if it does not. */
static size_t reference_len(struct str text) {
	bool has_brace = str_starts(text, STR("${"));
	size_t start = has_brace ? 2 : 1;
	size_t end = start;

	if (!str_starts(text, STR("$"))) {
		return 0;
	}
	while (end < text.len && is_word(text.ptr[end])) {
		end++;
	}
	if (end == start || (has_brace && (end == text.len || text.ptr[end] != '}'))) {
		return 0;
	}
	return end + has_brace;
}

/* A name that may hold references, of a configuration that wants classic names. */
static bool template_is_legacy(struct str text) {
	size_t at = 0;

	if (text.len == 0 || (text.ptr[0] >= '0' && text.ptr[0] <= '9')) {
		return false;
	}
	while (at < text.len) {
		size_t len = is_word(text.ptr[at]) ? 1 : reference_len(str_from(text, at));
		if (len == 0) {
			return false;
		}
		at += len;
	}
	return true;
}

static bool template_is_valid(const struct relabel_rule *rule, struct str text) {
	return rule->legacy_names ? template_is_legacy(text) : label_name_is_valid(text);
}

static int name_refuse(
	const struct relabel_rule *rule, struct str name, const char *field, struct err *err) {
	struct buf quoted = { 0 };
	int rc;

	quote_append(name, &quoted);
	rc = err_set(err, ERR_INVAL, "%s is invalid '%s' for %s action", buf_text(&quoted), field,
		relabel_action_text(rule->action));
	buf_deinit(&quoted);
	return rc;
}

static bool uses_target(enum relabel_action action) {
	return action == RELABEL_REPLACE || action == RELABEL_HASHMOD ||
	       action == RELABEL_LOWERCASE || action == RELABEL_UPPERCASE ||
	       action == RELABEL_KEEPEQUAL || action == RELABEL_DROPEQUAL;
}

static int target_check(const struct relabel_rule *rule, struct err *err) {
	bool is_valid;

	if (rule->target_label.len == 0) {
		return err_set(err, ERR_INVAL,
			"relabel configuration for %s action requires 'target_label' value",
			relabel_action_text(rule->action));
	}
	is_valid = rule->action == RELABEL_REPLACE && has_reference(rule->target_label)
			   ? template_is_valid(rule, rule->target_label)
			   : name_is_valid(rule, rule->target_label);
	return is_valid ? 0 : name_refuse(rule, rule->target_label, "target_label", err);
}

static bool replacement_is_set(const struct relabel_rule *rule) {
	return !str_equal(rule->replacement, REPLACEMENT_DEFAULT);
}

/* What only some actions may be given, but for the target and the replacement. */
static int extras_check(
	const struct relabel_spec *spec, const struct relabel_rule *rule, struct err *err) {
	const char *name = relabel_action_text(rule->action);
	bool has_others = rule->modulus != 0 || !str_equal(rule->separator, SEPARATOR_DEFAULT) ||
			  replacement_is_set(rule);

	if (rule->action == RELABEL_KEEPEQUAL || rule->action == RELABEL_DROPEQUAL) {
		if (has_others || spec->regex.ptr) {
			return err_set(err, ERR_INVAL,
				"%s action requires only 'source_labels' and `target_label`, and "
				"no "
				"other fields",
				name);
		}
	}
	if (rule->action == RELABEL_LABELDROP || rule->action == RELABEL_LABELKEEP) {
		if (has_others || spec->source_labels || rule->target_label.len > 0) {
			return err_set(err, ERR_INVAL,
				"%s action requires only 'regex', and no other fields", name);
		}
	}
	return 0;
}

/* In the order in which Prometheus checks, so that the same mistake gives the same sentence. */
static int rule_check(
	const struct relabel_spec *spec, const struct relabel_rule *rule, struct err *err) {
	enum relabel_action action = rule->action;
	int rc = 0;

	if (action == RELABEL_HASHMOD && rule->modulus == 0) {
		return err_set(err, ERR_INVAL,
			"relabel configuration for hashmod requires non-zero modulus");
	}
	if (uses_target(action)) {
		rc = target_check(rule, err);
	}
	if (rc < 0) {
		return rc;
	}
	if (uses_target(action) && action != RELABEL_REPLACE && action != RELABEL_HASHMOD &&
		replacement_is_set(rule)) {
		return err_set(err, ERR_INVAL, "'replacement' can not be set for %s action",
			relabel_action_text(action));
	}
	if (action == RELABEL_LABELMAP && !template_is_valid(rule, rule->replacement)) {
		return name_refuse(rule, rule->replacement, "replacement", err);
	}
	return extras_check(spec, rule, err);
}

int relabel_rule_build(const struct relabel_spec *spec, struct regex_set *regexes,
	struct relabel_rule *out, struct err *err) {
	struct relabel_rule rule = {
		.action = RELABEL_REPLACE,
		.source_labels = spec->source_labels,
		.source_count = spec->source_count,
		.separator = spec->separator.ptr ? spec->separator : SEPARATOR_DEFAULT,
		.target_label = spec->target_label.ptr ? spec->target_label : STR_EMPTY,
		.replacement = spec->replacement.ptr ? spec->replacement : REPLACEMENT_DEFAULT,
		.modulus = spec->modulus,
		.legacy_names = spec->legacy_names,
	};
	int rc = spec->action.ptr ? action_parse(spec->action, &rule.action, err) : 0;

	if (rc < 0) {
		return rc;
	}
	rc = regex_set_add(
		regexes, spec->regex.ptr ? spec->regex : REGEX_DEFAULT, &rule.regex, err);
	if (rc < 0) {
		return rc;
	}
	rc = rule_check(spec, &rule, err);
	if (rc < 0) {
		return rc;
	}
	*out = rule;
	return 0;
}

/* The set while rules work on it: sorted by name, empty values never in it. */
struct builder {
	struct label *pairs;
	size_t count;
	size_t capacity;
	struct arena *arena;
	struct buf name; /* Scratch. */
	struct buf value;
};

/* Where 'name' is, or would be. */
static size_t builder_find(const struct builder *builder, struct str name, bool *found) {
	size_t low = 0;
	size_t high = builder->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (str_cmp(builder->pairs[middle].name, name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	*found = low < builder->count && str_equal(builder->pairs[low].name, name);
	return low;
}

static struct str builder_get(const struct builder *builder, struct str name) {
	bool found;
	size_t at = builder_find(builder, name, &found);

	return found ? builder->pairs[at].value : STR_EMPTY;
}

static void builder_grow(struct builder *builder) {
	size_t capacity = builder->capacity * 2 + 8;
	struct label *pairs = ARENA_NEW(builder->arena, struct label, capacity);

	if (builder->count > 0) {
		memcpy(pairs, builder->pairs, builder->count * sizeof(pairs[0]));
	}
	builder->pairs = pairs;
	builder->capacity = capacity;
}

/* Sets a label, copying strings that are not there yet. An empty value removes it. */
static void builder_set(struct builder *builder, struct str name, struct str value) {
	bool found;
	size_t at = builder_find(builder, name, &found);

	if (found && value.len == 0) {
		builder->count--;
		memmove(&builder->pairs[at], &builder->pairs[at + 1],
			(builder->count - at) * sizeof(builder->pairs[0]));
	} else if (found) {
		builder->pairs[at].value = arena_copy(builder->arena, value);
	} else if (value.len > 0) {
		if (builder->count == builder->capacity) {
			builder_grow(builder);
		}
		memmove(&builder->pairs[at + 1], &builder->pairs[at],
			(builder->count - at) * sizeof(builder->pairs[0]));
		builder->pairs[at] = (struct label){ arena_copy(builder->arena, name),
			arena_copy(builder->arena, value) };
		builder->count++;
	}
}

/* The values of the source labels, with the separator between. */
static struct str source_join(
	const struct relabel_rule *rule, const struct builder *builder, struct buf *joined) {
	if (rule->source_count == 1) {
		return builder_get(builder, rule->source_labels[0]);
	}
	buf_reset(joined);
	for (size_t i = 0; i < rule->source_count; i++) {
		if (i > 0) {
			buf_add_str(joined, rule->separator);
		}
		buf_add_str(joined, builder_get(builder, rule->source_labels[i]));
	}
	return buf_str(joined);
}

static void replace_apply(
	const struct relabel_rule *rule, struct builder *builder, struct str text) {
	buf_reset(&builder->name);
	buf_reset(&builder->value);
	if (regex_expand(rule->regex, text, rule->target_label, &builder->name) &&
		name_is_valid(rule, buf_str(&builder->name)) &&
		regex_expand(rule->regex, text, rule->replacement, &builder->value)) {
		builder_set(builder, buf_str(&builder->name), buf_str(&builder->value));
	}
}

static void hashmod_apply(
	const struct relabel_rule *rule, struct builder *builder, struct str text) {
	unsigned char digest[MD5_DIGEST_LENGTH];
	uint64_t number = 0;

	(void)MD5((const unsigned char *)text.ptr, text.len, digest);
	for (size_t i = 8; i < sizeof(digest); i++) {
		number = number << 8 | digest[i];
	}
	buf_reset(&builder->value);
	buf_printf(&builder->value, "%" PRIu64, number % rule->modulus);
	builder_set(builder, rule->target_label, buf_str(&builder->value));
}

static void case_apply(const struct relabel_rule *rule, struct builder *builder, struct str text) {
	buf_reset(&builder->value);
	if (rule->action == RELABEL_LOWERCASE) {
		letters_lower(text, &builder->value);
	} else {
		letters_upper(text, &builder->value);
	}
	builder_set(builder, rule->target_label, buf_str(&builder->value));
}

/* Reads the set as it was before the rule. */
static void labelmap_apply(const struct relabel_rule *rule, struct builder *builder) {
	size_t count = builder->count;
	struct label *before = ARENA_NEW(builder->arena, struct label, count + 1);

	if (count > 0) {
		memcpy(before, builder->pairs, count * sizeof(before[0]));
	}
	for (size_t i = 0; i < count; i++) {
		buf_reset(&builder->name);
		if (regex_expand(rule->regex, before[i].name, rule->replacement, &builder->name) &&
			builder->name.len > 0) {
			builder_set(builder, buf_str(&builder->name), before[i].value);
		}
	}
}

static void labels_filter(const struct relabel_rule *rule, struct builder *builder, bool keep) {
	size_t kept = 0;

	for (size_t i = 0; i < builder->count; i++) {
		if (regex_match(rule->regex, builder->pairs[i].name) == keep) {
			builder->pairs[kept++] = builder->pairs[i];
		}
	}
	builder->count = kept;
}

/* Returns whether to go on; false drops. */
static bool rule_apply(const struct relabel_rule *rule, struct builder *builder, struct str text) {
	switch (rule->action) {
	case RELABEL_REPLACE:
		replace_apply(rule, builder, text);
		break;
	case RELABEL_KEEP:
		return regex_match(rule->regex, text);
	case RELABEL_DROP:
		return !regex_match(rule->regex, text);
	case RELABEL_KEEPEQUAL:
		return str_equal(builder_get(builder, rule->target_label), text);
	case RELABEL_DROPEQUAL:
		return !str_equal(builder_get(builder, rule->target_label), text);
	case RELABEL_HASHMOD:
		hashmod_apply(rule, builder, text);
		break;
	case RELABEL_LABELMAP:
		labelmap_apply(rule, builder);
		break;
	case RELABEL_LABELDROP:
		labels_filter(rule, builder, false);
		break;
	case RELABEL_LABELKEEP:
		labels_filter(rule, builder, true);
		break;
	case RELABEL_LOWERCASE:
	case RELABEL_UPPERCASE:
		case_apply(rule, builder, text);
		break;
	}
	return true;
}

bool relabel_apply(const struct relabel_rule *rules, size_t count, const struct labels *in,
	struct arena *arena, struct labels *out) {
	struct builder builder = { .count = in->count, .capacity = in->count + 8, .arena = arena };
	struct buf joined = { 0 };
	bool is_kept = true;

	builder.pairs = ARENA_NEW(arena, struct label, builder.capacity);
	if (in->count > 0) {
		memcpy(builder.pairs, in->pairs, in->count * sizeof(builder.pairs[0]));
	}
	for (size_t i = 0; i < count && is_kept; i++) {
		is_kept =
			rule_apply(&rules[i], &builder, source_join(&rules[i], &builder, &joined));
	}
	if (is_kept) {
		*out = (struct labels){ builder.pairs, builder.count };
	}
	buf_deinit(&builder.name);
	buf_deinit(&builder.value);
	buf_deinit(&joined);
	return is_kept;
}
