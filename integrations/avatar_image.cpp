#include "integrations/avatar_image.hpp"

#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <jerror.h>
#include <jpeglib.h>
#include <memory>
#include <optional>
#include <png.h>
#include <vector>
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

namespace binnacle::integrations {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::string_view_literals;

constexpr std::chrono::seconds longest_decoding{3};
constexpr long most_jpeg_memory = 160'000'000; // a progressive one is kept whole, in coefficients
constexpr int most_jpeg_scans = 32;            // ordinary files have about ten
constexpr float quality = 82;

fault no_picture() { return {errc::bad_request, "Invalid file type", {}, {}}; }
fault too_large() { return {errc::bad_request, "The picture has too many pixels", {}, {}}; }
fault damaged(std::string why) {
  return {errc::bad_request, "The picture is damaged", {}, std::move(why)};
}

bool has_good_size(std::int64_t width, std::int64_t height) {
  return width > 0 && height > 0 && width <= longest_avatar_side && height <= longest_avatar_side &&
         width * height <= most_avatar_pixels;
}

struct dimensions {
  int width = 0;
  int height = 0;
};
dimensions fitted(dimensions d, int side) {
  auto longest = std::max(d.width, d.height);
  if (longest <= side) return d;
  auto scaled = [&](int x) {
    return std::max(1, static_cast<int>((std::int64_t{x} * side + longest / 2) / longest));
  };
  return {scaled(d.width), scaled(d.height)};
}

/// Pixels as libwebp takes them: 0xAARRGGBB, which in memory is B, G, R, A.
class picture {
public:
  picture() {
    if (!WebPPictureInit(&inside_)) throw std::bad_alloc{};
    inside_.use_argb = 1;
  }
  picture(const picture&) = delete;
  picture& operator=(const picture&) = delete;
  ~picture() { WebPPictureFree(&inside_); }

  void allocate(dimensions d) {
    inside_.width = d.width;
    inside_.height = d.height;
    if (!WebPPictureAlloc(&inside_)) throw std::bad_alloc{};
  }
  WebPPicture* operator->() { return &inside_; }
  WebPPicture* get() { return &inside_; }
  dimensions size() const { return {inside_.width, inside_.height}; }
  unsigned char* row(int y) {
    return reinterpret_cast<unsigned char*>(inside_.argb + std::ptrdiff_t{y} * inside_.argb_stride);
  }

private:
  WebPPicture inside_{};
};

// -- JPEG ----------------------------------------------------------------------------------------

/// libjpeg reports faults by not returning from here: every function that calls it between setjmp
/// and its end has only locals that need no destructor.
struct jpeg_decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf broken{};
  steady::time_point deadline{};
  char why[JMSG_LENGTH_MAX] = "";

  jpeg_decoder() {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr c) {
      auto& d = of(c);
      d.errors.format_message(c, d.why);
      std::longjmp(d.broken, 1);
    };
    errors.emit_message = [](j_common_ptr c, int level) {
      // What is missing at the end would be filled with grey.
      if (level < 0 && of(c).errors.msg_code == JWRN_JPEG_EOF) of(c).errors.error_exit(c);
    };
    progress.progress_monitor = [](j_common_ptr c) {
      auto& d = of(c);
      if (d.info.input_scan_number > most_jpeg_scans || steady::now() > d.deadline) {
        std::snprintf(d.why, sizeof d.why, "takes too long to decode");
        std::longjmp(d.broken, 1);
      }
    };
  }
  jpeg_decoder(const jpeg_decoder&) = delete;
  jpeg_decoder& operator=(const jpeg_decoder&) = delete;
  ~jpeg_decoder() { jpeg_destroy_decompress(&info); }
  static jpeg_decoder& of(j_common_ptr c) { return *static_cast<jpeg_decoder*>(c->client_data); }
};

