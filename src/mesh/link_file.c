#include "mesh/link_file.h"

#include "mesh/fields.h"
#include "trust/identity.h"

struct raw_link {
	struct str cluster;
	struct str identity;
	struct texts addresses;
};

static const struct field link_fields[] = {
	{ "cluster", FIELD_TEXT, offsetof(struct raw_link, cluster), true },
	{ "identity", FIELD_TEXT, offsetof(struct raw_link, identity), true },
	{ "addresses", FIELD_TEXTS, offsetof(struct raw_link, addresses), true },
};

/* "host:port", "[::1]:port". */
static int read_address(
	struct arena *arena, struct str text, struct link_address *out, struct err *err) {
	size_t colon = text.len;
	while (colon > 0 && text.ptr[colon - 1] != ':') {
		colon--;
	}
	struct str host = str_first(text, colon > 0 ? colon - 1 : 0);
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
		host = str_first(str_from(host, 1), host.len - 2);
	} else if (str_find(host, ':') != SIZE_MAX) {
		host = STR_EMPTY;
	}
	uint64_t port = 0;
	bool is_port = str_to_u64(str_from(text, colon), &port) && port > 0 && port <= UINT16_MAX;
	if (host.len == 0 || host.ptr[0] == '/' || !is_port) {
		return err_set(err, ERR_INVAL,
			"address \"%.*s\" is not like host:4143 or [::1]:4143",
			STR_ARG(str_first(text, 200)));
	}
	*out = (struct link_address){
		.host = arena_copy(arena, host),
		.port = (uint16_t)port,
		.text = arena_copy(arena, text),
	};
	return 0;
}

static int build(
	struct arena *arena, const struct raw_link *raw, struct link_config *out, struct err *err) {
	struct identity identity;
	if (!dns_label_is_valid(raw->cluster)) {
		return err_set(err, ERR_INVAL,
			"cluster \"%.*s\" is not a name of lower-case letters, digits and '-'",
			STR_ARG(str_first(raw->cluster, 100)));
	}
	int rc = identity_parse(raw->identity, &identity, err);
	if (rc < 0) {
		return rc;
	}
	if (raw->addresses.count == 0 || raw->addresses.count > LINK_ADDRESSES_MAX) {
		return err_set(err, ERR_INVAL, "%zu addresses, must be 1 to %d",
			raw->addresses.count, LINK_ADDRESSES_MAX);
	}
	struct link_config config = {
		.cluster = arena_copy(arena, raw->cluster),
		.identity = arena_copy(arena, raw->identity),
		.addresses = ARENA_NEW(arena, struct link_address, raw->addresses.count),
		.address_count = raw->addresses.count,
	};
	for (size_t i = 0; i < config.address_count; i++) {
		rc = read_address(arena, raw->addresses.items[i], &config.addresses[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = config;
	return 0;
}

int link_config_parse(
	struct arena *arena, struct str yaml, struct link_config *out, struct err *err) {
	struct yaml_node *root = NULL;
	struct raw_link raw = { 0 };
	int rc = yaml_parse(arena, yaml, &root, err);
	if (rc == 0) {
		rc = fields_read(
			arena, root, "a link", link_fields, ARRAY_COUNT(link_fields), &raw, err);
	}
	return rc == 0 ? build(arena, &raw, out, err) : rc;
}
