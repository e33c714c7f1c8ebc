#include "actors/mail_text.hpp"

#include <string_view>

namespace binnacle {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) switch (c) {
    case '&':
      out.append("&amp;");
      break;
    case '<':
      out.append("&lt;");
      break;
    case '>':
      out.append("&gt;");
      break;
    case '"':
      out.append("&quot;");
      break;
    default:
      out.push_back(c);
    }
  return out;
}

} // namespace

void write_bodies(mail_draft& draft, const mail_text& words) {
  auto paragraph = [&](const std::string& text) {
    draft.text.append(text).append("\n\n");
    draft.html.append("<p>").append(escaped(text)).append("</p>\n");
  };
  for (const auto& p : words.before) paragraph(p);
  draft.text.append(words.label).append(": ").append(draft.link).append("\n\n");
  draft.html.append("<p><a href=\"").append(escaped(draft.link)).append("\">");
  draft.html.append(escaped(words.label)).append("</a></p>\n");
  for (const auto& p : words.after) paragraph(p);
}

} // namespace binnacle
