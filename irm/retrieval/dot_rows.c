/* Products of one 8-bit query with rows of 8-bit codes, exactly; plain C that compilers turn into dot instructions.

   Those want one unsigned side, so the query comes with 128 added, and 128 times the row's sum is taken off again. */
#include <stdint.h>

void dot_rows(const int8_t *codes, const uint8_t *query, const uint8_t *ones, int64_t rows, int64_t dim,
              int32_t *products) {
    for (int64_t row = 0; row < rows; row++) {
        const int8_t *code = codes + row * dim;
        int32_t sum = 0, total = 0;
        for (int64_t place = 0; place < dim; place++) {
            sum += (int32_t)query[place] * (int32_t)code[place];
            total += (int32_t)ones[place] * (int32_t)code[place];
        }
        products[row] = sum - 128 * total;
    }
}
