#include "mesh/trust_report.h"

#include "mesh/catalogue.h"

#include <string.h>

/* As many links as a hub has at most. */
#define REPORT_LINKS_MAX 10000

void trust_facts_format(const struct trust_facts *facts, struct json_writer *writer) {
	json_begin_object(writer);
	json_key(writer, STR("anchors"));
	json_begin_array(writer);
	for (size_t i = 0; i < facts->anchor_count; i++) {
		json_put_text(writer, facts->anchors[i]);
	}
	json_end_array(writer);
	json_key(writer, STR("chain_anchor"));
	json_put_text(writer, facts->chain_anchor);
	json_end_object(writer);
}

static struct str text_of(const json_t *value) {
	if (!json_is_string(value)) {
		return STR_EMPTY;
	}
	return (struct str){ json_string_value(value), json_string_length(value) };
}

/* A SHA-256 in lower-case hex. */
static bool read_digest(const json_t *value, char out[ANCHOR_DIGEST_LEN + 1]) {
	struct str text = text_of(value);
	if (text.len != ANCHOR_DIGEST_LEN) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
			return false;
		}
	}
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

int trust_facts_read_json(const json_t *object, struct trust_facts *out, struct err *err) {
	struct trust_facts facts = { 0 };
	const json_t *anchors = json_object_get(object, "anchors");
	const json_t *chain_anchor = json_object_get(object, "chain_anchor");
	size_t count = json_array_size(anchors);
	if (count > BUNDLE_ANCHORS_MAX) {
		return err_set(err, ERR_LIMIT, "trust: %zu anchors, at most %d are read", count,
			BUNDLE_ANCHORS_MAX);
	}
	if (!json_is_array(anchors) || !json_is_string(chain_anchor)) {
		return err_set(err, ERR_CORRUPT, "trust: no anchors, or no chain_anchor");
	}
	for (size_t i = 0; i < count; i++) {
		if (!read_digest(json_array_get(anchors, i), facts.anchors[i])) {
			return err_set(err, ERR_CORRUPT, "trust: an anchor that is no SHA-256");
		}
	}
	if (text_of(chain_anchor).len > 0 && !read_digest(chain_anchor, facts.chain_anchor)) {
		return err_set(err, ERR_CORRUPT, "trust: a chain_anchor that is no SHA-256");
	}
	facts.anchor_count = count;
	*out = facts;
	return 0;
}

/* What is known of a link that is not up, or not heard of lately, may have changed since. */
static void write_trouble(const struct link_status *link, struct json_writer *writer) {
	AUTO(buf_deinit) struct buf text = { 0 };
	if (link->state != LINK_UP) {
		buf_printf(&text, "its link is not up%s%.*s", link->last_error.len > 0 ? ": " : "",
			STR_ARG(link->last_error));
	} else if (link->catalogue_age_ms > CATALOGUE_SILENCE_MS) {
		buf_printf(&text, "it has not been heard of for %lld s",
			(long long)(link->catalogue_age_ms / MS_PER_S));
	} else if (!link->trust) {
		buf_add_text(&text, "its gateway does not tell whom it believes; it is of an older "
				    "version");
	}
	json_key(writer, STR("trouble"));
	json_put_str(writer, buf_str(&text));
}

static void write_link(const struct link_status *link, struct json_writer *writer) {
	json_begin_object(writer);
	json_key(writer, STR("cluster"));
	json_put_str(writer, link->cluster);
	json_key(writer, STR("identity"));
	json_put_str(writer, link->identity);
	write_trouble(link, writer);
	if (link->trust) {
		json_key(writer, STR("trust"));
		trust_facts_format(link->trust, writer);
	}
	json_end_object(writer);
}

void trust_report_write(
	struct links *links, struct str identity, const struct trust_facts *own, struct buf *out) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct link_status *status = NULL;
	size_t count = 0;
	struct json_writer writer;
	links_snapshot(links, &arena, &status, &count);
	json_writer_init(&writer, out);
	json_begin_object(&writer);
	json_key(&writer, STR("status"));
	json_put_text(&writer, "success");
	json_key(&writer, STR("data"));
	json_begin_object(&writer);
	json_key(&writer, STR("identity"));
	json_put_str(&writer, identity);
	json_key(&writer, STR("trust"));
	trust_facts_format(own, &writer);
	json_key(&writer, STR("links"));
	json_begin_array(&writer);
	for (size_t i = 0; i < count; i++) {
		write_link(&status[i], &writer);
	}
	json_end_array(&writer);
	json_end_object(&writer);
	json_end_object(&writer);
}

static int read_link(
	struct arena *arena, const json_t *object, struct trust_report_link *out, struct err *err) {
	const json_t *trust = json_object_get(object, "trust");
	struct str cluster = text_of(json_object_get(object, "cluster"));
	struct trust_facts *facts = NULL;
	if (cluster.len == 0) {
		return err_set(err, ERR_CORRUPT, "a link without the name of its cluster");
	}
	if (trust) {
		facts = ARENA_NEW(arena, struct trust_facts, 1);
		int rc = trust_facts_read_json(trust, facts, err);
		if (rc < 0) {
			return err_wrap(err, rc, "cluster %.*s", STR_ARG(cluster));
		}
	}
	*out = (struct trust_report_link){
		.cluster = arena_copy(arena, cluster),
		.identity = arena_copy(arena, text_of(json_object_get(object, "identity"))),
		.trouble = arena_copy(arena, text_of(json_object_get(object, "trouble"))),
		.facts = facts,
	};
	if (!facts && out->trouble.len == 0) {
		out->trouble = STR("it does not tell whom it believes");
	}
	return 0;
}

static int read_report(
	struct arena *arena, const json_t *data, struct trust_report *out, struct err *err) {
	struct trust_report report = { 0 };
	const json_t *links = json_object_get(data, "links");
	int rc = trust_facts_read_json(json_object_get(data, "trust"), &report.facts, err);
	if (rc < 0) {
		return rc;
	}
	report.identity = arena_copy(arena, text_of(json_object_get(data, "identity")));
	report.link_count = json_array_size(links);
	if (!json_is_array(links) || report.link_count > REPORT_LINKS_MAX) {
		return err_set(err, ERR_CORRUPT, "no links, or more than %d", REPORT_LINKS_MAX);
	}
	report.links = ARENA_NEW(arena, struct trust_report_link, report.link_count);
	for (size_t i = 0; rc == 0 && i < report.link_count; i++) {
		rc = read_link(arena, json_array_get(links, i), &report.links[i], err);
	}
	if (rc == 0) {
		*out = report;
	}
	return rc;
}

int trust_report_parse(
	struct arena *arena, struct str body, struct trust_report *out, struct err *err) {
	json_error_t reason;
	json_t *root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &reason);
	if (!root) {
		return err_set(err, ERR_CORRUPT, "report of trust: %s", reason.text);
	}
	int rc = read_report(arena, json_object_get(root, "data"), out, err);
	json_decref(root);
	return rc < 0 ? err_wrap(err, rc, "report of trust") : 0;
}
