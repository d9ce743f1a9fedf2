/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Texts with substitutions; see mesh_substitute.h.
 */

#include "mesh_match.h"
#include "mesh_substitute.h"


/* What stands between the brackets of a variable. */
typedef enum {
    ARGS_NONE,
    ARGS_HEADERS,                       /* (X?Y) */
    ARGS_TIME,                          /* (FORMAT), or none */
    ARGS_PATH,                          /* (WQ:ORIG), or none */
    ARGS_NAME                           /* (X) */
} args_e;

/* What a row writes with. */
typedef struct {
    const mesh_snapshot_t     *s;
    const mesh_format_part_t  *part;
    const mesh_facts_t        *facts;
    mesh_text_t               *out;
} writing_t;

typedef struct {
    const char  *name;
    args_e       args;
    bool         response;              /* unknown while the request is sent */
    void       (*write)(const writing_t *w);
} row_t;


/* --- writing ------------------------------------------------------------- */

static mesh_str_t
whole_path(const writing_t *w, bool original)
{
    if (!original && w->facts->sent_path.data != NULL) {
        return w->facts->sent_path;
    }

    return mesh_request_whole_path(w->facts->request);
}


/*
 * A header of the request, as Envoy's map of them has it: with its
 * pseudo-headers, and with the path that was rewritten.
 */
static bool
request_header(const writing_t *w, mesh_str_t name, uint32_t hash,
    mesh_str_t *value)
{
    mesh_header_iter_t     iter = { NULL, 0 };
    const mesh_request_t  *r = w->facts->request;

    static const char  original[] = "x-envoy-original-path";

    if (mesh_str_eq(name, MESH_STR(":path"))) {
        *value = whole_path(w, false);

    } else if (mesh_str_eq(name, MESH_STR(":method"))) {
        *value = r->method;

    } else if (mesh_str_eq(name, MESH_STR(":scheme"))) {
        *value = r->scheme;

    } else if (mesh_str_eq(name, MESH_STR(":authority"))
               || mesh_str_eq(name, MESH_STR("host")))
    {
        *value = w->facts->sent_host.data != NULL ? w->facts->sent_host
                                                  : r->authority;

    } else if (w->facts->sent_path.data != NULL
               && mesh_str_eq(name, mesh_str_from(original)))
    {
        *value = whole_path(w, true);

    } else {
        return r->calls->header(r, name, hash, &iter, value);
    }

    return true;
}


static void
write_text(const writing_t *w)
{
    mesh_text_put(w->out, mesh_get_str(w->s, w->part->name));
}


static void
write_req(const writing_t *w)
{
    mesh_str_t                 value;
    const mesh_format_part_t  *part = w->part;

    if (request_header(w, mesh_get_str(w->s, part->name), part->hash, &value)
        || (part->other != 0
            && request_header(w, mesh_get_str(w->s, part->other),
                              part->other_hash, &value)))
    {
        mesh_text_put_clean(w->out, value);
    }
}


static void
write_resp(const writing_t *w)
{
    mesh_str_t                 value;
    const mesh_facts_t        *facts = w->facts;
    const mesh_format_part_t  *part = w->part;

    if (facts->response(facts, mesh_get_str(w->s, part->name), &value)
        || (part->other != 0
            && facts->response(facts, mesh_get_str(w->s, part->other),
                               &value)))
    {
        mesh_text_put_clean(w->out, value);
    }
}


static void
write_fact(const writing_t *w)
{
    char  buffer[MESH_FACT_MAX];

    mesh_text_put_clean(w->out,
                        w->facts->fact(w->facts, w->part->var, buffer));
}


static void
write_path(const writing_t *w)
{
    bool         original;
    uint8_t      flags = w->part->flags;
    const char  *mark;
    mesh_str_t   path;

    if ((flags & MESH_FORMAT_ORIGINAL) && w->facts->sent_path.data == NULL) {
        return;
    }

    original = !(flags & MESH_FORMAT_CURRENT);
    path = whole_path(w, original);

    if ((flags & MESH_FORMAT_NO_QUERY) && path.len) {
        mark = memchr(path.data, '?', path.len);
        path.len = mark ? (size_t) (mark - path.data) : path.len;
    }

    mesh_text_put_clean(w->out, path);
}


