#include "codec/yaml.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"

#include <yaml.h>

/* What "&name" stands for, once the node it names has ended. */
struct anchor {
	struct str name;
	struct yaml_node node;
	uint64_t weight; /* Nodes in it, aliases expanded. */
	unsigned height; /* Levels under it, aliases expanded. */
	bool is_open;
};

struct reader {
	yaml_parser_t *parser;
	struct arena *arena;
	struct buf anchors;  /* Of struct anchor. */
	uint64_t node_count; /* Aliases expanded: what a consumer that walks the tree will meet. */
	unsigned deepest;    /* Likewise, since the innermost anchor began. */
	struct err *err;
};

static int read_node(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out);

static unsigned line_of(const yaml_event_t *event) {
	return (unsigned)event->start_mark.line + 1;
}

static int refuse(struct reader *reader, unsigned line, const char *what, struct str name) {
	char text[sizeof(reader->err->text)];
	(void)snprintf(text, sizeof(text), what, STR_ARG(str_first(name, 200)));
	return err_set(reader->err, ERR_INVAL, "line %u: %s", line, text);
}

/* libyaml's own complaint, which for bytes that are no text has an offset and no line. */
static int refuse_syntax(struct reader *reader, struct str text) {
	const yaml_parser_t *parser = reader->parser;
	size_t line = parser->problem_mark.line;
	if (parser->error == YAML_MEMORY_ERROR) {
		return err_set(reader->err, ERR_LIMIT, "YAML needs more memory than there is");
	}
	if (parser->error == YAML_READER_ERROR) {
		line = 0;
		for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
			line += text.ptr[i] == '\n';
		}
	}
	return err_set(reader->err, ERR_INVAL, "line %zu: %s", line + 1,
		parser->problem ? parser->problem : "this is not YAML");
}

static int next_event(struct reader *reader, yaml_event_t *event) {
	if (yaml_parser_parse(reader->parser, event)) {
		return 0;
	}
	struct str text = { (const char *)reader->parser->input.string.start,
		(size_t)(reader->parser->input.string.end - reader->parser->input.string.start) };
	return refuse_syntax(reader, text);
}

static struct anchor *anchor_find(struct reader *reader, struct str name) {
	struct anchor *anchors = (struct anchor *)(void *)reader->anchors.ptr;
	for (size_t i = reader->anchors.len / sizeof(struct anchor); i > 0; i--) {
		if (str_equal(anchors[i - 1].name, name)) {
			return &anchors[i - 1];
		}
	}
	return NULL;
}

static int count_nodes(struct reader *reader, unsigned line, uint64_t count, unsigned depth) {
	reader->node_count += count;
	if (reader->node_count > YAML_NODES_MAX) {
		return err_set(reader->err, ERR_LIMIT,
			"line %u: the document has more than %d nodes when aliases are expanded",
			line, YAML_NODES_MAX);
	}
	if (depth > YAML_DEPTH_MAX) {
		return err_set(reader->err, ERR_LIMIT, "line %u: nested more than %d levels deep",
			line, YAML_DEPTH_MAX);
	}
	reader->deepest = reader->deepest > depth ? reader->deepest : depth;
	return 0;
}

static int read_alias(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	struct str name = str_of((const char *)event->data.alias.anchor);
	const struct anchor *anchor = anchor_find(reader, name);
	if (!anchor) {
		return refuse(reader, line_of(event), "unknown anchor '%.*s' referenced", name);
	}
	if (anchor->is_open) {
		return refuse(reader, line_of(event), "anchor '%.*s' value contains itself", name);
	}
	int rc = count_nodes(reader, line_of(event), anchor->weight, depth + anchor->height);
	if (rc == 0) {
		*out = anchor->node;
	}
	return rc;
}

/* Whether a tag makes a plain scalar text. Other tags of YAML's own resolve as plain text does. */
static bool is_text_tag(const yaml_event_t *event) {
	const char *tag = (const char *)event->data.scalar.tag;
	return tag && (strcmp(tag, "tag:yaml.org,2002:str") == 0 || strcmp(tag, "!") == 0);
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct yaml_node *out) {
	const char *tag = (const char *)event->data.scalar.tag;
	if (tag && strcmp(tag, "tag:yaml.org,2002:binary") == 0) {
		return refuse(
			reader, line_of(event), "!!binary values are not supported%.*s", STR_EMPTY);
	}
	struct str text = { (const char *)event->data.scalar.value, event->data.scalar.length };
	*out = (struct yaml_node){
		.kind = YAML_SCALAR,
		.line = line_of(event),
		.text = arena_copy(reader->arena, text),
		.is_quoted =
			event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || is_text_tag(event),
	};
	return 0;
}

