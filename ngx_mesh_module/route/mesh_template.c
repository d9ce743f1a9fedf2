/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Path templates; see mesh_template.h.
 */

#include "mesh_template.h"


static bool
template_is_letter(char c)
{
    c = mesh_lower(c);

    return c >= 'a' && c <= 'z';
}


static bool
template_is_digit(char c)
{
    return c >= '0' && c <= '9';
}


/* pchar of RFC 3986 without "*", which has a meaning here. */
static bool
template_is_plain(char c)
{
    return template_is_letter(c) || template_is_digit(c)
           || (c != '\0' && strchr("-._~%!$&'()+,;:@=", c) != NULL);
}


/* What "*" takes: all of pchar. */
static bool
template_is_taken(char c)
{
    return template_is_plain(c) || c == '*';
}


/* --- checking ------------------------------------------------------------ */

typedef struct {
    mesh_str_t             text;
    size_t                 at;
    bool                   globbed;     /* a "**" has been there */
    mesh_template_vars_t  *names;
} template_scan_t;


static char
scan_peek(const template_scan_t *s)
{
    return s->at < s->text.len ? s->text.data[s->at] : '\0';
}


static const char *
scan_plain(template_scan_t *s)
{
    if (!template_is_plain(scan_peek(s))) {
        return "a character that a segment does not have";
    }

    while (template_is_plain(scan_peek(s))) {
        s->at++;
    }

    return NULL;
}


static const char *
scan_glob(template_scan_t *s)
{
    if (s->globbed) {
        return "a \"*\" or a variable behind \"**\"";
    }

    s->at++;

    if (scan_peek(s) == '*') {
        s->globbed = true;
        s->at++;
    }

    return NULL;
}


static const char *
scan_name(template_scan_t *s)
{
    size_t      begin;
    unsigned    i;
    mesh_str_t  name;

    begin = s->at;

    while (template_is_letter(scan_peek(s)) || template_is_digit(scan_peek(s))
           || scan_peek(s) == '_')
    {
        s->at++;
    }

    name = (mesh_str_t) { s->at - begin, s->text.data + begin };

    if (name.len == 0 || !template_is_letter(name.data[0])
        || name.len > MESH_TEMPLATE_NAME_MAX)
    {
        return "a variable's name is a letter and up to 15 letters, digits, "
               "\"_\"";
    }

    for (i = 0; i < s->names->count; i++) {
        if (mesh_str_eq(s->names->v[i].name, name)) {
            return "a variable that is there twice";
        }
    }

    if (s->names->count == MESH_TEMPLATE_VARS) {
        return "more than 5 variables";
    }

    s->names->v[s->names->count++].name = name;

    return NULL;
}


/* Behind "{name": "}", or "=", segments and "}"; `one`: a single segment. */
static const char *
scan_inner(template_scan_t *s, bool one)
{
    const char  *why;

    if (scan_peek(s) == '}') {
        return s->globbed ? "a \"*\" or a variable behind \"**\"" : NULL;
    }

    if (scan_peek(s) != '=') {
        return "a { without its }";
    }

    do {
        s->at++;
        why = scan_peek(s) == '*' ? scan_glob(s) : scan_plain(s);

        if (why != NULL) {
            return why;
        }

        if (one && scan_peek(s) == '/') {
            return "text before a variable of several segments";
        }
    } while (scan_peek(s) == '/');

    return scan_peek(s) == '}' ? NULL
                               : "a segment of a variable is \"*\", \"**\" or "
                                 "text";
}


static const char *
scan_variable(template_scan_t *s, bool one)
{
    const char  *why;

    s->at++;
    why = scan_name(s);

    if (why == NULL) {
        why = scan_inner(s, one);
    }

    if (why == NULL) {
        s->at++;
    }

    return why;
}


/* Behind "*" and "**" text may end all paths; before them there is none. */
static const char *
scan_stars(template_scan_t *s)
{
    const char  *why;

    why = scan_glob(s);

    if (why != NULL || s->at == s->text.len || scan_peek(s) == '/') {
        return why;
    }

    why = scan_plain(s);

    return why != NULL || s->at == s->text.len
           ? why : "something behind the text that ends the path";
}