/* The value without its %XX, as Envoy has it; a "+" stays one. */
static void
write_query_param(const writing_t *w)
{
    int         byte;
    char        c;
    size_t      i;
    mesh_str_t  value;

    if (!mesh_match_query(w->facts->request->query,
                          mesh_get_str(w->s, w->part->name), &value))
    {
        return;
    }

    for (i = 0; i < value.len; i++) {
        c = value.data[i];
        byte = c == '%' ? mesh_unescape(value, i) : -1;

        if (byte >= 0) {
            c = (char) byte;
            i += 2;
        }

        mesh_text_put_clean(w->out, (mesh_str_t) { 1, &c });
    }
}


/* --- times --------------------------------------------------------------- */

typedef struct {
    uint64_t   seconds;                 /* unix time */
    unsigned   ms, year, month, day, hour, minute, second;
} civil_t;


/*
 * The Gregorian calendar in eras of 400 years that begin on a first of March,
 * so that leap days stand at the end.
 */
static civil_t
civil_of(uint64_t unix_ms)
{
    civil_t   c;
    uint64_t  days, era;
    unsigned  of_era, year, of_year, month;

    c.seconds = unix_ms / 1000;
    c.ms = (unsigned) (unix_ms % 1000);
    c.second = (unsigned) (c.seconds % 60);
    c.minute = (unsigned) (c.seconds / 60 % 60);
    c.hour = (unsigned) (c.seconds / 3600 % 24);

    days = c.seconds / 86400 + 719468;          /* since 0000-03-01 */
    era = days / 146097;
    of_era = (unsigned) (days % 146097);
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;            /* 0 is March */

    c.day = of_year - (153 * month + 2) / 5 + 1;
    c.month = month < 10 ? month + 3 : month - 9;
    c.year = (unsigned) (era * 400) + year + (c.month <= 2);

    return c;
}


/* The first `digits` places of a second. */
static void
write_fraction(mesh_text_t *out, unsigned ms, unsigned digits)
{
    unsigned  i;

    for (i = 0; i < digits; i++) {
        mesh_text_put_number(out, i < 3 ? ms / 100 : 0, 1);
        ms = ms % 100 * 10;
    }
}


/* A conversion of a time, without its "%"; how many bytes, 0: not one. */
static size_t
time_conversion(mesh_str_t f, const civil_t *c, mesh_text_t *out)
{
    if (f.len == 0) {
        return 0;
    }

    switch (f.data[0]) {
    case 'Y':
        mesh_text_put_number(out, c->year, 4);
        return 1;
    case 'm':
        mesh_text_put_number(out, c->month, 2);
        return 1;
    case 'd':
        mesh_text_put_number(out, c->day, 2);
        return 1;
    case 'H':
        mesh_text_put_number(out, c->hour, 2);
        return 1;
    case 'M':
        mesh_text_put_number(out, c->minute, 2);
        return 1;
    case 'S':
        mesh_text_put_number(out, c->second, 2);
        return 1;
    case 's':
        mesh_text_put_number(out, c->seconds, 1);
        return 1;
    case 'z':
        mesh_text_put(out, MESH_STR("+0000"));
        return 1;
    case 'Z':
        mesh_text_put(out, MESH_STR("UTC"));
        return 1;
    case 'f':
        write_fraction(out, c->ms, 9);
        return 1;
    }

    if (f.data[0] >= '1' && f.data[0] <= '9' && f.len > 1
        && f.data[1] == 'f')
    {
        write_fraction(out, c->ms, (unsigned) (f.data[0] - '0'));
        return 2;
    }

    return 0;
}


/* Fields that stand for others. */
static size_t
time_shorthand(mesh_str_t f, const civil_t *c, mesh_text_t *out)
{
    size_t       i, n;
    const char  *letters;

    if (mesh_str_starts(f, MESH_STR("E3S"))) {
        mesh_text_put_number(out, c->second, 2);
        mesh_text_put(out, MESH_STR("."));
        write_fraction(out, c->ms, 3);
        return 3;
    }

    if (f.len == 0 || (f.data[0] != 'F' && f.data[0] != 'T')) {
        return 0;
    }

    letters = f.data[0] == 'F' ? "Y-m-d" : "H:M:S";
    n = strlen(letters);

    for (i = 0; i < n; i += 2) {
        (void) time_conversion((mesh_str_t) { 1, letters + i }, c, out);
        mesh_text_put(out, (mesh_str_t) { i + 1 < n, letters + i + 1 });
    }

    return 1;
}


/*
 * strftime()'s, as Envoy has them; false: there is one that is none of ours,
 * at *at.
 */
