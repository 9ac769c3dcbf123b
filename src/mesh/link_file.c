#include "mesh/link_file.h"

#include "mesh/fields.h"
#include "trust/identity.h"

struct raw_link {
	struct str cluster;
	struct str identity;
	struct texts addresses;
	struct str dials;
};

static const struct field link_fields[] = {
	{ "cluster", FIELD_TEXT, offsetof(struct raw_link, cluster), true },
	{ "identity", FIELD_TEXT, offsetof(struct raw_link, identity), true },
	{ "addresses", FIELD_TEXTS, offsetof(struct raw_link, addresses), false },
	{ "dials", FIELD_TEXT, offsetof(struct raw_link, dials), false },
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

int link_addresses_read(struct arena *arena, const struct texts *texts, struct link_address **out,
	struct err *err) {
	if (texts->count == 0 || texts->count > LINK_ADDRESSES_MAX) {
		return err_set(err, ERR_INVAL, "%zu addresses, must be 1 to %d", texts->count,
			LINK_ADDRESSES_MAX);
	}
	struct link_address *addresses = ARENA_NEW(arena, struct link_address, texts->count);
	for (size_t i = 0; i < texts->count; i++) {
		int rc = read_address(arena, texts->items[i], &addresses[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = addresses;
	return 0;
}

/* Who dials: "hub" unless it is said. */
static int read_direction(const struct raw_link *raw, struct link_config *config, struct err *err) {
	config->is_dialled_by_gateway = str_equal(raw->dials, STR("gateway"));
	if (!config->is_dialled_by_gateway && raw->dials.len > 0 &&
		!str_equal(raw->dials, STR("hub"))) {
		return err_set(err, ERR_INVAL, "dials \"%.*s\" is neither \"hub\" nor \"gateway\"",
			STR_ARG(str_first(raw->dials, 60)));
	}
	if (config->is_dialled_by_gateway && raw->addresses.count > 0) {
		return err_set(err, ERR_INVAL,
			"a link that the gateway dials has no addresses here; they stand in the "
			"gateway's configuration");
	}
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
	struct link_config config = {
		.cluster = arena_copy(arena, raw->cluster),
		.identity = arena_copy(arena, raw->identity),
		.address_count = raw->addresses.count,
	};
	if (rc == 0) {
		rc = read_direction(raw, &config, err);
	}
	if (rc == 0 && !config.is_dialled_by_gateway) {
		rc = link_addresses_read(arena, &raw->addresses, &config.addresses, err);
	}
	if (rc == 0) {
		*out = config;
	}
	return rc;
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