/* Text, or one variable with text on either side. */
static const char *
scan_segment(template_scan_t *s)
{
    bool         before;
    const char  *why;

    if (scan_peek(s) == '*') {
        return scan_stars(s);
    }

    before = scan_peek(s) != '{';
    why = before ? scan_plain(s) : NULL;

    if (why != NULL || scan_peek(s) != '{') {
        return why;
    }

    why = scan_variable(s, before);

    if (why == NULL && s->at < s->text.len && scan_peek(s) != '/'
        && scan_peek(s) != '{')
    {
        why = scan_plain(s);
    }

    return why == NULL && scan_peek(s) == '{'
           ? "two variables in one segment" : why;
}


const char *
mesh_template_check(mesh_str_t text, mesh_template_vars_t *names, size_t *at)
{
    const char       *why;
    template_scan_t   s = { text, 0, false, names };

    names->count = 0;
    *at = 0;

    if (text.len == 0 || text.data[0] != '/') {
        return "no \"/\" at the beginning";
    }

    why = NULL;

    /* A slash at the end is an empty segment. */

    while (why == NULL && s.at < text.len) {
        if (scan_peek(&s) != '/') {
            why = "something behind a segment that is no \"/\"";
            break;
        }

        s.at++;
        *at = s.at;

        if (s.at < text.len) {
            why = scan_segment(&s);
        }
    }

    if (why != NULL) {
        *at = s.at;
    }

    return why;
}


/* A variable of the rewrite, at its "{". */
static const char *
scan_reference(template_scan_t *s, const mesh_template_vars_t *names)
{
    unsigned     i;
    const char  *end;
    mesh_str_t   name;

    name.data = s->text.data + s->at + 1;
    end = memchr(name.data, '}', s->text.len - s->at - 1);

    if (end == NULL) {
        return "a { without its }";
    }

    name.len = (size_t) (end - name.data);

    for (i = 0; i < names->count; i++) {
        if (mesh_str_eq(names->v[i].name, name)) {
            s->at += name.len + 2;
            return NULL;
        }
    }

    return "a variable that the template does not have";
}


const char *
mesh_template_check_rewrite(mesh_str_t text, const mesh_template_vars_t *names,
    size_t *at)
{
    char              c;
    const char       *why;
    template_scan_t   s = { text, 0, false, NULL };

    *at = 0;

    if (text.len == 0 || text.data[0] != '/') {
        return "no \"/\" at the beginning";
    }

    why = NULL;

    while (why == NULL && s.at < text.len) {
        c = text.data[s.at];
        *at = s.at;

        if (c == '{') {
            why = scan_reference(&s, names);

        } else if (c == '/' && s.at > 0 && text.data[s.at - 1] == '/') {
            why = "two slashes";

        } else if (c != '/' && !template_is_taken(c)) {
            why = "a character that a segment does not have";

        } else {
            s.at++;
        }
    }

    return why;
}


/* --- matching ------------------------------------------------------------ */

typedef struct {
    mesh_str_t             text;
    mesh_str_t             path;
    size_t                 at;          /* in the text */
    size_t                 pos;         /* in the path */
    size_t                 begin;       /* of the open variable's value */
    bool                   open;
    mesh_template_vars_t  *vars;
} template_walk_t;


/*
 * How many bytes of a path stand for the rest of a template, or for the rest
 * of its segment; SIZE_MAX: that is not said, as there is another "*" or
 * variable.
 */
static size_t
walk_literals(const template_walk_t *w, bool segment)
{
    char    c;
    size_t  i, n;

    n = 0;

    for (i = w->at; i < w->text.len; i++) {
        c = w->text.data[i];

        if (c == '/' && segment) {
            break;
        }

        if (c == '*') {
            return SIZE_MAX;
        }

        if (c == '{') {
            while (i < w->text.len && w->text.data[i] != '=') {
                if (w->text.data[i] == '}') {
                    return SIZE_MAX;
                }

                i++;
            }

        } else if (c != '}') {
            n++;
        }
    }

    return n;
}


