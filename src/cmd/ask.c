#include "cmd/ask.h"

#include "base/time.h"
#include "io/fetch.h"

#define TIMEOUT_MS 10000
#define BODY_BYTES_MAX (UINT64_C(64) << 20)

/* A request on its way. */
struct asking {
	struct loop *loop;
	struct buf *body;
	struct err *err;
	int rc;
};

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct asking *asking = fetch_context(fetch);
	if (result->failure) {
		asking->rc = result->failure->code;
		if (asking->err) {
			*asking->err = *result->failure;
		}
	} else if (result->status != 200) {
		asking->rc = err_set(asking->err, ERR_IO, "it answered %d", result->status);
	} else {
		buf_add_str(asking->body, result->body);
	}
	loop_stop(asking->loop);
}

int ask_text(const char *base, const char *path, struct buf *out, struct err *err) {
	AUTO(buf_deinit) struct buf url = { 0 };
	struct str host = str_of(base);
	while (str_ends(host, STR("/"))) {
		host.len--;
	}
	buf_printf(&url, "%.*s%s", STR_ARG(host), path);
	struct asking asking = { .loop = loop_new(clock_system()), .body = out, .err = err };
	struct fetcher *fetcher = fetcher_new(asking.loop);
	(void)fetch_start(fetcher, &(struct fetch_request){
					   .url = buf_text(&url),
					   .timeout_ms = TIMEOUT_MS,
					   .body_bytes_max = BODY_BYTES_MAX,
					   .decode = true,
					   .context = &asking,
					   .on_done = on_done,
				   });
	loop_run(asking.loop);
	fetcher_free(fetcher);
	loop_free(asking.loop);
	return asking.rc < 0 ? err_wrap(err, asking.rc, "%s", buf_text(&url)) : 0;
}

int ask_json(
	const char *base, const char *path, json_t **out, const json_t **data, struct err *err) {
	AUTO(buf_deinit) struct buf body = { 0 };
	json_error_t reason;
	int rc = ask_text(base, path, &body, err);
	if (rc < 0) {
		return rc;
	}
	json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, &reason);
	const json_t *member = json_object_get(root, "data");
	if (!json_is_object(member)) {
		json_decref(root);
		return err_set(err, ERR_CORRUPT, "%s%s: the answer is not ours", base, path);
	}
	*out = root;
	*data = member;
	return 0;
}

const char *ask_member(const json_t *object, const char *name) {
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}
