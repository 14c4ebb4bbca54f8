/* Which rows come near which queries: exact products of 16-bit codes, compared with a limit for each query. */
#include <stdint.h>

enum {
    ROWS = 8,     /* multiplied with a query at a time: they stay in the first cache while the queries pass */
    QUERIES = 64, /* that stay in the second while the rows pass */
    PLACE_BITS = 21,
    VALUE_BITS = 32, /* as in keys.py */
};

/* To the nearest, halves away from zero. */
static inline int32_t rounded(float value) { return (int32_t)(value + (value < 0 ? -0.5f : 0.5f)); }

void code_rows(const float *features, int64_t count, float scale, int16_t *codes) {
    for (int64_t place = 0; place < count; place++) codes[place] = (int16_t)rounded(features[place] * scale);
}

/* The longest of what the codes of some rows leave out, in steps. */
double left_out(const float *features, int64_t count, int64_t dim, float scale) {
    double longest = 0;
    for (int64_t row = 0; row < count; row++) {
        const float *from = features + row * dim;
        float sums[ROWS] = {0};
        for (int64_t place = 0; place < dim; place += ROWS)
            for (int one = 0; one < ROWS && place + one < dim; one++) {
                float value = from[place + one] * scale;
                float out = value - (float)rounded(value);
                sums[one] += out * out;
            }
        double sum = 0;
        for (int one = 0; one < ROWS; one++) sum += sums[one];
        longest = sum > longest ? sum : longest;
    }
    return longest;
}

/* A product, its query and its row in one integer (keys.pack). */
static uint64_t pack(uint64_t query, float value, uint64_t place) {
    union { float value; uint32_t bits; } same = {value};
    uint32_t order = same.bits ^ (same.bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31);
    return query << (VALUE_BITS + PLACE_BITS) | (uint64_t)order << PLACE_BITS | place;
}

/* Products of some queries with a group of rows. */
static void multiply(const int16_t *queries, const int16_t *rows, int64_t count, int64_t dim, int32_t *products) {
    for (int64_t query = 0; query < count; query++) {
        const int16_t *left = queries + query * dim;
        int32_t sums[ROWS] = {0};
        for (int64_t place = 0; place < dim; place++)
            for (int one = 0; one < ROWS; one++)
                sums[one] += (int32_t)left[place] * (int32_t)rows[one * dim + place];
        for (int one = 0; one < ROWS; one++) products[query * ROWS + one] = sums[one];
    }
}

/* Keys of the cells, of rows from first to stop, that do not exceed their query's limit and are not blank; how many.

   A value is the product times the factor, and the row's addend. Behind the last row there is memory for a group, and
   behind the last key for one key. Cells are chosen without a branch: which of them are near, no processor guesses. */
int64_t near(const int16_t *queries, const int16_t *rows, int64_t num_queries, int64_t num_rows, int64_t dim,
             int64_t first, int64_t stop, float factor, const float *addends, const float *limits,
             const uint8_t *blank, uint64_t first_query, uint64_t first_place, uint64_t *keys) {
    float values[QUERIES * ROWS];
    int32_t products[QUERIES * ROWS];
    int32_t cells[QUERIES * ROWS];
    int64_t found = 0;
    for (int64_t start = 0; start < num_queries; start += QUERIES) {
        int64_t count = num_queries - start < QUERIES ? num_queries - start : QUERIES;
        for (int64_t row = first; row < stop; row += ROWS) {
            multiply(queries + start * dim, rows + row * dim, count, dim, products);
            for (int64_t query = 0; query < count; query++)
                for (int one = 0; one < ROWS; one++) {
                    int64_t cell = query * ROWS + one;
                    values[cell] = (float)products[cell] * factor + addends[row + one];
                }
            int32_t num_near = 0;
            for (int32_t cell = 0; cell < count * ROWS; cell++) {
                cells[num_near] = cell;
                num_near += values[cell] <= limits[start + cell / ROWS];
            }
            for (int32_t one = 0; one < num_near; one++) {
                int64_t query = start + cells[one] / ROWS, place = row + cells[one] % ROWS;
                keys[found] = pack(first_query + query, values[cells[one]], first_place + place);
                found += place < stop && !blank[query * num_rows + place];
            }
        }
    }
    return found;
}

/* Products of pairs in float64, added up in an order of their own. */
void pair_products(const float *queries, const float *rows, const int64_t *query, const int64_t *row, int64_t count,
                   int64_t dim, double *products) {
    for (int64_t pair = 0; pair < count; pair++) {
        const float *left = queries + query[pair] * dim, *right = rows + row[pair] * dim;
        const float *next = rows + row[pair + 1 < count ? pair + 1 : pair] * dim; /* far away in memory */
        double sums[ROWS] = {0};
        int64_t place = 0;
        for (; place + ROWS <= dim; place += ROWS) {
            __builtin_prefetch(next + place);
            for (int one = 0; one < ROWS; one++) sums[one] += (double)left[place + one] * (double)right[place + one];
        }
        for (; place < dim; place++) sums[0] += (double)left[place] * (double)right[place];
        products[pair] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    }
}
