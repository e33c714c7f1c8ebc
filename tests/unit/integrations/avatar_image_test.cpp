#include "integrations/avatar_image.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>
#include <jpeglib.h>
#include <png.h>
#include <random>
#include <sys/resource.h>
#include <vector>
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>
#include <zlib.h>

namespace binnacle::integrations {
namespace {

using namespace std::string_literals;

struct colour {
  int r = 0, g = 0, b = 0, a = 255;
};
constexpr colour red{220, 20, 20}, green{20, 200, 20}, blue{20, 20, 220}, white{240, 240, 240};

struct image {
  int width = 0, height = 0;
  std::vector<colour> pixels{};
  image(int w, int h) : width{w}, height{h}, pixels(static_cast<std::size_t>(w) * h) {}
  colour& at(int x, int y) { return pixels[static_cast<std::size_t>(y) * width + x]; }
};

/// Red at the top left, green right of it, blue and white below.
image quarters(int width, int height) {
  image out{width, height};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      out.at(x, y) =
          y < height / 2 ? (x < width / 2 ? red : green) : (x < width / 2 ? blue : white);
  return out;
}

bool alike(const colour& a, const colour& b) {
  return std::abs(a.r - b.r) < 40 && std::abs(a.g - b.g) < 40 && std::abs(a.b - b.b) < 40;
}
void expect_quarters(image shown) {
  auto w = shown.width, h = shown.height;
  EXPECT_TRUE(alike(shown.at(w / 4, h / 4), red));
  EXPECT_TRUE(alike(shown.at(w * 3 / 4, h / 4), green));
  EXPECT_TRUE(alike(shown.at(w / 4, h * 3 / 4), blue));
  EXPECT_TRUE(alike(shown.at(w * 3 / 4, h * 3 / 4), white));
}

image read_webp(const std::string& bytes) {
  int w = 0, h = 0;
  auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  auto* pixels = WebPDecodeRGBA(data, bytes.size(), &w, &h);
  if (!pixels) throw std::runtime_error{"no WebP"};
  image out{w, h};
  for (std::size_t i = 0; i < out.pixels.size(); ++i)
    out.pixels[i] = {pixels[i * 4], pixels[i * 4 + 1], pixels[i * 4 + 2], pixels[i * 4 + 3]};
  WebPFree(pixels);
  return out;
}
image normalised(const std::string& bytes) { return read_webp(normalise_avatar(bytes).value()); }
std::string refusal(const std::string& bytes) {
  auto made = normalise_avatar(bytes);
  return made ? "accepted" : made.error().text;
}

std::string exif(int orientation, bool big = true) {
  auto n = static_cast<char>(orientation);
  return big ? "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + n + "\0\0\0\0\0\0"s
             : "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + n + "\0\0\0\0\0\0\0"s;
}

struct jpeg_options {
  int orientation = 1;
  bool big_endian = true;
  bool progressive = false;
  int frequency_scans = 0; // if any: progressive, with one scan for each of the first frequencies
  J_COLOR_SPACE space = JCS_RGB;
};
std::string jpeg(image what, jpeg_options options = {}) {
  jpeg_compress_struct c;
  jpeg_error_mgr errors;
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&c, &memory, &size);
  c.image_width = static_cast<unsigned>(what.width);
  c.image_height = static_cast<unsigned>(what.height);
  auto inks = options.space == JCS_CMYK;
  auto grey = options.space == JCS_GRAYSCALE;
  c.input_components = inks ? 4 : grey ? 1 : 3;
  c.in_color_space = options.space;
  jpeg_set_defaults(&c);
  if (options.progressive) jpeg_simple_progression(&c);
  std::vector<jpeg_scan_info> scans{{3, {0, 1, 2, 0}, 0, 0, 0, 0}};
  for (int k = 1; k <= options.frequency_scans; ++k) scans.push_back({1, {0, 0, 0, 0}, k, k, 0, 0});
  if (options.frequency_scans > 0) {
    c.scan_info = scans.data();
    c.num_scans = static_cast<int>(scans.size());
  }
  jpeg_start_compress(&c, TRUE);
  if (options.orientation != 1) {
    auto block = exif(options.orientation, options.big_endian);
    jpeg_write_marker(&c, JPEG_APP0 + 1, reinterpret_cast<const unsigned char*>(block.data()),
                      static_cast<unsigned>(block.size()));
  }
  for (int y = 0; y < what.height; ++y) {
    std::vector<unsigned char> row;
    for (int x = 0; x < what.width; ++x) {
      auto p = what.at(x, y);
      auto add = [&](int v) { row.push_back(static_cast<unsigned char>(v)); };
      if (grey)
        add((p.r + p.g + p.b) / 3);
      else if (inks) // Adobe's way: inverted, no black
        add(p.r), add(p.g), add(p.b), add(255);
      else
        add(p.r), add(p.g), add(p.b);
    }
    auto* at = row.data();
    jpeg_write_scanlines(&c, &at, 1);
  }
  jpeg_finish_compress(&c);
  std::string out{reinterpret_cast<char*>(memory), size};
  jpeg_destroy_compress(&c);
  std::free(memory);
  return out;
}

struct png_options {
  int depth = 8;
  int type = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
};
std::string png(image what, png_options options = {}) {
  auto* p = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  auto* info = png_create_info_struct(p);
  std::string out;
  png_set_write_fn(
      p, &out,
      [](png_structp w, png_bytep data, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(w))->append(reinterpret_cast<char*>(data), size);
      },
      nullptr);
  png_set_IHDR(p, info, static_cast<unsigned>(what.width), static_cast<unsigned>(what.height),
               options.depth, options.type,
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  std::array<png_color, 4> palette{};
  std::array shades{red, green, blue, white};
  for (std::size_t i = 0; i < 4; ++i)
    palette[i] = {static_cast<png_byte>(shades[i].r), static_cast<png_byte>(shades[i].g),
                  static_cast<png_byte>(shades[i].b)};
  if (options.type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(p, info, palette.data(), 4);
  png_write_info(p, info);
  std::vector<std::vector<png_byte>> rows;
  for (int y = 0; y < what.height; ++y) {
    auto& row = rows.emplace_back();
    for (int x = 0; x < what.width; ++x) {
      auto c = what.at(x, y);
      auto add = [&](int v) {
        row.push_back(static_cast<png_byte>(v));
        if (options.depth == 16) row.push_back(0);
      };
      if (options.type == PNG_COLOR_TYPE_PALETTE) {
        for (std::size_t i = 0; i < 4; ++i)
          if (alike(c, shades[i])) add(static_cast<int>(i));
      } else {
        add(c.r), add(c.g), add(c.b);
        if (options.type & PNG_COLOR_MASK_ALPHA) add(c.a);
      }
    }
  }
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(p, pointers.data());
  png_write_end(p, info);
  png_destroy_write_struct(&p, &info);
  return out;
}

std::string webp(image what) {
  std::vector<unsigned char> rgba;
  for (auto& p : what.pixels)
    for (auto v : {p.r, p.g, p.b, p.a}) rgba.push_back(static_cast<unsigned char>(v));
  unsigned char* memory = nullptr;
  auto size = WebPEncodeRGBA(rgba.data(), what.width, what.height, what.width * 4, 90, &memory);
  std::string out{reinterpret_cast<char*>(memory), size};
  WebPFree(memory);
  return out;
}

std::string animated_webp(std::vector<image> frames) {
  WebPAnimEncoderOptions options;
  WebPAnimEncoderOptionsInit(&options);
  auto* encoder = WebPAnimEncoderNew(frames[0].width, frames[0].height, &options);
  int time = 0;
  for (auto& frame : frames) {
    WebPPicture picture;
    WebPPictureInit(&picture);
    picture.use_argb = 1;
    picture.width = frame.width;
    picture.height = frame.height;
    WebPPictureAlloc(&picture);
    for (int y = 0; y < frame.height; ++y)
      for (int x = 0; x < frame.width; ++x) {
        auto p = frame.at(x, y);
        picture.argb[y * picture.argb_stride + x] =
            0xFF000000U | static_cast<unsigned>(p.r << 16 | p.g << 8 | p.b);
      }
    WebPAnimEncoderAdd(encoder, &picture, time += 100, nullptr);
    WebPPictureFree(&picture);
  }
  WebPAnimEncoderAdd(encoder, nullptr, time, nullptr);
  WebPData data;
  WebPAnimEncoderAssemble(encoder, &data);
  std::string out{reinterpret_cast<const char*>(data.bytes), data.size};
  WebPDataClear(&data);
  WebPAnimEncoderDelete(encoder);
  return out;
}

/// Only the head of a PNG of that size, and nothing in it.
std::string png_head(std::uint32_t width, std::uint32_t height) {
  auto big = [](std::uint32_t n) {
    return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                       static_cast<char>(n >> 8), static_cast<char>(n)};
  };
  auto chunk = "IHDR" + big(width) + big(height) + "\x08\x06\0\0\0"s;
  auto crc = crc32(0, reinterpret_cast<const unsigned char*>(chunk.data()),
                   static_cast<unsigned>(chunk.size()));
  return "\x89PNG\r\n\x1A\n\0\0\0\r"s + chunk + big(static_cast<std::uint32_t>(crc)) +
         "\0\0\0\0IDAT"s + big(0x35AF061E) + "\0\0\0\0IEND"s + big(0xAE426082);
}

// -- what is shown -------------------------------------------------------------------------------

/// EXIF says where row 0 and column 0 of what is stored are seen (CIPA DC-008, Orientation).
struct seen_at {
  char row, column; // t, b, l, r
};
constexpr std::array<seen_at, 8> orientations{{{'t', 'l'},
                                               {'t', 'r'},
                                               {'b', 'r'},
                                               {'b', 'l'},
                                               {'l', 't'},
                                               {'r', 't'},
                                               {'r', 'b'},
                                               {'l', 'b'}}};

TEST(AvatarImage, IsTurnedAsEachOfTheEightOrientationsSays) {
  auto shown = quarters(64, 32);
  for (int o = 1; o <= 8; ++o)
    for (auto big : {true, false}) {
      SCOPED_TRACE(o);
      auto [row, column] = orientations[static_cast<std::size_t>(o - 1)];
      image stored{o >= 5 ? 32 : 64, o >= 5 ? 64 : 32};
      for (int r = 0; r < stored.height; ++r)
        for (int c = 0; c < stored.width; ++c) {
          int x = 0, y = 0;
          auto place = [&](char side, int n) {
            if (side == 't') y = n;
            if (side == 'b') y = shown.height - 1 - n;
            if (side == 'l') x = n;
            if (side == 'r') x = shown.width - 1 - n;
          };
          place(row, r);
          place(column, c);
          stored.at(c, r) = shown.at(x, y);
        }
      auto made = normalised(jpeg(stored, {.orientation = o, .big_endian = big}));
      EXPECT_EQ(made.width, 64);
      EXPECT_EQ(made.height, 32);
      expect_quarters(made);
    }
}

TEST(AvatarImage, IsAtMost512PixelsOnItsLongerSide) {
  auto wide = normalised(jpeg(quarters(4'000, 1'000)));
  EXPECT_EQ(wide.width, 512);
  EXPECT_EQ(wide.height, 128);
  expect_quarters(wide);
  auto tall = normalised(png(quarters(300, 900)));
  EXPECT_EQ(tall.width, 171);
  EXPECT_EQ(tall.height, 512);
  expect_quarters(tall);
  EXPECT_EQ(normalised(webp(quarters(1'024, 1'024))).width, 512);
  EXPECT_EQ(normalised(jpeg(quarters(9'000, 4))).height, 1);
}

TEST(AvatarImage, IsNotEnlarged) {
  EXPECT_EQ(normalised(png(quarters(32, 16))).width, 32);
  EXPECT_EQ(normalised(png(quarters(1, 1))).width, 1);
}

TEST(AvatarImage, ReadsEveryKindOfJpeg) {
  expect_quarters(normalised(jpeg(quarters(80, 80), {.progressive = true})));
  expect_quarters(normalised(jpeg(quarters(80, 80), {.space = JCS_CMYK})));
  auto grey = normalised(jpeg(quarters(80, 80), {.space = JCS_GRAYSCALE}));
  EXPECT_TRUE(alike(grey.at(60, 60), white));
}

TEST(AvatarImage, ReadsEveryKindOfPng) {
  for (auto interlaced : {false, true}) {
    expect_quarters(normalised(png(quarters(90, 70), {.interlaced = interlaced})));
    expect_quarters(normalised(png(quarters(90, 70), {16, PNG_COLOR_TYPE_RGB, interlaced})));
    expect_quarters(normalised(png(quarters(90, 70), {8, PNG_COLOR_TYPE_PALETTE, interlaced})));
    expect_quarters(normalised(png(quarters(90, 70), {16, PNG_COLOR_TYPE_RGBA, interlaced})));
  }
}

TEST(AvatarImage, KeepsTransparency) {
  auto glass = quarters(64, 64);
  for (auto& p : glass.pixels) p.a = 0;
  EXPECT_EQ(normalised(png(glass, {.type = PNG_COLOR_TYPE_RGBA})).at(10, 10).a, 0);
}

TEST(AvatarImage, IsTheFirstPictureOfAnAnimation) {
  image other{64, 64};
  for (auto& p : other.pixels) p = red;
  expect_quarters(normalised(animated_webp({quarters(64, 64), other})));
}

TEST(AvatarImage, HoldsNothingOfTheFileButItsPixels) {
  auto file = jpeg(quarters(64, 64), {.orientation = 6}) + "<script>alert(1)</script>PK\x03\x04";
  auto made = normalise_avatar(file).value();
  EXPECT_EQ(made.find("script"), made.npos);
  EXPECT_EQ(made.find("Exif"), made.npos);
  EXPECT_EQ(made.find("EXIF"), made.npos);
  EXPECT_EQ(made.substr(0, 4), "RIFF");
}

// -- what is refused -----------------------------------------------------------------------------

TEST(AvatarImage, RefusesWhatIsNoPictureWhateverItsName) {
  for (const auto& file :
       {""s, "GIF89a\x01\0\x01\0"s, "<svg xmlns='http://www.w3.org/2000/svg'/>"s, "\xFF\xD8"s,
        "RIFF\x04\0\0\0WAVE....."s, "%PDF-1.7"s, "\x89PNG"s, std::string(1'000, '\0')})
    EXPECT_EQ(refusal(file), "Invalid file type");
}

TEST(AvatarImage, RefusesWhatEndsTooEarly) {
  for (const auto& file :
       {jpeg(quarters(200, 200)), png(quarters(200, 200)), webp(quarters(200, 200)),
        jpeg(quarters(200, 200), {.progressive = true})})
    for (auto share : {0.3, 0.6, 0.95}) {
      auto part =
          file.substr(0, static_cast<std::size_t>(static_cast<double>(file.size()) * share));
      EXPECT_EQ(refusal(part), "The picture is damaged");
    }
}

TEST(AvatarImage, RefusesABombBeforeItTakesMemoryOrTime) {
  auto bomb = png_head(50'000, 50'000);
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  auto began = std::chrono::steady_clock::now();

  EXPECT_EQ(refusal(bomb), "The picture has too many pixels");

  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds{50});
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 * 1'024);
  EXPECT_EQ(refusal(png_head(0x7FFFFFFF, 1)), "The picture has too many pixels");
  EXPECT_EQ(refusal(png_head(5'001, 5'000)), "The picture has too many pixels");
}

TEST(AvatarImage, RefusesAJpegOfTooManyScansEachOfWhichCostsAPass) {
  EXPECT_EQ(refusal(jpeg({64, 64}, {.frequency_scans = 20})), "accepted");
  EXPECT_EQ(refusal(jpeg({64, 64}, {.frequency_scans = 60})), "The picture is damaged");
}

TEST(AvatarImage, SurvivesAnyDamage) {
  std::mt19937 random{7};
  std::vector files{jpeg(quarters(60, 60), {.orientation = 6}), png(quarters(60, 60)),
                    jpeg(quarters(60, 60), {.progressive = true}), webp(quarters(60, 60)),
                    animated_webp({quarters(60, 60), image{60, 60}})};
  for (int round = 0; round < 400; ++round) {
    auto file = files[static_cast<std::size_t>(round) % files.size()];
    for (int i = 0; i < 1 + round % 8; ++i)
      file[random() % file.size()] = static_cast<char>(random());
    auto made = normalise_avatar(file);
    if (made) {
      EXPECT_LE(read_webp(*made).width, avatar_side);
    } else {
      EXPECT_EQ(made.error().code, errc::bad_request) << made.error().detail;
    }
  }
}

TEST(ExifOrientation, IsOneWhereNothingSaysOtherwise) {
  EXPECT_EQ(exif_orientation(exif(6)), 6);
  EXPECT_EQ(exif_orientation(exif(8, false)), 8);
  EXPECT_EQ(exif_orientation(exif(9)), 1);
  EXPECT_EQ(exif_orientation(""), 1);
  EXPECT_EQ(exif_orientation("MM\0*\xFF\xFF\xFF\xFF"s), 1);
  auto whole = exif(6);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    auto found = exif_orientation(std::string_view{whole}.substr(0, n));
    EXPECT_TRUE(found == 1 || found == 6);
  }
}

} // namespace
} // namespace binnacle::integrations
