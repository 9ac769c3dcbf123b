#include "api/params.h"

#include "base/quote.h"
#include "cxx/number.h"
#include "promql/duration.h"

#include <math.h>

/* Beyond these, milliseconds and nanoseconds would not fit 64 bits. */
#define TIME_SECONDS_MAX 9.2e15
#define DURATION_NS_MAX 0x1p63

/* 'before', the text in quotes, 'after'. Returns ERR_INVAL. */
static int refuse(const char *before, struct str text, const char *after, struct err *err) {
	AUTO(buf_deinit) struct buf quoted = { 0 };

	quote_append(text, &quoted);
	return err_set(err, ERR_INVAL, "%s%s%s", before, buf_text(&quoted), after);
}

static bool is_form(struct str content_type) {
	struct str type = str_trim(str_cut(&content_type, ';'));
	return str_equal_nocase(type, STR("application/x-www-form-urlencoded"));
}

int params_collect(struct exchange *exchange, struct uri_params *params, struct err *err) {
	const struct http_request *request = exchange_request(exchange);
	struct arena *arena = exchange_arena(exchange);
	/* The form comes first: Go's FormValue prefers the body's value over the URL's. */
	struct str type = http_headers_get(&request->headers, STR("content-type"));
	if (request->body.len > 0 && is_form(type)) {
		int rc = uri_params_parse(arena, request->body, params, err);
		if (rc < 0) {
			return err_wrap(err, rc, "error parsing form values");
		}
	}
	int rc = uri_params_parse(arena, request->query, params, err);
	return rc < 0 ? err_wrap(err, rc, "error parsing form values") : 0;
}

int param_invalid(const char *name, int code, struct err *err) {
	return err_wrap(err, code, "invalid parameter \"%s\"", name);
}

static int parse_time(struct str text, int64_t *out, struct err *err) {
	double seconds = 0;
	if (number_parse(text, &seconds, NULL) && fabs(seconds) < TIME_SECONDS_MAX) {
		double whole = 0;
		double fraction = modf(seconds, &whole);
		*out = (int64_t)whole * MS_PER_S + (int64_t)round(fraction * 1000);
		return 0;
	}
	if (time_parse_rfc3339(text, out)) {
		return 0;
	}
	/* What Go clients send for "since ever" and "for ever": years that RFC 3339 has no room
	 * for. */
	if (str_equal(text, STR("-292273086-05-16T16:47:06Z"))) {
		*out = INT64_MIN;
		return 0;
	}
	if (str_equal(text, STR("292277025-08-18T07:12:54.999999999Z"))) {
		*out = INT64_MAX;
		return 0;
	}
	return refuse("cannot parse ", text, " to a valid timestamp", err);
}

static int parse_duration(struct str text, int64_t *out, struct err *err) {
	double seconds = 0;
	if (number_parse(text, &seconds, NULL)) {
		if (fabs(seconds * 1e9) > DURATION_NS_MAX) {
			return refuse("cannot parse ", text,
				" to a valid duration. It overflows int64", err);
		}
		/* Go makes the least of all durations of NaN. */
		*out = isnan(seconds) ? INT64_MIN / NS_PER_MS : (int64_t)(seconds * 1000);
		return 0;
	}
	struct err reason = { 0 };
	if (duration_parse(text, out, &reason) == 0) {
		return 0;
	}
	return refuse("cannot parse ", text, " to a valid duration", err);
}

int param_time(const struct uri_params *params, const char *name, int64_t absent_ms, int64_t *out,
	struct err *err) {
	struct str text = uri_params_get(params, str_of(name), NULL);
	if (text.len == 0) {
		*out = absent_ms;
		return 0;
	}
	int rc = parse_time(text, out, err);
	if (rc < 0) {
		(void)err_wrap(err, rc, "Invalid time value for '%s'", name);
		return param_invalid(name, rc, err);
	}
	return 0;
}

int param_duration(const struct uri_params *params, const char *name, int64_t absent_ms,
	int64_t *out, struct err *err) {
	struct str text = uri_params_get(params, str_of(name), NULL);
	if (text.len == 0) {
		*out = absent_ms;
		return 0;
	}
	int rc = parse_duration(text, out, err);
	return rc < 0 ? param_invalid(name, rc, err) : 0;
}

static bool is_integer(struct str text) {
	size_t digits = 0;
	if (text.ptr[0] == '-' || text.ptr[0] == '+') {
		text = str_from(text, 1);
	}
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	return digits > 0 && digits == text.len;
}