bool read_jpeg_head(jpeg_decoder& d, std::string_view bytes) {
  if (setjmp(d.broken) != 0) return false;
  jpeg_create_decompress(&d.info);
  d.info.progress = &d.progress;
  d.info.mem->max_memory_to_use = most_jpeg_memory;
  jpeg_mem_src(&d.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&d.info, JPEG_APP0 + 1, 0xFFFF);
  return jpeg_read_header(&d.info, TRUE) == JPEG_HEADER_OK;
}

bool start_jpeg(jpeg_decoder& d) {
  if (setjmp(d.broken) != 0) return false;
  auto four_inks = d.info.num_components == 4;
  d.info.out_color_space = four_inks ? JCS_CMYK : JCS_EXT_BGRA;
  // While decoding, to not less than twice what is needed: it costs less than decoding all.
  auto longest = std::max(d.info.image_width, d.info.image_height);
  d.info.scale_num = 1;
  d.info.scale_denom = 1;
  while (d.info.scale_denom < 8 && longest / (d.info.scale_denom * 2) >= 2 * avatar_side)
    d.info.scale_denom *= 2;
  return jpeg_start_decompress(&d.info) != 0;
}

/// Inks to light; Adobe's files hold them inverted.
void light_of_inks(unsigned char* row, int width, bool inverted) {
  for (auto* p = row; p != row + std::ptrdiff_t{width} * 4; p += 4) {
    unsigned c = p[0], m = p[1], y = p[2], k = p[3];
    if (!inverted) c = 255 - c, m = 255 - m, y = 255 - y, k = 255 - k;
    p[0] = static_cast<unsigned char>(y * k / 255);
    p[1] = static_cast<unsigned char>(m * k / 255);
    p[2] = static_cast<unsigned char>(c * k / 255);
    p[3] = 255;
  }
}

bool read_jpeg_rows(jpeg_decoder& d, picture& out) {
  if (setjmp(d.broken) != 0) return false;
  while (d.info.output_scanline < d.info.output_height) {
    JSAMPROW row = out.row(static_cast<int>(d.info.output_scanline));
    if (jpeg_read_scanlines(&d.info, &row, 1) != 1) return false;
    if (d.info.out_color_space == JCS_CMYK)
      light_of_inks(row, static_cast<int>(d.info.output_width), d.info.saw_Adobe_marker);
  }
  return true;
}

result<int> decode_jpeg(std::string_view bytes, picture& out) {
  jpeg_decoder d;
  d.deadline = steady::now() + longest_decoding;
  if (!read_jpeg_head(d, bytes)) return damaged(d.why);
  if (!has_good_size(d.info.image_width, d.info.image_height)) return too_large();
  auto orientation = 1;
  for (auto* m = d.info.marker_list; m != nullptr; m = m->next) {
    std::string_view data{reinterpret_cast<const char*>(m->data), m->data_length};
    if (!data.starts_with("Exif\0\0"sv)) continue;
    orientation = exif_orientation(data);
    break;
  }
  if (!start_jpeg(d)) return damaged(d.why);
  out.allocate({static_cast<int>(d.info.output_width), static_cast<int>(d.info.output_height)});
  if (!read_jpeg_rows(d, out)) return damaged(d.why);
  return orientation;
}

// -- PNG -----------------------------------------------------------------------------------------

