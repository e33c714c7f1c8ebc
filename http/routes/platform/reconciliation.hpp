/// How a comparison of the books is shown, to admins and by the command line.
#pragma once

#include "actors/reconciler.hpp"
#include "config/base/json.hpp"
#include "http/routes/csv.hpp"

namespace binnacle::http {

json::object body_of(const books_report& report);
/// The differences that are shown, one a line.
csv_table table_of(const books_report& report);
/// For a terminal: what was compared, and the differences that are shown.
std::string text_of(const books_report& report);

} // namespace binnacle::http
