#include "mesh/export_api.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "codec/json_writer.h"
#include "io/file.h"
#include "mesh/export_files.h"
#include "trust/identity.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define TOKEN_BYTES_MIN 16
#define TOKEN_FILE_BYTES_MAX 4096
#define JOBS_MAX 64
#define FILE_MODE 0640

struct export_api {
	struct export_api_options options;
	char *directory;
	char *token_file;
	struct pool *pool;
	unsigned jobs; /* That will still come back to the loop. */
	bool is_closed;
};

/* A file to be written or removed: the thread's until it comes back. */
struct job {
	struct export_api *api;
	struct exchange *exchange;
	struct buf path;
	struct buf text; /* Empty: remove. */
	bool is_new;
	int rc;
	struct err err;
};

static void answer(struct exchange *exchange, int status, const char *word, const char *value) {
	AUTO(buf_deinit) struct buf body = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &body);
	json_begin_object(&writer);
	json_key(&writer, STR("status"));
	json_put_text(&writer, status < 300 ? "success" : "error");
	json_key(&writer, str_of(word));
	json_put_text(&writer, value);
	json_end_object(&writer);
	exchange_respond(exchange, status, STR("application/json"), buf_str(&body));
}

static void refuse(struct exchange *exchange, int status, const char *sentence) {
	answer(exchange, status, "error", sentence);
}

struct export_api *export_api_new(const struct export_api_options *options) {
	struct export_api *api = MEMORY_NEW(struct export_api, 1);
	api->options = *options;
	api->directory = strdup(options->directory);
	api->token_file = strdup(options->token_file);
	CHECK(api->directory && api->token_file);
	api->pool = pool_new("export-files", THREAD_QUERY, 1, JOBS_MAX);
	return api;
}

static void free_if_done(struct export_api *api) {
	if (api->is_closed && api->jobs == 0) {
		free(api->directory);
		free(api->token_file);
		free(api);
	}
}

void export_api_free(struct export_api *api) {
	if (api) {
		pool_free(api->pool);
		api->is_closed = true;
		free_if_done(api);
	}
}

/* Whether the request shows the token. Says what is wrong otherwise. */
static bool is_token_shown(
	const struct export_api *api, const struct http_request *request, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = file_read(api->token_file, TOKEN_FILE_BYTES_MAX, &text, err);
	struct str token = str_trim(buf_str(&text));
	struct str shown = http_headers_get(&request->headers, STR("authorization"));
	bool is_bearer = str_starts(shown, STR("Bearer "));
	if (rc == 0 && token.len < TOKEN_BYTES_MIN) {
		rc = err_set(err, ERR_DENIED,
			"the token in the gateway's file has fewer than %d "
			"bytes; nobody gets in by it",
			TOKEN_BYTES_MIN);
	}
	shown = str_trim(str_from(shown, 7));
	if (rc == 0 && (!is_bearer || shown.len != token.len ||
			       CRYPTO_memcmp(shown.ptr, token.ptr, token.len) != 0)) {
		rc = err_set(err, ERR_DENIED,
			"show the token of --exports.token-file: Authorization: Bearer TOKEN");
	}
	if (text.len > 0) {
		OPENSSL_cleanse(text.ptr, text.len);
	}
	return rc == 0;
}

static bool let_in(const struct export_api *api, struct exchange *exchange) {
	struct err err = { 0 };
	if (is_token_shown(api, exchange_request(exchange), &err)) {
		return true;
	}
	if (err.code != ERR_DENIED) {
		log_error("token of the exports' API not read", KV_ERR(&err));
	}
	exchange_header(exchange, STR("www-authenticate"), STR("Bearer"));
	refuse(exchange, 401,
		err.code == ERR_DENIED ? err.text : "the gateway cannot read its token file");
	return false;
}

static bool is_name(struct exchange *exchange, struct str name) {
	bool is_fine = dns_label_is_valid(name);
	if (!is_fine) {
		refuse(exchange, 400,
			"an export's name is made of lower-case letters, digits and '-'");
	}
	return is_fine;
}

static struct str own_file(struct exchange *exchange, struct str name) {
	return arena_printf(exchange_arena(exchange), "%.*s" EXPORT_FILE_SUFFIX, STR_ARG(name));
}

/* Whose file it is, other than the export's that has its name; NULL: nobody's. */
static const struct exported *find_other(
	const struct exports *exports, struct str file, const struct exported *own) {
	for (size_t i = 0; i < exports->count; i++) {
		if (&exports->items[i] != own && str_equal(exports->items[i].file, file)) {
			return &exports->items[i];
		}
	}
	return NULL;
}

/* Whether the export, if there is one, and its file are this API's to change. */
static bool is_ours(const struct export_api *api, struct exchange *exchange,
	const struct exported *exported, struct str file) {
	const struct exports *exports = api->options.exports(api->options.context);
	const struct exported *other = find_other(exports, file, exported);
	struct err err = { 0 };
	if (other) {
		(void)err_set(&err, ERR_INVAL, "%.*s holds export \"%.*s\"; rename it",
			STR_ARG(file), STR_ARG(other->name));
		refuse(exchange, 409, err.text);
		return false;
	}
	if (!exported || str_equal(exported->file, file)) {
		return true;
	}
	(void)err_set(&err, ERR_INVAL, "export \"%.*s\" stands in %.*s; change it there",
		STR_ARG(exported->name),
		STR_ARG(exported->file.len > 0 ? exported->file
					       : STR("the gateway's configuration")));
	refuse(exchange, 409, err.text);
	return false;
}

