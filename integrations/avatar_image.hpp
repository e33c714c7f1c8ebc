/// Pictures that people upload, made into avatars. The bytes are a stranger's: three small, much
/// tested decoders look at them (libjpeg-turbo, libpng, libwebp), chosen by content; dimensions are
/// checked before anything of their size is allocated, and work is bounded in pixels and time.
///
/// It is in this folder because that is where libraries with C interfaces are tamed: plain blocking
/// functions and result<T>. Call it on a compute worker.
#pragma once

#include "config/base/errors.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace binnacle::integrations {

constexpr int avatar_side = 512;                        // the longer one, in pixels
constexpr std::int64_t most_avatar_pixels = 25'000'000; // 100 MB while it is being decoded
constexpr std::int64_t longest_avatar_side = 16'383;    // WebP's own limit

/// A WebP of at most `avatar_side` pixels a side, never enlarged: turned as its Exif orientation
/// says, without any metadata, of an animation the first picture. bad_request, with the texts
/// "Invalid file type", "The picture has too many pixels" or "The picture is damaged".
result<std::string> normalise_avatar(std::string_view bytes);

/// The orientation, 1 to 8, in an Exif block (CIPA DC-008, tag 0x0112 of the first IFD), with or
/// without "Exif\0\0" in front; 1 when there is none.
int exif_orientation(std::string_view exif);

} // namespace binnacle::integrations
