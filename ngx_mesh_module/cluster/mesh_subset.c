/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Names of subsets by labels.
 */

#include "mesh_subset.h"


typedef struct {
    mesh_str_t  key;
    mesh_str_t  value;
} subset_label_t;


static bool
subset_escaped(char c)
{
    return (uint8_t) c <= 0x20 || c == 0x7f || c == '%' || c == ',' || c == '/'
           || c == '=';
}


/*
 * One byte of an escaped text, which is not empty; false: a wrong escape, or
 * none where there must be one.
 */
static bool
subset_byte(mesh_str_t *text, char *byte)
{
    int  c;

    *byte = text->data[0];

    if (*byte != '%') {
        text->data++;
        text->len--;
        return !subset_escaped(*byte);
    }

    c = mesh_unescape(*text, 0);

    if (c < 0) {
        return false;
    }

    *byte = (char) c;
    text->data += 3;
    text->len -= 3;

    return true;
}


static size_t
subset_put_text(char *out, size_t len, mesh_str_t text)
{
    char    c;
    size_t  i, need;

    static const char  hex[] = "0123456789ABCDEF";

    for (i = 0; i < text.len; i++) {
        c = text.data[i];
        need = subset_escaped(c) ? 3 : 1;

        if (len + need > MESH_SUBSET_NAME_MAX) {
            return MESH_SUBSET_NAME_MAX + 1;
        }

        if (need == 1) {
            out[len++] = c;
            continue;
        }

        out[len++] = '%';
        out[len++] = hex[(uint8_t) c >> 4];
        out[len++] = hex[(uint8_t) c & 0xf];
    }

    return len;
}


static size_t
subset_put_mark(char *out, size_t len, char mark)
{
    if (len >= MESH_SUBSET_NAME_MAX) {
        return MESH_SUBSET_NAME_MAX + 1;
    }

    out[len] = mark;

    return len + 1;
}


size_t
mesh_subset_put(char *out, size_t len, mesh_str_t key, mesh_str_t value)
{
    if (len != 0) {
        len = subset_put_mark(out, len, ',');
    }

    len = subset_put_text(out, len, key);
    len = subset_put_mark(out, len, '=');

    return subset_put_text(out, len, value);
}


bool
mesh_subset_next(mesh_str_t *name, mesh_str_t *label, mesh_str_t *key)
{
    const char  *end;

    if (name->len == 0) {
        return false;
    }

    end = memchr(name->data, ',', name->len);

    *label = *name;
    *name = MESH_STR_NULL;

    if (end != NULL) {
        name->len = label->len - (size_t) (end - label->data) - 1;
        name->data = end + 1;
        label->len = (size_t) (end - label->data);
    }

    *key = *label;
    end = memchr(label->data, '=', label->len);

    if (end != NULL) {
        key->len = (size_t) (end - label->data);
    }

    return true;
}


bool
mesh_subset_is_key(mesh_str_t escaped, mesh_str_t key)
{
    char    c;
    size_t  i;

    for (i = 0; i < key.len && escaped.len != 0; i++) {
        if (!subset_byte(&escaped, &c) || c != key.data[i]) {
            return false;
        }
    }

    return i == key.len && escaped.len == 0;
}


size_t
mesh_subset_unescape(mesh_str_t escaped, char *out)
{
    size_t  len;

    for (len = 0; escaped.len != 0; len++) {
        if (!subset_byte(&escaped, &out[len])) {
            return SIZE_MAX;
        }
    }

    return len;
}


/* To *out, which moves on. */
static bool
subset_read(mesh_str_t escaped, char **out, mesh_str_t *text)
{
    *text = (mesh_str_t) { mesh_subset_unescape(escaped, *out), *out };

    if (text->len == SIZE_MAX) {
        return false;
    }

    *out += text->len;

    return true;
}


/* Puts a label where it belongs by its key; false: the key is there. */
static bool
subset_insert(subset_label_t *labels, size_t n, const subset_label_t *label)
{
    int     rc;
    size_t  i;

    for (i = n; i > 0; i--) {
        rc = mesh_str_cmp(labels[i - 1].key, label->key);

        if (rc == 0) {
            return false;
        }

        if (rc < 0) {
            break;
        }

        labels[i] = labels[i - 1];
    }

    labels[i] = *label;

    return true;
}


size_t
mesh_subset_canonical(mesh_str_t text, char *out)
{
    char            *p, bytes[MESH_SUBSET_NAME_MAX];
    size_t           i, n, len;
    mesh_str_t       label, key, value;
    subset_label_t   read, labels[MESH_SUBSET_LABELS_MAX];

    if (text.len > MESH_SUBSET_NAME_MAX
        || (text.len != 0 && text.data[text.len - 1] == ','))
    {
        return 0;
    }

    p = bytes;
    n = 0;

    while (mesh_subset_next(&text, &label, &key)) {

        if (n == MESH_SUBSET_LABELS_MAX || key.len == 0
            || key.len == label.len)
        {
            return 0;
        }

        value.data = key.data + key.len + 1;
        value.len = label.len - key.len - 1;

        if (!subset_read(key, &p, &read.key)
            || !subset_read(value, &p, &read.value)
            || !subset_insert(labels, n++, &read))
        {
            return 0;
        }
    }

    for (i = 0, len = 0; i < n; i++) {
        len = mesh_subset_put(out, len, labels[i].key, labels[i].value);
    }

    /* No longer than the text: what must be escaped was. */

    return len;
}