static void on_done(void *context) {
	struct job *job = context;
	struct export_api *api = job->api;
	if (api->is_closed) {
		exchange_fail(job->exchange);
	} else if (job->rc < 0) {
		log_error("file of an export not written", KV_ERR(&job->err));
		refuse(job->exchange, 500, job->err.text);
	} else {
		log_info(job->text.len > 0 ? "export put" : "export deleted",
			KV("file", buf_text(&job->path)),
			KV("from", exchange_peer_address(job->exchange)));
		api->options.changed(api->options.context);
		answer(job->exchange, job->is_new ? 201 : 200, "file", buf_text(&job->path));
	}
	buf_deinit(&job->path);
	buf_deinit(&job->text);
	free(job);
	api->jobs--;
	free_if_done(api);
}

static void on_thread(void *context) {
	struct job *job = context;
	struct str text = buf_str(&job->text);
	job->rc = text.len > 0 ? file_write_atomic(buf_text(&job->path), text, FILE_MODE, &job->err)
			       : file_remove(buf_text(&job->path), &job->err);
	/* JOBS_MAX of them, far below LOOP_POST_MAX. */
	CHECK(loop_post(job->api->options.loop, on_done, job));
}

/* Has the file written, or removed when the text is empty, and then the exchange answered. */
static void submit(struct export_api *api, struct exchange *exchange, struct str file,
	struct str text, bool is_new) {
	struct job *job = MEMORY_NEW(struct job, 1);
	job->api = api;
	job->exchange = exchange;
	job->is_new = is_new;
	buf_printf(&job->path, "%s/%.*s", api->directory, STR_ARG(file));
	buf_add_str(&job->text, text);
	if (pool_submit(api->pool, on_thread, job)) {
		api->jobs++;
		return;
	}
	buf_deinit(&job->path);
	buf_deinit(&job->text);
	free(job);
	refuse(exchange, 503, "too many exports are being written at once; try again");
}

static void put(struct export_api *api, struct exchange *exchange, struct str name) {
	const struct http_request *request = exchange_request(exchange);
	struct str file = own_file(exchange, name);
	const struct exported *old = exports_find(api->options.exports(api->options.context), name);
	struct err err = { 0 };
	struct str inside = STR_EMPTY;
	int rc = 0;
	if (request->body.len > EXPORT_FILE_BYTES_MAX) {
		rc = err_set(&err, ERR_LIMIT, "an export of %zu bytes, at most %zu are read",
			request->body.len, EXPORT_FILE_BYTES_MAX);
	}
	if (rc == 0) {
		rc = export_check(exchange_arena(exchange), request->body, &inside, &err);
	}
	if (rc == 0 && !str_equal(inside, name)) {
		rc = err_set(&err, ERR_INVAL, "the path says \"%.*s\", the export \"%.*s\"",
			STR_ARG(name), STR_ARG(inside));
	}
	if (rc < 0) {
		refuse(exchange, 400, err.text);
	} else if (is_ours(api, exchange, old, file)) {
		submit(api, exchange, file, request->body, !old);
	}
}

static void delete (struct export_api *api, struct exchange *exchange, struct str name) {
	struct str file = own_file(exchange, name);
	const struct exported *old = exports_find(api->options.exports(api->options.context), name);
	AUTO(buf_deinit) struct buf path = { 0 };
	buf_printf(&path, "%s/%.*s", api->directory, STR_ARG(file));
	if (!is_ours(api, exchange, old, file)) {
		return;
	}
	if (!old && !path_exists(buf_text(&path))) {
		refuse(exchange, 404, "there is no export of that name");
		return;
	}
	submit(api, exchange, file, STR_EMPTY, false);
}

static void serve_one(void *context, struct exchange *exchange, struct str name) {
	struct export_api *api = context;
	if (!let_in(api, exchange) || !is_name(exchange, name)) {
		return;
	}
	if (str_equal(exchange_request(exchange)->method, STR("PUT"))) {
		put(api, exchange, name);
	} else {
		delete (api, exchange, name);
	}
}

static void put_export(struct json_writer *writer, const struct exported *exported) {
	json_begin_object(writer);
	json_key(writer, STR("name"));
	json_put_str(writer, exported->name);
	json_key(writer, STR("kind"));
	json_put_str(writer, exported->kind);
	json_key(writer, STR("url"));
	json_put_str(writer, exported->url);
	json_key(writer, STR("allow"));
	json_begin_array(writer);
	for (size_t i = 0; i < exported->allow.count; i++) {
		json_put_str(writer, exported->allow.items[i]);
	}
	json_end_array(writer);
	json_key(writer, STR("file"));
	json_put_str(writer, exported->file);
	json_end_object(writer);
}

static void serve_list(void *context, struct exchange *exchange, struct str param) {
	const struct export_api *api = context;
	(void)param;
	if (!let_in(api, exchange)) {
		return;
	}
	const struct exports *exports = api->options.exports(api->options.context);
	struct buf body = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &body);
	json_begin_object(&writer);
	json_key(&writer, STR("status"));
	json_put_text(&writer, "success");
	json_key(&writer, STR("exports"));
	json_begin_array(&writer);
	for (size_t i = 0; i < exports->count; i++) {
		put_export(&writer, &exports->items[i]);
	}
	json_end_array(&writer);
	json_end_object(&writer);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

void export_api_register(struct export_api *api, struct router *router) {
	router_add(router, "GET", "/atoll/v1/exports", serve_list, api);
	router_add(router, "PUT,DELETE", "/atoll/v1/exports/*", serve_one, api);
}