/* Reads what stands until 'end' as nodes one after another, into 'items'. */
static int read_items(
	struct reader *reader, yaml_event_type_t end, unsigned depth, struct buf *items) {
	for (;;) {
		yaml_event_t event;
		struct yaml_node node = { 0 };
		int rc = next_event(reader, &event);
		if (rc < 0) {
			return rc;
		}
		if (event.type == end) {
			yaml_event_delete(&event);
			return 0;
		}
		rc = read_node(reader, &event, depth + 1, &node);
		yaml_event_delete(&event);
		if (rc < 0) {
			return rc;
		}
		buf_append(items, &node, sizeof(node));
	}
}

static struct yaml_node *nodes_of(const struct buf *items) {
	return (struct yaml_node *)(void *)items->ptr;
}

static size_t node_count(const struct buf *items) {
	return items->len / sizeof(struct yaml_node);
}

static void keep(struct reader *reader, const struct buf *items, struct yaml_node *out) {
	out->items = ARENA_NEW(reader->arena, struct yaml_node, node_count(items));
	if (items->len > 0) {
		memcpy(out->items, items->ptr, items->len);
	}
}

static int read_sequence(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	AUTO(buf_deinit) struct buf items = { 0 };
	int rc = read_items(reader, YAML_SEQUENCE_END_EVENT, depth, &items);
	if (rc < 0) {
		return rc;
	}
	*out = (struct yaml_node){ .kind = YAML_SEQUENCE, .line = line_of(event) };
	out->count = node_count(&items);
	keep(reader, &items, out);
	return 0;
}

/* A mapping that is being put together. */
struct pairs {
	struct buf items; /* Key, value, ... */
	struct map keys;  /* From hash to the key's place in items. */
};

struct wanted_key {
	const struct buf *items;
	struct str text;
};

static bool key_equal(uint64_t place, const void *context) {
	const struct wanted_key *wanted = context;
	return str_equal(nodes_of(wanted->items)[place].text, wanted->text);
}

static void pairs_deinit(struct pairs *pairs) {
	buf_deinit(&pairs->items);
	map_deinit(&pairs->keys);
}

/* Returns false, having done nothing, when the key is there already. */
static bool pairs_add(struct pairs *pairs, const struct yaml_node *pair) {
	uint64_t hash = hash_str(pair[0].text, 0);
	struct wanted_key wanted = { &pairs->items, pair[0].text };
	uint64_t place = 0;
	if (map_find(&pairs->keys, hash, key_equal, &wanted, &place)) {
		return false;
	}
	map_add(&pairs->keys, hash, node_count(&pairs->items));
	buf_append(&pairs->items, pair, 2 * sizeof(*pair));
	return true;
}

static bool is_merge_key(const struct yaml_node *key) {
	return key->kind == YAML_SCALAR && !key->is_quoted && str_equal(key->text, STR("<<"));
}

static int add_own(struct reader *reader, const struct buf *items, struct pairs *pairs) {
	const struct yaml_node *nodes = nodes_of(items);
	for (size_t i = 0; i + 1 < node_count(items); i += 2) {
		if (nodes[i].kind != YAML_SCALAR) {
			return refuse(reader, nodes[i].line,
				"a list or mapping cannot be a key%.*s", STR_EMPTY);
		}
		if (!is_merge_key(&nodes[i]) && !pairs_add(pairs, &nodes[i])) {
			return refuse(reader, nodes[i].line, "key \"%.*s\" already set in map",
				nodes[i].text);
		}
	}
	return 0;
}

/* What is merged never replaces what is there: own keys, then what was merged before. */
static int merge_one(struct reader *reader, const struct yaml_node *from, struct pairs *pairs) {
	if (from->kind != YAML_MAPPING) {
		return refuse(reader, from->line,
			"map merge requires map or sequence of maps as the value%.*s", STR_EMPTY);
	}
	for (size_t i = 0; i < from->count; i++) {
		(void)pairs_add(pairs, &from->items[2 * i]);
	}
	return 0;
}

