/// An invoice as a PDF document, in Brazilian Portuguese (libharu).
///
/// The same invoice always gives the same bytes: nothing in them is of the moment they are made in.
/// Text is set in the standard fonts every reader has, so that nothing is embedded, in the encoding
/// that goes with them (Windows-1252): it has all of Portuguese; what it has not is shown as "?".
///
/// It is in this folder because that is where libraries with C interfaces are tamed. A document
/// takes less than a millisecond, more when its texts are long: call it on a compute worker.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::integrations {

/// All text is UTF-8, of any length: it is wrapped, and goes on on a further page.
struct invoice_document {
  std::string seller{};
  std::string number{}; // NF-2025-10-001
  std::string customer{};
  std::vector<std::string> address{}; // its lines; empty: none is shown
  std::string description{};
  decimal amount{}; // BRL
  std::string payment_method{};
  time_point issued_at{}; // also the document's own date
  date due{};
  std::optional<time_point> paid_at{};
};

/// internal, when libharu refuses something.
result<std::string> draw_invoice(const invoice_document&);

/// "R$ 1.234,56", rounded half to even; "-R$ 0,50".
std::string format_brl(decimal amount);

} // namespace binnacle::integrations
