#include "integrations/invoice_pdf.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <hpdf.h>
#include <memory>
#include <new>
#include <string_view>

namespace binnacle::integrations {
namespace {

// A4, in points of 1/72 inch.
constexpr float width = 595.28F;
constexpr float height = 841.89F;
constexpr float margin = 56;
constexpr float right = width - margin;
constexpr float label_width = 130;
constexpr float amount_width = 130;
constexpr float text_size = 10;
constexpr float leading = 1.4F; // of the size

// -- text ----------------------------------------------------------------------------------------

/// The next code point of valid UTF-8, which it takes away.
char32_t next_of(std::string_view& text) {
  auto first = static_cast<unsigned char>(text.front());
  auto length = first < 0x80 ? 1U : first < 0xE0 ? 2U : first < 0xF0 ? 3U : 4U;
  auto point = length == 1 ? char32_t{first} : char32_t{first} & (0x7FU >> length);
  for (auto c : text.substr(0, length).substr(1))
    point = (point << 6U) | (static_cast<unsigned char>(c) & 0x3FU);
  text.remove_prefix(std::min<std::size_t>(length, text.size()));
  return point;
}

/// What Windows-1252 has at 0x80 to 0x9F; elsewhere it is Latin-1.
constexpr std::array<char32_t, 32> windows{
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

/// As the fonts' encoding has it. Line ends are blanks: where lines end is decided here.
std::string encoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto point = next_of(text);
    if (point < 0x20 || point == 0x7F || point == 0xA0)
      out += ' ';
    else if (point < 0x80 || (point > 0xA0 && point <= 0xFF))
      out += static_cast<char>(static_cast<unsigned char>(point));
    else if (auto at = std::ranges::find(windows, point); at != windows.end())
      out += static_cast<char>(static_cast<unsigned char>(0x80 + (at - windows.begin())));
    else if (point < 0x300 || point > 0x36F) // a combining accent leaves its letter
      out += '?';
  }
  return out;
}

std::string two_digits(unsigned n) { return (n < 10 ? "0" : "") + std::to_string(n); }

std::string format_day(date d) { // 07/02/2025
  return two_digits(unsigned{d.day()}) + "/" + two_digits(unsigned{d.month()}) + "/" +
         std::to_string(int{d.year()});
}

std::string format_moment(time_point t) {
  std::chrono::hh_mm_ss of_day{std::chrono::floor<minutes>(t - start_of_day(t))};
  return format_day(date_of(t)) + " às " +
         two_digits(static_cast<unsigned>(of_day.hours().count())) + ":" +
         two_digits(static_cast<unsigned>(of_day.minutes().count())) + " (UTC)";
}

// -- the page ------------------------------------------------------------------------------------

/// A document that is written from top to bottom. libharu keeps its first error and refuses all
/// that comes after it, so that it is asked once, at the end.
class sheet {
public:
  sheet() : inside_{HPDF_New(nullptr, nullptr), HPDF_Free} {
    if (!inside_) throw std::bad_alloc{};
    HPDF_SetCompressionMode(inside_.get(), HPDF_COMP_ALL);
    plain_ = HPDF_GetFont(inside_.get(), "Helvetica", "WinAnsiEncoding");
    bold_ = HPDF_GetFont(inside_.get(), "Helvetica-Bold", "WinAnsiEncoding");
    turn();
  }

  void describe(const std::string& title, const std::string& author, time_point made) {
    HPDF_SetInfoAttr(inside_.get(), HPDF_INFO_TITLE, encoded(title).c_str());
    HPDF_SetInfoAttr(inside_.get(), HPDF_INFO_AUTHOR, encoded(author).c_str());
    auto day = date_of(made);
    std::chrono::hh_mm_ss at{std::chrono::floor<seconds>(made - start_of_day(made))};
    HPDF_Date stamp{};
    stamp.year = int{day.year()};
    stamp.month = static_cast<int>(unsigned{day.month()});
    stamp.day = static_cast<int>(unsigned{day.day()});
    stamp.hour = static_cast<int>(at.hours().count());
    stamp.minutes = static_cast<int>(at.minutes().count());
    stamp.seconds = static_cast<int>(at.seconds().count());
    stamp.ind = 'Z';
    HPDF_SetInfoDateAttr(inside_.get(), HPDF_INFO_CREATION_DATE, stamp);
  }

  void set_font(bool bold, float size) {
    font_ = bold ? bold_ : plain_;
    size_ = size;
    HPDF_Page_SetFontAndSize(page_, font_, size_);
  }
  void skip(float points) { y_ -= points; }

