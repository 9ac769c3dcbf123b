#include "api/render_histogram.h"

#include "cxx/number.h"
#include "promql/histogram.h"

static void put_number(struct json_writer *json, double value) {
	char text[NUMBER_TEXT_MAX];

	json_put_str(json, (struct str){ text, number_format_json(value, text) });
}

/* Prometheus' code of which bounds belong to a bucket: the upper, the lower, none, both. */
static int64_t bounds_code(const struct histogram_bucket *bucket) {
	if (bucket->has_lower) {
		return bucket->has_upper ? 3 : 1;
	}
	return bucket->has_upper ? 0 : 2;
}

static void put_buckets(struct json_writer *json, const struct histogram *histogram) {
	size_t count = histogram_bucket_count(histogram);
	bool has_any = false;

	for (size_t i = 0; i < count; i++) {
		struct histogram_bucket bucket = histogram_bucket_at(histogram, i);

		if (bucket.count == 0) {
			continue;
		}
		if (!has_any) {
			json_key(json, STR("buckets"));
			json_begin_array(json);
			has_any = true;
		}
		json_begin_array(json);
		json_put_int(json, bounds_code(&bucket));
		put_number(json, bucket.lower);
		put_number(json, bucket.upper);
		put_number(json, bucket.count);
		json_end_array(json);
	}
	if (has_any) {
		json_end_array(json);
	}
}

void render_histogram(
	struct json_writer *json, struct str time, const struct histogram *histogram) {
	json_begin_array(json);
	json_put_raw(json, time);
	json_begin_object(json);
	json_key(json, STR("count"));
	put_number(json, histogram->count);
	json_key(json, STR("sum"));
	put_number(json, histogram->sum);
	put_buckets(json, histogram);
	json_end_object(json);
	json_end_array(json);
}
