#include "api/explain.h"

/* Levels that one node adds. */
#define NODE_DEPTH 2

void explain_render_shares(struct json_writer *json, const struct source_answer *answer) {
	json_begin_array(json);
	for (size_t i = 0; i < answer->share_count; i++) {
		const struct cluster_share *share = &answer->shares[i];
		json_begin_object(json);
		json_key(json, STR("cluster"));
		json_put_str(json, share->cluster);
		json_key(json, STR("receivedBytes"));
		json_put_int(json, (int64_t)share->received_bytes);
		json_key(json, STR("fragments"));
		json_put_int(json, (int64_t)share->fragments);
		json_key(json, STR("waitMs"));
		json_put_double(json, (double)share->wait_ns / (double)NS_PER_MS);
		json_key(json, STR("error"));
		json_put_str(json, share->error);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_count(struct json_writer *json, const char *key, uint64_t count) {
	json_key(json, str_of(key));
	json_put_int(json, (int64_t)count);
}

static void put_nodes(struct json_writer *json, const struct explain_node *first) {
	json_begin_array(json);
	for (const struct explain_node *node = first; node; node = node->next) {
		json_begin_object(json);
		json_key(json, STR("node"));
		json_put_str(json, node->text);
		put_count(json, "steps", node->step_count);
		put_count(json, "series", node->series);
		put_count(json, "values", node->values);
		put_count(json, "samples", node->samples);
		put_count(json, "bytes", node->bytes);
		json_key(json, STR("ms"));
		json_put_double(json, (double)node->ns / (double)NS_PER_MS);
		if (node->is_again) {
			json_key(json, STR("again"));
			json_put_bool(json, true);
		}
		json_key(json, STR("operands"));
		/* What nests deeper than JSON may is left out. */
		put_nodes(json, json->depth + 2 * NODE_DEPTH < JSON_DEPTH_MAX ? node->first : NULL);
		json_end_object(json);
	}
	json_end_array(json);
}

void explain_render(struct json_writer *json, const struct source_answer *answer) {
	json_begin_object(json);
	json_key(json, STR("plan"));
	put_nodes(json, answer->result.plan);
	if (answer->share_count > 0) {
		json_key(json, STR("clusters"));
		explain_render_shares(json, answer);
	}
	json_end_object(json);
}
