#include "cmd/check_list.h"

#include "base/check.h"
#include "base/memory.h"
#include "codec/json_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_list_deinit(struct check_list *list) {
	arena_deinit(&list->arena);
	free(list->items);
	*list = (struct check_list){ 0 };
}

void check_list_reset(struct check_list *list) {
	arena_reset(&list->arena);
	list->count = 0;
}

void check_list_add(struct check_list *list, const char *section, enum check_state state,
	const char *hint, const char *fmt, ...) {
	AUTO(buf_deinit) struct buf text = { 0 };
	va_list args;
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	if (list->count == list->capacity) {
		list->capacity = list->capacity > 0 ? 2 * list->capacity : 32;
		list->items = memory_resize(list->items, list->capacity, sizeof(struct check_item));
	}
	list->items[list->count++] = (struct check_item){
		.section = section,
		.state = state,
		.text = arena_copy(&list->arena, buf_str(&text)).ptr,
		.hint = arena_copy(&list->arena, str_of(hint ? hint : "")).ptr,
	};
}

bool check_list_is_good(const struct check_list *list) {
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].state == CHECKED_FAILED) {
			return false;
		}
	}
	return true;
}

static void put_heading(const char *section, bool is_first, struct buf *out) {
	buf_printf(out, "%s%s\n", is_first ? "" : "\n", section);
	for (size_t i = 0; section[i]; i++) {
		buf_add_byte(out, '-');
	}
	buf_add_byte(out, '\n');
}

void check_list_format(const struct check_list *list, struct buf *out) {
	static const char *const marks[] = { "√", "‼", "×", "-" };
	const char *section = "";
	for (size_t i = 0; i < list->count; i++) {
		const struct check_item *item = &list->items[i];
		if (strcmp(section, item->section) != 0) {
			put_heading(item->section, i == 0, out);
			section = item->section;
		}
		buf_printf(out, "%s %s\n", marks[item->state], item->text);
		if (item->hint[0]) {
			buf_printf(out, "    %s\n", item->hint);
		}
	}
	buf_printf(out, "\nStatus check results are %s\n", check_list_is_good(list) ? "√" : "×");
}

void check_list_format_json(const struct check_list *list, struct buf *out) {
	static const char *const states[] = { "ok", "warning", "failed", "skipped" };
	struct json_writer writer;
	json_writer_init(&writer, out);
	json_begin_object(&writer);
	json_key(&writer, STR("success"));
	json_put_bool(&writer, check_list_is_good(list));
	json_key(&writer, STR("checks"));
	json_begin_array(&writer);
	for (size_t i = 0; i < list->count; i++) {
		const struct check_item *item = &list->items[i];
		json_begin_object(&writer);
		json_key(&writer, STR("section"));
		json_put_text(&writer, item->section);
		json_key(&writer, STR("state"));
		json_put_text(&writer, states[item->state]);
		json_key(&writer, STR("text"));
		json_put_text(&writer, item->text);
		json_key(&writer, STR("hint"));
		json_put_text(&writer, item->hint);
		json_end_object(&writer);
	}
	json_end_array(&writer);
	json_end_object(&writer);
	buf_add_byte(out, '\n');
}

int check_list_print(const struct check_list *list, bool is_json) {
	AUTO(buf_deinit) struct buf out = { 0 };
	if (is_json) {
		check_list_format_json(list, &out);
	} else {
		check_list_format(list, &out);
	}
	(void)fputs(buf_text(&out), stdout);
	return check_list_is_good(list) ? EXIT_SUCCESS : EXIT_FAILURE;
}
