extern "C" {
#include "cxx/json.h"
}

#include <simdjson.h>

#include <cstring>
#include <exception>
#include <new>

/*
 * Values are places on simdjson's tape, whose format is documented and public: 64-bit words with a
 * type in the top byte. A container's word has in its low 32 bits the place past its end and above
 * them, in 24 bits, how many items it has (saturating). A string's word says where in the string
 * buffer it is: 4 bytes of length, then the bytes. A number's value is the word that follows.
 */
struct json_document {
	simdjson::dom::document dom;
};

namespace {

const size_t size_max = size_t{ 1 } << 30;
const size_t root_index = 1;
const uint64_t payload_mask = (uint64_t{ 1 } << 56) - 1;
const uint64_t count_max = 0xffffff;

uint64_t word_at(const struct json_document *document, size_t index) {
	return document->dom.tape[index];
}

char kind(struct json_value value) {
	return static_cast<char>(word_at(value.document, value.index) >> 56);
}

uint64_t payload(struct json_value value) {
	return word_at(value.document, value.index) & payload_mask;
}

size_t after(struct json_value value) {
	switch (kind(value)) {
	case '[':
	case '{':
		return payload(value) & 0xffffffffU;
	case 'l':
	case 'u':
	case 'd':
		return value.index + 2;
	default:
		return value.index + 1;
	}
}

struct json_value first_item(struct json_value container) {
	return { container.document, container.index + 1 };
}

bool is_container(struct json_value value) {
	return kind(value) == '[' || kind(value) == '{';
}

int refuse(simdjson::error_code code, struct err *err) {
	return err_set(err, code == simdjson::CAPACITY ? ERR_LIMIT : ERR_CORRUPT, "JSON: %s",
		simdjson::error_message(code));
}

} // namespace

int json_document_new(struct str text, struct json_document **out, struct err *err) {
	if (text.len > size_max) {
		return err_set(err, ERR_LIMIT,
			"JSON of %zu bytes is more than the %zu that are read at once", text.len,
			size_max);
	}
	struct json_document *document = nullptr;
	try {
		simdjson::dom::parser parser;
		document = new struct json_document;
		auto error =
			parser.parse_into_document(document->dom,
				      reinterpret_cast<const uint8_t *>(text.ptr ? text.ptr : ""),
				      text.len, true)
				.error();
		if (!error) {
			*out = document;
			return 0;
		}
		delete document;
		return refuse(error, err);
	} catch (const std::exception &e) {
		delete document;
		return err_set(err, ERR_LIMIT, "JSON: %s", e.what());
	}
}

void json_document_free(struct json_document *document) {
	delete document;
}

struct json_value json_root(const struct json_document *document) {
	return { document, root_index };
}

enum json_type json_type_of(struct json_value value) {
	switch (kind(value)) {
	case '[':
		return JSON_ARRAY;
	case '{':
		return JSON_OBJECT;
	case '"':
		return JSON_STRING;
	case 'l':
	case 'u':
	case 'd':
		return JSON_NUMBER;
	case 't':
	case 'f':
		return JSON_BOOL;
	default:
		return JSON_NULL;
	}
}

struct str json_string(struct json_value value) {
	if (kind(value) != '"') {
		return STR_EMPTY;
	}
	const uint8_t *at = value.document->dom.string_buf.get() + payload(value);
	uint32_t len;
	std::memcpy(&len, at, sizeof(len));
	return { reinterpret_cast<const char *>(at + sizeof(len)), len };
}

double json_double(struct json_value value) {
	uint64_t bits = kind(value) == 'l' || kind(value) == 'u' || kind(value) == 'd'
				? word_at(value.document, value.index + 1)
				: 0;
	if (kind(value) == 'l') {
		return static_cast<double>(static_cast<int64_t>(bits));
	}
	if (kind(value) == 'u') {
		return static_cast<double>(bits);
	}
	double number;
	std::memcpy(&number, &bits, sizeof(number));
	return number;
}

int64_t json_int(struct json_value value) {
	if (kind(value) == 'l') {
		return static_cast<int64_t>(word_at(value.document, value.index + 1));
	}
	const double limit = 9223372036854775808.0; /* 2^63 */
	double number = json_double(value);
	if (number >= limit) {
		return INT64_MAX;
	}
	return number < -limit ? INT64_MIN : static_cast<int64_t>(number);
}

bool json_bool(struct json_value value) {
	return kind(value) == 't';
}

bool json_member(struct json_value value, struct str name, struct json_value *out) {
	if (kind(value) != '{') {
		return false;
	}
	struct json_iterator iterator = json_iterate(value);
	struct json_value item;
	struct str key;
	while (json_next(&iterator, &item, &key)) {
		if (str_equal(key, name)) {
			*out = item;
			return true;
		}
	}
	return false;
}

struct json_iterator json_iterate(struct json_value value) {
	if (!is_container(value)) {
		return { value, value.index, false };
	}
	return { first_item(value), after(value) - 1, kind(value) == '{' };
}

bool json_next(struct json_iterator *iterator, struct json_value *item, struct str *name) {
	if (iterator->next.index >= iterator->end) {
		return false;
	}
	if (iterator->is_object) {
		if (name) {
			*name = json_string(iterator->next);
		}
		iterator->next.index++;
	}
	*item = iterator->next;
	iterator->next.index = after(iterator->next);
	return true;
}

size_t json_count(struct json_value value) {
	if (!is_container(value)) {
		return 0;
	}
	size_t count = payload(value) >> 32;
	if (count < count_max) {
		return count;
	}
	count = 0;
	struct json_iterator iterator = json_iterate(value);
	struct json_value item;
	while (json_next(&iterator, &item, nullptr)) {
		count++;
	}
	return count;
}
