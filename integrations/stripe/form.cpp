#include "integrations/stripe/form.hpp"

namespace binnacle::stripe {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void escape(std::string& out, char c) {
  static constexpr char hex[] = "0123456789ABCDEF";
  auto byte = static_cast<unsigned char>(c);
  out.append({'%', hex[byte >> 4], hex[byte & 15]});
}

void encode(std::string& out, std::string_view text) {
  for (char c : text) {
    if (c == ' ')
      out.push_back('+');
    else if (is_alphanumeric(c) || c == '*' || c == '-' || c == '.' || c == '_')
      out.push_back(c);
    else
      escape(out, c);
  }
}

} // namespace

form& form::add(std::string name, std::string_view text) {
  fields_.emplace_back(std::move(name), text);
  return *this;
}

form& form::add_given(std::string name, std::string_view text) {
  return text.empty() ? *this : add(std::move(name), text);
}

form& form::add_all(const std::string& name, const metadata& entries) {
  for (const auto& [key, text] : entries) add(name + "[" + key + "]", text);
  return *this;
}

std::string form::str() const {
  std::string out;
  for (const auto& [name, text] : fields_) {
    if (!out.empty()) out.push_back('&');
    encode(out, name);
    out.push_back('=');
    encode(out, text);
  }
  return out;
}

std::string path_segment(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~')
      out.push_back(c);
    else
      escape(out, c);
  }
  // These would name another place, such as the collection; no object is called "-".
  return out.empty() || out == "." || out == ".." ? "-" : out;
}

} // namespace binnacle::stripe