  /// Between `left` and `to`, on as many lines as it needs.
  void paragraph(std::string_view utf8, float left, float to) {
    auto text = encoded(utf8);
    for (std::string_view rest{text}; !rest.empty();) {
      auto line = rest.substr(0, fitting(rest, to - left));
      rest.remove_prefix(line.size());
      rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
      feed();
      put(std::string{line}, left);
    }
  }
  void field(std::string_view label, std::string_view value) {
    if (value.empty()) return;
    beside([&] { put(encoded(label), margin); });
    paragraph(value, margin + label_width, right);
  }
  void row(std::string_view what, std::string_view amount) {
    beside([&] {
      auto text = encoded(amount);
      put(text, right - HPDF_Page_TextWidth(page_, text.c_str()));
    });
    paragraph(what, margin, right - amount_width);
  }
  void rule() {
    skip(8);
    HPDF_Page_SetLineWidth(page_, 0.5F);
    HPDF_Page_MoveTo(page_, margin, y_);
    HPDF_Page_LineTo(page_, right, y_);
    HPDF_Page_Stroke(page_);
    skip(6);
  }

  result<std::string> bytes() {
    HPDF_SaveToStream(inside_.get());
    std::string out(HPDF_GetStreamSize(inside_.get()), '\0');
    auto size = static_cast<HPDF_UINT32>(out.size());
    HPDF_ReadFromStream(inside_.get(), reinterpret_cast<HPDF_BYTE*>(out.data()), &size);
    if (auto error = HPDF_GetError(inside_.get()); error != HPDF_OK && error != HPDF_STREAM_EOF)
      return internal_fault("libharu: error " + std::to_string(error));
    out.resize(size);
    return out;
  }

private:
  void turn() {
    page_ = HPDF_AddPage(inside_.get());
    HPDF_Page_SetSize(page_, HPDF_PAGE_SIZE_A4, HPDF_PAGE_PORTRAIT);
    y_ = height - margin;
    if (font_) HPDF_Page_SetFontAndSize(page_, font_, size_);
  }
  void feed() {
    y_ -= size_ * leading;
    if (y_ >= margin) return;
    turn();
    y_ -= size_ * leading;
  }
  /// Writes on the line that what follows begins with.
  template <class Write>
  void beside(Write write) {
    feed();
    write();
    y_ += size_ * leading;
  }
  void put(const std::string& text, float x) {
    HPDF_Page_BeginText(page_);
    HPDF_Page_TextOut(page_, x, y_, text.c_str());
    HPDF_Page_EndText(page_);
  }
  /// How many characters of `text` fit, up to a blank if there is one.
  std::size_t fitting(std::string_view text, float room) const {
    auto* raw = reinterpret_cast<const HPDF_BYTE*>(text.data());
    auto count = [&](HPDF_BOOL at_blank) {
      return std::size_t{HPDF_Font_MeasureText(font_, raw, static_cast<HPDF_UINT>(text.size()),
                                               room, size_, 0, 0, at_blank, nullptr)};
    };
    auto words = count(HPDF_TRUE);
    return std::clamp<std::size_t>(words > 0 ? words : count(HPDF_FALSE), 1, text.size());
  }

  std::unique_ptr<_HPDF_Doc_Rec, decltype(&HPDF_Free)> inside_;
  HPDF_Font plain_ = nullptr, bold_ = nullptr, font_ = nullptr;
  HPDF_Page page_ = nullptr;
  float size_ = text_size;
  float y_ = 0;
};

} // namespace

std::string format_brl(decimal amount) {
  auto text = amount.fixed(2);
  auto minus = text.starts_with('-');
  if (minus) text.erase(0, 1);
  auto point = text.size() - 3;
  text[point] = ',';
  for (auto at = point; at > 3; at -= 3) text.insert(at - 3, ".");
  return (minus ? "-R$ " : "R$ ") + text;
}

result<std::string> draw_invoice(const invoice_document& what) {
  sheet out;
  auto title = "Fatura " + what.number;
  out.describe(title, what.seller, what.issued_at);

  out.set_font(true, 18);
  out.paragraph(what.seller, margin, right);
  out.set_font(true, 13);
  out.skip(6);
  out.paragraph(title, margin, right);
  out.rule();

  out.set_font(false, text_size);
  out.field("Cliente", what.customer);
  for (const auto& line : what.address)
    out.field(&line == &what.address.front() ? "Endereço" : "", line);
  out.skip(8);
  out.field("Emissão", format_day(date_of(what.issued_at)));
  out.field("Vencimento", format_day(what.due));
  if (what.paid_at) out.field("Pagamento", format_moment(*what.paid_at));
  if (!what.payment_method.empty()) out.field("Forma de pagamento", what.payment_method);
  out.rule();

  out.set_font(true, text_size);
  out.row("Descrição", "Valor");
  out.set_font(false, text_size);
  out.row(what.description, format_brl(what.amount));
  out.rule();

  out.set_font(true, 12);
  out.row("Total", format_brl(what.amount));
  out.set_font(false, 8);
  out.skip(24);
  out.paragraph("Este documento não substitui a nota fiscal eletrônica.", margin, right);
  return out.bytes();
}

} // namespace binnacle::integrations
