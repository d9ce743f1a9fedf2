/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compacting a journal: read from its end, a line is dropped when every
 * resource it speaks of was spoken of later.  That is right because lines
 * replace resources whole and removing what is not there is no error.  What
 * came before a replacement of the part is dropped.
 */

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "agent_journal.h"

#define KEYS_MAX 4096 /* of one line; a longer one is kept */

typedef struct {
    uint64_t *v; /* open addressing; 0: free */
    size_t size; /* a power of two */
    size_t count;
} seen_t;

typedef struct {
    uint64_t v[KEYS_MAX];
    size_t count;
    bool many;
} keys_t;

typedef struct {
    mesh_str_t *v;
    size_t count;
    size_t room;
} list_t;

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static bool seen_has(const seen_t *seen, uint64_t key) {
    if (seen->size == 0) {
        return false;
    }
    for (size_t i = key & (seen->size - 1); seen->v[i];
         i = (i + 1) & (seen->size - 1)) {
        if (seen->v[i] == key) {
            return true;
        }
    }
    return false;
}

static void seen_add(seen_t *seen, uint64_t key) {
    if (seen->count * 2 >= seen->size) {
        seen_t larger = {.size = seen->size ? seen->size * 2 : 1024};
        larger.v = must(calloc(larger.size, sizeof(uint64_t)));
        for (size_t i = 0; i < seen->size; i++) {
            if (seen->v[i]) {
                seen_add(&larger, seen->v[i]);
            }
        }
        free(seen->v);
        *seen = larger;
    }
    size_t i = key & (seen->size - 1);
    while (seen->v[i]) {
        if (seen->v[i] == key) {
            return;
        }
        i = (i + 1) & (seen->size - 1);
    }
    seen->v[i] = key;
    seen->count++;
}

/* Without a name (a list where a map should be), the line stays. */
static void key_add(keys_t *keys, char kind, const char *table,
                    const char *name) {
    if (name == NULL || keys->count == KEYS_MAX) {
        keys->many = true;
        return;
    }
    uint64_t key =
        mesh_hash64(name, strlen(name)) ^
        mesh_mix64(mesh_hash64(table, strlen(table)) + (uint8_t)kind);
    keys->v[keys->count++] = key ? key : 1;
}

/* As the decoder names it: its first domain is in lower case. */
static const char *host_name(cJSON *host) {
    cJSON *name = cJSON_GetObjectItemCaseSensitive(host, "name");

    if (!cJSON_IsString(name)) {
        name = cJSON_GetObjectItemCaseSensitive(host, "domains");
        name = cJSON_IsArray(name) ? name->child : name;
        for (char *p = cJSON_GetStringValue(name); p && *p; p++) {
            *p = mesh_lower(*p);
        }
    }
    return cJSON_GetStringValue(name);
}

static const char *table_name(const cJSON *document) {
    const cJSON *table =
        cJSON_GetObjectItemCaseSensitive(document, "route_table");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(table, "name");

    return cJSON_IsString(name) ? name->valuestring : "default";
}

static void keys_of_upsert(const cJSON *document, keys_t *keys) {
    const char *table = table_name(document);
    cJSON *hosts = cJSON_GetObjectItemCaseSensitive(document, "hosts");
    cJSON *i;

    cJSON_ArrayForEach(i,
                       cJSON_GetObjectItemCaseSensitive(document, "clusters")) {
        key_add(keys, 'c', "", i->string);
        /* Without endpoints of its own it leaves those there are. */
        if (!cJSON_IsObject(i) ||
            cJSON_GetObjectItemCaseSensitive(i, "endpoints")) {
            key_add(keys, 'e', "", i->string);
        }
    }
    cJSON_ArrayForEach(
        i, cJSON_GetObjectItemCaseSensitive(document, "endpoints")) {
        key_add(keys, 'e', "", i->string);
    }
    cJSON_ArrayForEach(i, hosts) {
        key_add(keys, 'h', table, host_name(i));
    }
    cJSON_ArrayForEach(i,
                       cJSON_GetObjectItemCaseSensitive(document, "runtime")) {
        key_add(keys, 'r', "", i->string);
    }
    /* A table that is said without hosts is a resource; else it is theirs. */
    if (cJSON_GetArraySize(hosts) == 0 &&
        cJSON_GetObjectItemCaseSensitive(document, "route_table")) {
        key_add(keys, 't', table, "");
    }
}

