/* Products of queries with rows of 8-bit codes, exactly; plain C that compilers turn into dot instructions. */
#include <stdint.h>

/* One 8-bit query with every row.

   Processors with VNNI want one unsigned side: the query comes with 128 added, and 128 times the row's sum is taken
   off again. The others multiply pairs of 16 bits. The query comes in both forms. */
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

/* Many queries with the rows from first to stop, which are eight at a time, all of 16 bits: eight rows and their eight
   sums stay close by while the queries pass. A value is the exact product times both scales; those of a query lie
   num_rows behind those of the one before. */
void dot_tile(const int16_t *queries, const float *query_scales, const int16_t *rows, const float *row_scales,
              int64_t num_queries, int64_t num_rows, int64_t dim, int64_t first, int64_t stop, float *values) {
    for (int64_t row = first; row < stop; row += 8)
        for (int64_t query = 0; query < num_queries; query++) {
            const int16_t *left = queries + query * dim, *right = rows + row * dim;
            int32_t sums[8] = {0};
            for (int64_t place = 0; place < dim; place++)
                for (int one = 0; one < 8; one++)
                    sums[one] += (int32_t)left[place] * (int32_t)right[one * dim + place];
            for (int one = 0; one < 8; one++)
                values[query * num_rows + row + one] = (float)sums[one] * row_scales[row + one] * query_scales[query];
        }
}
