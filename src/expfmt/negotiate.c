/*
 * From a Content-Type header to a format. Reads the header as Go's mime.ParseMediaType does, since
 * that decides what Prometheus accepts.
 */
#include "base/buf.h"
#include "expfmt/expfmt.h"

/* Most parameters looked at for repetition; nobody sends more. */
#define PARAMETERS_MAX 16

static bool is_space(char byte) {
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct str trim_left(struct str s) {
	while (s.len > 0 && is_space(*s.ptr)) {
		s = str_from(s, 1);
	}
	return s;
}

static bool is_token(char byte) {
	return byte > 0x20 && byte < 0x7f && !strchr("()<>@,;:\\\"/[]?=", byte);
}

static struct str take_token(struct str *rest) {
	size_t len = 0;
	while (len < rest->len && is_token(rest->ptr[len])) {
		len++;
	}
	struct str token = str_first(*rest, len);
	*rest = str_from(*rest, len);
	return token;
}

/* Takes a quoted string with its quotes; false if it does not end. */
static bool take_quoted(struct str *rest, struct str *out) {
	for (size_t i = 1; i < rest->len; i++) {
		char byte = rest->ptr[i];
		if (byte == '"') {
			*out = str_first(*rest, i + 1);
			*rest = str_from(*rest, i + 1);
			return true;
		}
		if (byte == '\r' || byte == '\n') {
			return false;
		}
		if (byte == '\\' && i + 1 < rest->len && !is_token(rest->ptr[i + 1]) &&
			rest->ptr[i + 1] > ' ' && rest->ptr[i + 1] < 0x7f) {
			i++;
		}
	}
	return false;
}

/* Takes "; name=value". */
static bool take_parameter(struct str *rest, struct label *out) {
	if (rest->len == 0 || *rest->ptr != ';') {
		return false;
	}
	struct str at = trim_left(str_from(*rest, 1));
	out->name = take_token(&at);
	at = trim_left(at);
	if (out->name.len == 0 || at.len == 0 || *at.ptr != '=') {
		return false;
	}
	at = trim_left(str_from(at, 1));
	if (at.len > 0 && *at.ptr == '"') {
		if (!take_quoted(&at, &out->value)) {
			return false;
		}
	} else {
		out->value = take_token(&at);
		if (out->value.len == 0) {
			return false;
		}
	}
	*rest = at;
	return true;
}

/* Whether a parameter of that name was there with another value. */
static bool contradicts(const struct label *seen, size_t count, const struct label *parameter) {
	for (size_t i = 0; i < count; i++) {
		if (str_equal_nocase(seen[i].name, parameter->name) &&
			!str_equal(seen[i].value, parameter->value)) {
			return true;
		}
	}
	return false;
}

static bool parameters_are_sound(struct str rest) {
	struct label seen[PARAMETERS_MAX];
	size_t count = 0;

	for (rest = trim_left(rest); rest.len > 0; rest = trim_left(rest)) {
		struct label parameter = { STR_EMPTY, STR_EMPTY };
		if (!take_parameter(&rest, &parameter)) {
			return str_equal(str_trim(rest), STR(";"));
		}
		if (contradicts(seen, count, &parameter)) {
			return false;
		}
		if (count < PARAMETERS_MAX) {
			seen[count++] = parameter;
		}
	}
	return true;
}

static bool media_type_is_sound(struct str text) {
	struct str rest = text;
	if (take_token(&rest).len == 0) {
		return false;
	}
	if (rest.len == 0) {
		return true;
	}
	if (*rest.ptr != '/') {
		return false;
	}
	rest = str_from(rest, 1);
	return take_token(&rest).len > 0 && rest.len == 0;
}

static int pick(struct str media_type, enum exposition_format *out, struct err *err) {
	if (str_equal_nocase(media_type, STR("text/plain"))) {
		*out = EXPOSITION_FORMAT_TEXT;
		return 0;
	}
	if (str_equal_nocase(media_type, STR("application/openmetrics-text"))) {
		*out = EXPOSITION_FORMAT_OPENMETRICS;
		return 0;
	}
	if (str_equal_nocase(media_type, STR("application/vnd.google.protobuf"))) {
		return err_set(
			err, ERR_ABSENT, "the protobuf exposition format is not supported yet");
	}
	return ERR_INVAL;
}

static int fall_back(struct str fallback, const char *what, struct str content_type,
	enum exposition_format *out, struct err *err) {
	if (fallback.len == 0) {
		return err_set(err, ERR_INVAL,
			"%s Content-Type \"%.*s\" and no fallback_scrape_protocol specified for "
			"target",
			what, STR_ARG(str_first(content_type, 200)));
	}
	int rc = pick(fallback, out, err);
	if (rc < 0) {
		return rc;
	}
	(void)err_set(err, ERR_INVAL,
		"%s Content-Type \"%.*s\", using fallback_scrape_protocol \"%.*s\"", what,
		STR_ARG(str_first(content_type, 200)), STR_ARG(fallback));
	return 1;
}

int exposition_negotiate(struct str content_type, struct str fallback, enum exposition_format *out,
	struct err *err) {
	size_t semicolon = str_find(content_type, ';');
	struct str media_type = str_trim(str_first(content_type, semicolon));

	if (content_type.len == 0) {
		return fall_back(fallback, "target sends blank", content_type, out, err);
	}
	if (!media_type_is_sound(media_type) ||
		!parameters_are_sound(str_from(content_type, semicolon))) {
		return fall_back(fallback, "cannot parse", content_type, out, err);
	}
	int rc = pick(media_type, out, err);
	return rc == ERR_INVAL ? fall_back(fallback, "received unsupported", content_type, out, err)
			       : rc;
}