/* What a "*" or a "**" takes: its end is known before it is looked at. */
static bool
walk_glob(template_walk_t *w, bool slashes)
{
    char         c;
    size_t       end, literals;
    mesh_str_t   path;
    const char  *slash;

    path = w->path;
    end = path.len;

    if (!slashes) {
        slash = memchr(path.data + w->pos, '/', path.len - w->pos);
        end = slash ? (size_t) (slash - path.data) : path.len;
    }

    literals = walk_literals(w, !slashes);

    /* One byte at least, if it is no "**". */

    if (literals > end - w->pos || (!slashes && literals == end - w->pos)) {
        return false;
    }

    for (end -= literals; w->pos < end; w->pos++) {
        c = path.data[w->pos];

        if (!template_is_taken(c) && !(slashes && c == '/')) {
            return false;
        }
    }

    return true;
}


static void
walk_close(template_walk_t *w)
{
    mesh_template_var_t  *var;

    if (w->open && w->vars != NULL) {
        var = &w->vars->v[w->vars->count++];
        var->value = (mesh_str_t) { w->pos - w->begin,
                                    w->path.data + w->begin };
    }

    w->open = false;
}


static bool
walk_open(template_walk_t *w)
{
    size_t      end;
    mesh_str_t  name;

    for (end = ++w->at; end < w->text.len; end++) {
        if (w->text.data[end] == '=' || w->text.data[end] == '}') {
            break;
        }
    }

    if (end == w->text.len
        || (w->vars != NULL && w->vars->count == MESH_TEMPLATE_VARS))
    {
        return false;
    }

    name = (mesh_str_t) { end - w->at, w->text.data + w->at };

    if (w->vars != NULL) {
        w->vars->v[w->vars->count].name = name;
    }

    w->open = true;
    w->begin = w->pos;
    w->at = end + 1;

    if (w->text.data[end] == '=') {
        return true;
    }

    if (!walk_glob(w, false)) {
        return false;
    }

    walk_close(w);

    return true;
}


bool
mesh_template_match(mesh_str_t text, mesh_str_t path,
    mesh_template_vars_t *vars)
{
    bool             ok, slashes;
    template_walk_t  w = { text, path, 0, 0, 0, false, vars };

    if (vars != NULL) {
        vars->count = 0;
    }

    ok = true;

    while (ok && w.at < text.len) {

        switch (text.data[w.at]) {

        case '*':
            slashes = w.at + 1 < text.len && text.data[w.at + 1] == '*';
            w.at += 1 + slashes;
            ok = walk_glob(&w, slashes);
            break;

        case '{':
            ok = walk_open(&w);
            break;

        case '}':
            w.at++;
            walk_close(&w);
            break;

        default:
            ok = w.pos < path.len && path.data[w.pos] == text.data[w.at];
            w.at++;
            w.pos++;
            break;
        }
    }

    return ok && w.pos == path.len;
}


mesh_str_t
mesh_template_prefix(mesh_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '*' || text.data[i] == '{') {
            break;
        }
    }

    return (mesh_str_t) { i, text.data };
}


void
mesh_template_expand(mesh_str_t rewrite, const mesh_template_vars_t *vars,
    mesh_text_t *out)
{
    unsigned     i;
    const char  *open, *close;
    mesh_str_t   name, rest;

    for (rest = rewrite; rest.len; /* void */ ) {
        open = memchr(rest.data, '{', rest.len);
        close = open ? memchr(open, '}',
                              rest.len - (size_t) (open - rest.data))
                     : NULL;

        if (close == NULL) {
            mesh_text_put(out, rest);
            return;
        }

        name = (mesh_str_t) { (size_t) (close - open) - 1, open + 1 };
        mesh_text_put(out, (mesh_str_t) { (size_t) (open - rest.data),
                                          rest.data });

        for (i = 0; i < vars->count; i++) {
            if (mesh_str_eq(vars->v[i].name, name)) {
                mesh_text_put(out, vars->v[i].value);
            }
        }

        rest.len -= (size_t) (close + 1 - rest.data);
        rest.data = close + 1;
    }
}
