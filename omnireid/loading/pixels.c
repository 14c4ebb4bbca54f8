/* Images of 8 bits with interleaved channels become planes of numbers. */
#include <stdint.h>

enum { PART = 512 }; /* pixels of a row whose channels are separated before they are turned into numbers */

/* A level times its channel's scale, plus its shift; mirrored images from right to left. */
void normalise(const uint8_t *pixels, int64_t count, int64_t height, int64_t width, const float *scale,
               const float *shift, const uint8_t *mirrored, float *images) {
    uint8_t levels[3][PART];
    for (int64_t line = 0; line < count * height; line++)
        for (int64_t first = 0; first < width; first += PART) {
            const int64_t image = line / height, row = line % height;
            const int64_t num = width - first < PART ? width - first : PART;
            const uint8_t *from = pixels + 3 * (line * width + first);
            for (int64_t place = 0; place < num; place++) {
                levels[0][place] = from[3 * place];
                levels[1][place] = from[3 * place + 1];
                levels[2][place] = from[3 * place + 2];
            }
            for (int channel = 0; channel < 3; channel++) {
                float *to = images + ((3 * image + channel) * height + row) * width;
                const float factor = scale[channel], addend = shift[channel];
                if (mirrored[image])
                    for (int64_t place = 0; place < num; place++)
                        to[width - first - num + place] = (float)levels[channel][num - 1 - place] * factor + addend;
                else
                    for (int64_t place = 0; place < num; place++)
                        to[first + place] = (float)levels[channel][place] * factor + addend;
            }
        }
}
