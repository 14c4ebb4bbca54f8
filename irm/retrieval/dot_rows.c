/* Products of one 8-bit query with rows of 8-bit codes, exactly; plain C that compilers turn into dot instructions.

   Processors with VNNI want one unsigned side: the query comes with 128 added, and 128 times the row's sum is taken
   off again. The others multiply pairs of 16 bits. The query comes in both forms. */
#include <stdint.h>

void dot_rows(const int8_t *codes, const int16_t *query, const uint8_t *shifted, const uint8_t *ones, int64_t rows,
              int64_t dim, int32_t *products) {
    for (int64_t row = 0; row < rows; row++) {
        const int8_t *code = codes + row * dim;
        int32_t sum = 0;
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
        int32_t total = 0;
        for (int64_t place = 0; place < dim; place++) {
            sum += (int32_t)shifted[place] * (int32_t)code[place];
            total += (int32_t)ones[place] * (int32_t)code[place];
        }
        sum -= 128 * total;
#else
        for (int64_t place = 0; place < dim; place++)
            sum += (int32_t)query[place] * (int32_t)(int16_t)code[place];
#endif
        products[row] = sum;
    }
}
