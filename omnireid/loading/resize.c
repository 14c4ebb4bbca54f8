/* Images of 8 bits with interleaved channels change their size, by the same whole numbers as torch's.

   A row is mixed along its length as soon as a row of the result asks for it, and kept as long as one does. Taps
   are taken by pairs, as the processor multiplies and adds them: an odd last one has a partner of weight zero. */
#include <stdint.h>
#include <string.h>

#ifdef __AVX2__ /* elsewhere nothing is exported, and torch does it */
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline)) /* so that the usual numbers of pairs are constants */

enum { BLOCK = 32, MOST_TAPS = 64 };

struct axis {
    int64_t from, to, pairs, precision; /* sizes; pairs of taps of a place of the result; the weights' unit as a power */
    const int32_t *first;               /* tap of a place of the result; counted in bytes on columns */
    const void *weights;                /* int16: rows [to, pairs, 2]; columns [pairs, to in fours, 4 channels, 2] */
    const uint8_t *order;               /* columns: which of 16 bytes make the pairs of a place [to in fours, 16] */
};

static inline __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

static inline __m256i half(const struct axis *axis) { return _mm256_set1_epi32(1 << (axis->precision - 1)); }

/* Two pixels of a row, in a lane each: the sums of their channels. */
INLINE __m256i mixed(const struct axis *columns, const uint8_t *line, int64_t place, const int64_t pairs) {
    const int64_t step = (columns->to + 3) / 4 * 4;
    const uint8_t *from = line + columns->first[place];
    const __m256i order = load(columns->order + 16 * place);
    __m256i sums = half(columns);
    for (int64_t pair = 0; pair < pairs; pair++) {
        const __m256i near = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(from + 6 * pair)));
        const __m256i weights = load((const int16_t *)columns->weights + 8 * (pair * step + place));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_shuffle_epi8(near, order), weights));
    }
    return _mm256_sra_epi32(sums, _mm_cvtsi64_si128(columns->precision));
}

/* A row as long as the result's; up to 16 bytes behind its end are overwritten. */
INLINE void along(const struct axis *columns, const uint8_t *line, const int64_t pairs, uint8_t *out) {
    const __m128i close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    for (int64_t place = 0; place < columns->to; place += 4) {
        const __m256i left = mixed(columns, line, place, pairs), right = mixed(columns, line, place + 2, pairs);
        const __m256i words = _mm256_packs_epi32(left, right), bytes = _mm256_packus_epi16(words, words);
        const __m128i pixels = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
        _mm_storeu_si128((__m128i *)(out + 3 * place), _mm_shuffle_epi8(pixels, close));
    }
}

/* A block of a row of the result, from the rows that it lies between. */
INLINE __m256i stacked(const struct axis *lines, const uint8_t *const *rows, int64_t row, int64_t place,
                       const int64_t pairs) {
    const __m128i precision = _mm_cvtsi64_si128(lines->precision);
    const __m256i zero = _mm256_setzero_si256();
    __m256i sums[4] = {half(lines), half(lines), half(lines), half(lines)};
    for (int64_t pair = 0; pair < pairs; pair++) {
        const __m256i upper = load(rows[2 * pair] + place), lower = load(rows[2 * pair + 1] + place);
        const __m256i first = _mm256_unpacklo_epi8(upper, lower), last = _mm256_unpackhi_epi8(upper, lower);
        const __m256i weights = _mm256_set1_epi32(((const int32_t *)lines->weights)[row * pairs + pair]);
        sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(first, zero), weights));
        sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(first, zero), weights));
        sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(last, zero), weights));
        sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(last, zero), weights));
    }
    for (int part = 0; part < 4; part++)
        sums[part] = _mm256_sra_epi32(sums[part], precision);
    return _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]), _mm256_packs_epi32(sums[2], sums[3]));
}

INLINE void across(const struct axis *lines, const uint8_t *const *rows, int64_t row, int64_t width,
                   const int64_t pairs, uint8_t *out) {
    int64_t place = 0;
    for (; place + BLOCK <= width; place += BLOCK)
        _mm256_storeu_si256((__m256i *)(out + place), stacked(lines, rows, row, place, pairs));
    if (place < width) {
        uint8_t rest[BLOCK];
        _mm256_storeu_si256((__m256i *)rest, stacked(lines, rows, row, place, pairs));
        memcpy(out + place, rest, width - place);
    }
}

/* `scratch` holds 2 * lines->pairs rows of the result, 64 bytes longer each, and one of the image with what its last
   place reads behind it. */
void resize(const uint8_t *image, const struct axis *lines, const struct axis *columns, uint8_t *scratch,
            uint8_t *out) {
    const int64_t length = 3 * columns->from, width = 3 * columns->to, stride = width + 2 * BLOCK;
    const int64_t taps = 2 * lines->pairs, behind = 6 * columns->pairs + 16;
    const uint8_t *rows[MOST_TAPS], *end = image + lines->from * length;
    int64_t done = 0;
    for (int64_t row = 0; row < lines->to; row++) {
        for (; done < lines->first[row] + taps && done < lines->from; done++) {
            const uint8_t *line = image + done * length;
            uint8_t *to = scratch + done % taps * stride;
            if (end - line < length + behind)
                line = memcpy(scratch + taps * stride, line, length);
            if (columns->pairs == 1)
                along(columns, line, 1, to);
            else
                along(columns, line, columns->pairs, to);
        }
        for (int64_t tap = 0; tap < taps; tap++)
            rows[tap] = scratch + (lines->first[row] + tap) % taps * stride;
        if (taps == 2)
            across(lines, rows, row, width, 1, out + row * width);
        else if (taps == 4)
            across(lines, rows, row, width, 2, out + row * width);
        else
            across(lines, rows, row, width, lines->pairs, out + row * width);
    }
}
#endif