static bool
time_write(mesh_str_t f, const civil_t *c, mesh_text_t *out, size_t *at)
{
    size_t      i, n;
    mesh_str_t  rest;

    for (i = 0; i < f.len; i += n) {
        if (f.data[i] != '%') {
            n = 1;
            mesh_text_put(out, (mesh_str_t) { 1, f.data + i });
            continue;
        }

        rest = (mesh_str_t) { f.len - i - 1, f.data + i + 1 };
        n = time_conversion(rest, c, out);

        if (n == 0) {
            n = time_shorthand(rest, c, out);
        }

        if (n == 0) {
            *at = i;
            return false;
        }

        n++;
    }

    return true;
}


static void
write_start_time(const writing_t *w)
{
    size_t      at;
    civil_t     c;
    mesh_str_t  format;

    c = civil_of(w->facts->start_ms);
    format = w->part->name ? mesh_get_str(w->s, w->part->name)
                           : MESH_STR("%FT%T.%3fZ");

    (void) time_write(format, &c, w->out, &at);
}


/* --- the table ----------------------------------------------------------- */

static const row_t  rows[MESH_VAR_MAX] = {
    [MESH_VAR_TEXT] = { "", ARGS_NONE, false, write_text },
    [MESH_VAR_REQ] = { "REQ", ARGS_HEADERS, false, write_req },
    [MESH_VAR_RESP] = { "RESP", ARGS_HEADERS, true, write_resp },
    [MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS] =
        { "DOWNSTREAM_REMOTE_ADDRESS", ARGS_NONE, false, write_fact },
    [MESH_VAR_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT] =
        { "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", ARGS_NONE, false,
          write_fact },
    [MESH_VAR_DOWNSTREAM_REMOTE_PORT] =
        { "DOWNSTREAM_REMOTE_PORT", ARGS_NONE, false, write_fact },
    [MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS] =
        { "DOWNSTREAM_LOCAL_ADDRESS", ARGS_NONE, false, write_fact },
    [MESH_VAR_DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT] =
        { "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", ARGS_NONE, false,
          write_fact },
    [MESH_VAR_DOWNSTREAM_LOCAL_PORT] =
        { "DOWNSTREAM_LOCAL_PORT", ARGS_NONE, false, write_fact },
    [MESH_VAR_PROTOCOL] = { "PROTOCOL", ARGS_NONE, false, write_fact },
    [MESH_VAR_START_TIME] =
        { "START_TIME", ARGS_TIME, false, write_start_time },
    [MESH_VAR_UPSTREAM_HOST] =
        { "UPSTREAM_HOST", ARGS_NONE, true, write_fact },
    [MESH_VAR_UPSTREAM_CLUSTER] =
        { "UPSTREAM_CLUSTER", ARGS_NONE, false, write_fact },
    [MESH_VAR_ROUTE_NAME] = { "ROUTE_NAME", ARGS_NONE, false, write_fact },
    [MESH_VAR_HOSTNAME] = { "HOSTNAME", ARGS_NONE, false, write_fact },
    [MESH_VAR_RESPONSE_CODE] =
        { "RESPONSE_CODE", ARGS_NONE, true, write_fact },
    [MESH_VAR_RESPONSE_FLAGS] =
        { "RESPONSE_FLAGS", ARGS_NONE, true, write_fact },
    [MESH_VAR_REQUESTED_SERVER_NAME] =
        { "REQUESTED_SERVER_NAME", ARGS_NONE, false, write_fact },
    [MESH_VAR_PATH] = { "PATH", ARGS_PATH, false, write_path },
    [MESH_VAR_QUERY_PARAM] =
        { "QUERY_PARAM", ARGS_NAME, false, write_query_param },
};


/* What is longer than any text may be shows in its length. */
static void
write_parts(const mesh_snapshot_t *s, const mesh_rec_format_t *format,
    const mesh_facts_t *facts, mesh_text_t *text)
{
    size_t                     before;
    uint32_t                   i;
    const mesh_format_part_t  *part;

    for (i = 0; i < format->count && text->len <= MESH_TEXT_MAX; i++) {
        part = &format->v[i];
        before = text->len;

        rows[part->var].write(&(writing_t) { s, part, facts, text });

        if (part->max && text->len - before > part->max) {
            text->len = before + part->max;
        }
    }
}


