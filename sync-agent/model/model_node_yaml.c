/* SPDX-License-Identifier: Apache-2.0 */

/*
 * YAML into nodes, by libyaml's events.  The part of YAML that people write
 * by hand: anchors, aliases, tags, directives, several documents and keys
 * that are not text are refused, as each is a way to say one thing and mean
 * another.  libyaml leaves the meaning of scalars to us, so its YAML 1.1 age
 * does not show: whether `on` is text is the decoder's (YAML 1.2 core).
 * Simple text takes a shorter way (model_yaml_plain.h) to the same tree.
 */

#include "model_build.h"
#include "model_yaml_plain.h"

#include <yaml.h>

static model_pos_t pos_of(yaml_mark_t mark) {
    return (model_pos_t){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* YAML 1.2 core: the empty plain scalar, ~, null, Null, NULL. */
static bool is_null(const yaml_event_t *event) {
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }

    const char *text = (const char *)event->data.scalar.value;

    switch (event->data.scalar.length) {
    case 0:
        return true;
    case 1:
        return text[0] == '~';
    case 4:
        return memcmp(text, "null", 4) == 0 || memcmp(text, "Null", 4) == 0 ||
               memcmp(text, "NULL", 4) == 0;
    default:
        return false;
    }
}

static bool on_key(model_build_t *b, const yaml_event_t *event,
                   model_pos_t pos) {
    mesh_str_t key = {event->data.scalar.length,
                      (const char *)event->data.scalar.value};

    if (key.len == 0) {
        return model_build_error(b, pos, "an empty key", "a name");
    }

    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && key.len == 2 &&
        memcmp(key.data, "<<", 2) == 0) {
        return model_build_error(b, pos, "the merge key <<",
                                 "the fields written out");
    }

    if (memchr(key.data, '\0', key.len) != NULL) {
        return model_build_error(b, pos, "a key with a NUL byte", "text");
    }

    model_build_key(b, pos, arena_str(b->arena, key));
    return true;
}

static bool on_scalar(model_build_t *b, const yaml_event_t *event) {
    model_pos_t pos = pos_of(event->start_mark);

    if (event->data.scalar.anchor != NULL) {
        return model_build_error(b, pos, "an anchor (&)",
                                 "the value written out where it is used");
    }

    if (event->data.scalar.tag != NULL) {
        return model_build_error(b, pos, "a tag (!)", "a plain value");
    }

    if (model_build_wants_key(b)) {
        return on_key(b, event, pos);
    }

    if (is_null(event)) {
        return model_build_add(b, MODEL_NODE_NULL, pos) != NULL;
    }

    mesh_str_t text = {event->data.scalar.length,
                       (const char *)event->data.scalar.value};

    if (memchr(text.data, '\0', text.len) != NULL) {
        return model_build_error(b, pos, "text with a NUL byte", "text");
    }

    model_node_t *node = model_build_add(b, MODEL_NODE_SCALAR, pos);

    if (node == NULL) {
        return false;
    }

    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_str(b->arena, text);
    return true;
}

static bool on_open(model_build_t *b, const yaml_event_t *event,
                    model_node_kind_e kind) {
    model_pos_t pos = pos_of(event->start_mark);
    bool list = kind == MODEL_NODE_LIST;
    const void *anchor = list ? event->data.sequence_start.anchor
                              : event->data.mapping_start.anchor;
    const void *tag =
        list ? event->data.sequence_start.tag : event->data.mapping_start.tag;

    if (anchor != NULL) {
        return model_build_error(b, pos, "an anchor (&)",
                                 "the value written out where it is used");
    }

    if (tag != NULL) {
        return model_build_error(b, pos, "a tag (!)", "a plain value");
    }

    if (model_build_wants_key(b)) {
        return model_build_error(b, pos, "a key that is a list or a map",
                                 "a name");
    }

    return model_build_open(b, kind, pos);
}

static bool on_document(model_build_t *b, const yaml_event_t *event) {
    model_pos_t pos = pos_of(event->start_mark);

    if (b->root != NULL) {
        return model_build_error(b, pos, "a second document",
                                 "one document in a file");
    }

    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end) {
        return model_build_error(b, pos, "a %TAG directive", "none");
    }

    return true;
}

/* A closed level goes on after an error, to name every duplicate key. */
static bool on_event(model_build_t *b, const yaml_event_t *event,
                     bool *failed) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, event);

    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);

    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, event, MODEL_NODE_LIST);

    case YAML_MAPPING_START_EVENT:
        return on_open(b, event, MODEL_NODE_MAP);

    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        if (!model_build_close(b)) {
            *failed = true;
        }

        return true;

    case YAML_ALIAS_EVENT:
        return model_build_error(b, pos_of(event->start_mark), "an alias (*)",
                                 "the value written out");

    default:
        return true;
    }
}

/* libyaml counts characters; 0 behind the end. */
static char char_at(mesh_str_t text, yaml_mark_t mark) {
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool begins = ((unsigned char)text.data[i] & 0xc0) != 0x80;

        if (begins && n++ == mark.index) {
            return text.data[i];
        }
    }

    return '\0';
}

