/* Keys as text, keyrings, their files. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/keyring.h"

static void a_line_is_read_as_it_was_written(void **state)
{
    char line[KEY_LINE_MAX], padded[KEY_LINE_MAX + 8];
    struct ring_key key, read;

    (void)state;
    for (int i = 0; i < 100; i++) {
        key_generate(&key);
        key_format(&key, line);
        assert_int_equal(strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(line));
        snprintf(padded, sizeof(padded), "  %s\r\n", line);
        assert_int_equal(key_parse(padded, &read), 0);
        assert_int_equal(read.id, key.id);
        assert_memory_equal(read.secret, key.secret, sizeof(key.secret));
    }
}

/* Every single character changed, left out, and every two neighbours swapped. */
static void every_slip_of_the_hand_is_found(void **state)
{
    char line[KEY_LINE_MAX], slip[KEY_LINE_MAX];
    struct ring_key key;

    (void)state;
    key_generate(&key);
    key_format(&key, line);
    for (size_t i = 0; i < strlen(line); i++) {
        strcpy(slip, line);
        slip[i] = slip[i] == '0' ? '1' : '0';
        assert_true(key_parse(slip, &key) < 0);
        strcpy(slip, line);
        memmove(slip + i, slip + i + 1, strlen(slip + i));
        assert_true(key_parse(slip, &key) < 0);
        strcpy(slip, line);
        if (i == 0 || slip[i] == slip[i - 1])
            continue;
        slip[i] = line[i - 1];
        slip[i - 1] = line[i];
        assert_true(key_parse(slip, &key) < 0);
    }
    assert_int_equal(key_parse("", &key), -EINVAL);
    assert_int_equal(key_parse("hello", &key), -EINVAL);
    assert_int_equal(key_parse("rck1_00", &key), -EBADMSG);
}

static void the_first_key_is_used_and_the_one_in_use_cannot_be_removed(void **state)
{
    struct keyring ring = {0};
    struct ring_key keys[KEYS_MAX + 1], false_key;

    (void)state;
    assert_null(keyring_used(&ring));
    for (size_t i = 0; i <= KEYS_MAX; i++) {
        key_generate(&keys[i]);
        keys[i].id = (uint32_t)i;
        assert_int_equal(keyring_add(&ring, &keys[i]), i < KEYS_MAX ? 0 : -ENOSPC);
    }
    assert_int_equal(keyring_used(&ring)->id, 0);
    assert_int_equal(keyring_add(&ring, &keys[3]), 0);
    false_key = keys[3];
    false_key.secret[0] ^= 1;
    assert_int_equal(keyring_add(&ring, &false_key), -EEXIST);
    assert_int_equal(keyring_use(&ring, 5), 0);
    assert_int_equal(keyring_remove(&ring, 5), -EBUSY);
    assert_int_equal(keyring_remove(&ring, 77), -ENOENT);
    assert_int_equal(keyring_remove(&ring, 2), 0);
    assert_int_equal(keyring_used(&ring)->id, 5);
    assert_null(keyring_find(&ring, 2));
    assert_int_equal(ring.count, KEYS_MAX - 1);
}

static char *make_path(char *directory)
{
    char *path;

    assert_non_null(mkdtemp(directory));
    assert_true(asprintf(&path, "%s/keyring", directory) > 0);
    return path;
}

static void a_file_is_replaced_whole_and_for_its_owner_only(void **state)
{
    char directory[] = "/tmp/keyring-XXXXXX", *path = make_path(directory), *error = NULL;
    struct keyring ring = {.rotation = 7}, read;
    struct ring_key key;
    struct stat status;

    (void)state;
    assert_int_equal(keyring_load(path, &read, &error), -ENOENT);
    free(error);
    for (uint32_t id = 1; id < 4; id++) {
        key_generate(&key);
        key.id = id;
        assert_int_equal(keyring_add(&ring, &key), 0);
        assert_int_equal(keyring_use(&ring, id), 0);
        assert_int_equal(keyring_save(path, &ring, &error), 0);
        assert_int_equal(keyring_load(path, &read, &error), 0);
        assert_memory_equal(&read, &ring, sizeof(ring));
    }
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keyring_load(path, &read, &error), -EPERM);
    assert_non_null(strstr(error, "chmod 0600"));
    free(error);
    /* A credential's owner is root, and the group's bits are those of its list of access. */
    assert_int_equal(chmod(path, 0440), 0);
    assert_int_equal(keyring_load_credential(path, &read, &error), 0);
    assert_memory_equal(&read, &ring, sizeof(ring));
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(keyring_load_credential(path, &read, &error), -EPERM);
    free(error);
    unlink(path);
    assert_int_equal(rmdir(directory), 0); /* no draft was left */
    free(path);
}

static void a_bad_line_of_a_file_is_named(void **state)
{
    char line[KEY_LINE_MAX], text[KEYRING_TEXT_MAX];
    struct keyring ring;
    struct ring_key key;
    unsigned number;

    (void)state;
    key_generate(&key);
    key_format(&key, line);
    snprintf(text, sizeof(text), "# a comment\n\nrotation 3\naccept %s\nuse rck1_oops\n", line);
    assert_int_equal(keyring_parse(text, &ring, &number), -EBADMSG);
    assert_int_equal(number, 5);
    snprintf(text, sizeof(text), "# a comment\r\n%s\r\n", line);
    assert_int_equal(keyring_parse(text, &ring, &number), 0);
    assert_int_equal(keyring_used(&ring)->id, key.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_read_as_it_was_written),
        cmocka_unit_test(every_slip_of_the_hand_is_found),
        cmocka_unit_test(the_first_key_is_used_and_the_one_in_use_cannot_be_removed),
        cmocka_unit_test(a_file_is_replaced_whole_and_for_its_owner_only),
        cmocka_unit_test(a_bad_line_of_a_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