size_t
mesh_substitute_write(const mesh_snapshot_t *s,
    const mesh_rec_format_t *format, const mesh_facts_t *facts, char *out,
    size_t size)
{
    mesh_text_t  text = { out, size, 0, false };

    write_parts(s, format, facts, &text);

    return mesh_min(text.len, MESH_TEXT_MAX);
}


size_t
mesh_substitute_path(const mesh_snapshot_t *s,
    const mesh_rec_format_t *format, const mesh_facts_t *facts, char *out,
    size_t size)
{
    mesh_text_t  text = { out, size, 0, true };

    write_parts(s, format, facts, &text);

    return text.len;
}


/* --- reading ------------------------------------------------------------- */

typedef struct {
    mesh_str_t               text;
    size_t                   at;
    bool                     response;
    uint32_t                 count;
    mesh_substitute_part_t  *parts;
} reading_t;


static char
read_peek(const reading_t *r)
{
    return r->at < r->text.len ? r->text.data[r->at] : '\0';
}


static bool
read_is_token(mesh_str_t name)
{
    char    c;
    size_t  i;

    for (i = 0; i < name.len; i++) {
        c = mesh_lower(name.data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            && (c == '\0' || strchr("!#$&'*+-.^_`|~", c) == NULL))
        {
            return false;
        }
    }

    return name.len != 0 && name.len <= MESH_HEADER_NAME_MAX;
}


/* ":path" and its like are headers here. */
static bool
read_is_header(mesh_str_t name)
{
    if (name.len != 0 && name.data[0] == ':') {
        name.data++;
        name.len--;
    }

    return read_is_token(name);
}


static const char *
read_headers(mesh_str_t args, mesh_substitute_part_t *part)
{
    const char  *mark;

    mark = args.len ? memchr(args.data, '?', args.len) : NULL;
    part->name = args;

    if (mark != NULL) {
        part->name.len = (size_t) (mark - args.data);
        part->other = (mesh_str_t) { args.len - part->name.len - 1, mark + 1 };
    }

    if (!read_is_header(part->name)
        || (mark != NULL && !read_is_header(part->other)))
    {
        return "a variable that wants a header's name, or two with \"?\" "
               "between";
    }

    return NULL;
}


static const char *
read_time(mesh_str_t args, mesh_substitute_part_t *part)
{
    size_t       at;
    civil_t      c;
    mesh_text_t  nowhere = { NULL, 0, 0, false };

    c = civil_of(0);
    part->name = args;

    return time_write(args, &c, &nowhere, &at)
           ? NULL : "a time with another field than %Y %m %d %H %M %S %E3S %s "
                    "%f %1f to %9f %F %T %z %Z";
}


static const char *
read_path(mesh_str_t args, mesh_substitute_part_t *part)
{
    size_t      i;
    const char *mark;
    mesh_str_t  query, which;

    static const struct {
        const char  *word;
        uint8_t      flag;
    } words[] = {
        { "ORIG_OR_PATH", 0 },
        { "PATH", MESH_FORMAT_CURRENT },
        { "ORIG", MESH_FORMAT_ORIGINAL },
    };

    mark = args.len ? memchr(args.data, ':', args.len) : NULL;
    query = args;
    which = MESH_STR("ORIG_OR_PATH");

    if (mark != NULL) {
        query.len = (size_t) (mark - args.data);
        which = (mesh_str_t) { args.len - query.len - 1, mark + 1 };
    }

    if (mesh_str_eq(query, MESH_STR("NQ"))) {
        part->flags = MESH_FORMAT_NO_QUERY;

    } else if (query.len != 0 && !mesh_str_eq(query, MESH_STR("WQ"))) {
        return "a path that is not (WQ) or (NQ), with :ORIG, :PATH or "
               ":ORIG_OR_PATH";
    }

    for (i = 0; i < mesh_nelts(words); i++) {
        if (mesh_str_eq(which, mesh_str_from(words[i].word))) {
            part->flags |= words[i].flag;
            return NULL;
        }
    }

    return "a path that is not (WQ) or (NQ), with :ORIG, :PATH or "
           ":ORIG_OR_PATH";
}


/* ":Z" behind the brackets: bytes, at most. */
static const char *
read_max(reading_t *r, mesh_substitute_part_t *part)
{
    uint32_t  n;

    if (read_peek(r) != ':') {
        return NULL;
    }

    n = 0;

    for (r->at++; read_peek(r) >= '0' && read_peek(r) <= '9'; r->at++) {
        n = n * 10 + (uint32_t) (read_peek(r) - '0');

        if (n > UINT16_MAX) {
            break;
        }
    }

    part->max = (uint16_t) n;

    return n == 0 || n > UINT16_MAX ? "a length that is not 1 to 65535" : NULL;
}