/*
 * What people write, and libyaml has no words for: tabs, text without quotes.
 * false: it is none of these.
 */
static bool tell_usual(model_build_t *b, const yaml_parser_t *parser,
                       mesh_str_t text) {
    static const struct {
        char first;
        const char *found;
        const char *expected;
    } rows[] = {
        {'\t', "a tab", "blanks: YAML does not indent with tabs"},
        {'%', "text that begins with %", "it in quotes"},
        {'@', "text that begins with @", "it in quotes"},
        {'`', "text that begins with `", "it in quotes"},
        {'*', "text that begins with *", "it in quotes"},
        {'&', "text that begins with &", "it in quotes"},
    };

    if (parser->error != YAML_SCANNER_ERROR || parser->context == NULL) {
        return false;
    }

    bool named = strstr(parser->context, "alias") != NULL ||
                 strstr(parser->context, "anchor") != NULL;
    bool start = strstr(parser->problem, "cannot start any token") != NULL;
    yaml_mark_t mark = named ? parser->context_mark : parser->problem_mark;
    char c = named || start ? char_at(text, mark) : '\0';

    for (size_t i = 0; i < mesh_nelts(rows); i++) {
        if (rows[i].first == c) {
            (void)model_build_error(b, pos_of(mark), rows[i].found,
                                    rows[i].expected);
            return true;
        }
    }

    return false;
}

static bool syntax_error(model_build_t *b, const yaml_parser_t *parser,
                         mesh_str_t text) {
    const char *problem = parser->problem ? parser->problem : "broken YAML";
    model_error_t error = {.file = b->file};

    if (tell_usual(b, parser, text)) {
        return false;
    }

    if (parser->error == YAML_SCANNER_ERROR ||
        parser->error == YAML_PARSER_ERROR) {
        model_pos_t pos = pos_of(parser->problem_mark);

        error.line = pos.line;
        error.column = pos.column;
    }

    if (parser->context != NULL) {
        model_error_add(b->errors, &error, "YAML: %s (%s)", problem,
                        parser->context);
    } else {
        model_error_add(b->errors, &error, "YAML: %s", problem);
    }

    return false;
}

static bool read_events(model_build_t *b, yaml_parser_t *parser,
                        mesh_str_t text) {
    bool done = false;
    bool failed = false;

    while (!done) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event)) {
            return syntax_error(b, parser, text);
        }

        done = event.type == YAML_STREAM_END_EVENT;

        bool ok = on_event(b, &event, &failed);

        yaml_event_delete(&event);

        if (!ok) {
            return false;
        }
    }

    return !failed;
}

/*
 * libyaml reads YAML 1.1, in which these end a line and become a space; in 1.2
 * and in JSON they are text.
 */
static bool refuse_old_breaks(model_build_t *b, mesh_str_t text) {
    static const struct {
        mesh_str_t bytes;
        const char *found;
    } breaks[] = {
        {mesh_str("\xc2\x85"), "the character U+0085"},
        {mesh_str("\xe2\x80\xa8"), "the character U+2028"},
        {mesh_str("\xe2\x80\xa9"), "the character U+2029"},
    };

    for (size_t i = 0; i < mesh_nelts(breaks); i++) {
        const char *at = memmem(text.data, text.len, breaks[i].bytes.data,
                                breaks[i].bytes.len);

        if (at != NULL) {
            size_t offset = (size_t)(at - text.data);

            return model_build_error(b, model_text_pos(text, offset),
                                     breaks[i].found,
                                     "\\N, \\L or \\P in double quotes");
        }
    }

    return true;
}

model_node_t *model_yaml_full(arena_t *arena, const char *file, mesh_str_t text,
                              model_errors_t *errors) {
    model_build_t b;
    yaml_parser_t parser;

    model_build_init(&b, arena, file, errors);

    if (!refuse_old_breaks(&b, text)) {
        return NULL;
    }

    if (!yaml_parser_initialize(&parser)) {
        model_build_error(&b, (model_pos_t){0, 0}, "no memory", "some");
        return NULL;
    }

    /* Told the encoding, libyaml takes a byte order mark for text. */
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text = (mesh_str_t){text.len - 3, text.data + 3};
    }

    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data,
                                 text.len);

    bool ok = read_events(&b, &parser, text);

    yaml_parser_delete(&parser);

    if (ok && b.root == NULL) {
        model_build_error(&b, (model_pos_t){1, 1}, "an empty file",
                          "clusters or hosts");
    }

    return ok ? b.root : NULL;
}

model_node_t *model_node_from_yaml(arena_t *arena, const char *file,
                                   mesh_str_t text, model_errors_t *errors) {
    model_build_t b;

    model_build_init(&b, arena, file, errors);

    if (!model_text_accept(&b, text)) {
        return NULL;
    }

    model_node_t *root = model_yaml_plain(arena, file, text);

    return root != NULL ? root : model_yaml_full(arena, file, text, errors);
}
