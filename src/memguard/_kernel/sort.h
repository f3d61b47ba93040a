/* Sorting in place: qsort of the C library may take memory from malloc, whose locks a
 * child process inherits as they happened to be.
 *
 * MG_DEFINE_SORT(name, type, compare) makes `name(type *items, size_t count)`:
 * insertion for few items, else a heap.  Not stable.
 */
#ifndef MG_SORT_H
#define MG_SORT_H

#include <stddef.h>

#define MG_INSERTED 16          /* items at most that are sorted by insertion */

#define MG_DEFINE_SORT(name, type, compare)                               \
    static void name##_sink(type *items, size_t root, size_t count)       \
    {                                                                     \
        type item = items[root];                                          \
        for (size_t child; (child = 2 * root + 1) < count; root = child) {\
            child += child + 1 < count &&                                 \
                     compare(&items[child], &items[child + 1]) < 0;       \
            if (compare(&item, &items[child]) >= 0) {                     \
                break;                                                    \
            }                                                             \
            items[root] = items[child];                                   \
        }                                                                 \
        items[root] = item;                                               \
    }                                                                     \
                                                                          \
    static void name(type *items, size_t count)                           \
    {                                                                     \
        if (count <= MG_INSERTED) {                                       \
            for (size_t i = 1; i < count; i++) {                          \
                type item = items[i];                                     \
                size_t place = i;                                         \
                for (; place > 0 && compare(&items[place - 1], &item) > 0;\
                     place--) {                                           \
                    items[place] = items[place - 1];                      \
                }                                                         \
                items[place] = item;                                      \
            }                                                             \
            return;                                                       \
        }                                                                 \
        for (size_t root = count / 2; root-- > 0;) {                      \
            name##_sink(items, root, count);                              \
        }                                                                 \
        for (size_t end = count; --end > 0;) {                            \
            type largest = items[0];                                      \
            items[0] = items[end];                                        \
            items[end] = largest;                                         \
            name##_sink(items, 0, end);                                   \
        }                                                                 \
    }

/* For numbers and addresses. */
#define MG_COMPARE_VALUES(left, right) ((*(left) > *(right)) - (*(left) < *(right)))

#endif
