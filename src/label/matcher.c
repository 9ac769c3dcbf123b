#include "label/matcher.h"

#include "base/quote.h"

bool matcher_matches(const struct matcher *matcher, struct str value) {
	switch (matcher->op) {
	case MATCHER_EQUAL:
		return str_equal(matcher->value, value);
	case MATCHER_NOT_EQUAL:
		return !str_equal(matcher->value, value);
	case MATCHER_REGEX:
		return regex_match(matcher->regex, value);
	case MATCHER_NOT_REGEX:
		return !regex_match(matcher->regex, value);
	}
	return false;
}

bool matcher_matches_empty(const struct matcher *matcher) {
	return matcher_matches(matcher, STR_EMPTY);
}

bool matchers_match(const struct matcher *matchers, size_t count, const struct labels *set) {
	for (size_t i = 0; i < count; i++) {
		if (!matcher_matches(&matchers[i], labels_get(set, matchers[i].name))) {
			return false;
		}
	}
	return true;
}

const char *matcher_op_text(enum matcher_op op) {
	switch (op) {
	case MATCHER_EQUAL:
		return "=";
	case MATCHER_NOT_EQUAL:
		return "!=";
	case MATCHER_REGEX:
		return "=~";
	case MATCHER_NOT_REGEX:
		return "!~";
	}
	return "";
}

void matcher_format(const struct matcher *matcher, struct buf *out) {
	label_name_format(matcher->name, out);
	buf_add_text(out, matcher_op_text(matcher->op));
	quote_append(matcher->value, out);
}
