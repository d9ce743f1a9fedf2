/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Envoy's regular expressions are RE2's; ours are matched by PCRE2.  What both
 * read alike is let through, and nothing else: PCRE2 knows much that RE2
 * refuses (assertions that look around, references, recursion, possessive
 * quantifiers, verbs), and a few things mean something else (\s, \v, \C, octal
 * escapes, bytes above 127, which RE2 reads as UTF-8).
 */

#include "model_regex.h"

#include <stdio.h>

#include "mesh_regex.h"

#define REPEAT_MAX 1000 /* RE2's own */
#define GROUPS_MAX 64   /* that are open */

typedef struct {
    mesh_str_t text;
    size_t at;
    bool repeatable; /* what stands before may be repeated */
    unsigned open;   /* groups */
} scan_t;

static int peek(const scan_t *s, size_t ahead) {
    return s->at + ahead < s->text.len ? (uint8_t)s->text.data[s->at + ahead]
                                       : -1;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \x41, of ASCII. */
static const char *scan_hex(scan_t *s) {
    if (!is_hex(peek(s, 2)) || !is_hex(peek(s, 3)) || peek(s, 2) > '7') {
        return "\\x wants two digits, from 00 to 7f";
    }
    s->at += 4;
    return NULL;
}

/*
 * An escape; *set: it stands for several characters.  Assertions are none of
 * a class in brackets.
 */
static const char *scan_escape(scan_t *s, bool in_class, bool *set) {
    int c = peek(s, 1);

    *set = c > 0 && strchr("dDwW", c) != NULL;
    s->repeatable = true;

    if (c < 0) {
        return "a \\ at the end";
    }
    if (c == 'x') {
        return scan_hex(s);
    }
    if (c == 's' || c == 'S') {
        return "\\s is not the same to RE2 and PCRE2: write [[:space:]]";
    }
    if (is_digit(c)) {
        return "neither references nor octal numbers";
    }
    if (is_letter(c) && !*set && strchr("aftnr", c) == NULL) {
        if (in_class || strchr("AzbB", c) == NULL) {
            return "an escape that RE2 and PCRE2 do not share";
        }
        s->repeatable = false;
    }
    if (c >= 0x80 || c < 0x20 || c == 0x7f) {
        return "bytes of printable ASCII only";
    }
    s->at += 2;
    return NULL;
}

/* [:name:], which begins here. */
static const char *scan_posix(scan_t *s) {
    static const char *const names[] = {
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph",
        "lower", "print", "punct", "space", "upper", "word",  "xdigit"};
    size_t begin = s->at + 2 + (peek(s, 2) == '^');

    for (size_t i = 0; i < mesh_nelts(names); i++) {
        mesh_str_t rest = {s->text.len - mesh_min(begin, s->text.len),
                           s->text.data + begin};
        size_t len = strlen(names[i]);

        if (mesh_str_starts(rest, mesh_str_from(names[i])) &&
            rest.len >= len + 2 && memcmp(rest.data + len, ":]", 2) == 0) {
            s->at = begin + len + 2;
            return NULL;
        }
    }
    return "an unknown class in [: :]";
}

/* One member of a class, or one end of a range. */
static const char *scan_member(scan_t *s, bool *set) {
    int c = peek(s, 0);

    *set = false;
    if (c == '\\') {
        return scan_escape(s, true, set);
    }
    if (c == '[' && peek(s, 1) == ':') {
        *set = true;
        return scan_posix(s);
    }
    if (c == '[' && (peek(s, 1) == '.' || peek(s, 1) == '=')) {
        return "an unknown class in [. .] or [= =]";
    }
    if (c < 0x20 || c > 0x7e) {
        return c < 0 ? "a [ without its ]" : "bytes of printable ASCII only";
    }
    s->at++;
    return NULL;
}

static const char *scan_class(scan_t *s) {
    bool first = true, set, end_set;
    const char *why;

    s->at += 1 + (peek(s, 1) == '^');
    for (; first || peek(s, 0) != ']'; first = false) {
        why = scan_member(s, &set);
        if (why != NULL) {
            return why;
        }
        if (peek(s, 0) != '-' || peek(s, 1) == ']') {
            continue;
        }
        s->at++;
        why = scan_member(s, &end_set);
        if (why != NULL) {
            return why;
        }
        if (set || end_set) {
            return "a range of what is no character";
        }
    }
    s->at++;
    s->repeatable = true;
    return NULL;
}

/* "i", "-s", "im-sU": how many bytes; 0: none, or not so. */
static size_t scan_flags(const scan_t *s) {
    static const char flags[] = "imsU";
    bool minus = false;
    size_t n = 0, letters = 0;

    for (int c; (c = peek(s, n)) > 0; n++) {
        if (c == '-' && !minus) {
            minus = true;
            letters = 0;
        } else if (strchr(flags, c) != NULL) {
            letters++;
        } else {
            break;
        }
    }
    return letters != 0 ? n : 0;
}

/* Behind "(?": ":", "P<name>", "i:", "i)", of which the last is no group. */
static const char *scan_special(scan_t *s, bool *group) {
    size_t flags = scan_flags(s);

    *group = true;
    if (peek(s, 0) == 'P' && peek(s, 1) == '<') {
        s->at += 2;
        while (is_letter(peek(s, 0)) || is_digit(peek(s, 0)) ||
               peek(s, 0) == '_') {
            s->at++;
        }
        if (peek(s, 0) != '>') {
            return "a group's name";
        }
    } else if (flags != 0 && peek(s, flags) == ')') {
        s->at += flags;
        *group = false;
    } else if (peek(s, flags) == ':') {
        s->at += flags;
    } else {
        return "a group that RE2 does not have";
    }
    s->at++;
    return NULL;
}

static const char *scan_group(scan_t *s) {
    const char *why = NULL;
    bool group = true;

    s->at++;
    s->repeatable = false;
    if (peek(s, 0) == '?') {
        s->at++;
        why = scan_special(s, &group);
    }
    s->open += group;
    return why == NULL && s->open > GROUPS_MAX ? "groups nested too deep" : why;
}

static const char *scan_count(scan_t *s, unsigned *count) {
    *count = 0;
    for (; is_digit(peek(s, 0)); s->at++) {
        *count = *count * 10 + (unsigned)(peek(s, 0) - '0');
        if (*count > REPEAT_MAX) {
            return "more than 1000 repeats";
        }
    }
    return NULL;
}

/* "{n}", "{n,}", "{n,m}". */
static const char *scan_braces(scan_t *s) {
    unsigned least, most;
    const char *why;

    s->at++;
    if (!is_digit(peek(s, 0))) {
        return "a { that begins no repeat: write \\{";
    }
    why = scan_count(s, &least);
    most = least;
    if (why == NULL && peek(s, 0) == ',') {
        s->at++;
        if (is_digit(peek(s, 0))) {
            why = scan_count(s, &most);
        }
    }
    if (why != NULL) {
        return why;
    }
    if (peek(s, 0) != '}' || most < least) {
        return "a { that begins no repeat: write \\{";
    }
    s->at++;
    return NULL;
}

static const char *scan_repeat(scan_t *s) {
    const char *why = NULL;

    if (!s->repeatable) {
        return "nothing to repeat";
    }
    if (peek(s, 0) == '{') {
        why = scan_braces(s);
    } else {
        s->at++;
    }
    if (peek(s, 0) == '?') {
        s->at++;
    }
    s->repeatable = false; /* "a**" is wrong, and "a*+" is not RE2's */
    return why;
}

static const char *scan_next(scan_t *s) {
    int c = peek(s, 0);
    bool set;

    switch (c) {
    case '\\':
        return scan_escape(s, false, &set);
    case '[':
        return scan_class(s);
    case '(':
        return scan_group(s);
    case ')':
        if (s->open == 0) {
            return "a ) without its (";
        }
        s->open--;
        break;
    case '*':
    case '+':
    case '?':
    case '{':
        return scan_repeat(s);
    case '|':
    case '^':
    case '$':
        s->at++;
        s->repeatable = false;
        return NULL;
    default:
        if (c < 0x20 || c > 0x7e) {
            return "bytes of printable ASCII only";
        }
        break;
    }
    s->at++;
    s->repeatable = true;
    return NULL;
}

const char *model_regex_check(mesh_str_t pattern, size_t *at) {
    scan_t s = {.text = pattern};
    const char *why = NULL;

    while (why == NULL && s.at < pattern.len) {
        *at = s.at;
        why = scan_next(&s);
    }
    if (why == NULL && s.open != 0) {
        why = "a ( without its )";
    }
    return why;
}

bool model_regex_valid(mesh_str_t pattern, char *error, size_t size) {
    size_t at = 0;
    const char *why = model_regex_check(pattern, &at);
    mesh_regex_t re;
    int code;

    if (why != NULL) {
        snprintf(error, size, "%s (at byte %zu)", why, at);
        return false;
    }
    if (!mesh_regex_compile(&re, pattern, NULL, &code, &at)) {
        PCRE2_UCHAR text[128] = "";

        pcre2_get_error_message(code, text, sizeof(text));
        snprintf(error, size, "%s (at byte %zu)", (const char *)text, at);
        return false;
    }
    mesh_regex_free(&re);
    return true;
}

uint32_t model_regex_groups(mesh_str_t pattern) {
    uint32_t count = 0;
    mesh_regex_t re;
    int code;
    size_t at;

    if (mesh_regex_make(&re, pattern, true, NULL, &code, &at)) {
        pcre2_pattern_info(re.code, PCRE2_INFO_CAPTURECOUNT, &count);
        mesh_regex_free(&re);
    }
    return count;
}
