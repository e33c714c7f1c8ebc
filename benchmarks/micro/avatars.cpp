// What one upload costs a compute worker: a phone's photo, a large and a small picture, and what is
// refused.
#include "integrations/avatar_image.hpp"

#include <benchmark/benchmark.h>
#include <cstdio> // jpeglib.h needs it first
#include <cstdlib>
#include <jpeglib.h>
#include <png.h>
#include <string>
#include <vector>

namespace {

using binnacle::integrations::normalise_avatar;

/// Neither flat nor noise: soft shapes with some grain, as photos have.
std::vector<unsigned char> photo(unsigned width, unsigned height) {
  std::vector<unsigned char> out;
  out.reserve(std::size_t{width} * height * 3);
  unsigned grain = 1;
  for (unsigned y = 0; y < height; ++y)
    for (unsigned x = 0; x < width; ++x) {
      grain = grain * 1'664'525U + 1'013'904'223U;
      for (auto base : {x / 16 + y / 32, (x / 8) ^ (y / 64), y / 16})
        out.push_back(static_cast<unsigned char>((base + (grain >> 29)) & 255));
    }
  return out;
}

std::string jpeg(unsigned width, unsigned height) {
  auto pixels = photo(width, height);
  jpeg_compress_struct c;
  jpeg_error_mgr errors;
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&c, &memory, &size);
  c.image_width = width;
  c.image_height = height;
  c.input_components = 3;
  c.in_color_space = JCS_RGB;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 85, TRUE);
  jpeg_start_compress(&c, TRUE);
  while (c.next_scanline < height) {
    auto* row = pixels.data() + std::size_t{c.next_scanline} * width * 3;
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  std::string out{reinterpret_cast<char*>(memory), size};
  jpeg_destroy_compress(&c);
  std::free(memory);
  return out;
}

std::string png(unsigned width, unsigned height) {
  auto pixels = photo(width, height);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr);
  std::string out(size, '\0');
  png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, nullptr);
  out.resize(size);
  return out;
}

void normalise(benchmark::State& state, const std::string& file) {
  for (auto _ : state) benchmark::DoNotOptimize(normalise_avatar(file));
  state.SetItemsProcessed(state.iterations());
  state.counters["bytes"] = static_cast<double>(file.size());
}
BENCHMARK_CAPTURE(normalise, jpeg_12_megapixels, jpeg(4'032, 3'024))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(normalise, jpeg_1024, jpeg(1'024, 1'024))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(normalise, png_1024, png(1'024, 1'024))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(normalise, jpeg_256, jpeg(256, 256))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(normalise, refused, std::string(5'000'000, 'x'))->Unit(benchmark::kMicrosecond);

} // namespace