static void keys_of_remove(const cJSON *document, keys_t *keys) {
    const char *table = table_name(document);
    const cJSON *i;

    cJSON_ArrayForEach(i,
                       cJSON_GetObjectItemCaseSensitive(document, "clusters")) {
        if (cJSON_IsString(i)) {
            key_add(keys, 'c', "", i->valuestring);
            key_add(keys, 'e', "", i->valuestring);
        }
    }
    cJSON_ArrayForEach(
        i, cJSON_GetObjectItemCaseSensitive(document, "endpoints")) {
        if (cJSON_IsString(i)) {
            key_add(keys, 'e', "", i->valuestring);
        }
    }
    cJSON_ArrayForEach(i, cJSON_GetObjectItemCaseSensitive(document, "hosts")) {
        if (cJSON_IsString(i)) {
            key_add(keys, 'h', table, i->valuestring);
        }
    }
    cJSON_ArrayForEach(i,
                       cJSON_GetObjectItemCaseSensitive(document, "runtime")) {
        if (cJSON_IsString(i)) {
            key_add(keys, 'r', "", i->valuestring);
        }
    }
}

/*
 * true: something in it is still news; its keys are seen from now on.
 * *replaces: it makes all before it pointless.
 */
static bool line_counts(seen_t *seen, keys_t *keys, mesh_str_t line,
                        bool *replaces) {
    cJSON *json = cJSON_ParseWithLength(line.data, line.len);
    const cJSON *document;
    bool counts = cJSON_GetObjectItemCaseSensitive(json, "replace") != NULL;

    *replaces = counts;
    *keys = (keys_t){.count = 0};
    if ((document = cJSON_GetObjectItemCaseSensitive(json, "upsert"))) {
        keys_of_upsert(document, keys);
    } else if ((document = cJSON_GetObjectItemCaseSensitive(json, "remove"))) {
        keys_of_remove(document, keys);
    }
    for (size_t i = 0; i < keys->count; i++) {
        counts |= !seen_has(seen, keys->v[i]);
    }
    counts |= keys->many;
    for (size_t i = 0; counts && i < keys->count; i++) {
        seen_add(seen, keys->v[i]);
    }
    cJSON_Delete(json);
    return counts;
}

static void list_add(list_t *list, mesh_str_t text) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->v = must(realloc(list->v, list->room * sizeof(*list->v)));
    }
    list->v[list->count++] = text;
}

static void split_lines(list_t *lines, mesh_str_t body) {
    const char *at = body.data;
    const char *end = body.data + body.len;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline ? newline : end) - at);
        if (len > 0) {
            list_add(lines, (mesh_str_t){len, at});
        }
        at += len + 1;
    }
}

/* The whole document at the front, if there is one, and all lines. */
static bool split_frames(mesh_str_t frames, mesh_str_t *whole, list_t *lines,
                         ctl_request_t *request) {
    char error[CTL_ERROR_MAX];
    size_t at = 0;

    while (at < frames.len) {
        const char *line = frames.data + at;
        const char *end = memchr(line, '\n', frames.len - at);
        if (end == NULL ||
            ctl_request_parse((mesh_str_t){(size_t)(end - line), line}, request,
                              error) != NULL) {
            return false;
        }
        size_t body = at + (size_t)(end - line) + 1;
        if (frames.len - body < request->length) {
            return false;
        }
        size_t next = body + (size_t)request->length;
        if (request->format == CTL_LINES) {
            split_lines(lines, (mesh_str_t){(size_t)request->length,
                                            frames.data + body});
        } else {
            *whole = (mesh_str_t){next - at, line};
            lines->count = 0;
        }
        at = next;
    }
    return true;
}

static char *join(mesh_str_t whole, const list_t *lines, ctl_request_t *frame,
                  size_t *len) {
    frame->format = CTL_LINES;
    frame->length = 0;
    for (size_t i = 0; i < lines->count; i++) {
        frame->length += lines->v[i].len ? lines->v[i].len + 1 : 0;
    }
    char *head = must(ctl_request_text(frame));
    size_t head_len = frame->length ? strlen(head) : 0;
    char *out = must(malloc(whole.len + head_len + frame->length + 1));
    char *at = out;
    if (whole.len) {
        memcpy(at, whole.data, whole.len);
        at += whole.len;
    }
    memcpy(at, head, head_len);
    at += head_len;
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->v[i].len) {
            memcpy(at, lines->v[i].data, lines->v[i].len);
            at += lines->v[i].len;
            *at++ = '\n';
        }
    }
    free(head);
    *len = (size_t)(at - out);
    return out;
}

char *agent_journal_compact(mesh_str_t frames, size_t *len) {
    mesh_str_t whole = MESH_STR("");
    list_t lines = {0};
    seen_t seen = {0};
    ctl_request_t request;
    char *out = NULL;

    if (frames.len && split_frames(frames, &whole, &lines, &request)) {
        keys_t *keys = must(malloc(sizeof(*keys)));
        bool over = false;
        for (size_t i = lines.count; i-- > 0;) {
            if (over || !line_counts(&seen, keys, lines.v[i], &over)) {
                lines.v[i].len = 0;
            }
        }
        whole = over ? MESH_STR("") : whole;
        free(keys);
        out = join(whole, &lines, &request, len);
    }
    free(lines.v);
    free(seen.v);
    return out;
}
