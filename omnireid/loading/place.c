/* Images of 8 bits are put into a batch: shifted, black where nothing came, a rectangle in one colour. */
#include <stdint.h>
#include <string.h>

struct move {
    const uint8_t *from; /* [height, width, 3] */
    int64_t down, right; /* pixels */
    int64_t top, left, tall, wide; /* the rectangle; none where tall is 0 */
    int64_t colour; /* red, green and blue, from the lowest byte on */
};

void place(const struct move *moves, int64_t count, int64_t height, int64_t width, uint8_t *strip, uint8_t *out) {
    const int64_t line = 3 * width; /* strip has room for one */
    for (const struct move *move = moves; move < moves + count; move++) {
        const int64_t lead = move->right > 0 ? 3 * move->right : 0, tail = move->right < 0 ? -3 * move->right : 0;
        for (int64_t byte = 0; byte < 3 * move->wide; byte++)
            strip[byte] = (uint8_t)(move->colour >> 8 * (byte % 3));
        for (int64_t row = 0; row < height; row++, out += line) {
            const int64_t source = row - move->down;
            if (source < 0 || source >= height || lead + tail >= line)
                memset(out, 0, line);
            else {
                memset(out, 0, lead);
                memcpy(out + lead, move->from + source * line + tail, line - lead - tail);
                memset(out + line - tail, 0, tail);
            }
            if (row >= move->top && row < move->top + move->tall)
                memcpy(out + 3 * move->left, strip, 3 * move->wide);
        }
    }
}