/// As with libjpeg, a fault does not return.
struct png_decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view rest;
  steady::time_point deadline{};
  char why[128] = "";

  explicit png_decoder(std::string_view bytes) : rest{bytes} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore);
    info = png ? png_create_info_struct(png) : nullptr;
    if (info == nullptr) throw std::bad_alloc{};
  }
  png_decoder(const png_decoder&) = delete;
  png_decoder& operator=(const png_decoder&) = delete;
  ~png_decoder() { png_destroy_read_struct(&png, &info, nullptr); }

  [[noreturn]] static void fail(png_structp p, png_const_charp text) {
    auto& d = *static_cast<png_decoder*>(png_get_error_ptr(p));
    std::snprintf(d.why, sizeof d.why, "%s", text);
    png_longjmp(p, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void read(png_structp p, png_bytep to, std::size_t size) {
    auto& d = *static_cast<png_decoder*>(png_get_io_ptr(p));
    if (d.rest.size() < size) png_error(p, "the file ends too early");
    std::memcpy(to, d.rest.data(), size);
    d.rest.remove_prefix(size);
  }
};

bool read_png_head(png_decoder& d) {
  if (setjmp(png_jmpbuf(d.png)) != 0) return false;
  png_set_read_fn(d.png, &d, png_decoder::read);
  png_set_user_limits(d.png, 0x7fffffff, 0x7fffffff); // has_good_size decides, and says so
  png_set_chunk_malloc_max(d.png, 1'000'000);
  png_set_chunk_cache_max(d.png, 16);
  // Nothing of these is used: they need not be inflated.
  static constexpr unsigned char unused[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT";
  png_set_keep_unknown_chunks(d.png, PNG_HANDLE_CHUNK_NEVER, unused, 5);
  png_read_info(d.png, d.info);
  return true;
}

bool read_png_rows(png_decoder& d, picture& out) {
  if (setjmp(png_jmpbuf(d.png)) != 0) return false;
  png_set_expand(d.png);
  png_set_scale_16(d.png);
  png_set_gray_to_rgb(d.png);
  png_set_add_alpha(d.png, 0xFF, PNG_FILLER_AFTER);
  png_set_bgr(d.png);
  auto passes = png_set_interlace_handling(d.png);
  png_read_update_info(d.png, d.info);
  auto height = static_cast<int>(png_get_image_height(d.png, d.info));
  for (int pass = 0; pass < passes; ++pass)
    for (int y = 0; y < height; ++y) {
      if ((y & 63) == 0 && steady::now() > d.deadline) png_error(d.png, "takes too long to decode");
      png_read_row(d.png, out.row(y), nullptr);
    }
  png_read_end(d.png, d.info);
  return true;
}

result<int> decode_png(std::string_view bytes, picture& out) {
  png_decoder d{bytes};
  d.deadline = steady::now() + longest_decoding;
  if (!read_png_head(d)) return damaged(d.why);
  auto width = png_get_image_width(d.png, d.info), height = png_get_image_height(d.png, d.info);
  if (!has_good_size(width, height)) return too_large();
  out.allocate({static_cast<int>(width), static_cast<int>(height)});
  if (!read_png_rows(d, out)) return damaged(d.why);
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(d.png, d.info, &size, &exif) == 0 || exif == nullptr) return 1;
  return exif_orientation({reinterpret_cast<const char*>(exif), size});
}

// -- WebP ----------------------------------------------------------------------------------------

struct release_demuxer {
  void operator()(WebPDemuxer* d) const { WebPDemuxDelete(d); }
};

result<int> decode_webp(std::string_view bytes, picture& out) {
  WebPData data{reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()};
  std::unique_ptr<WebPDemuxer, release_demuxer> file{WebPDemux(&data)};
  if (!file) return damaged("no whole WebP file");
  if (!has_good_size(WebPDemuxGetI(file.get(), WEBP_FF_CANVAS_WIDTH),
                     WebPDemuxGetI(file.get(), WEBP_FF_CANVAS_HEIGHT)))
    return too_large();
  WebPIterator frame{};
  struct release {
    WebPIterator& it;
    ~release() { WebPDemuxReleaseIterator(&it); }
  } at_the_end{frame};
  if (!WebPDemuxGetFrame(file.get(), 1, &frame)) return damaged("no picture");

  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return internal_fault("libwebp has another version");
  if (WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &config.input) != VP8_STATUS_OK)
    return damaged("no picture in its frame");
  if (!has_good_size(config.input.width, config.input.height)) return too_large();
  auto size = fitted({config.input.width, config.input.height}, avatar_side);
  out.allocate(size);
  config.options.use_scaling = 1;
  config.options.scaled_width = size.width;
  config.options.scaled_height = size.height;
  config.output.colorspace = MODE_BGRA;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = out.row(0);
  config.output.u.RGBA.stride = out->argb_stride * 4;
  config.output.u.RGBA.size =
      static_cast<std::size_t>(out->argb_stride) * 4 * static_cast<std::size_t>(size.height);
  if (WebPDecode(frame.fragment.bytes, frame.fragment.size, &config) != VP8_STATUS_OK)
    return damaged("its picture cannot be decoded");

  WebPChunkIterator exif{};
  auto orientation = 1;
  if (WebPDemuxGetChunk(file.get(), "EXIF", 1, &exif))
    orientation =
        exif_orientation({reinterpret_cast<const char*>(exif.chunk.bytes), exif.chunk.size});
  WebPDemuxReleaseChunkIterator(&exif);
  return orientation;
}