int param_limit(const struct uri_params *params, size_t *out, struct err *err) {
	struct str text = uri_params_get(params, STR("limit"), NULL);
	int64_t limit = 0;
	if (text.len > 0 && !str_to_i64(text, &limit)) {
		(void)refuse("strconv.Atoi: parsing ", text,
			is_integer(text) ? ": value out of range" : ": invalid syntax", err);
		return param_invalid("limit", ERR_INVAL, err);
	}
	if (limit < 0) {
		(void)err_set(err, ERR_INVAL, "limit must be non-negative");
		return param_invalid("limit", ERR_INVAL, err);
	}
	*out = (size_t)limit;
	return 0;
}

static int read_common(const struct uri_params *params, struct query_request *request,
	int64_t *timeout_ms, struct err *err) {
	int64_t timeout = *timeout_ms;
	struct str partial = uri_params_get(params, STR("partial_response"), NULL);
	struct str explain = uri_params_get(params, STR("explain"), NULL);
	struct str lookback = uri_params_get(params, STR("lookback_delta"), NULL);
	int rc = param_duration(params, "timeout", *timeout_ms, &timeout, err);
	if (rc == 0 && lookback.len > 0) {
		rc = parse_duration(lookback, &request->lookback_ms, err);
		rc = rc < 0 ? err_wrap(err, rc, "error parsing lookback delta duration") : 0;
	}
	if (rc == 0 && partial.len > 0 && !str_equal(partial, STR("warn")) &&
		!str_equal(partial, STR("abort"))) {
		(void)refuse("", partial, " is neither warn nor abort", err);
		rc = param_invalid("partial_response", ERR_INVAL, err);
	}
	if (rc == 0 && explain.len > 0 && !str_equal(explain, STR("analyze"))) {
		(void)refuse("", explain, " is not analyze", err);
		rc = param_invalid("explain", ERR_INVAL, err);
	}
	if (rc < 0) {
		return rc;
	}
	if (timeout < *timeout_ms) {
		*timeout_ms = timeout;
	}
	request->explains = explain.len > 0;
	request->abort_on_partial = str_equal(partial, STR("abort"));
	request->query = uri_params_get(params, STR("query"), NULL);
	return 0;
}

int params_instant(const struct uri_params *params, int64_t now_ms, struct query_request *request,
	int64_t *timeout_ms, struct err *err) {
	int64_t time_ms = 0;
	int rc = param_limit(params, &request->limit, err);
	if (rc == 0) {
		rc = param_time(params, "time", now_ms, &time_ms, err);
	}
	if (rc < 0) {
		return rc;
	}
	request->grid = (struct grid){ .start_ms = time_ms, .step_ms = 0, .count = 1 };
	return read_common(params, request, timeout_ms, err);
}

static int require_time(
	const struct uri_params *params, const char *name, int64_t *out, struct err *err) {
	int rc = parse_time(uri_params_get(params, str_of(name), NULL), out, err);
	return rc < 0 ? param_invalid(name, rc, err) : 0;
}

int params_range(const struct uri_params *params, struct query_request *request,
	int64_t *timeout_ms, struct err *err) {
	int64_t start_ms = 0;
	int64_t end_ms = 0;
	int64_t step_ms = 0;
	int rc = param_limit(params, &request->limit, err);
	if (rc == 0) {
		rc = require_time(params, "start", &start_ms, err);
	}
	if (rc == 0) {
		rc = require_time(params, "end", &end_ms, err);
	}
	if (rc == 0 && end_ms < start_ms) {
		(void)err_set(err, ERR_INVAL, "end timestamp must not be before start time");
		rc = param_invalid("end", ERR_INVAL, err);
	}
	if (rc == 0) {
		rc = parse_duration(uri_params_get(params, STR("step"), NULL), &step_ms, err);
		rc = rc < 0 ? param_invalid("step", rc, err) : 0;
	}
	if (rc == 0 && step_ms <= 0) {
		(void)err_set(err, ERR_INVAL,
			"zero or negative query resolution step widths are not accepted. Try a "
			"positive integer");
		rc = param_invalid("step", ERR_INVAL, err);
	}
	if (rc < 0) {
		return rc;
	}
	uint64_t steps = ((uint64_t)end_ms - (uint64_t)start_ms) / (uint64_t)step_ms;
	if (steps > ENGINE_STEPS_MAX) {
		return err_set(err, ERR_INVAL,
			"exceeded maximum resolution of 11,000 points per timeseries. Try "
			"decreasing "
			"the query resolution (?step=XX)");
	}
	request->grid = (struct grid){
		.start_ms = start_ms, .step_ms = step_ms, .count = (size_t)steps + 1
	};
	request->end_ms = end_ms;
	request->is_range = true;
	return read_common(params, request, timeout_ms, err);
}

