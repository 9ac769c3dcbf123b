#include "trust/identity.h"

#define DNS_LABEL_MAX 63

static const struct str marker = { ".serviceaccount.identity.linkerd.", 33 };

static bool is_alnum(char c) {
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool dns_label_is_valid(struct str text) {
	if (text.len == 0 || text.len > DNS_LABEL_MAX || !is_alnum(text.ptr[0]) ||
		!is_alnum(text.ptr[text.len - 1])) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (!is_alnum(text.ptr[i]) && text.ptr[i] != '-') {
			return false;
		}
	}
	return true;
}

bool dns_name_is_valid(struct str text) {
	if (text.len == 0 || text.len > IDENTITY_LEN_MAX) {
		return false;
	}
	struct str rest = text;
	while (rest.ptr) {
		if (!dns_label_is_valid(str_cut(&rest, '.'))) {
			return false;
		}
	}
	return true;
}

/* Where 'marker' stands in 'text' at or after 'from', or SIZE_MAX. */
static size_t find_marker(struct str text, size_t from) {
	for (size_t i = from; i + marker.len <= text.len; i++) {
		if (memcmp(text.ptr + i, marker.ptr, marker.len) == 0) {
			return i;
		}
	}
	return SIZE_MAX;
}

int identity_parse(struct str text, struct identity *out, struct err *err) {
	struct str shown = str_first(text, IDENTITY_LEN_MAX);
	if (!dns_name_is_valid(text)) {
		return err_set(err, ERR_INVAL, "identity \"%.*s\" is not a lower-case DNS name",
			STR_ARG(shown));
	}
	size_t at = find_marker(text, 0);
	if (at == SIZE_MAX || find_marker(text, at + 1) != SIZE_MAX) {
		return err_set(err, ERR_INVAL,
			"identity \"%.*s\" is not of the form "
			"NAME.NAMESPACE.serviceaccount.identity.linkerd.TRUSTDOMAIN",
			STR_ARG(shown));
	}
	struct str workload = str_first(text, at);
	size_t dot = workload.len;
	while (dot > 0 && workload.ptr[dot - 1] != '.') {
		dot--;
	}
	if (dot == 0) {
		return err_set(
			err, ERR_INVAL, "identity \"%.*s\" names no namespace", STR_ARG(shown));
	}
	*out = (struct identity){
		.name = str_first(workload, dot - 1),
		.name_space = str_from(workload, dot),
		.trust_domain = str_from(text, at + marker.len),
	};
	return 0;
}

void identity_format(const struct identity *identity, struct buf *out) {
	buf_printf(out, "%.*s.%.*s%.*s%.*s", STR_ARG(identity->name), STR_ARG(identity->name_space),
		STR_ARG(marker), STR_ARG(identity->trust_domain));
}
