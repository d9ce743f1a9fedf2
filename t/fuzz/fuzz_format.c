/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts with substitutions: what is read is compiled to a record that the
 * schema accepts, and written for a hostile request within its bounds,
 * without CR, LF and NUL, alike each time.  And templates of paths: what is
 * one matches what it says.  Up to the first NUL is the text; what follows
 * is the request's path, header and query.
 */

#include "compile.h"
#include "mesh_substitute.h"
#include "mesh_template.h"
#include "route_fixture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (2 * MESH_TEXT_MAX)

/* The longest text of the input that goes on at `*at`. */
static mesh_str_t take(const uint8_t *data, size_t size, size_t *at) {
    const uint8_t *nul = *at < size ? memchr(data + *at, 0, size - *at) : NULL;
    size_t end = nul ? (size_t)(nul - data) : size;
    mesh_str_t text = {end - mesh_min(*at, end), (const char *)data + *at};

    *at = end + 1;
    return text;
}

static mesh_str_t fact(const mesh_facts_t *facts, unsigned var, char *buffer) {
    (void)buffer;
    return var % 2 ? MESH_STR("a\r\n\0b") : facts->request->path;
}

static bool response(const mesh_facts_t *facts, mesh_str_t name,
                     mesh_str_t *value) {
    *value = facts->request->query;
    return name.len % 2;
}

static void check_written(const mesh_snapshot_t *s,
                          const mesh_rec_format_t *format,
                          const mesh_facts_t *facts) {
    size_t len = mesh_substitute_write(s, format, facts, NULL, 0);
    char *out = malloc(len + 1), *path;

    if (len > MESH_TEXT_MAX)
        abort();
    if (mesh_substitute_write(s, format, facts, out, len) != len)
        abort();
    for (uint32_t i = 0; i < format->count; i++) {
        /* The configuration's own text is its own business. */
        if (format->v[i].var == MESH_VAR_TEXT ||
            format->v[i].var == MESH_VAR_START_TIME)
            len = 0;
    }
    if (len && (memchr(out, '\r', len) || memchr(out, '\n', len) ||
                memchr(out, '\0', len)))
        abort();
    len = mesh_substitute_path(s, format, facts, NULL, 0);
    path = malloc(len + 1);
    if (mesh_substitute_path(s, format, facts, path, len) != len)
        abort();
    free(path);
    free(out);
}

static void check_format(mesh_str_t text, bool is_response,
                         const mesh_facts_t *facts) {
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX];
    uint32_t count;
    size_t at;
    const char *why =
        mesh_substitute_read(text, is_response, parts, &count, &at);

    if (why != NULL) {
        if (at > text.len + 1)
            abort();
        return;
    }
    mesh_writer_t *w = mesh_writer_create(1, FIXTURE_CAPACITY);
    mesh_ref_t ref = compile_format(w, text);
    image_t image;

    if (ref == 0 || image_open(&image, w) != MESH_OK)
        abort();
    check_written(&image.s, mesh_get(&image.s, ref), facts);
    image_close(&image);
    mesh_writer_free(w);
}

static void check_template(mesh_str_t text, mesh_str_t path) {
    mesh_template_vars_t names, vars;
    size_t at;
    bool is = mesh_template_check(text, &names, &at) == NULL;
    bool does = mesh_template_match(text, path, &vars);

    if (at > text.len || does != mesh_template_match(text, path, NULL))
        abort();
    if (does && is) {
        if (vars.count != names.count ||
            !mesh_str_starts(path, mesh_template_prefix(text)))
            abort();
    }
    for (unsigned i = 0; does && i < vars.count; i++) {
        if (vars.v[i].value.len > path.len)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t at = 0;
    fixture_request_t f;

    if (size > 4096)
        return 0;
    mesh_str_t text = take(data, size, &at);
    mesh_str_t path = take(data, size, &at);
    mesh_str_t header = take(data, size, &at);
    mesh_str_t query = {size - mesh_min(at, size), (const char *)data + at};

    if (at > size)
        query = MESH_STR("");
    fixture_request(&f, MESH_STR("GET"), MESH_STR("h"), path);
    f.r.query = query;
    fixture_add_header(&f, MESH_STR("x-a"), header);
    mesh_facts_t facts = {.request = &f.r,
                          .sent_path = size % 2 ? header : MESH_STR_NULL,
                          .start_ms = size * UINT64_C(86400000000),
                          .fact = fact,
                          .response = response};

    check_format(text, true, &facts);
    check_format(text, false, &facts);
    check_template(text, path);
    return 0;
}