size_t params_count(const struct uri_params *params, struct str name) {
	size_t count = 0;
	for (size_t i = 0; i < params->count; i++) {
		count += str_equal(params->items[i].name, name);
	}
	return count;
}

static int parse_selector(
	struct str text, struct expr_tree *tree, struct selector **out, struct err *err) {
	int rc = promql_parse_selector(text, tree, out, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < (*out)->matcher_count; i++) {
		if (!matcher_matches_empty(&(*out)->matchers[i])) {
			return 0;
		}
	}
	return err_set(err, ERR_INVAL, "match[] must contain at least one non-empty matcher");
}

int params_meta(const struct uri_params *params, struct expr_tree *trees, struct arena *arena,
	struct meta_request *request, bool *bad_match, struct err *err) {
	size_t count = params_count(params, STR("match[]"));
	int rc = param_limit(params, &request->limit, err);
	if (rc == 0) {
		rc = param_time(params, "start", INT64_MIN, &request->min_ms, err);
	}
	if (rc == 0) {
		rc = param_time(params, "end", INT64_MAX, &request->max_ms, err);
	}
	if (rc < 0) {
		return rc;
	}
	request->selectors = ARENA_NEW(arena, struct selector *, count + 1);
	for (size_t i = 0; i < params->count; i++) {
		if (!str_equal(params->items[i].name, STR("match[]"))) {
			continue;
		}
		size_t at = request->selector_count;
		rc = parse_selector(
			params->items[i].value, &trees[at], &request->selectors[at], err);
		request->selector_count++;
		if (rc < 0) {
			*bad_match = true;
			return rc;
		}
	}
	return 0;
}

static int hex_digit(char c) {
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void add_utf8(uint32_t code, struct buf *out) {
	if (code < 0x80) {
		buf_add_byte(out, (char)code);
	} else if (code < 0x800) {
		buf_add_byte(out, (char)(0xc0 | (code >> 6)));
		buf_add_byte(out, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		buf_add_byte(out, (char)(0xe0 | (code >> 12)));
		buf_add_byte(out, (char)(0x80 | ((code >> 6) & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (code & 0x3f)));
	} else {
		buf_add_byte(out, (char)(0xf0 | (code >> 18)));
		buf_add_byte(out, (char)(0x80 | ((code >> 12) & 0x3f)));
		buf_add_byte(out, (char)(0x80 | ((code >> 6) & 0x3f)));
		buf_add_byte(out, (char)(0x80 | (code & 0x3f)));
	}
}

/* Reads "XXXX_" (hexadecimal) at the start of 'text'. Returns its length, or 0. */
static size_t read_code(struct str text, uint32_t *code) {
	size_t at = 0;
	*code = 0;
	while (at < text.len && at < 7 && hex_digit(text.ptr[at]) >= 0) {
		*code = *code * 16 + (uint32_t)hex_digit(text.ptr[at++]);
	}
	bool is_valid = at > 0 && at < text.len && text.ptr[at] == '_' && *code <= 0x10ffff &&
			(*code < 0xd800 || *code > 0xdfff);
	return is_valid ? at + 1 : 0;
}

struct str param_unescape_name(struct arena *arena, struct str name) {
	if (!str_starts(name, STR("U__"))) {
		return name;
	}
	AUTO(buf_deinit) struct buf out = { 0 };
	for (size_t i = 3; i < name.len;) {
		if (name.ptr[i] != '_') {
			buf_add_byte(&out, name.ptr[i++]);
			continue;
		}
		if (i + 1 < name.len && name.ptr[i + 1] == '_') {
			buf_add_byte(&out, '_');
			i += 2;
			continue;
		}
		uint32_t code = 0;
		size_t len = read_code(str_from(name, i + 1), &code);
		if (len == 0) {
			return name; /* Not an escape after all. */
		}
		add_utf8(code, &out);
		i += 1 + len;
	}
	return arena_copy(arena, buf_str(&out));
}
