/// A secret: text that is never printed, is wiped when it goes, and is compared in constant time.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace binnacle {

class secret {
public:
  secret() = default;
  explicit secret(std::string text) : text_{std::move(text)} {}
  secret(const secret&) = default;
  secret(secret&& other) noexcept : text_{std::exchange(other.text_, {})} {}
  secret& operator=(secret other) noexcept {
    text_.swap(other.text_);
    return *this;
  }
  ~secret() { wipe(); }

  bool empty() const { return text_.empty(); }
  /// The secret itself. Named so that every use can be found and read.
  const std::string& reveal() const { return text_; }

private:
  void wipe() noexcept;
  std::string text_{};
};

/// Equality in time that depends on the lengths only.
bool constant_time_equal(std::string_view a, std::string_view b);

} // namespace binnacle
