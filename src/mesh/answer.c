#include "mesh/answer.h"

#include "codec/json_writer.h"

void answer_error(struct exchange *exchange, int status, const char *word, const char *sentence) {
	AUTO(buf_deinit) struct buf body = { 0 };
	struct json_writer writer;
	json_writer_init(&writer, &body);
	json_begin_object(&writer);
	json_key(&writer, STR("status"));
	json_put_text(&writer, "error");
	json_key(&writer, STR("errorType"));
	json_put_text(&writer, status >= 500 ? "unavailable" : "forbidden");
	json_key(&writer, STR("error"));
	json_put_text(&writer, sentence);
	json_end_object(&writer);
	exchange_header(exchange, STR(ANSWER_HEADER), str_of(word));
	exchange_respond(exchange, status, STR("application/json"), buf_str(&body));
}