static int merge(struct reader *reader, const struct yaml_node *from, struct pairs *pairs) {
	if (from->kind != YAML_SEQUENCE) {
		return merge_one(reader, from, pairs);
	}
	for (size_t i = 0; i < from->count; i++) {
		int rc = merge_one(reader, &from->items[i], pairs);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static int read_mapping(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	AUTO(buf_deinit) struct buf items = { 0 };
	AUTO(pairs_deinit) struct pairs pairs = { 0 };
	int rc = read_items(reader, YAML_MAPPING_END_EVENT, depth, &items);
	if (rc == 0) {
		rc = add_own(reader, &items, &pairs);
	}
	const struct yaml_node *nodes = nodes_of(&items);
	for (size_t i = 0; rc == 0 && i + 1 < node_count(&items); i += 2) {
		if (is_merge_key(&nodes[i])) {
			rc = merge(reader, &nodes[i + 1], &pairs);
		}
	}
	if (rc < 0) {
		return rc;
	}
	*out = (struct yaml_node){ .kind = YAML_MAPPING, .line = line_of(event) };
	out->count = node_count(&pairs.items) / 2;
	keep(reader, &pairs.items, out);
	return 0;
}

static int read_content(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	int rc = count_nodes(reader, line_of(event), 1, depth);
	if (rc < 0) {
		return rc;
	}
	if (event->type == YAML_SEQUENCE_START_EVENT) {
		return read_sequence(reader, event, depth, out);
	}
	if (event->type == YAML_MAPPING_START_EVENT) {
		return read_mapping(reader, event, depth, out);
	}
	return read_scalar(reader, event, out);
}

static const char *anchor_name(const yaml_event_t *event) {
	const yaml_char_t *name = event->type == YAML_SCALAR_EVENT ? event->data.scalar.anchor
				  : event->type == YAML_SEQUENCE_START_EVENT
					  ? event->data.sequence_start.anchor
					  : event->data.mapping_start.anchor;
	return (const char *)name;
}

/* As read_content, and remembers what was read under the anchor's name. */
static int read_anchored(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	size_t place = reader->anchors.len;
	uint64_t count_before = reader->node_count;
	unsigned deepest_before = reader->deepest;
	struct anchor opened = {
		.name = arena_copy(reader->arena, str_of(anchor_name(event))),
		.is_open = true,
	};
	buf_append(&reader->anchors, &opened, sizeof(opened));
	reader->deepest = depth;
	int rc = read_content(reader, event, depth, out);
	if (rc < 0) {
		return rc;
	}
	struct anchor *anchor = (struct anchor *)(void *)(reader->anchors.ptr + place);
	anchor->node = *out;
	anchor->weight = reader->node_count - count_before;
	anchor->height = reader->deepest - depth;
	anchor->is_open = false;
	reader->deepest = reader->deepest > deepest_before ? reader->deepest : deepest_before;
	return 0;
}

static int read_node(
	struct reader *reader, const yaml_event_t *event, unsigned depth, struct yaml_node *out) {
	if (event->type == YAML_ALIAS_EVENT) {
		return read_alias(reader, event, depth, out);
	}
	return anchor_name(event) ? read_anchored(reader, event, depth, out)
				  : read_content(reader, event, depth, out);
}

/* Up to the first document's node, which stays in '*event'. Returns 1, or 0 when there is none. */
static int find_document(struct reader *reader, yaml_event_t *event) {
	for (;;) {
		int rc = next_event(reader, event);
		if (rc < 0) {
			return rc;
		}
		yaml_event_type_t type = event->type;
		if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
			type != YAML_STREAM_END_EVENT) {
			return 1;
		}
		yaml_event_delete(event);
		if (type == YAML_STREAM_END_EVENT) {
			return 0;
		}
	}
}

static int read_document(struct reader *reader, struct yaml_node *root) {
	yaml_event_t event;
	int rc = find_document(reader, &event);
	if (rc != 1) {
		return rc;
	}
	rc = read_node(reader, &event, 1, root);
	yaml_event_delete(&event);
	if (rc < 0) {
		return rc;
	}
	/* What follows must still be the end of a document. */
	rc = next_event(reader, &event);
	if (rc == 0) {
		yaml_event_delete(&event);
	}
	return rc;
}

int yaml_parse(struct arena *arena, struct str text, struct yaml_node **out, struct err *err) {
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser)) {
		return err_set(err, ERR_LIMIT, "YAML needs more memory than there is");
	}
	yaml_parser_set_input_string(
		&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);

	struct reader reader = { .parser = &parser, .arena = arena, .err = err };
	struct yaml_node root = { .kind = YAML_SCALAR, .line = 1, .text = STR_EMPTY };
	int rc = read_document(&reader, &root);
	buf_deinit(&reader.anchors);
	yaml_parser_delete(&parser);
	if (rc < 0) {
		return rc;
	}
	*out = ARENA_NEW(arena, struct yaml_node, 1);
	**out = root;
	return 0;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key) {
	if (mapping->kind != YAML_MAPPING) {
		return NULL;
	}
	for (size_t i = 0; i < mapping->count; i++) {
		if (str_equal(mapping->items[2 * i].text, key)) {
			return &mapping->items[2 * i + 1];
		}
	}
	return NULL;
}
