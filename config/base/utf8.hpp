/// Text in UTF-8, and text of others that is to become such.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace binnacle {

/// The length of the valid UTF-8 sequence at the front of `text`; 0 when there is none. Table 3-7
/// of the Unicode standard: no overlong forms, no surrogates, nothing past U+10FFFF.
std::size_t sequence_length(std::string_view text);

bool is_utf8(std::string_view text);

/// What somebody else says, such as why they refused us, as it can be stored and shown: at most
/// `most` bytes of whole characters in valid UTF-8 (U+FFFD for what is none), on one line: a blank
/// for control characters that follow one another, none at either end. PostgreSQL refuses a row for
/// one byte that is no UTF-8, and for a NUL.
std::string text_of_others(std::string_view text, std::size_t most);

} // namespace binnacle
