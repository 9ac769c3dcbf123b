/* Walks every value of what the parser accepts. */
#include "cxx/json.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t walk(struct json_value value) {
	struct json_iterator iterator = json_iterate(value);
	struct json_value item;
	struct str name = STR_EMPTY;
	size_t count = 0;
	size_t sum = json_string(value).len + (size_t)(json_int(value) & 1);
	while (json_next(&iterator, &item, &name)) {
		CHECK(str_is_utf8(name));
		sum += walk(item);
		count++;
	}
	CHECK(count == json_count(value));
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
	struct json_document *document = NULL;
	if (json_document_new((struct str){ (const char *)bytes, len }, &document, NULL) == 0) {
		(void)walk(json_root(document));
		json_document_free(document);
	}
	return 0;
}