// -- from pixels to the avatar -------------------------------------------------------------------

/// Orientations 5 to 8 exchange the sides. `from(x, y)`: where a pixel of the result comes from.
void turn(picture& in, int orientation, picture& out) {
  auto [w, h] = in.size();
  auto sides_change = orientation >= 5;
  out.allocate(sides_change ? dimensions{h, w} : dimensions{w, h});
  auto size = out.size();
  for (int y = 0; y < size.height; ++y)
    for (int x = 0; x < size.width; ++x) {
      auto from_x = sides_change ? y : x, from_y = sides_change ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        from_x = w - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        from_y = h - 1 - from_y;
      std::memcpy(out.row(y) + std::ptrdiff_t{x} * 4, in.row(from_y) + std::ptrdiff_t{from_x} * 4,
                  4);
    }
}

result<std::string> encode(picture& what) {
  WebPConfig config;
  if (!WebPConfigPreset(&config, WEBP_PRESET_PICTURE, quality))
    return internal_fault("libwebp has another version");
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  struct release {
    WebPMemoryWriter& w;
    ~release() { WebPMemoryWriterClear(&w); }
  } at_the_end{writer};
  what->writer = WebPMemoryWrite;
  what->custom_ptr = &writer;
  if (!WebPEncode(&config, what.get()))
    return internal_fault("libwebp does not encode: " + std::to_string(what->error_code));
  return std::string{reinterpret_cast<const char*>(writer.mem), writer.size};
}

result<int> decode(std::string_view bytes, picture& out) {
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return decode_jpeg(bytes, out);
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return decode_png(bytes, out);
  if (bytes.starts_with("RIFF"sv) && bytes.size() >= 16 && bytes.substr(8, 4) == "WEBP")
    return decode_webp(bytes, out);
  return no_picture();
}

} // namespace

int exif_orientation(std::string_view exif) {
  if (exif.starts_with("Exif\0\0"sv)) exif.remove_prefix(6);
  auto big = exif.starts_with("MM\0*"sv);
  if (!big && !exif.starts_with("II*\0"sv)) return 1;
  auto number = [&](std::size_t at, std::size_t size) -> std::size_t {
    if (at > exif.size() || exif.size() - at < size) return 0;
    std::size_t out = 0;
    for (std::size_t i = 0; i < size; ++i)
      out = out << 8 | static_cast<unsigned char>(exif[big ? at + i : at + size - 1 - i]);
    return out;
  };
  auto directory = number(4, 4);
  auto entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    auto entry = directory + 2 + i * 12;
    if (entry > exif.size()) break;
    if (number(entry, 2) != 0x0112 || number(entry + 2, 2) != 3) continue;
    auto value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

result<std::string> normalise_avatar(std::string_view bytes) {
  picture decoded;
  auto orientation = decode(bytes, decoded);
  if (!orientation) return orientation.error();
  auto size = fitted(decoded.size(), avatar_side);
  if (size.width != decoded.size().width || size.height != decoded.size().height)
    if (!WebPPictureRescale(decoded.get(), size.width, size.height)) throw std::bad_alloc{};
  if (*orientation == 1) return encode(decoded);
  picture turned;
  turn(decoded, *orientation, turned);
  return encode(turned);
}

} // namespace binnacle::integrations