/* Where the brackets end: a time has "%" between them, others have none. */
static const char *
read_end(const reading_t *r, bool time)
{
    size_t       len;
    const char  *begin;

    begin = r->text.data + r->at;
    len = r->text.len - r->at;

    return time ? memmem(begin, len, ")%", 2) : memchr(begin, ')', len);
}


static const char *
read_args(reading_t *r, const row_t *row, mesh_substitute_part_t *part)
{
    const char  *end, *why;
    mesh_str_t   args;

    r->at++;
    end = r->at < r->text.len ? read_end(r, row->args == ARGS_TIME) : NULL;

    if (end == NULL) {
        return "a ( without its )";
    }

    args = (mesh_str_t) { (size_t) (end - r->text.data) - r->at,
                          r->text.data + r->at };

    switch (row->args) {
    case ARGS_HEADERS:
        why = read_headers(args, part);
        break;
    case ARGS_TIME:
        why = read_time(args, part);
        break;
    case ARGS_PATH:
        why = read_path(args, part);
        break;
    case ARGS_NAME:
        part->name = args;
        why = args.len && args.len <= MESH_NAME_MAX ? NULL
                                                    : "a name that is empty";
        break;
    default:
        why = "brackets behind a variable that has none";
        break;
    }

    if (why != NULL) {
        return why;
    }

    r->at += args.len + 1;

    return row->args == ARGS_TIME ? NULL : read_max(r, part);
}


/* At the "%" of a variable. */
static const char *
read_variable(reading_t *r, mesh_substitute_part_t *part)
{
    size_t       begin, i;
    const char  *why;
    mesh_str_t   name;

    begin = ++r->at;

    while ((read_peek(r) >= 'A' && read_peek(r) <= 'Z')
           || read_peek(r) == '_')
    {
        r->at++;
    }

    name = (mesh_str_t) { r->at - begin, r->text.data + begin };

    for (i = 1; i < MESH_VAR_MAX; i++) {
        if (mesh_str_eq(name, mesh_str_from(rows[i].name))) {
            break;
        }
    }

    if (i == MESH_VAR_MAX) {
        r->at = begin - 1;
        return name.len ? "an unknown variable"
                        : "a \"%\" that begins no variable: write \"%%\"";
    }

    if (rows[i].response && !r->response) {
        r->at = begin - 1;
        return "a variable that is known with the response only";
    }

    part->var = (mesh_format_var_e) i;
    why = NULL;

    if (read_peek(r) == '(') {
        why = read_args(r, &rows[i], part);

    } else if (rows[i].args == ARGS_HEADERS || rows[i].args == ARGS_NAME) {
        why = "a variable without its brackets";
    }

    if (why == NULL && read_peek(r) != '%') {
        why = "a variable without the \"%\" at its end";
    }

    r->at++;

    return why;
}


/* Up to the next variable; of "%%", one is the last byte of a text. */
static void
read_text(reading_t *r, mesh_substitute_part_t *part)
{
    size_t  begin;

    begin = r->at;

    while (r->at < r->text.len && read_peek(r) != '%') {
        r->at++;
    }

    part->name = (mesh_str_t) { r->at - begin, r->text.data + begin };

    if (r->at + 1 < r->text.len && r->text.data[r->at + 1] == '%') {
        part->name.len++;
        r->at += 2;
    }
}


const char *
mesh_substitute_read(mesh_str_t text, bool response,
    mesh_substitute_part_t parts[MESH_FORMAT_PARTS_MAX], uint32_t *count,
    size_t *at)
{
    const char               *why;
    reading_t                 r = { text, 0, response, 0, parts };
    mesh_substitute_part_t   *part;

    why = NULL;

    while (why == NULL && r.at < text.len) {
        if (r.count == MESH_FORMAT_PARTS_MAX) {
            why = "more than 64 pieces";
            break;
        }

        part = &parts[r.count++];
        memset(part, 0, sizeof(mesh_substitute_part_t));

        if (read_peek(&r) == '%'
            && !(r.at + 1 < text.len && text.data[r.at + 1] == '%'))
        {
            why = read_variable(&r, part);

        } else {
            read_text(&r, part);
        }
    }

    *count = r.count;
    *at = r.at;

    return why;
}
