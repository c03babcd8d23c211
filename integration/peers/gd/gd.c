/*
 * In place of libgd: Entropy Broker's broker draws the graphs of its web page with
 * it, which is switched off here, and the loader wants to find the functions.
 */
void *gdImageCreate(int width, int height) { return 0; }
int gdImageColorAllocate(void *image, int red, int green, int blue) { return 0; }
void gdImageLine(void *image, int x1, int y1, int x2, int y2, int color) {}
char *gdImageStringFT() { return 0; }
void gdImagePng(void *image, void *file) {}
void gdImageDestroy(void *image) {}
